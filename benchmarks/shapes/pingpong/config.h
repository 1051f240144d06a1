// config.h of pingpong: round trips of an item between two threads, over two queues with room for
// one item each. The threads are free to run on any CPU, or each is pinned to one of its own
// ("across"); with one CPU they share it.
//
// A queue is a class with void put(std::uint64_t), that waits for room, and bool take(std::uint64_t
// &), that waits for an item and is false when the queue is closed; and close().
#pragma once

#include "../../support/harness.h"

#include <sched.h>

#include <cstdint>
#include <string>
#include <thread>

namespace config
{

// The calling thread, to the n-th of the CPUs that it may use.
inline void pin(unsigned n)
{
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed) || n-- > 0) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof one, &one) != 0) std::abort();
        return;
    }
}

template <class Queue>
void run(benchmark::State &state, bool across)
{
    cpu_set_t before;
    sched_getaffinity(0, sizeof before, &before);
    Queue       there;
    Queue       back;
    std::thread other([&] {
        if (across) pin(1);
        std::uint64_t item = 0;
        while (there.take(item)) back.put(item);
    });
    if (across) pin(0);
    std::uint64_t next = 0;
    for (auto _ : state) {
        std::uint64_t item = 0;
        there.put(++next);
        if (!back.take(item) || item != next) {
            state.SkipWithError("wrong item");
            break;
        }
    }
    there.close();
    other.join();
    sched_setaffinity(0, sizeof before, &before);
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

// Registers "pingpong/cpus:<cpus>/threads:<free or across>/<variant>".
template <class Queue>
void add(unsigned cpus, const std::string &variant)
{
    for (bool across : {false, true}) {
        if (across && cpus == 1) continue;
        harness::add("pingpong" + harness::part("cpus", cpus) +
                         harness::part("threads", across ? "across" : "free") + "/" + variant,
                     [=](benchmark::State &state) { run<Queue>(state, across); })
            ->Unit(benchmark::kNanosecond);
    }
}

} // namespace config
