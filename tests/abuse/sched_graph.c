/* sched_graph.c: row F28: graphs that are wide and deep. F64: an observer reads all counters
 * meanwhile. */
#include "rows.h"

#include "observer.h"
#include "stress.h"

#include <stdlib.h>

/* ── F28 ─────────────────────────────────────────────────────────────────────────────────────── */

/* Which stages an item has been through. */
typedef struct stages {
    uint64_t      size;
    atomic_uchar *at;
    atomic_uint   wrong;
} stages;

static int through(stages *s, const void *in, void *out, unsigned char before, unsigned char after)
{
    uint64_t id = *(const uint64_t *)in;
    *(uint64_t *)out = id;
    unsigned char found = before;
    if (id >= s->size || !atomic_compare_exchange_strong(&s->at[id], &found, after)) {
        atomic_fetch_add(&s->wrong, 1);
    }
    return 0;
}

static int top(const void *in, void *out, void *context) { return through(context, in, out, 0, 1); }

static int side(const void *in, void *out, void *context)
{
    return through(context, in, out, 1, 2);
}

static int bottom(const void *in, void *out, void *context)
{
    return through(context, in, out, 2, 3);
}

static void diamond(void)
{
    uint64_t size = row_number(SANITIZED ? 20000 : 200000);
    dice     d = {row_seed()};
    EACH_SIZE (n) {
        stages        s = {.size = size, .at = calloc(size, 1)};
        async_pool   *pool = pool_of(n);
        async_reader *r[4];
        r[0] = TASK(pool, .source = range_of(0, size), .each = top, .context = &s,
                    .max_chunksize = PICK(&d, 1, 7, 64));
        r[1] = TASK(pool, .input = r[0], .each = side, .context = &s,
                    .max_chunksize = PICK(&d, 1, 5, 100));
        r[2] = TASK(pool, .input = r[0], .each = side, .context = &s,
                    .max_chunksize = PICK(&d, 1, 6, 100));
        r[3] = TASK(pool, .input = r[1], .each = bottom, .context = &s,
                    .max_chunksize = PICK(&d, 1, 9, 0));
        ROW_STATUS(async_task_add_input(async_reader_task(r[3]), r[2]), ASYNC_OK);
        observer o;
        observer_start(&o, pool, r, 4, NULL);
        size_t count = 0;
        async_free(read_rest(r[3], &count));
        observer_stop(&o);
        ROW_EQ(count, size);
        ROW_EQ(atomic_load(&s.wrong), 0);
        for (uint64_t i = 0; i < size; i++) { ROW_EQ(atomic_load(&s.at[i]), 3); }
        for (unsigned i = 0; i < 4; i++) { async_reader_release(r[i]); }
        pool_end(pool);
        free(s.at);
    }
}

static void fan_in(void)
{
    uint64_t width = row_number(THREAD_SANITIZED ? 300 : SANITIZED ? 1000 : 10000);
    for (unsigned i = 0; i < 6; i++) {
        uint64_t      began = now_ms();
        unsigned      n = pool_sizes[i / 2 * 2]; /* 0, 2, 16 */
        async_order   order = i % 2 == 0 ? ASYNC_UNORDERED : ASYNC_ORDERED;
        async_pool   *pool = pool_of(n);
        async_reader *first = TASK(pool, .source = range_of(0, 3), .each = each_add_one);
        async_reader *r = TASK(pool, .input = first, .each = each_add_one, .order = order);
        async_reader_release(first);
        for (uint64_t k = 1; k < width; k++) {
            async_reader *input = TASK(pool, .source = range_of(3 * k, 3), .each = each_add_one);
            ROW_STATUS(async_task_add_input(async_reader_task(r), input), ASYNC_OK);
            async_reader_release(input);
        }
        ROW_EQ(async_pool_num_tasks(pool), width + 1);
        size_t    count = 0;
        uint64_t *items = read_rest(r, &count);
        ROW_EQ(count, 3 * width);
        ledger l;
        ledger_make(&l, 3 * width + 2);
        ledger_add(&l, items, count);
        ROW_EQ(ledger_count(&l, 2, 3 * width + 2, 1), 3 * width);
        for (uint64_t k = 0; order == ASYNC_ORDERED && k < count; k++) { ROW_EQ(items[k], k + 2); }
        ledger_free(&l);
        async_free(items);
        async_reader_release(r);
        ROW_EQ(async_pool_num_tasks(pool), 0);
        pool_end(pool);
        row_says("N = %u, %s: %u ms", n, order == ASYNC_ORDERED ? "ordered" : "unordered",
                 (unsigned)(now_ms() - began));
    }
}

#define CHAIN_STACK (SANITIZED ? 512u << 10 : 64u << 10)

typedef struct link {
    uint64_t     depth;
    atomic_uint *wrong;
} link;

/* Item i of stage d is i + d: so each stage runs once for an item, after the one before it. */
static int link_on(const void *in, void *out, void *context)
{
    link    *l = context;
    uint64_t value = *(const uint64_t *)in;
    if (value < l->depth || value >= l->depth + 10) { atomic_fetch_add(l->wrong, 1); }
    *(uint64_t *)out = value + 1;
    return 0;
}

