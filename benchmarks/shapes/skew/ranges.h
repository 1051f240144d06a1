// ranges.h of skew: chunks as jobs: which items, then their sum.
#pragma once

#include "config.h"

namespace ranges
{

inline bool draw(std::uint64_t &next, std::size_t chunk, std::uint64_t &first)
{
    if (next >= config::items()) return false;
    first = next;
    next += chunk;
    return true;
}

inline std::uint64_t burn(std::uint64_t first, std::size_t chunk)
{
    std::uint64_t end = std::min<std::uint64_t>(first + chunk, config::items());
    std::uint64_t sum = 0;
    for (std::uint64_t item = first; item < end; item++) sum += config::burn(item);
    return sum;
}

} // namespace ranges
