// floors.cpp: what single operations of the machine cost: an uncontended fetch-add; two threads
// that spin and hand two cache lines to and fro; a futex that wakes a sleeper, and is woken by it.
// The times are those of a round trip.
#include "../support/harness.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <thread>

namespace
{

struct alignas(128) Line {
    std::atomic<std::uint32_t> turn{0};
};

void fetch_add(benchmark::State &state)
{
    Line line;
    for (auto _ : state) line.turn.fetch_add(1);
    if (line.turn != static_cast<std::uint32_t>(state.iterations())) state.SkipWithError("lost");
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

struct Spinning {
    static void tell(Line &line, std::uint32_t turn)
    {
        line.turn.store(turn, std::memory_order_release);
    }
    static void await(Line &line, std::uint32_t turn)
    {
        while (line.turn.load(std::memory_order_acquire) != turn) harness::cpu_pause();
    }
};

struct Parking {
    static void tell(Line &line, std::uint32_t turn)
    {
        line.turn.store(turn, std::memory_order_release);
        syscall(SYS_futex, &line.turn, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
    static void await(Line &line, std::uint32_t turn)
    {
        while (line.turn.load(std::memory_order_acquire) != turn)
            syscall(SYS_futex, &line.turn, FUTEX_WAIT_PRIVATE, turn - 1, nullptr, nullptr, 0);
    }
};

template <class Way>
void round_trips(benchmark::State &state)
{
    Line              there;
    Line              back;
    std::atomic<bool> over{false};
    std::thread       other([&] {
        for (std::uint32_t turn = 1;; turn++) {
            Way::await(there, turn);
            if (over) break;
            Way::tell(back, turn);
        }
    });
    std::uint32_t     turn = 0;
    for (auto _ : state) {
        turn++;
        Way::tell(there, turn);
        Way::await(back, turn);
    }
    over = true;
    Way::tell(there, turn + 1);
    other.join();
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

} // namespace

void harness::register_benchmarks(unsigned cpus)
{
    auto add_one = [cpus](const char *name, auto function) {
        add(std::string("floors/") + name + part("cpus", cpus), function)
            ->Unit(benchmark::kNanosecond);
    };
    add_one("fetch_add", fetch_add);
    add_one("spinning", round_trips<Spinning>);
    add_one("futex", round_trips<Parking>);
}