typedef struct long_chain {
    unsigned n;
    uint64_t depth;
} long_chain;

static void *run_chain(void *arg)
{
    long_chain        *c = arg;
    async_pool        *pool = NULL;
    async_pool_options options = {.stack_size = CHAIN_STACK};
    atomic_uint        wrong = 0;
    link              *links = calloc(c->depth, sizeof *links);
    ROW_STATUS(async_pool_create(&pool, c->n, &options), ASYNC_OK);
    async_reader *r = TASK(pool, .source = range_of(0, 10), .each = link_on, .context = &links[0]);
    links[0] = (link){0, &wrong};
    for (uint64_t d = 1; d < c->depth; d++) {
        links[d] = (link){d, &wrong};
        async_reader *next = TASK(pool, .input = r, .each = link_on, .context = &links[d],
                                  .max_chunksize = d % 3 == 0 ? 4 : 0);
        async_reader_release(r);
        r = next;
    }
    ROW_EQ(async_pool_num_tasks(pool), c->depth);
    uint64_t items[11];
    size_t   got = 0;
    ROW_STATUS(async_reader_read(r, items, 11, &got, async_forever()), ASYNC_END);
    ROW_EQ(got, 10);
    for (uint64_t i = 0; i < 10; i++) {
        if (c->n < 2) { ROW_EQ(items[i], c->depth + i); }
    }
    ROW_EQ(atomic_load(&wrong), 0);
    async_reader_release(r);
    ROW_EQ(async_pool_num_tasks(pool), 0);
    pool_end(pool);
    free(links);
    return NULL;
}

/* Diamonds on top of each other: the paths through them are 2^levels. Two tasks share the items of
 * the one below, a third takes what they give. */
static void *climb(void *arg)
{
    long_chain        *c = arg;
    async_pool        *pool = NULL;
    async_pool_options options = {.stack_size = CHAIN_STACK};
    ROW_STATUS(async_pool_create(&pool, c->n, &options), ASYNC_OK);
    async_reader *r = TASK(pool, .source = range_of(0, 100), .each = each_add_one);
    for (uint64_t level = 0; level < c->depth; level++) {
        async_reader *left = TASK(pool, .input = r, .each = each_add_one, .max_chunksize = 7);
        async_reader *right = TASK(pool, .input = r, .each = each_add_one, .max_chunksize = 5);
        async_reader *top = TASK(pool, .input = left, .each = each_add_one);
        ROW_STATUS(async_task_add_input(async_reader_task(top), right), ASYNC_OK);
        ROW_STATUS(async_task_add_input(async_reader_task(left), top), ASYNC_CYCLE);
        async_reader_release(r);
        async_reader_release(left);
        async_reader_release(right);
        r = top;
    }
    ROW_EQ(async_pool_num_tasks(pool), 3 * c->depth + 1);
    size_t    count = 0;
    uint64_t *items = read_rest(r, &count), sum = 0;
    ROW_EQ(count, 100);
    for (size_t i = 0; i < count; i++) { sum += items[i]; }
    ROW_EQ(sum, 100 * 99 / 2 + 100 * (2 * c->depth + 1));
    async_free(items);
    async_reader_release(r);
    ROW_EQ(async_pool_num_tasks(pool), 0);
    pool_end(pool);
    return NULL;
}

static void with_small_stacks(void *(*function)(void *), uint64_t depth)
{
    static const unsigned workers[] = {0, 1, 4};
    for (unsigned i = 0; i < 3; i++) {
        uint64_t       began = now_ms();
        long_chain     c = {workers[i], depth};
        pthread_attr_t attributes;
        pthread_t      id;
        ROW_EQ(pthread_attr_init(&attributes), 0);
        ROW_EQ(pthread_attr_setstacksize(&attributes, CHAIN_STACK), 0);
        ROW_EQ(pthread_create(&id, &attributes, function, &c), 0);
        ROW_EQ(pthread_join(id, NULL), 0);
        pthread_attr_destroy(&attributes);
        row_says("N = %u: %u ms", c.n, (unsigned)(now_ms() - began));
    }
}

/* No stack, the worker's or the reader's, is as deep as the graph: all have 64 KiB. */
static void deep_chain(void)
{
    with_small_stacks(run_chain, row_number(SANITIZED ? 3000 : 100000));
}
static void ladder(void) { with_small_stacks(climb, row_number(SANITIZED ? 100 : 1000)); }

static const row rows[] = {
    {"F28", "a diamond: each item through each stage, once and in order", diamond, 120},
    {"F28 fan", "a wide fan-in: each item once, ordered inputs one after the other", fan_in, 120},
    {"F28 chain", "a long chain of tasks, on stacks of 64 KiB", deep_chain, 120},
    {"F28 ladder", "diamonds on top of each other, on stacks of 64 KiB", ladder, 120},
};
ROWS(rows)
