/* misuse_pools.c: what is wrong about pools and tasks is an error code at the call: row M12. */
#include "arena.h"
#include "crew.h"
#include "destroying.h"
#include "expect.h"

#include <limits.h>
#include <string.h>

static int each_none(const void *in, void *out, void *context)
{
    (void)in;
    (void)out;
    (void)context;
    return 0;
}

/* Rubbish that a failing call must replace by NULL. */
#define RUBBISH(type) ((type *)(uintptr_t)64)

/* Refused with that status: *pool is NULL. */
static void refuse_pool(unsigned workers, const async_pool_options *options, const char *why)
{
    async_pool *pool = RUBBISH(async_pool);
    NOTE("%s", why);
    CHECK_STATUS(async_pool_create(&pool, workers, options), ASYNC_INVALID);
    CHECK(pool == NULL);
}

/* M12: async_pool_create. */
Test(M, M12_pool_create, .timeout = 30)
{
    unsigned threads = threads_at_rest();
    CHECK_STATUS(async_pool_create(NULL, 1, NULL), ASYNC_INVALID);
    for (unsigned i = 0; i < 4; i++) {
        async_pool_options options = {.name = "reserved"};
        options.reserved[i] = 1;
        refuse_pool(1, &options, "reserved words");
    }
    arena           a = {0};
    async_allocator whole = arena_allocator(&a);
    async_allocator no_allocate = {NULL, whole.deallocate, &a};
    async_allocator no_deallocate = {whole.allocate, NULL, &a};
    refuse_pool(0, &(async_pool_options){.allocator = &no_allocate}, "no allocate");
    refuse_pool(0, &(async_pool_options){.allocator = &no_deallocate}, "no deallocate");
    CHECK_SOON(thread_count() == threads);
    CHECK_EQ(atomic_load(&a.calls), 0);
}

/* M12: the other calls of a pool, with NULL and with values out of their range. */
TestEachSize(M, M12_pool_calls)
{
    async_pool   *pool = pool_of(n), *other = pool_of(0);
    async_reader *r = TASK(pool, .source = range_of(0, 10));
    async_reader *foreign = TASK(other, .source = range_of(0, 10));
    uint64_t      items[11];
    CHECK_STATUS(async_pool_destroy(NULL, ASYNC_DRAIN), ASYNC_OK);
    CHECK_STATUS(async_pool_destroy(NULL, ASYNC_DROP), ASYNC_OK);
    CHECK_STATUS(async_pool_destroy(pool, (async_ending)7), ASYNC_INVALID);
    CHECK_STATUS(async_pool_cancel(NULL), ASYNC_INVALID);
    CHECK_EQ(async_pool_size(NULL), 0);
    CHECK_STATUS(async_pool_set_size(NULL, 1), ASYNC_INVALID);
    CHECK_EQ(async_pool_num_tasks(NULL), 0);
    CHECK_STATUS(async_pool_remove_task(NULL, async_reader_task(r)), ASYNC_INVALID);
    CHECK_STATUS(async_pool_remove_task(pool, NULL), ASYNC_INVALID);
    CHECK_STATUS(async_pool_remove_task(pool, async_reader_task(foreign)), ASYNC_INVALID);
    /* None of it did anything. */
    CHECK_EQ(async_pool_size(pool), n);
    CHECK_EQ(async_pool_num_tasks(pool), 1);
    CHECK_EQ(async_pool_num_tasks(other), 1);
    CHECK_READ(r, items, 11, async_forever(), ASYNC_END, 10);
    CHECK_READ(foreign, items, 11, async_forever(), ASYNC_END, 10);
    async_reader_release(r);
    async_reader_release(foreign);
    pool_end(pool);
    pool_end(other);
}

