// pingpong.cpp: round trips between two threads over two channels of one item each, with calls that
// wait; the times are those of a round trip.
#include "../support/harness.h"
#include "../support/pipeline.h"

#include <cstdint>
#include <thread>

namespace
{

struct Channel {
    async_writer *writer = nullptr;
    async_reader *reader = nullptr;
    Channel()
    {
        async_channel_options options{};
        options.capacity = 1;
        pipeline::must(async_channel_create(&writer, &reader, sizeof(std::uint64_t), &options),
                       "async_channel_create");
    }
    Channel(const Channel &) = delete;
    Channel &operator=(const Channel &) = delete;
    ~Channel()
    {
        async_writer_release(writer);
        async_reader_release(reader);
    }
    async_status write(std::uint64_t item)
    {
        return async_writer_write(writer, &item, 1, nullptr, async_forever());
    }
    async_status read(std::uint64_t *item)
    {
        return async_reader_read(reader, item, 1, nullptr, async_forever());
    }
};

void pingpong(benchmark::State &state)
{
    Channel       there;
    Channel       back;
    std::thread   other([&] {
        std::uint64_t item = 0;
        while (there.read(&item) == ASYNC_OK)
            pipeline::must(back.write(item), "async_writer_write");
    });
    std::uint64_t next = 0;
    for (auto _ : state) {
        std::uint64_t item = 0;
        if (there.write(++next) != ASYNC_OK || back.read(&item) != ASYNC_OK || item != next) {
            state.SkipWithError("wrong item");
            break;
        }
    }
    pipeline::must(async_writer_close(there.writer), "async_writer_close");
    other.join();
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

} // namespace

void harness::register_benchmarks(unsigned cpus)
{
    add("micro/pingpong" + part("cpus", cpus), pingpong)->Unit(benchmark::kNanosecond);
}
