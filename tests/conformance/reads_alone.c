/* reads_alone.c: reads of a few items at N = 0, of tasks that need nobody else: rows K1, K3, X1,
 * X2, X4, X10, E2 and P1 hold as for any other read. */
#include "expect.h"

#include <stdalign.h>

static size_t calls_of(async_reader *reader, uint64_t *in, uint64_t *out)
{
    async_task_stats stats;
    CHECK_STATUS(async_task_counts(async_reader_task(reader), &stats), ASYNC_OK);
    *in = stats.items_in;
    *out = stats.items_out;
    return (size_t)stats.chunks;
}

/* K1, K3: m x read(1) is m chunks, whatever was read between them; nothing is made that nobody
 * asked for. */
Test(K, K1_single_reads_are_single_chunks, .timeout = 30)
{
    async_pool   *pool = pool_of(0);
    async_reader *r = TASK(pool, .source = range_of(0, 200), .each = each_add_one);
    uint64_t      items[64], in, out, expected = 1;
    for (size_t i = 0; i < 20; i++) {
        CHECK_READ(r, items, 1, async_forever(), ASYNC_OK, 1);
        CHECK_EQ(items[0], expected++);
        CHECK_EQ(calls_of(r, &in, &out), i + 1);
        CHECK_EQ(in, i + 1);
        CHECK_EQ(out, i + 1);
        CHECK_EQ(async_reader_ready(r), 0);
    }
    CHECK_READ(r, items, 3, async_now(), ASYNC_OK, 3);
    CHECK_RISING(items, expected, 3);
    CHECK_READ(r, items, 64, async_now(), ASYNC_OK, 64);
    CHECK_RISING(items, expected + 3, 64);
    CHECK_EQ(calls_of(r, &in, &out), 22);
    CHECK_EQ(in, 87);
    CHECK_EQ(out, 87);
    async_reader_release(r);
    pool_end(pool);
}

/* E1, K2, K3: what is ready comes first. */
Test(K, K3_ready_items_come_before_new_ones, .timeout = 30)
{
    async_pool   *pool = pool_of(0);
    async_reader *r = TASK(pool, .source = range_of(0, 100), .each = each_add_one, .min_count = 8);
    uint64_t      item, in, out;
    for (uint64_t i = 0; i < 20; i++) {
        CHECK_READ(r, &item, 1, async_forever(), ASYNC_OK, 1);
        CHECK_EQ(item, i + 1);
        CHECK_EQ(calls_of(r, &in, &out), i / 8 + 1);
    }
    async_reader_release(r);
    pool_end(pool);
}

/* E2: the end is found by the read behind the last item, also where fewer items are left than it
 * wants. */
Test(E, E2_single_reads_find_the_end, .timeout = 30)
{
    for (uint64_t left = 0; left < 4; left++) {
        async_pool   *pool = pool_of(0);
        async_reader *r = TASK(pool, .source = range_of(0, 8 + left), .each = each_add_one);
        uint64_t      items[4];
        for (int i = 0; i < 8; i++) { CHECK_READ(r, items, 1, async_forever(), ASYNC_OK, 1); }
        CHECK(!async_task_done(async_reader_task(r)));
        CHECK_READ(r, items, 4, async_forever(), ASYNC_END, left);
        CHECK_RISING(items, 9, left);
        CHECK(async_task_done(async_reader_task(r)));
        CHECK_READ(r, items, 1, async_forever(), ASYNC_END, 0);
        async_reader_release(r);
        pool_end(pool);
    }
}

struct inside {
    async_reader *reader;
    uint64_t      fail_at, cancel_at;
    size_t        discarded;
};

