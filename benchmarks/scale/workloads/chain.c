/* chain.c: the least work there is: four stages of + 1, and one that makes a partial sum of each
 * chunk. What it costs is what the runtime costs. */
#include "workloads/kernels.h"

#include <errno.h>
#include <stdlib.h>

enum { STAGES = 4 };

static bool prepare(uint64_t items, uint64_t seed, void **data)
{
    (void)items;
    (void)seed;
    *data = NULL;
    return true;
}

static void discard(void *data) { (void)data; }

static int increment(const void *in, void *out, size_t count, size_t *done, void *context)
{
    (void)done;
    (void)context;
    const uint64_t *from = in;
    uint64_t       *to = out;
    for (size_t i = 0; i < count; i++) to[i] = from[i] + 1;
    return 0;
}

/* How many items it saw goes along: the sink must get the number of items, and their sum. */
struct partial {
    uint64_t items, sum;
};

static int add_up(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    (void)done;
    (void)context;
    const uint64_t *numbers = in;
    struct partial  partial = {.items = count};
    for (size_t i = 0; i < count; i++) partial.sum += numbers[i];
    return async_emit(out, &partial, 1) == ASYNC_OK ? 0 : ENOMEM;
}

struct totals {
    struct sum sum;
    uint64_t   items;
};

static int add_partials(const void *items, size_t count, void *context)
{
    const struct partial *partials = items;
    struct totals        *totals = context;
    for (size_t i = 0; i < count; i++) {
        totals->items += partials[i].items;
        totals->sum.sum += partials[i].sum;
    }
    return ASYNC_CONTINUE;
}

static int check(uint64_t items, char *message, size_t size, void *context)
{
    (void)items; /* those that come out are partial sums */
    struct totals *totals = context;
    return sum_check(totals->items, message, size, &totals->sum);
}

static int build(const async_scale_build *build, void *data, async_scale_pipeline *out)
{
    (void)data;
    static const char *const names[STAGES] = {"+ 1 (a)", "+ 1 (b)", "+ 1 (c)", "+ 1 (d)"};

    async_source  source = async_source_range(0, build->items);
    async_reader *last = NULL, *next;
    for (int i = 0; i <= STAGES; i++) {
        async_task_options task = {
            .source = i == 0 ? &source : NULL, .input = last, .max_chunksize = build->chunk};
        if (i < STAGES) {
            task.name = names[i];
            task.batch = increment;
            task.in_place = true;
        } else {
            task.name = "sum";
            task.emit = add_up;
            task.item_size = sizeof(struct partial);
        }
        async_status status = build->add_task(build, &next, &task);
        async_reader_release(last);
        if (status != ASYNC_OK) return ENOMEM;
        last = next;
    }
    struct totals *totals = calloc(1, sizeof *totals);
    if (totals == NULL) {
        async_reader_release(last);
        return ENOMEM;
    }
    uint64_t n = build->items;
    totals->sum.expected_items = n;
    totals->sum.expected = (n % 2 == 0 ? n / 2 * (n - 1) : (n - 1) / 2 * n) + STAGES * n;
    *out = (async_scale_pipeline){.version = ASYNC_SCALE_VERSION,
                                  .reader = last,
                                  .sink = add_partials,
                                  .check = check,
                                  .release = free,
                                  .context = totals};
    return 0;
}

const struct workload workload_chain = {
    .name = "chain",
    .summary = "four stages of + 1 and a sum: what it costs is what the runtime costs",
    .item = "a number",
    .items = 1000000,
    .chunks = {1, 64, 4096},
    .chunk_count = 3,
    .threads_per_worker = 1,
    .prepare = prepare,
    .discard = discard,
    .build = build,
};
