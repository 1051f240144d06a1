// async.h: a range source, k batch tasks, an emit task that makes a partial sum of each chunk, and
// a reader that adds the partial sums, in for_each.
//
// Crews of one CPU: the reader alone (0 workers), or one worker. Of n CPUs: n workers and a reader
// that sleeps, or n − 1 and a reader that helps. With the window that a pool has by default, and
// with 64 chunks.
#pragma once

#include "../../support/pipeline.h"
#include "stream.h"

#include <vector>

namespace stream
{

inline int stage_task(const void *in, void *out, std::size_t count, std::size_t *, void *)
{
    config::stage(static_cast<const std::uint64_t *>(in), static_cast<std::uint64_t *>(out), count);
    return 0;
}

inline int sum_task(const void *in, std::size_t count, std::size_t *, async_emitter *out, void *)
{
    std::uint64_t sum = kernel_sum(static_cast<const std::uint64_t *>(in), count);
    return async_emit(out, &sum, 1) == ASYNC_OK ? 0 : 1;
}

inline int add_sums(const void *items, std::size_t count, void *context)
{
    auto *sums = static_cast<const std::uint64_t *>(items);
    auto *total = static_cast<harness::Padded *>(context);
    for (std::size_t i = 0; i < count; i++) total->value += sums[i];
    return ASYNC_CONTINUE;
}

inline std::uint64_t async(pipeline::Pool &pool, unsigned stages, std::size_t chunk)
{
    async_reader      *results = pool.add_chain(config::items, stages, chunk, stage_task);
    async_task_options options{};
    options.input = results;
    options.emit = sum_task;
    options.max_chunksize = chunk;
    async_reader *sums = pool.add(options);
    async_reader_release(results);

    harness::Padded total;
    pipeline::must(async_reader_for_each(sums, add_sums, &total, async_forever()),
                   "async_reader_for_each");
    async_reader_release(sums);
    return total.value;
}

inline void register_async(unsigned cpus)
{
    std::vector<pipeline::Crew> crews;
    for (unsigned window : {0u, 64u}) {
        crews.push_back({cpus, false, window});
        crews.push_back(cpus == 1 ? pipeline::Crew{0, false, window}
                                  : pipeline::Crew{cpus - 1, true, window});
    }
    for (unsigned stages : config::depths) {
        for (std::size_t chunk : chunks) {
            for (const pipeline::Crew &crew : crews) {
                harness::add(
                    name(stages, cpus, chunk) + pipeline::part(crew), [=](benchmark::State &state) {
                        pipeline::Pool pool(crew);
                        run(state, stages, chunk, [&] { return async(pool, stages, chunk); });
                    });
            }
        }
    }
}

} // namespace stream

void harness::register_benchmarks(unsigned cpus) { stream::register_async(cpus); }
