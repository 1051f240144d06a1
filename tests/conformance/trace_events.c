/* trace_events.c: what the recorder records, and keeps: rows T1 and T2. */
#include "traces.h"

#include <string.h>

/* T1: each chunk and each draw has its event, and the positions cover each stream once: tasks that
 * run as one, tasks that do not, filters, and more than one call's worth for a block of outputs. */
TestEachSize(T, T1_every_chunk)
{
    static numbers source;
    source = (numbers){.end = 5000};
    uint64_t      from = now_ns(), lost = 1;
    async_pool   *pool = pool_of(n);
    async_reader *a = TASK(pool, .source = from_numbers(&source), .each = each_add_one,
                           .max_chunksize = 7);
    async_reader *b = TASK(pool, .input = a, .batch = batch_twice, .max_chunksize = 7);
    async_reader *c = TASK(pool, .input = b, .emit = emit_even, .max_chunksize = 10);
    async_reader *d = TASK(pool, .input = c, .emit = emit_pair, .max_chunksize = 100,
                           .max_parallel = 1);
    async_reader *e = TASK(pool, .input = d, .max_chunksize = 33);
    CHECK(number_of(a) < number_of(b) && number_of(b) < number_of(c));
    trace_start(pool, 0);
    size_t    items = 0;
    uint64_t *all = read_rest(e, &items);
    CHECK_EQ(items, 10000);
    async_free(all);
    CHECK_STATUS(async_trace_stop(pool), ASYNC_OK);
    uint64_t stopped = now_ns();
    size_t   count = read_events(pool, &lost);
    CHECK_EQ(lost, 0);
    check_events(count, n, from);
    check_task(count, a, 5000);
    check_task(count, b, 0);
    check_task(count, c, 0);
    check_task(count, d, 0);
    check_task(count, e, 0);
    for (size_t i = 0; n == 0 && i < count; i++) { CHECK_EQ(events[i].worker, ASYNC_TRACE_CLIENT); }
    /* Nothing is left but what some worker was in the middle of: all chunks had ended. */
    count = read_events(pool, NULL);
    for (size_t i = 0; i < count; i++) {
        CHECK(events[i].kind == ASYNC_TRACE_PARK || events[i].kind == ASYNC_TRACE_STEAL);
        if (events[i].kind == ASYNC_TRACE_PARK) { CHECK_LE(events[i].start, stopped); }
    }
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(c);
    async_reader_release(d);
    async_reader_release(e);
    pool_end(pool);
}

/* T1: outputs that fill many blocks in one run are counted to the chunk that made them. */
TestEachSize(T, T1_outputs_in_many_blocks)
{
    async_pool   *pool = pool_of(n);
    uint64_t      lost;
    async_reader *a = TASK(pool, .source = range_of(0, 60000), .emit = emit_pair,
                           .max_chunksize = 5000);
    trace_start(pool, 0);
    size_t    items = 0;
    uint64_t *all = read_rest(a, &items);
    CHECK_EQ(items, 120000);
    async_free(all);
    size_t count = read_events(pool, &lost);
    check_task(count, a, 0);
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind == ASYNC_TRACE_CHUNK) {
            CHECK_EQ(events[i].items_out, 2 * events[i].items_in);
        }
    }
    async_reader_release(a);
    pool_end(pool);
}

/* T1: for_each's sink is a task of its own, that the client has no handle of. */
static int count_items(const void *items, size_t count, void *context)
{
    (void)items;
    *(uint64_t *)context += count;
    return ASYNC_CONTINUE;
}

TestEachSize(T, T1_the_sink_of_for_each)
{
    async_pool   *pool = pool_of(n);
    uint64_t      seen = 0, in = 0, lost;
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .each = each_twice,
                           .max_chunksize = 10);
    trace_start(pool, 0);
    CHECK_STATUS(async_reader_for_each(a, count_items, &seen, async_forever()), ASYNC_OK);
    CHECK_EQ(seen, 1000);
    size_t count = read_events(pool, &lost);
    check_task(count, a, 0);
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind == ASYNC_TRACE_CHUNK && events[i].task != number_of(a)) {
            CHECK(events[i].task > number_of(a));
            CHECK_EQ(events[i].items_out, 0);
            in += events[i].items_in;
        }
    }
    CHECK_EQ(in, 1000);
    async_reader_release(a);
    pool_end(pool);
}

