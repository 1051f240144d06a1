// openmp.cpp of skew: parallel for, dynamic, each thread with a sum of its own.
#include "config.h"

static std::uint64_t openmp(int chunk, int threads)
{
    std::uint64_t total = 0;
#pragma omp parallel for num_threads(threads) schedule(dynamic, chunk) reduction(+ : total)
    for (std::uint64_t item = 0; item < config::items(); item++) total += config::burn(item);
    return total;
}

void harness::register_benchmarks(unsigned cpus)
{
    for (std::size_t chunk : config::chunks) {
        add(config::name(cpus, chunk), [=](benchmark::State &state) {
            config::run(state,
                        [=] { return openmp(static_cast<int>(chunk), static_cast<int>(cpus)); });
        });
    }
}
