// config.h of token: chain with one item a chunk. The reader sums the items.
#pragma once

#include "../../support/harness.h"

#include <cstdint>
#include <string>

namespace config
{

constexpr unsigned depths[] = {1, 4};

inline std::uint64_t items() { return harness::items(1'000'000); }

inline std::uint64_t answer(unsigned stages)
{
    return harness::sum_below(items()) + stages * items();
}

inline std::string name(unsigned stages, unsigned cpus)
{
    return "token" + harness::part("k", stages) + harness::part("cpus", cpus);
}

template <class Once>
void run(benchmark::State &state, unsigned stages, Once once)
{
    harness::run(state, items(), answer(stages), {{KERNEL_INCREMENT, stages * items()}}, once);
}

} // namespace config
