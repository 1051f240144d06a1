// async.cpp of skew: a range source with a batch task that burns, and a reader that sums in
// for_each.
#include "../../support/pipeline.h"
#include "config.h"

#include <vector>

static int burn_task(const void *in, void *out, std::size_t count, std::size_t *, void *)
{
    auto *from = static_cast<const std::uint64_t *>(in);
    auto *to = static_cast<std::uint64_t *>(out);
    for (std::size_t i = 0; i < count; i++) to[i] = config::burn(from[i]);
    return 0;
}

static int add_items(const void *items, std::size_t count, void *context)
{
    auto *values = static_cast<const std::uint64_t *>(items);
    auto *total = static_cast<harness::Padded *>(context);
    for (std::size_t i = 0; i < count; i++) total->value += values[i];
    return ASYNC_CONTINUE;
}

void harness::register_benchmarks(unsigned cpus)
{
    std::vector<pipeline::Crew> crews{{cpus, false}};
    crews.push_back(cpus == 1 ? pipeline::Crew{0, false} : pipeline::Crew{cpus - 1, true});
    crews.push_back({8 * cpus, false});
    crews.push_back({cpus, false, 64});
    for (std::size_t chunk : config::chunks) {
        for (const pipeline::Crew &crew : crews) {
            add(config::name(cpus, chunk) + pipeline::part(crew), [=](benchmark::State &state) {
                pipeline::Pool pool(crew);
                config::run(state, [&] {
                    async_reader *reader = pool.add_chain(config::items(), 1, chunk, burn_task);
                    Padded        total;
                    pipeline::must(
                        async_reader_for_each(reader, add_items, &total, async_forever()),
                        "async_reader_for_each");
                    async_reader_release(reader);
                    return total.value;
                });
            });
        }
    }
}
