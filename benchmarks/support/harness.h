// harness.h: what all benchmark programs share.
//
// A program takes --cpus=N (default 1) beside Google Benchmark's options and pins itself to the
// first N of its CPUs before any thread is started. It registers the benchmarks of that many CPUs.
// With --pinned-to=M it pins itself to M CPUs instead, and everything else is as with N. With
// --items=N a workload has N items instead of its usual number.
#pragma once

#include "kernels.h"

#include <benchmark/benchmark.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <utility>

namespace harness
{

// How many items a workload has: what --items said, or its usual number.
std::uint64_t items(std::uint64_t usual);

// The sum of 0 … n − 1.
constexpr std::uint64_t sum_below(std::uint64_t n)
{
    return n % 2 == 0 ? n / 2 * (n - 1) : (n - 1) / 2 * n;
}

// The program's benchmarks, by the program.
void register_benchmarks(unsigned cpus);

// Adds "name" with the settings that all figures share: wall time, milliseconds.
template <class Function>
benchmark::internal::Benchmark *add(const std::string &name, Function function)
{
    return benchmark::RegisterBenchmark(name.c_str(), std::move(function))
        ->UseRealTime()
        ->Unit(benchmark::kMillisecond);
}

// "/key:value", to build names with.
inline std::string part(const char *key, std::uint64_t value)
{
    return std::string("/") + key + ":" + std::to_string(value);
}
inline std::string part(const char *key, const char *value)
{
    return std::string("/") + key + ":" + value;
}

// Runs `once` (which returns the answer) once an iteration, and checks each answer, and the calls
// of each kernel over all iterations: expected_calls are pairs of a kernel and its calls an
// iteration.
struct Expected {
    kernel        which;
    std::uint64_t calls;
};

template <class Once>
void run(benchmark::State &state, std::uint64_t items, std::uint64_t answer,
         std::initializer_list<Expected> expected, Once once)
{
    kernel_calls_reset();
    for (auto _ : state) {
        if (once() != answer) {
            state.SkipWithError("wrong answer");
            return;
        }
    }
    auto iterations = static_cast<std::uint64_t>(state.iterations());
    for (const Expected &e : expected) {
        if (kernel_calls(e.which) != e.calls * iterations) {
            state.SkipWithError("wrong number of calls of a kernel");
            return;
        }
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(items * iterations));
}

// An array on a cache line's boundary, its pages touched.
class Buffer
{
  public:
    explicit Buffer(std::size_t count)
        : items_(static_cast<std::uint64_t *>(
              ::operator new(count * sizeof(std::uint64_t), alignment)))
    {
        for (std::size_t i = 0; i < count; i++) items_[i] = 0;
    }
    Buffer(Buffer &&other) noexcept : items_(std::exchange(other.items_, nullptr)) {}
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
    Buffer &operator=(Buffer &&) = delete;
    ~Buffer() { ::operator delete(items_, alignment); }
    std::uint64_t *items() { return items_; }

  private:
    static constexpr std::align_val_t alignment{64};
    std::uint64_t                    *items_;
};

// An integer on cache lines of its own.
struct alignas(128) Padded {
    std::uint64_t value = 0;
};

inline void cpu_pause()
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

constexpr std::uint64_t chunks_of(std::uint64_t items, std::uint64_t chunk)
{
    return (items + chunk - 1) / chunk;
}

} // namespace harness
