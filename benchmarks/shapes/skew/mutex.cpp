// mutex.cpp of skew: a farm of as many workers as CPUs.
#include "../../support/farm.h"
#include "ranges.h"

void harness::register_benchmarks(unsigned cpus)
{
    for (std::size_t chunk : config::chunks) {
        add(config::name(cpus, chunk) + part("threads", "farm"), [=](benchmark::State &state) {
            config::run(state, [=] {
                std::uint64_t next = 0;
                std::uint64_t total = 0;
                farm::run<std::uint64_t>(
                    cpus, 1, [&](std::uint64_t &first) { return ranges::draw(next, chunk, first); },
                    [=](unsigned, std::uint64_t first) { return ranges::burn(first, chunk); },
                    [&](std::uint64_t sum) { total += sum; });
                return total;
            });
        });
    }
}
