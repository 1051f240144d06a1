// tbb.cpp of pingpong: oneTBB's concurrent_bounded_queue. An item of 0 closes it.
#include "config.h"

#include <tbb/concurrent_queue.h>

namespace
{

struct Bounded {
    tbb::concurrent_bounded_queue<std::uint64_t> queue;

    Bounded() { queue.set_capacity(1); }
    void put(std::uint64_t item) { queue.push(item); }
    bool take(std::uint64_t &item)
    {
        queue.pop(item);
        return item != 0;
    }
    void close() { queue.push(0); }
};

} // namespace

void harness::register_benchmarks(unsigned cpus) { config::add<Bounded>(cpus, "bounded"); }
