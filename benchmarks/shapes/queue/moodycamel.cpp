// moodycamel.cpp of queue: moodycamel::ConcurrentQueue with a token for each producer and
// consumer, as its documentation says is fastest; in bulk and singly. Its order holds for each
// producer only.
#include "config.h"

#include <concurrentqueue/concurrentqueue.h>

#include <memory>

namespace
{

struct Moodycamel {
    moodycamel::ConcurrentQueue<std::uint64_t> queue;
    bool                                       spins;

    explicit Moodycamel(bool spins_) : spins(spins_) {}

    struct Producer {
        explicit Producer(Moodycamel &from) : queue(from.queue), token(from.queue) {}
        void write(const std::uint64_t *items, std::size_t count)
        {
            if (count == 1)
                queue.enqueue(token, *items);
            else
                queue.enqueue_bulk(token, items, count);
        }
        moodycamel::ConcurrentQueue<std::uint64_t> &queue;
        moodycamel::ProducerToken                   token;
    };

    struct Consumer {
        explicit Consumer(Moodycamel &from)
            : queue(from.queue), token(from.queue), waiting(from.spins)
        {
        }
        std::size_t read(std::uint64_t *items, std::size_t count)
        {
            for (;;) {
                std::size_t got = count == 1 ? queue.try_dequeue(token, *items)
                                             : queue.try_dequeue_bulk(token, items, count);
                if (got > 0) {
                    waiting.succeeded();
                    return got;
                }
                waiting.failed();
            }
        }
        moodycamel::ConcurrentQueue<std::uint64_t> &queue;
        moodycamel::ConsumerToken                   token;
        config::Waiting                             waiting;
    };
};

} // namespace

void harness::register_benchmarks(unsigned cpus)
{
    for (bool spins : {false, true}) {
        config::add(cpus, {1, config::batch}, "moodycamel" + part("wait", spins ? "spin" : "yield"),
                    [=] { return std::make_unique<Moodycamel>(spins); });
    }
}
