// openmp.h: parallel for over the chunks, each thread with a buffer and a sum of its own: nothing
// is handed over and nothing is in order, so this is a bound and not a peer.
#pragma once

#include "stream.h"

#include <omp.h>

#include <algorithm>
#include <vector>

namespace stream
{

inline std::uint64_t openmp(unsigned stages, std::size_t chunk, int threads, bool dynamic,
                            std::vector<harness::Buffer> &buffers)
{
    auto chunk_count = static_cast<std::int64_t>(harness::chunks_of(config::items(), chunk));
    std::uint64_t total = 0;
    auto          one = [&](std::int64_t index) {
        std::uint64_t *items = buffers[static_cast<std::size_t>(omp_get_thread_num())].items();
        std::uint64_t  first = static_cast<std::uint64_t>(index) * chunk;
        std::size_t    count = std::min<std::uint64_t>(chunk, config::items() - first);
        kernel_fill(items, first, count);
        for (unsigned i = 0; i < stages; i++) config::stage(items, items, count);
        return kernel_sum(items, count);
    };
    if (dynamic) {
#pragma omp parallel for num_threads(threads) schedule(dynamic) reduction(+ : total)
        for (std::int64_t index = 0; index < chunk_count; index++) total += one(index);
    } else {
#pragma omp parallel for num_threads(threads) schedule(static) reduction(+ : total)
        for (std::int64_t index = 0; index < chunk_count; index++) total += one(index);
    }
    return total;
}

inline void register_openmp(unsigned cpus)
{
    for (unsigned stages : config::depths) {
        for (std::size_t chunk : chunks) {
            for (bool dynamic : {false, true}) {
                std::string full = name(stages, cpus, chunk) +
                                   harness::part("schedule", dynamic ? "dynamic" : "static");
                harness::add(full, [=](benchmark::State &state) {
                    std::vector<harness::Buffer> buffers;
                    for (unsigned i = 0; i < cpus; i++) buffers.emplace_back(chunk);
                    run(state, stages, chunk, [&] {
                        return openmp(stages, chunk, static_cast<int>(cpus), dynamic, buffers);
                    });
                });
            }
        }
    }
}

} // namespace stream

void harness::register_benchmarks(unsigned cpus) { stream::register_openmp(cpus); }
