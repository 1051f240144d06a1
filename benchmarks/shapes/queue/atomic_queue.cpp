// atomic_queue.cpp of queue: atomic_queue's bounded queues. Its optimist ones, which it says are
// the fastest, spin until there is room or an item; the others are tried again.
#include "config.h"

#include <atomic_queue/atomic_queue.h>

namespace
{

template <class Queue>
struct Trying {
    Queue queue;

    bool try_put(std::uint64_t item) { return queue.try_push(item); }
    bool try_take(std::uint64_t &item) { return queue.try_pop(item); }
};

template <class Queue>
struct Optimist {
    Queue queue;

    bool try_put(std::uint64_t item)
    {
        queue.push(item);
        return true;
    }
    bool try_take(std::uint64_t &item)
    {
        item = queue.pop();
        return true;
    }
};

// Without a way to wait: these spin themselves.
template <class Queue>
void add_optimist(unsigned cpus, const char *name)
{
    config::add(cpus, {1}, std::string("atomic_queue/") + name + "/optimist",
                [] { return std::make_unique<config::Singly<Optimist<Queue>>>(true); });
}

} // namespace

void harness::register_benchmarks(unsigned cpus)
{
    using atomics = atomic_queue::AtomicQueue<std::uint64_t, config::room>;
    using flags = atomic_queue::AtomicQueue2<std::uint64_t, config::room>;
    add_optimist<atomics>(cpus, "atomics");
    add_optimist<flags>(cpus, "flags");
    config::add_singly<Trying<atomics>>(cpus, "atomic_queue/atomics");
    config::add_singly<Trying<flags>>(cpus, "atomic_queue/flags");
}
