// tbb.cpp of token: parallel_pipeline with a serial in-order source, parallel filters and a serial
// in-order sink that sums. An item travels as the value that a filter returns.
#include "config.h"

#include <tbb/global_control.h>
#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

static std::uint64_t tbb_pipeline(unsigned stages, std::size_t tokens)
{
    std::uint64_t next = 0;
    std::uint64_t total = 0;
    using mode = tbb::filter_mode;
    auto filters = tbb::make_filter<void, std::uint64_t>(mode::serial_in_order,
                                                         [&](tbb::flow_control &control) {
                                                             std::uint64_t item = 0;
                                                             if (next == config::items())
                                                                 control.stop();
                                                             else
                                                                 kernel_fill(&item, next++, 1);
                                                             return item;
                                                         });
    for (unsigned stage = 0; stage < stages; stage++) {
        filters = filters & tbb::make_filter<std::uint64_t, std::uint64_t>(
                                mode::parallel, [](std::uint64_t in) {
                                    std::uint64_t out;
                                    kernel_increment(&in, &out, 1);
                                    return out;
                                });
    }
    auto sum = tbb::make_filter<std::uint64_t, void>(mode::serial_in_order,
                                                     [&](std::uint64_t item) { total += item; });
    tbb::parallel_pipeline(tokens, filters & sum);
    return total;
}

void harness::register_benchmarks(unsigned cpus)
{
    for (unsigned stages : config::depths) {
        for (std::size_t tokens : {4ul, 16ul, 64ul}) {
            add(config::name(stages, cpus) + part("tokens", tokens), [=](benchmark::State &state) {
                tbb::global_control limit(tbb::global_control::max_allowed_parallelism, cpus);
                tbb::task_arena     arena(static_cast<int>(cpus));
                arena.execute([&] {
                    config::run(state, stages, [=] { return tbb_pipeline(stages, tokens); });
                });
            });
        }
    }
}
