// plain.h: one thread, one buffer, a loop: the bound of one CPU.
#pragma once

#include "stream.h"

#include <algorithm>

namespace stream
{

inline std::uint64_t plain(unsigned stages, std::size_t chunk, std::uint64_t *items)
{
    std::uint64_t total = 0;
    for (std::uint64_t first = 0; first < config::items(); first += chunk) {
        std::size_t count = std::min<std::uint64_t>(chunk, config::items() - first);
        kernel_fill(items, first, count);
        for (unsigned i = 0; i < stages; i++) config::stage(items, items, count);
        total += kernel_sum(items, count);
    }
    return total;
}

inline void register_plain(unsigned cpus)
{
    if (cpus != 1) return;
    for (unsigned stages : config::depths) {
        for (std::size_t chunk : chunks) {
            harness::add(name(stages, cpus, chunk), [=](benchmark::State &state) {
                harness::Buffer buffer(chunk);
                run(state, stages, chunk, [&] { return plain(stages, chunk, buffer.items()); });
            });
        }
    }
}

} // namespace stream

void harness::register_benchmarks(unsigned cpus) { stream::register_plain(cpus); }
