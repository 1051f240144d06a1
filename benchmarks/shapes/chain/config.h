// config.h of chain: k stages of + 1.
#pragma once

#include "../../support/kernels.h"

#include <cstddef>
#include <cstdint>

namespace config
{

constexpr const char   *workload = "chain";
constexpr std::uint64_t items = 20'000'000;
constexpr unsigned      depths[] = {1, 4, 8};
constexpr kernel        stage_kernel = KERNEL_INCREMENT;

inline void stage(const std::uint64_t *in, std::uint64_t *out, std::size_t count)
{
    kernel_increment(in, out, count);
}

constexpr std::uint64_t answer(unsigned stages) { return items / 2 * (items - 1) + stages * items; }
static_assert(items % 2 == 0);

} // namespace config
