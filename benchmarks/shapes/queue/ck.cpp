// ck.cpp of queue: Concurrency Kit's ck_ring and ck_fifo for many producers and consumers. An
// item of ck_fifo has an entry that is allocated for it; what has left the list must stay readable
// and is freed after the clock has stopped.
#include "ck.h"

#include "config.h"

#include <mutex>
#include <vector>

namespace
{

struct Ring {
    ck_queue_ring *queue = ck_queue_ring_new(config::room);

    Ring() = default;
    Ring(const Ring &) = delete;
    Ring &operator=(const Ring &) = delete;
    ~Ring() { ck_queue_ring_free(queue); }
    bool try_put(std::uint64_t item) { return ck_queue_ring_put(queue, item); }
    bool try_take(std::uint64_t &item) { return ck_queue_ring_take(queue, &item); }
};

// One consumer's garbage is collected with the queue, when the clock has stopped.
struct Fifo {
    ck_queue_fifo      *queue = ck_queue_fifo_new();
    std::mutex          mutex;
    std::vector<void *> garbage;

    Fifo() = default;
    Fifo(const Fifo &) = delete;
    Fifo &operator=(const Fifo &) = delete;
    ~Fifo()
    {
        for (void *one : garbage) ck_queue_fifo_collect(one);
        ck_queue_fifo_free(queue);
    }
    bool try_put(std::uint64_t item)
    {
        ck_queue_fifo_put(queue, item);
        return true;
    }
    bool try_take(std::uint64_t &item)
    {
        static thread_local Bin bin;
        bin.of = this;
        return ck_queue_fifo_take(queue, &item, &bin.first);
    }

  private:
    struct Bin {
        Fifo *of = nullptr;
        void *first = nullptr;
        ~Bin()
        {
            if (of == nullptr) return;
            std::lock_guard<std::mutex> lock(of->mutex);
            of->garbage.push_back(first);
        }
    };
};

} // namespace

void harness::register_benchmarks(unsigned cpus)
{
    config::add_singly<Ring>(cpus, "ring");
    config::add_singly<Fifo>(cpus, "fifo");
}
