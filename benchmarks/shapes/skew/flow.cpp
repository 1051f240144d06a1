// flow.cpp of skew: a flow graph of oneTBB.
#include "../../support/flow.h"
#include "ranges.h"

void harness::register_benchmarks(unsigned cpus)
{
    for (std::size_t chunk : config::chunks) {
        for (std::size_t tokens : {4ul, 16ul, 64ul}) {
            add(config::name(cpus, chunk) + part("tokens", tokens), [=](benchmark::State &state) {
                auto once = [=] {
                    std::uint64_t next = 0;
                    std::uint64_t total = 0;
                    flow::run<std::uint64_t>(
                        1, tokens, false,
                        [&](std::uint64_t &first) { return ranges::draw(next, chunk, first); },
                        [=](unsigned, std::uint64_t first) { return ranges::burn(first, chunk); },
                        [&](std::uint64_t sum) { total += sum; });
                    return total;
                };
                flow::with_cpus(cpus, [&] { config::run(state, once); });
            });
        }
    }
}
