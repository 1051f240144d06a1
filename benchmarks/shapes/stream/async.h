// async.h: a range source, k batch tasks, an emit task that makes a partial sum of each chunk, and
// a reader that adds the partial sums: in for_each, or by reads of a fixed count.
//
// Crews of one CPU: the reader alone (0 workers), or one worker. Of n CPUs: n workers and a reader
// that sleeps, or n − 1 and a reader that helps; and 8 n workers. With the window that a pool has
// by default, and with 64 chunks.
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

struct Reading {
    bool        ordered;
    std::size_t count; // of each read; 0: for_each
};

inline std::uint64_t async(pipeline::Pool &pool, unsigned stages, std::size_t chunk,
                           const Reading &reading)
{
    async_order        order = reading.ordered ? ASYNC_ORDERED : ASYNC_UNORDERED;
    async_reader      *results = pool.add_chain(config::items(), stages, chunk, stage_task, order);
    async_task_options options{};
    options.input = results;
    options.emit = sum_task;
    options.max_chunksize = chunk;
    // How many items an emit task needs for so many sums only its user knows: a chunk for each.
    if (reading.count != 0) options.min_count = reading.count * chunk;
    options.order = order;
    async_reader *sums = pool.add(options);
    async_reader_release(results);

    harness::Padded total;
    if (reading.count == 0) {
        pipeline::must(async_reader_for_each(sums, add_sums, &total, async_forever()),
                       "async_reader_for_each");
    } else {
        std::vector<std::uint64_t> items(reading.count);
        std::size_t                got = 0;
        async_status               status;
        do {
            status = async_reader_read(sums, items.data(), items.size(), &got, async_forever());
            add_sums(items.data(), got, &total);
        } while (status == ASYNC_OK);
        if (status != ASYNC_END) pipeline::must(status, "async_reader_read");
    }
    async_reader_release(sums);
    return total.value;
}

inline void add_async(unsigned cpus, unsigned stages, std::size_t chunk, const pipeline::Crew &crew,
                      const Reading &reading)
{
    std::string full = name(stages, cpus, chunk) + pipeline::part(crew) +
                       harness::part("by", reading.count == 0 ? "each" : "read") +
                       (reading.count == 0 ? "" : harness::part("count", reading.count)) +
                       (reading.ordered ? "/ordered" : "");
    harness::add(full, [=](benchmark::State &state) {
        pipeline::Pool pool(crew);
        run(state, stages, chunk, [&] { return async(pool, stages, chunk, reading); });
    });
}

inline void register_async(unsigned cpus)
{
    for (unsigned stages : config::depths) {
        for (std::size_t chunk : chunks) {
            for (unsigned window : {0u, 64u, 1024u}) {
                pipeline::Crew asleep{cpus, false, window};
                pipeline::Crew reader{cpus - 1, cpus > 1, window};
                for (bool ordered : {false, true}) {
                    add_async(cpus, stages, chunk, asleep, {ordered, 0});
                    add_async(cpus, stages, chunk, reader, {ordered, 0});
                }
                add_async(cpus, stages, chunk, {8 * cpus, false, window}, {false, 0});
                add_async(cpus, stages, chunk, reader, {false, 64});
                add_async(cpus, stages, chunk, reader, {false, 1024});
            }
        }
    }
}

} // namespace stream

void harness::register_benchmarks(unsigned cpus) { stream::register_async(cpus); }
