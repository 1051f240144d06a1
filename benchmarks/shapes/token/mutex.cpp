// mutex.cpp of token: threads and rings behind a mutex: a farm of as many workers as CPUs, or a
// thread for each stage.
#include "../../support/farm.h"
#include "config.h"

static std::uint64_t threads(unsigned cpus, unsigned stages, bool staged)
{
    std::uint64_t next = 0;
    std::uint64_t total = 0;
    auto          draw = [&](std::uint64_t &item) {
        if (next == config::items()) return false;
        kernel_fill(&item, next++, 1);
        return true;
    };
    auto stage = [](unsigned, std::uint64_t in) {
        std::uint64_t out;
        kernel_increment(&in, &out, 1);
        return out;
    };
    auto sink = [&](std::uint64_t item) { total += item; };
    if (staged)
        farm::run_staged<std::uint64_t>(stages, draw, stage, sink);
    else
        farm::run<std::uint64_t>(cpus, stages, draw, stage, sink);
    return total;
}

void harness::register_benchmarks(unsigned cpus)
{
    for (unsigned stages : config::depths) {
        for (bool staged : {false, true}) {
            add(config::name(stages, cpus) + part("threads", staged ? "stages" : "farm"),
                [=](benchmark::State &state) {
                    config::run(state, stages, [=] { return threads(cpus, stages, staged); });
                });
        }
    }
}
