// plain.cpp of skew: the serial time.
#include "config.h"

void harness::register_benchmarks(unsigned cpus)
{
    if (cpus != 1) return;
    add(config::name(cpus, 1), [](benchmark::State &state) {
        config::run(state, [] {
            std::uint64_t total = 0;
            for (std::uint64_t item = 0; item < config::items(); item++)
                total += config::burn(item);
            return total;
        });
    });
}
