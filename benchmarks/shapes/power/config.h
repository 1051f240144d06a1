// config.h of power: one stage, squares.
#pragma once

#include "../../support/harness.h"

namespace config
{

constexpr const char *workload = "power";
constexpr unsigned    depths[] = {1};
constexpr kernel      stage_kernel = KERNEL_SQUARE;

inline void stage(const std::uint64_t *in, std::uint64_t *out, std::size_t count)
{
    kernel_square(in, out, count);
}

inline std::uint64_t items() { return harness::items(20'000'000); }

// The sum of i² for i < N is (N−1) N (2N−1) / 6; of N and N−1 one is even, and one of the three
// factors is a multiple of 3.
inline std::uint64_t answer(unsigned)
{
    std::uint64_t a = items() - 1;
    std::uint64_t b = items();
    std::uint64_t c = 2 * items() - 1;
    (a % 2 == 0 ? a : b) /= 2;
    (a % 3 == 0 ? a : b % 3 == 0 ? b : c) /= 3;
    return a * b * c;
}

} // namespace config
