// mutex.cpp of queue: a ring of 4096 items behind a mutex and two condition variables.
#include "../../support/ring.h"
#include "config.h"

namespace
{

struct Locked {
    ring::Ring<std::uint64_t> queue{config::room};

    struct Producer {
        explicit Producer(Locked &from) : queue(from.queue) {}
        void write(const std::uint64_t *items, std::size_t count) { queue.put(items, count); }
        ring::Ring<std::uint64_t> &queue;
    };
    struct Consumer {
        explicit Consumer(Locked &from) : queue(from.queue) {}
        std::size_t read(std::uint64_t *items, std::size_t count)
        {
            return queue.take(items, count);
        }
        ring::Ring<std::uint64_t> &queue;
    };
};

} // namespace

void harness::register_benchmarks(unsigned cpus)
{
    config::add(cpus, {1, config::batch}, "mutex/wait:block",
                [] { return std::make_unique<Locked>(); });
}