/* M12: a pool that is being destroyed refuses what is new; what was passed stays the caller's. */
TestEachSize(M, M12_a_pool_that_is_being_destroyed)
{
    async_pool    *pool = pool_of(n);
    gate           g = {0};
    probe          p = {.hold = &g}, q = {0};
    static reading blocked;
    memset(&blocked, 0, sizeof blocked);
    async_writer *writer;
    async_reader *input, *added = RUBBISH(async_reader);
    channel_of(&writer, &input, 0, NULL);
    async_reader *r = TASK(pool, .source = range_of(0, 10), .batch = batch_copy, .context = &p);
    reading_start(&blocked, r, 5, async_forever());
    gate_arrived(&g, 1);
    destroying d;
    destroying_start(&d, pool, ASYNC_DRAIN);
    CHECK_STATUS(async_pool_destroy(pool, ASYNC_DRAIN), ASYNC_CLOSED);
    CHECK_STATUS(async_pool_destroy(pool, ASYNC_DROP), ASYNC_CLOSED);
    CHECK_STATUS(async_pool_cancel(pool), ASYNC_CLOSED);
    CHECK_STATUS(async_pool_set_size(pool, n + 1), ASYNC_CLOSED);
    CHECK_STATUS(async_trace_start(pool, 0), ASYNC_CLOSED);
    CHECK_STATUS(async_trace_stop(pool), ASYNC_OK);
    CHECK_STATUS(async_pool_add_task(pool, &added,
                                     &(async_task_options){
                                         .input = input, .context = &q, .release = probe_release}),
                 ASYNC_CLOSED);
    CHECK(added == NULL);
    gate_open(&g);
    destroying_join(&d);
    CHECK_STATUS(d.status, ASYNC_OK);
    thread_join(&blocked.thread);
    CHECK_STATUS(blocked.status, ASYNC_OK);
    CHECK_EQ(blocked.got, 5);
    async_reader_release(input);
    CHECK(async_writer_closed(writer));
    CHECK_EQ(atomic_load(&q.released), 0);
    async_reader_release(r);
    async_writer_release(writer);
}

typedef struct from_inside {
    async_pool  *pool;
    async_status destroyed;
    bool         stopping;
    int          code;
} from_inside;

static int destroys_own_pool(const void *in, void *out, void *context)
{
    from_inside *s = context;
    s->destroyed = async_pool_destroy(s->pool, ASYNC_DROP);
    s->stopping = async_stopping();
    *(uint64_t *)out = *(const uint64_t *)in;
    return 0;
}

/* M12: destroying a pool from inside a function that it runs is DEADLOCK, and changes nothing. */
TestEachSize(M, M12_destroying_a_pool_from_inside)
{
    from_inside   s = {.pool = pool_of(n), .destroyed = ASYNC_OK, .stopping = true};
    uint64_t      items[5];
    async_reader *r = TASK(s.pool, .source = range_of(0, 10), .each = destroys_own_pool,
                           .context = &s, .max_parallel = 1);
    CHECK_READ(r, items, 5, async_forever(), ASYNC_OK, 5);
    CHECK_STATUS(s.destroyed, ASYNC_DEADLOCK);
    CHECK(!s.stopping);
    CHECK_READ(r, items, 5, async_forever(), ASYNC_OK, 5);
    async_reader_release(r);
    pool_end(s.pool);
}

/* What an adding must leave alone. */
typedef struct adding {
    async_pool   *pool;
    async_writer *writer;
    async_reader *input;
    probe         probe;
} adding;

static void refuse_task(adding *a, const char *why, async_task_options options)
{
    async_reader *reader = RUBBISH(async_reader);
    NOTE("%s", why);
    options.context = &a->probe;
    options.release = probe_release;
    CHECK_STATUS(async_pool_add_task(a->pool, &reader, &options), ASYNC_INVALID);
    CHECK(reader == NULL);
    CHECK_EQ(async_pool_num_tasks(a->pool), 0);
    CHECK_EQ(atomic_load(&a->probe.released), 0);
}
#define REFUSE(why, ...) refuse_task(&a, why, (async_task_options){__VA_ARGS__})

