// config.h of token: chain with one item a chunk. The reader sums the items.
#pragma once

#include "../../support/harness.h"

#include <cstdint>
#include <string>

namespace config
{

constexpr std::uint64_t items = 1'000'000;
constexpr unsigned      depths[] = {1, 4};

constexpr std::uint64_t answer(unsigned stages) { return items / 2 * (items - 1) + stages * items; }
static_assert(items % 2 == 0);

inline std::string name(unsigned stages, unsigned cpus)
{
    return "token" + harness::part("k", stages) + harness::part("cpus", cpus);
}

template <class Once>
void run(benchmark::State &state, unsigned stages, Once once)
{
    harness::run(state, items, answer(stages), {{KERNEL_INCREMENT, stages * items}}, once);
}

} // namespace config
