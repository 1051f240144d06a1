// openmp.cpp of token: parallel for, one item at a time, each thread with a sum of its own.
#include "config.h"

static std::uint64_t openmp(unsigned stages, int threads)
{
    std::uint64_t total = 0;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 1) reduction(+ : total)
    for (std::uint64_t i = 0; i < config::items(); i++) {
        std::uint64_t item;
        kernel_fill(&item, i, 1);
        for (unsigned stage = 0; stage < stages; stage++) kernel_increment(&item, &item, 1);
        total += item;
    }
    return total;
}

void harness::register_benchmarks(unsigned cpus)
{
    for (unsigned stages : config::depths) {
        add(config::name(stages, cpus), [=](benchmark::State &state) {
            config::run(state, stages, [=] { return openmp(stages, static_cast<int>(cpus)); });
        });
    }
}
