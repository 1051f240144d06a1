// stream.h: what power and chain share. The workload's config.h stands before it.
//
// A source writes 0 … N−1 into buffers of `chunk` items, k stages run over them, the last stage
// makes one partial sum of a chunk, and the reader adds the partial sums.
#pragma once

#include "../../support/harness.h"

#include <string>

namespace stream
{

constexpr std::size_t chunks[] = {64, 256, 1024, 2048, 4096, 8192, 16384};

inline std::string name(unsigned stages, unsigned cpus, std::size_t chunk)
{
    return std::string(config::workload) + harness::part("k", stages) +
           harness::part("cpus", cpus) + harness::part("chunk", chunk);
}

template <class Once>
void run(benchmark::State &state, unsigned stages, std::size_t chunk, Once once)
{
    std::uint64_t calls = harness::chunks_of(config::items(), chunk);
    harness::run(state, config::items(), config::answer(stages),
                 {{config::stage_kernel, stages * calls}, {KERNEL_SUM, calls}}, once);
}

} // namespace stream
