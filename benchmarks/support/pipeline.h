// pipeline.h: pools and readers that give themselves back, for the programs that use async.
#pragma once

#include <async/async.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace pipeline
{

inline void must(async_status status, const char *what)
{
    if (status != ASYNC_OK) {
        std::fprintf(stderr, "%s: %s\n", what, async_status_text(status));
        std::abort();
    }
}

// Who does the work of an async benchmark, and how many chunks it may be ahead of a reader that
// wants everything (0: the pool's default).
struct Crew {
    unsigned workers;
    bool     readers_help;
    unsigned window = 0;
};

inline std::string part(const Crew &crew)
{
    return "/workers:" + std::to_string(crew.workers) + "/help:" + (crew.readers_help ? "1" : "0") +
           (crew.window == 0 ? "" : "/window:" + std::to_string(crew.window));
}

class Pool
{
  public:
    explicit Pool(const Crew &crew)
    {
        async_pool_options options{};
        options.readers_help = crew.readers_help;
        options.window = crew.window;
        must(async_pool_create(&pool_, crew.workers, &options), "async_pool_create");
    }
    Pool(const Pool &) = delete;
    Pool &operator=(const Pool &) = delete;
    ~Pool() { async_pool_destroy(pool_, ASYNC_DROP); }

    async_reader *add(const async_task_options &options)
    {
        async_reader *reader = nullptr;
        must(async_pool_add_task(pool_, &reader, &options), "async_pool_add_task");
        return reader;
    }

    // source → `stages` tasks of `stage` (none: one task that passes the items on), in chunks of
    // `chunk`; the caller gets the last reader.
    async_reader *add_chain(std::uint64_t items, unsigned stages, std::size_t chunk,
                            async_batch_fn *stage, async_order order = ASYNC_UNORDERED)
    {
        async_source  source = async_source_range(0, items);
        async_reader *last = nullptr;
        for (unsigned i = 0; i < (stages == 0 ? 1 : stages); i++) {
            async_task_options options{};
            options.source = i == 0 ? &source : nullptr;
            options.input = last;
            options.batch = stages == 0 ? nullptr : stage;
            options.max_chunksize = chunk;
            options.in_place = true;
            options.order = order;
            async_reader *next = add(options);
            async_reader_release(last);
            last = next;
        }
        return last;
    }

  private:
    async_pool *pool_ = nullptr;
};

} // namespace pipeline