/* M12: async_pool_add_task. Nothing is half done: no task, no release, no hold of the input. */
TestEachSize(M, M12_add_task)
{
    static uint64_t array[4];
    adding          a = {.pool = pool_of(n)};
    async_source    range = async_source_range(0, 10), bad;
    async_reader   *r = RUBBISH(async_reader);
    channel_of(&a.writer, &a.input, 0, NULL);

    CHECK_STATUS(async_pool_add_task(NULL, &r, &(async_task_options){.source = &range}),
                 ASYNC_INVALID);
    CHECK(r == NULL);
    CHECK_STATUS(async_pool_add_task(a.pool, NULL, &(async_task_options){.source = &range}),
                 ASYNC_INVALID);
    r = RUBBISH(async_reader);
    CHECK_STATUS(async_pool_add_task(a.pool, &r, NULL), ASYNC_INVALID);
    CHECK(r == NULL);

    REFUSE("neither source nor input", .each = each_none);
    REFUSE("source and input", .source = &range, .input = a.input);
    REFUSE("each and batch", .input = a.input, .each = each_none, .batch = batch_copy);
    REFUSE("each and emit", .input = a.input, .each = each_none, .emit = emit_copy);
    REFUSE("batch and emit", .input = a.input, .batch = batch_copy, .emit = emit_copy);
    REFUSE("all three", .input = a.input, .each = each_none, .batch = batch_copy,
           .emit = emit_copy);
    REFUSE("input_size of a channel", .input = a.input, .input_size = 4, .each = each_none);
    REFUSE("input_size of a source", .source = &range, .input_size = 4, .each = each_none);
    REFUSE("other item_size without a function", .input = a.input, .item_size = 4);
    REFUSE("item_size that overflows", .input = a.input, .each = each_none, .item_size = SIZE_MAX);
    REFUSE("min_count that overflows", .input = a.input, .each = each_none,
           .min_count = SIZE_MAX / 2);
    REFUSE("max_chunksize that overflows", .input = a.input, .each = each_none,
           .max_chunksize = SIZE_MAX / 2);
    REFUSE("order", .input = a.input, .order = (async_order)7);
    for (unsigned i = 0; i < 4; i++) {
        async_task_options options = {.input = a.input};
        options.reserved[i] = 1;
        refuse_task(&a, "reserved words", options);
    }

    bad = async_source_from(NULL, NULL, 8);
    REFUSE("source without its function", .source = &bad);
    bad = async_source_from(next_number, NULL, 0);
    REFUSE("source of items of 0 bytes", .source = &bad);
    bad = async_source_from(next_number, NULL, SIZE_MAX);
    REFUSE("source of items that overflow", .source = &bad);
    bad = async_source_array(NULL, 4, sizeof array[0]);
    REFUSE("array of NULL", .source = &bad);
    bad = async_source_array(array, 4, 0);
    REFUSE("array of items of 0 bytes", .source = &bad);
    bad = async_source_array(array, SIZE_MAX / 4, sizeof array[0]);
    REFUSE("array that overflows", .source = &bad);
    bad = (async_source){.kind = ASYNC_SOURCE_NONE};
    REFUSE("source of no kind", .source = &bad);
    bad = range;
    bad.kind = (async_source_kind)99;
    REFUSE("source of an unknown kind", .source = &bad);
    for (unsigned i = 0; i < 2; i++) {
        bad = range;
        bad.reserved[i] = 1;
        REFUSE("reserved words of a source", .source = &bad);
    }

    NOTE("N = %u, afterwards", n);
    async_reader_release(a.input);
    CHECK(async_writer_closed(a.writer)); /* nobody retained it */
    async_writer_release(a.writer);
    r = TASK(a.pool, .source = array_of(NULL, 0)); /* an empty array may be NULL */
    uint64_t item;
    CHECK_READ(r, &item, 1, async_forever(), ASYNC_END, 0);
    async_reader_release(r);
    pool_end(a.pool);
    CHECK_EQ(atomic_load(&a.probe.released), 0);
}

