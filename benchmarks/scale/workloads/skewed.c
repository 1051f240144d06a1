/* skewed.c: items of very different cost: Pareto (shape 1.5), 20 µs on average, 5 ms at most. What
 * doesn't balance load waits for its longest items. */
#include "workloads/kernels.h"

#include <math.h>
#include <stdlib.h>

/* Of burn(), about 1.3 ns each: at least 6.7 µs, at most 5 ms. */
enum { LEAST = 5000, MOST = 3800000 };

struct costs {
    uint64_t expected;
    uint32_t units[]; /* of each item */
};

static bool prepare(uint64_t items, uint64_t seed, void **data)
{
    if (items > (SIZE_MAX - sizeof(struct costs)) / sizeof(uint32_t)) return false;
    struct costs *costs = malloc(sizeof *costs + items * sizeof *costs->units);
    if (costs == NULL) return false;
    costs->expected = 0;
    for (uint64_t i = 0; i < items; i++) {
        double uniform = ((double)(random_at(seed, i) >> 11) + 0.5) * 0x1p-53;
        double units = LEAST * pow(uniform, -1 / 1.5);
        costs->units[i] = (uint32_t)(units < MOST ? units : MOST);
        costs->expected += i ^ costs->units[i];
    }
    *data = costs;
    return true;
}

static int burn_items(const void *in, void *out, size_t count, size_t *done, void *context)
{
    (void)done;
    const struct costs *costs = ((const struct sum *)context)->data;
    const uint64_t     *numbers = in;
    uint64_t           *results = out;
    for (size_t i = 0; i < count; i++) {
        uint64_t units = costs->units[numbers[i]];
        /* What burn gives isn't known before; that it isn't 0 uses it. */
        results[i] = burn(numbers[i] | 1, units) == 0 ? 0 : numbers[i] ^ units;
    }
    return 0;
}

static int build(const async_scale_build *build, void *data, async_scale_pipeline *out)
{
    const struct costs *costs = data;
    struct sum         *sum = sum_new(build->items, costs->expected, costs);
    return sum_of_one_task(build, "burn", burn_items, sum, out);
}

const struct workload workload_skewed = {
    .name = "skewed",
    .summary = "independent items of very different cost: 20 µs on average, 5 ms at most",
    .item = "a number",
    .items = 5000,
    .chunks = {1, 16, 128},
    .chunk_count = 3,
    .threads_per_worker = 1,
    .prepare = prepare,
    .discard = free,
    .build = build,
};
