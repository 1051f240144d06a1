// config.h of queue: P threads write 8-byte items into one unbounded queue, C threads take them
// out, singly or in batches of 64. Each producer and each consumer has its share of the items; the
// consumers sum, and the sum is checked.
//
// A queue is a class with an inner Producer and Consumer (one a thread, made by that thread from
// the queue) and
//   void        Producer::write(const std::uint64_t *items, std::size_t count);
//   std::size_t Consumer::read(std::uint64_t *items, std::size_t count);   at least 1
// Items are not 0. Where the queue is empty a consumer waits by the rule in Waiting.
#pragma once

#include "../../support/harness.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace config
{

constexpr std::size_t batch = 64;
constexpr std::size_t room = 4096; // of queues that are bounded

// A multiple of 8 batches, so that the shares of up to 8 threads are equal.
inline std::uint64_t items_of(std::size_t count)
{
    std::uint64_t wanted = harness::items(count == 1 ? 1 << 20 : 1 << 23);
    return std::max<std::uint64_t>(1, wanted / (8 * batch)) * 8 * batch;
}

// What to do on an empty (or full) queue: give up the CPU at once, or look 64 times first.
class Waiting
{
  public:
    explicit Waiting(bool spins) : spins_(spins) {}
    void failed()
    {
        if (!spins_ || ++looks_ > 64)
            sched_yield();
        else
            harness::cpu_pause();
    }
    void succeeded() { looks_ = 0; }

  private:
    bool     spins_;
    unsigned looks_ = 0;
};

// A queue whose items go singly: made of a class with bool try_put(std::uint64_t) and
// bool try_take(std::uint64_t &).
template <class Queue>
struct Singly : Queue {
    bool spins;

    template <class... Arguments>
    explicit Singly(bool spins_, Arguments... arguments) : Queue(arguments...), spins(spins_)
    {
    }

    struct Producer {
        explicit Producer(Singly &from) : queue(from), waiting(from.spins) {}
        void write(const std::uint64_t *items, std::size_t count)
        {
            for (std::size_t i = 0; i < count; i++) {
                while (!queue.try_put(items[i])) waiting.failed();
                waiting.succeeded();
            }
        }
        Queue  &queue;
        Waiting waiting;
    };

    struct Consumer {
        explicit Consumer(Singly &from) : queue(from), waiting(from.spins) {}
        std::size_t read(std::uint64_t *items, std::size_t)
        {
            while (!queue.try_take(*items)) waiting.failed();
            waiting.succeeded();
            return 1;
        }
        Queue  &queue;
        Waiting waiting;
    };
};

template <class Queue>
std::uint64_t consume(Queue &queue, std::uint64_t share, std::size_t count)
{
    typename Queue::Consumer consumer(queue);
    std::uint64_t            items[batch] = {0};
    std::uint64_t            total = 0;
    while (share > 0) {
        std::size_t got = consumer.read(items, std::min<std::uint64_t>(count, share));
        for (std::size_t i = 0; i < got; i++) total += items[i];
        share -= got;
    }
    return total;
}

template <class Queue>
void produce(Queue &queue, std::uint64_t first, std::uint64_t share, std::size_t count)
{
    typename Queue::Producer producer(queue);
    std::uint64_t            items[batch];
    for (std::uint64_t done = 0; done < share;) {
        std::size_t n = std::min<std::uint64_t>(count, share - done);
        for (std::size_t i = 0; i < n; i++) items[i] = first + done + i;
        producer.write(items, n);
        done += n;
    }
}

// Threads are started before the clock is, and wait at a gate.
template <class Make>
void run(benchmark::State &state, unsigned pairs, std::size_t count, Make make)
{
    std::uint64_t items = items_of(count);
    std::uint64_t share = items / pairs;
    for (auto _ : state) {
        state.PauseTiming();
        {
            auto                         queue = make();
            std::atomic<unsigned>        waiting{0};
            std::atomic<bool>            open{false};
            std::vector<harness::Padded> sums(pairs);
            std::vector<std::thread>     threads;
            auto                         gate = [&] {
                waiting++;
                while (!open) sched_yield();
            };
            for (unsigned i = 0; i < pairs; i++) {
                threads.emplace_back([&, i] {
                    gate();
                    produce(*queue, 1 + i * share, share, count);
                });
                threads.emplace_back([&, i] {
                    gate();
                    sums[i].value = consume(*queue, share, count);
                });
            }
            while (waiting != 2 * pairs) sched_yield();
            state.ResumeTiming();
            open = true;
            for (std::thread &thread : threads) thread.join();
            state.PauseTiming();
            std::uint64_t total = 0;
            for (const harness::Padded &sum : sums) total += sum.value;
            if (total != items / 2 * (items + 1)) {
                state.SkipWithError("wrong sum");
                break;
            }
        }
        state.ResumeTiming();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(items) *
                            static_cast<std::int64_t>(state.iterations()));
}

// Registers "queue/<P>p<C>c/batch:<count>/cpus:<cpus>/<variant>". make() gives a new queue, by
// std::unique_ptr.
template <class Make>
void add(unsigned cpus, std::initializer_list<std::size_t> counts, const std::string &variant,
         Make make)
{
    for (unsigned pairs : {1u, 2u, 4u}) {
        for (std::size_t count : counts) {
            std::string n = std::to_string(pairs);
            harness::add("queue/" + n + "p" + n + "c" + harness::part("batch", count) +
                             harness::part("cpus", cpus) + "/" + variant,
                         [=](benchmark::State &state) { run(state, pairs, count, make); });
        }
    }
}

// The same for a queue of single items, with both ways to wait.
template <class Queue>
void add_singly(unsigned cpus, const std::string &variant)
{
    for (bool spins : {false, true}) {
        add(cpus, {1}, variant + harness::part("wait", spins ? "spin" : "yield"),
            [=] { return std::make_unique<Singly<Queue>>(spins); });
    }
}

} // namespace config
