/* compute.c: arithmetic alone. An item burns about 0.15 µs and touches no memory but itself: what
 * there is to gain from more CPUs, a workload like this gains. */
#include "workloads/kernels.h"

#include <stdlib.h>

enum { UNITS = 100 };

static bool prepare(uint64_t items, uint64_t seed, void **data)
{
    (void)seed;
    uint64_t *expected = malloc(sizeof *expected);
    if (expected == NULL) return false;
    *expected = 0;
    for (uint64_t i = 0; i < items; i++) *expected += burn(i, UNITS);
    *data = expected;
    return true;
}

static int compute(const void *in, void *out, size_t count, size_t *done, void *context)
{
    (void)done;
    (void)context;
    const uint64_t *seeds = in;
    uint64_t       *results = out;
    for (size_t i = 0; i < count; i++) results[i] = burn(seeds[i], UNITS);
    return 0;
}

static int build(const async_scale_build *build, void *data, async_scale_pipeline *out)
{
    struct sum *sum = sum_new(build->items, *(uint64_t *)data, NULL);
    return sum_of_one_task(build, "compute", compute, sum, out);
}

const struct workload workload_compute = {
    .name = "compute",
    .summary = "independent items, each about 0.15 µs of arithmetic",
    .item = "a number",
    .items = 400000,
    .chunks = {1, 64, 4096},
    .chunk_count = 3,
    .threads_per_worker = 1,
    .prepare = prepare,
    .discard = free,
    .build = build,
};