/* T1: a chunk that fails is there with what it read and made. */
TestEachSize(T, T1_a_failing_chunk)
{
    static probe p;
    memset(&p, 0, sizeof p);
    p.fail_value = 25;
    p.code = 7;
    uint64_t      items[100], lost;
    async_pool   *pool = pool_of(n);
    async_reader *a = TASK(pool, .source = range_of(0, 100), .each = each_twice, .context = &p,
                           .max_chunksize = 10, .max_parallel = 1);
    trace_start(pool, 0);
    CHECK_READ(a, items, 100, async_forever(), ASYNC_FAILED, 25);
    static async_trace_event chunks[EVENTS_MAX];
    size_t                   count = read_events(pool, &lost);
    count = events_of(chunks, count, ASYNC_TRACE_CHUNK, number_of(a));
    CHECK_EQ(count, 3);
    CHECK_EQ(chunks[2].sequence, 20);
    CHECK_EQ(chunks[2].items_in, 6);
    CHECK_EQ(chunks[2].items_out, 5);
    async_reader_release(a);
    pool_end(pool);
}

/* T1: what a function that reads does meanwhile lies inside its chunk, in the same lane. */
static int read_inside(const void *in, void *out, void *context)
{
    (void)in;
    return async_reader_read(context, out, 1, NULL, async_forever()) == ASYNC_OK ? 0 : 1;
}

TestEachSize(T, T1_work_inside_a_function)
{
    async_pool   *pool = pool_of(n), *other = pool_of(0);
    uint64_t      items[20], from = now_ns(), lost;
    async_reader *inner = TASK(other, .source = range_of(0, 20), .each = each_twice,
                               .max_chunksize = 1);
    async_reader *outer = TASK(pool, .source = range_of(0, 20), .each = read_inside,
                               .context = inner, .max_chunksize = 1, .max_parallel = 1);
    trace_start(pool, 0);
    trace_start(other, 0);
    CHECK_READ(outer, items, 20, async_forever(), ASYNC_OK, 20);
    size_t count = read_events(other, &lost);
    check_events(count, 0, from); /* no workers of its own: all are other threads */
    check_task(count, inner, 0);
    count = read_events(pool, &lost);
    check_events(count, n, from);
    check_task(count, outer, 0);
    async_reader_release(inner);
    async_reader_release(outer);
    pool_end(pool);
    pool_end(other);
}

/* T2: a full ring keeps the newest, as many as were asked for, and the others are counted. */
Test(T, T2_the_newest_are_kept, .timeout = 30)
{
    async_pool   *pool = pool_of(0);
    uint64_t      items[100], lost = 0;
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .each = each_twice,
                           .max_chunksize = 1);
    for (size_t size = 1; size < 12; size++) {
        trace_start(pool, size);
        CHECK_READ(a, items, 30, async_forever(), ASYNC_OK, 30);
        size_t count = read_events(pool, &lost);
        CHECK_EQ(count, size);
        CHECK_EQ(lost, 30 - size);
        for (size_t i = 1; i < count; i++) {
            CHECK_EQ(events[i].sequence, events[i - 1].sequence + 1);
        }
        /* Those that are read make room for others, and what was lost stays counted. */
        CHECK_READ(a, items, size, async_forever(), ASYNC_OK, size);
        CHECK_EQ(read_events(pool, &lost), size);
        CHECK_EQ(lost, 30 - size);
    }
    async_reader_release(a);
    pool_end(pool);
}

/* T2: events may be read a few at a time; each comes once, whichever lane it is in. */
TestEachSize(T, T2_a_few_at_a_time)
{
    async_pool   *pool = pool_of(n);
    uint64_t      items[100], lost = 0;
    async_reader *a = TASK(pool, .source = range_of(0, 100), .each = each_twice,
                           .max_chunksize = 1);
    trace_start(pool, 0);
    CHECK_READ(a, items, 100, async_forever(), ASYNC_OK, 100);
    CHECK_STATUS(async_trace_stop(pool), ASYNC_OK);
    size_t count = 0, got;
    do {
        CHECK_STATUS(async_trace_read(pool, events + count, 3, &got, &lost), ASYNC_OK);
        CHECK_LE(got, 3);
        count += got;
    } while (got > 0);
    check_task(count, a, 0);
    async_reader_release(a);
    pool_end(pool);
}
