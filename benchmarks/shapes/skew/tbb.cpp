// tbb.cpp of skew: parallel_pipeline; a filter makes the sum of a chunk, the sink adds the sums.
#include "config.h"

#include <tbb/global_control.h>
#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

static std::uint64_t tbb_pipeline(std::size_t chunk, std::size_t tokens)
{
    std::uint64_t next = 0;
    std::uint64_t total = 0;
    using mode = tbb::filter_mode;
    auto source = tbb::make_filter<void, std::uint64_t>(mode::serial_in_order,
                                                        [&](tbb::flow_control &control) {
                                                            std::uint64_t first = next;
                                                            if (first >= config::items())
                                                                control.stop();
                                                            next += chunk;
                                                            return first;
                                                        });
    auto burn = tbb::make_filter<std::uint64_t, std::uint64_t>(
        mode::parallel, [=](std::uint64_t first) {
            std::uint64_t end = std::min<std::uint64_t>(first + chunk, config::items());
            std::uint64_t sum = 0;
            for (std::uint64_t item = first; item < end; item++) sum += config::burn(item);
            return sum;
        });
    auto sum = tbb::make_filter<std::uint64_t, void>(
        mode::serial_in_order, [&](std::uint64_t partial) { total += partial; });
    tbb::parallel_pipeline(tokens, source & burn & sum);
    return total;
}

void harness::register_benchmarks(unsigned cpus)
{
    for (std::size_t chunk : config::chunks) {
        for (std::size_t tokens : {4ul, 16ul, 64ul}) {
            add(config::name(cpus, chunk) + part("tokens", tokens), [=](benchmark::State &state) {
                tbb::global_control limit(tbb::global_control::max_allowed_parallelism, cpus);
                tbb::task_arena     arena(static_cast<int>(cpus));
                arena.execute(
                    [&] { config::run(state, [=] { return tbb_pipeline(chunk, tokens); }); });
            });
        }
    }
}
