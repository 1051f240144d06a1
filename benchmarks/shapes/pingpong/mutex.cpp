// mutex.cpp of pingpong: a mutex and condition variables.
#include "../../support/ring.h"
#include "config.h"

namespace
{

struct Locked {
    ring::Ring<std::uint64_t> queue{1};

    void put(std::uint64_t item) { queue.put(&item, 1); }
    bool take(std::uint64_t &item) { return queue.take(&item, 1) == 1; }
    void close() { queue.close(); }
};

} // namespace

void harness::register_benchmarks(unsigned cpus) { config::add<Locked>(cpus, "mutex"); }
