// read.cpp: what single calls of the public interface cost: read(1) of a task, a channel's write
// and read by one thread, adding a task, making a pool.
#include "../support/futex_count.h"
#include "../support/harness.h"
#include "../support/pipeline.h"

#include <cstdint>

namespace
{

constexpr std::uint64_t endless = UINT64_MAX / 2;

int increment_task(const void *in, void *out, std::size_t count, std::size_t *, void *)
{
    kernel_increment(static_cast<const std::uint64_t *>(in), static_cast<std::uint64_t *>(out),
                     count);
    return 0;
}

void read_one(benchmark::State &state, unsigned workers, unsigned stages)
{
    pipeline::Pool pool({workers, false});
    async_reader  *reader = pool.add_chain(endless, stages, 0, increment_task);
    std::uint64_t  item = 0;
    std::uint64_t  expected = stages;
    std::uint64_t  futex_calls_before = futex_calls;
    for (auto _ : state) {
        async_status status = async_reader_read(reader, &item, 1, nullptr, async_forever());
        if (status != ASYNC_OK || item != expected++) {
            state.SkipWithError("wrong item");
            break;
        }
    }
    state.counters["futex_calls"] = static_cast<double>(futex_calls - futex_calls_before);
    async_reader_release(reader);
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

void channel(benchmark::State &state, std::size_t capacity, std::size_t count)
{
    async_writer         *writer = nullptr;
    async_reader         *reader = nullptr;
    async_channel_options options{};
    options.capacity = capacity;
    pipeline::must(async_channel_create(&writer, &reader, sizeof(std::uint64_t), &options),
                   "async_channel_create");
    std::uint64_t items[64] = {0};
    for (auto _ : state) {
        async_status written = async_writer_write(writer, items, count, nullptr, async_now());
        async_status read = async_reader_read(reader, items, count, nullptr, async_now());
        if (written != ASYNC_OK || read != ASYNC_OK) {
            state.SkipWithError("not written or not read");
            break;
        }
    }
    async_writer_release(writer);
    async_reader_release(reader);
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()) *
                            static_cast<std::int64_t>(count));
}

void add_task(benchmark::State &state)
{
    pipeline::Pool pool({0, false});
    for (auto _ : state) async_reader_release(pool.add_chain(1, 1, 0, increment_task));
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

void make_pool(benchmark::State &state, unsigned workers)
{
    for (auto _ : state) pipeline::Pool pool({workers, false});
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

} // namespace

void harness::register_benchmarks(unsigned cpus)
{
    auto one = [cpus](const std::string &name, auto function) {
        add("micro/" + name + part("cpus", cpus), function)->Unit(benchmark::kNanosecond);
    };
    for (unsigned workers : {0u, 1u}) {
        for (unsigned stages : {1u, 4u}) {
            one("read_one" + part("workers", workers) + part("k", stages),
                [=](benchmark::State &state) { read_one(state, workers, stages); });
        }
        one("make_pool" + part("workers", workers),
            [=](benchmark::State &state) { make_pool(state, workers); });
    }
    for (std::size_t capacity : {0ul, 1024ul}) {
        for (std::size_t count : {1ul, 64ul}) {
            one("channel" + part("capacity", capacity) + part("count", count),
                [=](benchmark::State &state) { channel(state, capacity, count); });
        }
    }
    one("add_task", [](benchmark::State &state) { add_task(state); });
}
