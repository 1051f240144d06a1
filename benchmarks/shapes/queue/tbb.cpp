// tbb.cpp of queue: oneTBB's concurrent_queue, and concurrent_bounded_queue with room for 4096
// items, tried again or by calls that wait.
#include "config.h"

#include <tbb/concurrent_queue.h>

namespace
{

struct Unbounded {
    tbb::concurrent_queue<std::uint64_t> queue;

    bool try_put(std::uint64_t item)
    {
        queue.push(item);
        return true;
    }
    bool try_take(std::uint64_t &item) { return queue.try_pop(item); }
};

struct Bounded {
    tbb::concurrent_bounded_queue<std::uint64_t> queue;

    Bounded() { queue.set_capacity(config::room); }
    bool try_put(std::uint64_t item) { return queue.try_push(item); }
    bool try_take(std::uint64_t &item) { return queue.try_pop(item); }
};

struct Blocking : Bounded {
    bool try_put(std::uint64_t item)
    {
        queue.push(item);
        return true;
    }
    bool try_take(std::uint64_t &item)
    {
        queue.pop(item);
        return true;
    }
};

} // namespace

void harness::register_benchmarks(unsigned cpus)
{
    config::add_singly<Unbounded>(cpus, "concurrent_queue");
    config::add_singly<Bounded>(cpus, "bounded");
    config::add(cpus, {1}, "bounded/wait:block",
                [] { return std::make_unique<config::Singly<Blocking>>(false); });
}
