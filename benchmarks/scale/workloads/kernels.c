/* kernels.c: see kernels.h. */
#include "workloads/kernels.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) uint64_t burn(uint64_t seed, uint64_t units)
{
    uint64_t state = seed;
    for (uint64_t i = 0; i < units; i++)
        state = state * 6364136223846793005U + 1442695040888963407U;
    return state;
}

uint64_t random_at(uint64_t seed, uint64_t i)
{
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

struct sum *sum_new(uint64_t expected_items, uint64_t expected, const void *data)
{
    struct sum *sum = malloc(sizeof *sum);
    if (sum == NULL) return NULL;
    *sum = (struct sum){.expected = expected, .expected_items = expected_items, .data = data};
    return sum;
}

int sum_sink(const void *items, size_t count, void *context)
{
    const uint64_t *numbers = items;
    uint64_t        sum = 0;
    for (size_t i = 0; i < count; i++) sum += numbers[i];
    ((struct sum *)context)->sum += sum;
    return ASYNC_CONTINUE;
}

int sum_check(uint64_t items, char *message, size_t size, void *context)
{
    const struct sum *sum = context;
    if (items != sum->expected_items) {
        snprintf(message, size, "%" PRIu64 " items came out instead of %" PRIu64, items,
                 sum->expected_items);
        return EPROTO;
    }
    if (sum->sum != sum->expected) {
        snprintf(message, size, "the sum is %" PRIu64 " instead of %" PRIu64, sum->sum,
                 sum->expected);
        return EPROTO;
    }
    return 0;
}

int sum_pipeline(async_scale_pipeline *out, async_reader *reader, struct sum *sum)
{
    *out = (async_scale_pipeline){.version = ASYNC_SCALE_VERSION,
                                  .reader = reader,
                                  .sink = sum_sink,
                                  .check = sum_check,
                                  .release = free,
                                  .context = sum};
    return 0;
}

int sum_of_one_task(const async_scale_build *build, const char *name, async_batch_fn *batch,
                    struct sum *sum, async_scale_pipeline *out)
{
    if (sum == NULL) return ENOMEM;
    async_source             source = async_source_range(0, build->items);
    const async_task_options task = {.name = name,
                                     .source = &source,
                                     .batch = batch,
                                     .context = sum,
                                     .max_chunksize = build->chunk,
                                     .in_place = true};
    async_reader            *reader = NULL;
    if (build->add_task(build, &reader, &task) != ASYNC_OK) {
        free(sum);
        return ENOMEM;
    }
    return sum_pipeline(out, reader, sum);
}
