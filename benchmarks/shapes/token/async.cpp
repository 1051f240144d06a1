// async.cpp of token: a range source, k batch tasks with max_chunksize 1, and a reader that takes
// items in large counts (read, or borrow) and sums them.
//
// Crews of one CPU: the reader alone (0 workers), or one worker and the reader that sums, pinned to
// one CPU. Of n CPUs: n − 1 workers and the reader, which sums, and helps or doesn't. And, to be
// compared with each other: n and 8 n workers beside the reader.
#include "../../support/pipeline.h"
#include "config.h"

#include <vector>

static int increment_task(const void *in, void *out, std::size_t count, std::size_t *, void *)
{
    kernel_increment(static_cast<const std::uint64_t *>(in), static_cast<std::uint64_t *>(out),
                     count);
    return 0;
}

static std::uint64_t by_read(async_reader *reader, std::uint64_t *items, std::size_t count)
{
    std::uint64_t total = 0;
    std::size_t   got = 0;
    async_status  status;
    do {
        status = async_reader_read(reader, items, count, &got, async_forever());
        total += kernel_sum(items, got);
    } while (status == ASYNC_OK);
    return status == ASYNC_END ? total : 0;
}

static std::uint64_t by_borrow(async_reader *reader, std::size_t count)
{
    std::uint64_t total = 0;
    async_view    view{};
    async_status  status;
    while ((status = async_reader_borrow(reader, &view, count, async_forever())) == ASYNC_OK) {
        total += kernel_sum(static_cast<const std::uint64_t *>(view.items), view.count);
        pipeline::must(async_view_return(&view), "async_view_return");
    }
    return status == ASYNC_END ? total : 0;
}

void harness::register_benchmarks(unsigned cpus)
{
    std::vector<pipeline::Crew> crews;
    if (cpus == 1)
        crews = {{0, false}, {1, false}};
    else
        crews = {{cpus - 1, false}, {cpus - 1, true}, {cpus, false}};
    crews.push_back({8 * cpus, false});
    for (unsigned stages : config::depths) {
        for (const pipeline::Crew &crew : crews) {
            for (std::size_t count : {1024ul, 4096ul, 16384ul, 65536ul, 262144ul}) {
                for (bool borrow : {false, true}) {
                    std::string full = config::name(stages, cpus) + pipeline::part(crew) +
                                       part(borrow ? "borrow" : "read", count);
                    add(full, [=](benchmark::State &state) {
                        pipeline::Pool pool(crew);
                        Buffer         buffer(count);
                        config::run(state, stages, [&] {
                            async_reader *reader = pool.add_chain(config::items(), stages, 1,
                                                                  increment_task);
                            std::uint64_t total = borrow ? by_borrow(reader, count)
                                                         : by_read(reader, buffer.items(), count);
                            async_reader_release(reader);
                            return total;
                        });
                    });
                }
            }
        }
    }
}
