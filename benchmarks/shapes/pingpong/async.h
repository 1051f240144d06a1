// async.h of pingpong: plain channels of one item, by calls that wait, or that don't and are made
// again and again.
#pragma once

#include "../../support/pipeline.h"
#include "config.h"

namespace pingpong
{

template <bool polled>
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

    static async_wait wait() { return polled ? async_now() : async_forever(); }

    void put(std::uint64_t item)
    {
        async_status status;
        while ((status = async_writer_write(writer, &item, 1, nullptr, wait())) == ASYNC_TIMEOUT)
            harness::cpu_pause();
        pipeline::must(status, "async_writer_write");
    }
    bool take(std::uint64_t &item)
    {
        async_status status;
        while ((status = async_reader_read(reader, &item, 1, nullptr, wait())) == ASYNC_TIMEOUT)
            harness::cpu_pause();
        if (status != ASYNC_END) pipeline::must(status, "async_reader_read");
        return status == ASYNC_OK;
    }
    void close() { pipeline::must(async_writer_close(writer), "async_writer_close"); }
};

} // namespace pingpong
