// flow.cpp of token: a flow graph of oneTBB; an item travels as the message.
#include "../../support/flow.h"
#include "config.h"

static std::uint64_t flow_graph(unsigned stages, std::size_t tokens, bool light)
{
    std::uint64_t next = 0;
    std::uint64_t total = 0;
    flow::run<std::uint64_t>(
        stages, tokens, light,
        [&](std::uint64_t &item) {
            if (next == config::items()) return false;
            kernel_fill(&item, next++, 1);
            return true;
        },
        [](unsigned, std::uint64_t in) {
            std::uint64_t out;
            kernel_increment(&in, &out, 1);
            return out;
        },
        [&](std::uint64_t item) { total += item; });
    return total;
}

void harness::register_benchmarks(unsigned cpus)
{
    for (unsigned stages : config::depths) {
        for (std::size_t tokens : {4ul, 16ul, 64ul}) {
            for (bool light : {false, true}) {
                if (light && stages == 1) continue;
                add(config::name(stages, cpus) + part("tokens", tokens) + part("light", light),
                    [=](benchmark::State &state) {
                        flow::with_cpus(cpus, [&] {
                            config::run(state, stages,
                                        [=] { return flow_graph(stages, tokens, light); });
                        });
                    });
            }
        }
    }
}
