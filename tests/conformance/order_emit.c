/* order_emit.c: row E6: functions that give fewer or more items than they got. */
#include "pipeline.h"

#include <criterion/criterion.h>

static async_reader *emit_task(async_pool *pool, async_emit_fn *emit, probe *p, uint64_t count,
                               size_t min_count, size_t chunk)
{
    return TASK(pool, .source = range_of(0, count), .emit = emit, .context = p,
                .item_size = sizeof(uint64_t), .min_count = min_count, .max_chunksize = chunk,
                .order = ASYNC_ORDERED);
}

/* E6: a filter asks for as many items as outputs are missing, one for one, again and again: 10 of
 * 0, 2, 4 … in calls of 10, 5, 2, 1 and 1 items. */
Test(E, E6_a_filter_asks_for_what_is_missing)
{
    EACH_SIZE (n) {
        probe         p = {0};
        async_pool   *pool = pool_of(n);
        async_reader *reader = emit_task(pool, emit_even, &p, 100, 0, 0);
        const size_t  sizes[] = {10, 5, 2, 1, 1};
        uint64_t      items[10];
        size_t        got = 0;
        cr_assert_eq(async_reader_read(reader, items, 10, &got, async_forever()), ASYNC_OK);
        for (uint64_t i = 0; i < 10; i++) { cr_assert_eq(items[i], 2 * i); }
        cr_assert_eq(atomic_load(&p.calls), 5, "N = %u: %u calls", n,
                     (unsigned)atomic_load(&p.calls));
        cr_assert_arr_eq(p.log, sizes, sizeof sizes);
        async_task_stats stats = counts_of(reader);
        cr_assert_eq(stats.items_in, 19);
        cr_assert_eq(stats.items_out, 10);
        cr_assert_eq(stats.ready, 0);
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* E6: raised to M: 10 outputs with a min_count of 8 take calls of 10, 8 and 8; 3 are over, stay
 * ready, and the next read has them without a call. */
Test(E, E6_raised_to_the_minimum)
{
    EACH_SIZE (n) {
        probe         p = {0};
        async_pool   *pool = pool_of(n);
        async_reader *reader = emit_task(pool, emit_even, &p, 100, 8, 0);
        const size_t  sizes[] = {10, 8, 8};
        uint64_t      items[10];
        size_t        got = 0;
        cr_assert_eq(async_reader_read(reader, items, 10, &got, async_forever()), ASYNC_OK);
        cr_assert_eq(items[9], 18);
        cr_assert_eq(atomic_load(&p.calls), 3, "N = %u: %u calls", n,
                     (unsigned)atomic_load(&p.calls));
        cr_assert_arr_eq(p.log, sizes, sizeof sizes);
        cr_assert(UNTIL(SOON, async_reader_ready(reader) == 3));
        cr_assert_eq(async_reader_read(reader, items, 3, &got, async_forever()), ASYNC_OK);
        cr_assert_eq(items[2], 24);
        cr_assert_eq(atomic_load(&p.calls), 3);
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* E6: a flat-map gives more than was asked for: what is over stays ready, and runs nothing. */
Test(E, E6_what_is_over_stays_ready)
{
    EACH_SIZE (n) {
        probe         p = {0};
        async_pool   *pool = pool_of(n);
        async_reader *reader = emit_task(pool, emit_pair, &p, 100, 0, 0);
        uint64_t      items[10];
        size_t        got = 0;
        cr_assert_eq(async_reader_read(reader, items, 10, &got, async_forever()), ASYNC_OK);
        cr_assert_eq(items[9], 4);
        cr_assert_eq(atomic_load(&p.calls), 1);
        cr_assert_eq(p.log[0], 10);
        cr_assert(UNTIL(SOON, async_reader_ready(reader) == 10));
        cr_assert_eq(async_reader_read(reader, items, 10, &got, async_forever()), ASYNC_OK);
        cr_assert_eq(items[0], 5);
        cr_assert_eq(items[9], 9);
        cr_assert_eq(atomic_load(&p.calls), 1, "N = %u", n);
        cr_assert_eq(async_reader_read(reader, items, 3, &got, async_forever()), ASYNC_OK);
        cr_assert_eq(atomic_load(&p.calls), 2);
        cr_assert_eq(p.log[1], 3, "N = %u: %zu, then %zu", n, p.log[1], p.log[2]);
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* E6: a filter goes on until the reader has its count or the end is there, with chunks of any size
 * and through a chain of filters. */
Test(E, E6_until_the_count_or_the_end)
{
    EACH_SIZE (n) {
        for (size_t chunk = 0; chunk < 8; chunk += 3) {
            async_pool   *pool = pool_of(n);
            async_reader *a = TASK(pool, .source = range_of(0, 400), .max_chunksize = chunk);
            async_reader *b = TASK(pool, .input = a, .emit = emit_even, .max_chunksize = 5,
                                   .item_size = sizeof(uint64_t), .order = ASYNC_ORDERED);
            async_reader *c = TASK(pool, .input = b, .batch = batch_add_one, .max_chunksize = chunk,
                                   .order = ASYNC_ORDERED);
            uint64_t      items[150];
            size_t        got = 0;
            cr_assert_eq(async_reader_read(c, items, 70, &got, async_forever()), ASYNC_OK);
            cr_assert_eq(got, 70);
            cr_assert_eq(async_reader_read(c, items, 150, &got, async_forever()), ASYNC_END);
            cr_assert_eq(got, 130, "N = %u, chunk %zu: %zu", n, chunk, got);
            cr_assert_eq(async_reader_read(c, items, 1, &got, async_forever()), ASYNC_END);
            async_reader_release(a);
            async_reader_release(b);
            async_reader_release(c);
            pool_end(pool);
        }
    }
}

/* E6: a function that never gives anything has seen everything at the end, and none hangs. */
Test(E, E6_nothing_comes_out)
{
    EACH_SIZE (n) {
        for (size_t chunk = 0; chunk < 8; chunk += 7) {
            probe         p = {0};
            async_pool   *pool = pool_of(n);
            async_reader *reader = emit_task(pool, emit_none, &p, 200, 0, chunk);
            uint64_t      items[20];
            size_t        got = 99;
            cr_assert_eq(async_reader_read(reader, items, 20, &got, async_forever()), ASYNC_END);
            cr_assert_eq(got, 0);
            cr_assert_eq(atomic_load(&p.items), 200, "N = %u, chunk %zu", n, chunk);
            async_reader_release(reader);
            pool_end(pool);
        }
    }
}

/* E6: or an error is there: the items before it come, then FAILED. */
Test(E, E6_until_an_error)
{
    EACH_SIZE (n) {
        probe         p = {.code = 9, .fail_value = 101};
        async_pool   *pool = pool_of(n);
        async_reader *reader = emit_task(pool, emit_even, &p, 400, 0, 4);
        uint64_t      items[100];
        size_t        got = 0;
        cr_assert_eq(async_reader_read(reader, items, 100, &got, async_forever()), ASYNC_FAILED);
        cr_assert_eq(got, 51, "N = %u: %zu", n, got);
        for (uint64_t i = 0; i < got; i++) { cr_assert_eq(items[i], 2 * i); }
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* A different number of outputs for each input: 0 to 99 of them, in pieces of different sizes. */
static int emit_many(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    const uint64_t *from = in;
    (void)done, (void)context;
    for (size_t i = 0; i < count; i++) {
        uint64_t values[100];
        size_t   left = (size_t)(from[i] * 37 % 100), at = 0;
        for (size_t k = 0; k < left; k++) { values[k] = from[i] * 100 + k; }
        for (size_t piece = 1; left > 0; piece = piece * 3 % 50 + 1) {
            size_t size = left < piece ? left : piece;
            if (async_emit(out, values + at, size) != ASYNC_OK) { return 1; }
            at += size;
            left -= size;
        }
    }
    return 0;
}

/* E6: any number out: all of them, once, in any sizes of chunks and reads. */
Test(E, E6_any_number_out)
{
    EACH_SIZE (n) {
        for (size_t chunk = 0; chunk < 6; chunk += 5) {
            async_pool   *pool = pool_of(n);
            async_reader *first = emit_task(pool, emit_many, NULL, 300, 0, chunk);
            async_reader *reader = TASK(pool, .input = first, .max_chunksize = 64,
                                        .order = ASYNC_ORDERED);
            uint64_t      items[177], x = 0, k = 0;
            size_t        got = 0, count = 0;
            async_status  status;
            do {
                status = async_reader_read(reader, items, 177, &got, async_forever());
                for (size_t i = 0; i < got; i++) {
                    while (k == x * 37 % 100) {
                        x++;
                        k = 0;
                    }
                    cr_assert_eq(items[i], x * 100 + k, "N = %u, chunk %zu", n, chunk);
                    k++;
                }
                count += got;
            } while (status == ASYNC_OK);
            cr_assert_eq(status, ASYNC_END);
            cr_assert_eq(count, 3 * 4950);
            async_reader_release(first);
            async_reader_release(reader);
            pool_end(pool);
        }
    }
}