/* M12: the calls of a task. */
TestEachSize(M, M12_task_calls)
{
    async_pool   *pool = pool_of(n);
    uint64_t      items[11];
    async_writer *writer;
    async_reader *wide;
    CHECK_STATUS(async_channel_create(&writer, &wide, 16, NULL), ASYNC_OK);
    async_reader *a = TASK(pool, .source = range_of(0, 10));
    async_reader *b = TASK(pool, .input = a);
    async_reader *more = TASK(pool, .source = range_of(10, 10));
    async_task   *task = async_reader_task(b);
    CHECK_STATUS(async_task_add_input(NULL, more), ASYNC_INVALID);
    CHECK_STATUS(async_task_add_input(task, NULL), ASYNC_INVALID);
    CHECK_STATUS(async_task_add_input(async_reader_task(a), more), ASYNC_INVALID);
    CHECK_STATUS(async_task_add_input(task, wide), ASYNC_INVALID);
    CHECK(async_task_done(NULL));

    async_error error;
    memset(&error, 0xff, sizeof error);
    CHECK_STATUS(async_task_error(NULL, &error), ASYNC_INVALID);
    CHECK_STATUS(async_task_error(task, NULL), ASYNC_INVALID);
    CHECK_STATUS(async_task_error(task, &error), ASYNC_OK);
    CHECK_STATUS(error.status, ASYNC_OK);
    async_task_stats stats;
    CHECK_STATUS(async_task_counts(NULL, &stats), ASYNC_INVALID);
    CHECK_STATUS(async_task_counts(task, NULL), ASYNC_INVALID);
    CHECK_STATUS(async_task_cancel(NULL), ASYNC_INVALID);

    CHECK_READ(b, items, 11, async_forever(), ASYNC_END, 10);
    CHECK_STATUS(async_task_add_input(task, more), ASYNC_CLOSED); /* it is done */
    CHECK_READ(b, items, 1, async_forever(), ASYNC_END, 0);
    CHECK_READ(more, items, 11, async_forever(), ASYNC_END, 10);
    async_reader_release(wide);
    CHECK(async_writer_closed(writer)); /* nobody retained it */
    async_writer_release(writer);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(more);
    pool_end(pool);
}

typedef struct emits {
    async_status no_emitter, no_items, none;
} emits;

static int emits_wrongly(const void *in, size_t count, size_t *done, async_emitter *out,
                         void *context)
{
    emits *e = context;
    (void)done;
    e->no_emitter = async_emit(NULL, in, 1);
    e->no_items = async_emit(out, NULL, 1);
    e->none = async_emit(out, in, 0);
    return async_emit(out, in, count) == ASYNC_OK ? 0 : 1;
}

/* M12: async_emit, async_stopping and async_fail. */
TestEachSize(M, M12_calls_inside_functions)
{
    async_pool   *pool = pool_of(n);
    emits         e = {ASYNC_OK, ASYNC_OK, ASYNC_INVALID};
    uint64_t      items[11];
    async_reader *r = TASK(pool, .source = range_of(0, 10), .emit = emits_wrongly, .context = &e,
                           .max_parallel = 1);
    CHECK_READ(r, items, 11, async_forever(), ASYNC_END, 10);
    CHECK_RISING(items, 0, 10);
    CHECK_STATUS(e.no_emitter, ASYNC_INVALID);
    CHECK_STATUS(e.no_items, ASYNC_INVALID);
    CHECK_STATUS(e.none, ASYNC_OK);
    CHECK(!async_stopping());
    CHECK_EQ(async_fail(7, "outside of everything: %d", 1), 7);
    async_reader_release(r);
    pool_end(pool);
}

/* M12: names of statuses that are none. */
Test(M, M12_statuses)
{
    cr_assert_str_eq(async_status_name(ASYNC_TIMEOUT), "TIMEOUT");
    cr_assert_str_eq(async_status_text(ASYNC_TIMEOUT), "the wait is over");
    cr_assert_str_eq(async_status_name((async_status)12345), "UNKNOWN");
    cr_assert_str_eq(async_status_text((async_status)12345), "unknown status");
    cr_assert_str_eq(async_status_name((async_status)INT_MIN), "UNKNOWN");
    cr_assert_str_eq(async_status_text((async_status)-1), "unknown status");
}
