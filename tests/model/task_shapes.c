/* task_shapes.c: tasks of a pool of size 0, run by those who read: the task's numbers (missing,
 * backlog), its turn, its runs and its end. Every item of the source once; nobody sleeps for
 * ever. */
#include "model.h"
#include "task.h"

#include <async/async.h>

#define ITEMS 8

static async_pool   *pool;
static async_reader *reader;
static async_task   *task;
static unsigned      got_by[MODEL_THREADS][ITEMS + 1], next_of[MODEL_THREADS];
static unsigned      given; /* by the source: one caller at a time */
static bool          in_order;

static int plus_one(const void *in, void *out, void *context)
{
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in + 1;
    return 0;
}

static int next(void *items, size_t count, size_t *got, void *context)
{
    (void)context;
    size_t n = 0;
    while (n < count && given < 3) { ((uint64_t *)items)[n++] = given++; }
    *got = n;
    return 0;
}

static void start(const async_source *source, async_task_options options)
{
    EXPECT(async_pool_create(&pool, 0, NULL) == ASYNC_OK);
    options.source = source;
    options.each = plus_one;
    options.item_size = sizeof(uint64_t);
    EXPECT(async_pool_add_task(pool, &reader, &options) == ASYNC_OK);
    task = async_reader_task(reader);
}

static void range_of(uint64_t count, size_t chunk, async_order order, unsigned parallel)
{
    async_source source = async_source_range(0, count);
    in_order = order == ASYNC_ORDERED;
    start(&source,
          (async_task_options){.max_chunksize = chunk, .order = order, .max_parallel = parallel});
}

static void range_4(void) { range_of(4, 1, ASYNC_UNORDERED, 0); }
static void range_2(void) { range_of(2, 4, ASYNC_UNORDERED, 0); }
static void range_3_chunks(void) { range_of(3, 2, ASYNC_UNORDERED, 0); }
static void serial(void) { range_of(4, 1, ASYNC_UNORDERED, 1); }
static void ordered(void) { range_of(4, 1, ASYNC_ORDERED, 0); }

static void from_next(void)
{
    async_source source = async_source_from(next, NULL, sizeof(uint64_t));
    start(&source, (async_task_options){.max_chunksize = 1});
}

static async_status read_some(unsigned thread, size_t count, async_wait wait)
{
    uint64_t     items[ITEMS];
    size_t       got;
    async_status status = async_reader_read(reader, items, count, &got, wait);
    for (size_t i = 0; i < got; i++) {
        EXPECT(items[i] >= 1 && items[i] <= ITEMS);
        got_by[thread][items[i]]++;
        if (in_order) { EXPECT(items[i] > next_of[thread]); }
        next_of[thread] = (unsigned)items[i];
    }
    EXPECT(status == ASYNC_OK ? got == count : got < count);
    return status;
}

static unsigned times(unsigned item)
{
    unsigned sum = 0;
    for (unsigned t = 0; t < MODEL_THREADS; t++) { sum += got_by[t][item]; }
    return sum;
}

static void finish(unsigned least)
{
    async_status status;
    while ((status = read_some(MODEL_THREADS - 1, 1, async_forever())) == ASYNC_OK) {}
    EXPECT(status == ASYNC_END || status == ASYNC_CANCELLED);
    for (unsigned i = 1; i <= ITEMS; i++) {
        EXPECT(times(i) <= 1);
        if (i <= least) { EXPECT(times(i) == 1); }
    }
    async_reader_release(reader);
    EXPECT(async_pool_num_tasks(pool) == 0);
    EXPECT(async_pool_destroy(pool, ASYNC_DROP) == ASYNC_OK);
}

static void all_4(void) { finish(4); }
static void all_3(void) { finish(3); }
static void some(void) { finish(0); }

static void two_each(unsigned thread) { EXPECT(read_some(thread, 2, async_forever()) == ASYNC_OK); }

static void one_each(unsigned thread) { EXPECT(read_some(thread, 1, async_forever()) == ASYNC_OK); }

/* There are three items, and four are wanted. */
static void too_few(unsigned thread)
{
    async_status status = read_some(thread, 2, async_forever());
    EXPECT(status == ASYNC_OK || status == ASYNC_END);
}

/* A read that leaves takes back what it asked for. */
static void one_leaves(unsigned thread)
{
    if (thread == 0) {
        EXPECT(read_some(0, 2, async_forever()) == ASYNC_OK);
    } else {
        async_status status = read_some(1, 2, async_within_ms(3));
        EXPECT(status == ASYNC_OK || status == ASYNC_TIMEOUT);
    }
}

static void cancelled(unsigned thread)
{
    if (thread == 0) {
        async_status status = read_some(0, 2, async_forever());
        EXPECT(status == ASYNC_OK || status == ASYNC_CANCELLED);
    } else {
        EXPECT(async_task_cancel(task) == ASYNC_OK);
    }
}

/* The run that meets the end is cut short, or what it made is discarded: END would say that
 * everything was read. */
static void read_2_to_end(void)
{
    async_status status = read_some(0, 3, async_forever());
    EXPECT(status == ASYNC_CANCELLED || (status == ASYNC_END && times(1) == 1 && times(2) == 1));
}

static void cancelled_at_end(unsigned thread)
{
    if (thread == 0) {
        read_2_to_end();
    } else {
        EXPECT(async_task_cancel(task) == ASYNC_OK);
    }
}

/* The same, where who cancels has come half the way when the task is at its end. */
static void half_cancelled(unsigned thread)
{
    if (thread == 0) {
        read_2_to_end();
    } else {
        store_relaxed(&task->dropped, true); /* as task_cancel begins */
        task_abort_from(task, 0);
    }
}

const struct model_shape task_shapes[] = {
    {"task/two-readers", 2, 0, range_4, two_each, all_4},
    {"task/chunks", 2, 0, range_3_chunks, one_each, all_3},
    {"task/serial", 2, 0, serial, two_each, all_4},
    {"task/ordered", 2, 0, ordered, two_each, all_4},
    {"task/next", 2, 0, from_next, one_each, all_3},
    {"task/too-few", 2, 0, range_3_chunks, too_few, all_3},
    {"task/one-leaves", 2, 0, range_4, one_leaves, some},
    {"task/cancelled", 2, 0, range_4, cancelled, some},
    {"task/cancelled-at-end", 2, 0, range_2, cancelled_at_end, some},
    {"task/half-cancelled", 2, 0, range_2, half_cancelled, some},
    {0},
};
