// wakeup.cpp: one chunk for a pool whose WORKERS workers are all parked, and a reader that sleeps:
// how many futex wakes it takes, and how long from the write to the reader's return; and, in turns
// with it, the same of a bare futex: a sleeping thread is woken and wakes the first one.
// Usage: wakeup WORKERS ROUNDS; prints a line of JSON with the times, in nanoseconds.
#include "../support/futex_count.h"
#include "../support/pipeline.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

namespace
{

using Clock = std::chrono::steady_clock;

// Long enough for every thread to have looked, and to sleep.
void settle() { std::this_thread::sleep_for(std::chrono::milliseconds(3)); }

double since(Clock::time_point begin)
{
    return std::chrono::duration<double, std::nano>(Clock::now() - begin).count();
}

struct alignas(128) Word {
    std::atomic<std::uint32_t> turn{0};

    void tell(std::uint32_t next)
    {
        turn.store(next, std::memory_order_release);
        __real_syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
    }
    void await(std::uint32_t wanted)
    {
        std::uint32_t now;
        while ((now = turn.load(std::memory_order_acquire)) != wanted)
            __real_syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, now, nullptr, nullptr, 0);
    }
};

int increment(const void *in, void *out, void *)
{
    *static_cast<std::uint64_t *>(out) = *static_cast<const std::uint64_t *>(in) + 1;
    return 0;
}

void print(const char *name, const std::vector<double> &values, const char *behind)
{
    std::printf("\"%s\": [", name);
    for (std::size_t i = 0; i < values.size(); i++)
        std::printf("%s%.0f", i == 0 ? "" : ", ", values[i]);
    std::printf("]%s", behind);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 3) {
        std::fprintf(stderr, "usage: wakeup WORKERS ROUNDS\n");
        return 2;
    }
    unsigned workers = static_cast<unsigned>(std::strtoul(argv[1], nullptr, 10));
    unsigned rounds = static_cast<unsigned>(std::strtoul(argv[2], nullptr, 10));

    async_writer *writer = nullptr;
    async_reader *input = nullptr;
    pipeline::must(async_channel_create(&writer, &input, sizeof(std::uint64_t), nullptr),
                   "async_channel_create");
    pipeline::Pool     pool({workers, false});
    async_task_options options{};
    options.input = input;
    options.each = increment;
    async_reader *reader = pool.add(options);
    async_reader_release(input);

    // The other thread reads, and answers on the word.
    Word                       there;
    Word                       back;
    std::atomic<std::uint32_t> asked{0}; // the round that the reader is to wait in
    double                     returned = 0;
    Clock::time_point          begin;
    std::thread                other([&] {
        for (std::uint32_t round = 1; round <= rounds; round++) {
            std::uint64_t item = 0;
            asked.store(round, std::memory_order_release);
            pipeline::must(async_reader_read(reader, &item, 1, nullptr, async_forever()),
                                          "async_reader_read");
            returned = since(begin);
            if (item != round + 1) std::abort();
            back.tell(2 * round - 1);
            there.await(round);
            back.tell(2 * round);
        }
    });

    std::vector<double> ours, bare, wakes, calls;
    for (std::uint32_t round = 1; round <= rounds; round++) {
        while (asked.load(std::memory_order_acquire) != round) settle();
        settle();
        std::uint64_t wakes_before = futex_wakes;
        std::uint64_t item = round;
        begin = Clock::now();
        pipeline::must(async_writer_write(writer, &item, 1, nullptr, async_forever()),
                       "async_writer_write");
        back.await(2 * round - 1);
        ours.push_back(returned);
        settle(); // what is woken late counts too
        wakes.push_back(static_cast<double>(futex_wakes - wakes_before));

        Clock::time_point start = Clock::now();
        there.tell(round);
        back.await(2 * round);
        bare.push_back(since(start));
    }
    other.join();
    async_reader_release(reader);
    async_writer_release(writer);
    std::printf("{\"workers\": %u, ", workers);
    print("ours_ns", ours, ", ");
    print("bare_ns", bare, ", ");
    print("wakes", wakes, "}\n");
    return 0;
}
