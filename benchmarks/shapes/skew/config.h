// config.h of skew: 20,000 items, each of which burns a time of its own, by a Pareto distribution
// (shape 1.2, cut at 250 times the mean; at about 1.3 ns a unit: mean 20 µs, at most 5 ms).
#pragma once

#include "../../support/harness.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace config
{

constexpr std::uint64_t drawn = 20'000; // the times repeat after so many items
constexpr std::size_t   chunks[] = {1, 16};

// How many units of kernel_burn each item takes; the same in every program.
inline const std::vector<std::uint64_t> &units()
{
    static const std::vector<std::uint64_t> table = [] {
        constexpr double           mean = 15'000;
        constexpr double           shape = 1.2;
        std::vector<double>        draws(drawn);
        std::vector<std::uint64_t> result(drawn);
        std::uint64_t              state = 88172645463325252u;
        double                     sum = 0;
        for (double &draw : draws) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            double uniform = (static_cast<double>(state >> 11) + 0.5) / 9007199254740992.0;
            draw = std::min(std::pow(uniform, -1 / shape), 1'250.0);
            sum += draw;
        }
        for (std::size_t i = 0; i < drawn; i++) {
            double scaled = draws[i] * mean * static_cast<double>(drawn) / sum;
            result[i] = static_cast<std::uint64_t>(std::min(scaled, 250 * mean));
        }
        return result;
    }();
    return table;
}

inline std::uint64_t items() { return harness::items(drawn); }

inline std::uint64_t burn(std::uint64_t item) { return kernel_burn(item, units()[item % drawn]); }

// The sum of what kernel_burn gives for all items, in 64 steps an item: the map of n steps is the
// map of the bits of n, one after the other.
inline std::uint64_t answer()
{
    static const std::uint64_t total = [] {
        std::uint64_t sum = 0;
        for (std::uint64_t item = 0; item < items(); item++) {
            std::uint64_t multiplier = 6364136223846793005u;
            std::uint64_t increment = 1442695040888963407u;
            std::uint64_t state = item;
            for (std::uint64_t steps = units()[item % drawn]; steps != 0; steps >>= 1) {
                if (steps & 1) state = state * multiplier + increment;
                increment = increment * multiplier + increment;
                multiplier *= multiplier;
            }
            sum += state;
        }
        return sum;
    }();
    return total;
}

inline std::string name(unsigned cpus, std::size_t chunk)
{
    return "skew" + harness::part("cpus", cpus) + harness::part("chunk", chunk);
}

template <class Once>
void run(benchmark::State &state, Once once)
{
    harness::run(state, items(), answer(), {{KERNEL_BURN, items()}}, once);
}

} // namespace config