static int acts(const void *in, void *out, size_t count, size_t *done, void *context)
{
    struct inside  *inside = context;
    const uint64_t *from = in;
    uint64_t       *to = out;
    CHECK_EQ((uintptr_t)in % 64, 0);
    CHECK_EQ((uintptr_t)out % 64, 0);
    for (size_t i = 0; i < count; i++) {
        if (from[i] == inside->fail_at) {
            *done = i;
            return async_fail(9, "item %u", (unsigned)from[i]);
        }
        to[i] = from[i] + 1;
        if (from[i] == inside->cancel_at) {
            CHECK(!async_stopping());
            CHECK_STATUS(async_task_cancel(async_reader_task(inside->reader)), ASYNC_OK);
            CHECK(async_stopping());
        }
    }
    return 0;
}

static void count_discarded(void *items, size_t count, void *context)
{
    (void)items;
    ((struct inside *)context)->discarded += count;
}

/* X1, X2, X4: what was done before the failure is read, then FAILED at once; in any of the chunk's
 * places. */
Test(X, X2_single_reads_fail_where_they_fail, .timeout = 30)
{
    for (uint64_t at = 0; at < 4; at++) {
        struct inside inside = {.fail_at = 10 + at, .cancel_at = UINT64_MAX};
        async_pool   *pool = pool_of(0);
        async_reader *r = TASK(pool, .name = "acts", .source = range_of(0, 100), .batch = acts,
                               .context = &inside, .discard = count_discarded);
        unsigned char bytes[5 * sizeof(uint64_t)];
        uint64_t      items[4];
        void         *odd = bytes + 3; /* the caller's memory may lie anywhere */
        async_error   error;
        size_t        got;
        for (int i = 0; i < 10; i++) { CHECK_READ(r, items, 1, async_forever(), ASYNC_OK, 1); }
        CHECK_STATUS(async_reader_read(r, odd, 4, &got, async_forever()), ASYNC_FAILED);
        CHECK_EQ(got, at);
        memcpy(items, odd, got * sizeof items[0]);
        CHECK_RISING(items, 11, at);
        CHECK_STATUS(async_reader_error(r, &error), ASYNC_OK);
        CHECK_EQ(error.item, 10 + at);
        CHECK_EQ(error.code, 9);
        CHECK_READ(r, items, 1, async_forever(), ASYNC_FAILED, 0);
        CHECK_EQ(inside.discarded, 0);
        async_reader_release(r);
        pool_end(pool);
    }
}

/* X10, C15: a cancel from inside the chunk: its results are discarded, once. */
Test(X, X10_a_single_read_cancelled_from_inside, .timeout = 30)
{
    struct inside inside = {.fail_at = UINT64_MAX, .cancel_at = 12};
    async_pool   *pool = pool_of(0);
    async_reader *r = TASK(pool, .source = range_of(0, 100), .batch = acts, .context = &inside,
                           .discard = count_discarded);
    uint64_t      items[4];
    inside.reader = r;
    for (int i = 0; i < 10; i++) { CHECK_READ(r, items, 1, async_forever(), ASYNC_OK, 1); }
    CHECK_READ(r, items, 4, async_forever(), ASYNC_CANCELLED, 0);
    CHECK_EQ(inside.discarded, 4);
    CHECK_READ(r, items, 1, async_forever(), ASYNC_CANCELLED, 0);
    async_reader_release(r);
    pool_end(pool);
}

/* P1, in place: an array is read only, and each item once. */
Test(P, P1_single_reads_of_an_array, .timeout = 30)
{
    uint64_t array[50], item;
    for (uint64_t i = 0; i < 50; i++) { array[i] = i; }
    async_pool   *pool = pool_of(0);
    async_source  source = async_source_array(array, 50, sizeof array[0]);
    async_reader *r = TASK(pool, .source = &source, .each = each_add_one, .in_place = true);
    async_reader *plain = TASK(pool, .source = &source);
    for (uint64_t i = 0; i < 50; i++) {
        CHECK_READ(r, &item, 1, async_forever(), ASYNC_OK, 1);
        CHECK_EQ(item, i + 1);
        CHECK_READ(plain, &item, 1, async_now(), ASYNC_OK, 1);
        CHECK_EQ(item, i);
        CHECK_EQ(array[i], i);
    }
    async_reader_release(r);
    async_reader_release(plain);
    pool_end(pool);
}
