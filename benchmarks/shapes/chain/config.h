// config.h of chain: k stages of + 1.
#pragma once

#include "../../support/harness.h"

namespace config
{

constexpr const char *workload = "chain";
constexpr unsigned    depths[] = {1, 4, 8};
constexpr kernel      stage_kernel = KERNEL_INCREMENT;

inline void stage(const std::uint64_t *in, std::uint64_t *out, std::size_t count)
{
    kernel_increment(in, out, count);
}

inline std::uint64_t items() { return harness::items(20'000'000); }

inline std::uint64_t answer(unsigned stages)
{
    return harness::sum_below(items()) + stages * items();
}

} // namespace config
