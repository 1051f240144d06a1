// async.cpp of queue: a plain channel, by calls that don't wait (and the same waiting as the
// peers), or by calls that wait (wait:block); unbounded, or with room for 4096 items.
#include "../../support/pipeline.h"
#include "config.h"

#include <memory>

namespace
{

struct Channel {
    async_writer *writer = nullptr;
    async_reader *reader = nullptr;
    bool          blocks;
    bool          spins;

    Channel(std::size_t capacity, bool blocks_, bool spins_) : blocks(blocks_), spins(spins_)
    {
        async_channel_options options{};
        options.capacity = capacity;
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

    class Producer
    {
      public:
        explicit Producer(Channel &channel)
            : writer_(channel.writer), wait_(channel.blocks ? async_forever() : async_now()),
              waiting_(channel.spins)
        {
        }
        void write(const std::uint64_t *items, std::size_t count)
        {
            for (;;) {
                std::size_t  written = 0;
                async_status status = async_writer_write(writer_, items, count, &written, wait_);
                if (status == ASYNC_OK) break;
                if (status != ASYNC_TIMEOUT) pipeline::must(status, "async_writer_write");
                items += written;
                count -= written;
                waiting_.failed();
            }
            waiting_.succeeded();
        }

      private:
        async_writer   *writer_;
        async_wait      wait_;
        config::Waiting waiting_;
    };

    class Consumer
    {
      public:
        explicit Consumer(Channel &channel)
            : reader_(channel.reader), wait_(channel.blocks ? async_forever() : async_now()),
              waiting_(channel.spins)
        {
        }
        std::size_t read(std::uint64_t *items, std::size_t count)
        {
            for (;;) {
                std::size_t  got = 0;
                async_status status = async_reader_read(reader_, items, count, &got, wait_);
                if (got > 0) {
                    waiting_.succeeded();
                    return got;
                }
                if (status != ASYNC_TIMEOUT) pipeline::must(status, "async_reader_read");
                waiting_.failed();
            }
        }

      private:
        async_reader   *reader_;
        async_wait      wait_;
        config::Waiting waiting_;
    };
};

} // namespace

void harness::register_benchmarks(unsigned cpus)
{
    for (std::size_t capacity : {0ul, 4096ul}) {
        for (const char *wait : {"yield", "spin", "block"}) {
            bool blocks = wait[0] == 'b';
            bool spins = wait[0] == 's';
            config::add(cpus, {1, config::batch},
                        "async" + part("capacity", capacity) + part("wait", wait),
                        [=] { return std::make_unique<Channel>(capacity, blocks, spins); });
        }
    }
}
