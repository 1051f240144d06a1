// plain.cpp of token: one thread, one item, a loop.
#include "config.h"

void harness::register_benchmarks(unsigned cpus)
{
    if (cpus != 1) return;
    for (unsigned stages : config::depths) {
        add(config::name(stages, cpus), [=](benchmark::State &state) {
            Buffer buffer(1);
            config::run(state, stages, [&] {
                std::uint64_t *item = buffer.items();
                std::uint64_t  total = 0;
                for (std::uint64_t i = 0; i < config::items(); i++) {
                    kernel_fill(item, i, 1);
                    for (unsigned stage = 0; stage < stages; stage++)
                        kernel_increment(item, item, 1);
                    total += *item;
                }
                return total;
            });
        });
    }
}
