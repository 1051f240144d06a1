/* channels_discard.c: row C15: what was accepted is read once, or discarded once, by the callback
 * of whoever produced it. */
#include "pipeline.h"

#include <criterion/criterion.h>

/* C15: of a plain channel: what nobody read, once, in either order of the ends' going. */
Test(C, C15_plain_channel)
{
    for (unsigned order = 0; order < 2; order++) {
        ledger lost;
        ledger_make(&lost, 20);
        probe         p = {.lost = &lost};
        async_writer *writer;
        async_reader *reader;
        uint64_t      items[8];
        channel_of(&writer, &reader, 0, &p);
        write_numbers(writer, 0, 20);
        cr_assert_eq(async_reader_read(reader, items, 8, NULL, async_forever()), ASYNC_OK);
        if (order == 0) {
            async_writer_release(writer);
            cr_assert_eq(atomic_load(&p.discarded), 0);
            async_reader_release(reader);
        } else {
            async_reader_release(reader);
            cr_assert_eq(atomic_load(&p.discarded), 12);
            async_writer_release(writer);
        }
        cr_assert_eq(ledger_count(&lost, 0, 8, 0), 8);
        cr_assert_eq(ledger_count(&lost, 8, 20, 1), 12);
        cr_assert_eq(atomic_load(&p.discarded), 12);
        cr_assert_eq(atomic_load(&p.released), 1);
        ledger_free(&lost);
    }
}

/* C15: what was borrowed was handed to the client: it isn't discarded, and stays valid. */
Test(C, C15_borrowed_is_read)
{
    ledger lost;
    ledger_make(&lost, 10);
    probe         p = {.lost = &lost};
    async_writer *writer;
    async_reader *reader;
    async_view    view = {0};
    channel_of(&writer, &reader, 0, &p);
    write_numbers(writer, 0, 10);
    cr_assert_eq(async_reader_borrow(reader, &view, 4, async_now()), ASYNC_OK);
    size_t count = view.count;
    async_reader_release(reader);
    async_writer_release(writer);
    for (size_t i = 0; i < count; i++) { cr_assert_eq(((const uint64_t *)view.items)[i], i); }
    cr_assert_eq(async_view_return(&view), ASYNC_OK);
    cr_assert_eq(ledger_count(&lost, 0, count, 0), count);
    cr_assert_eq(ledger_count(&lost, count, 10, 1), 10 - count);
    ledger_free(&lost);
}

/* C15: a chunk of 10 of 20 items that fails at item 3: 0 to 3 were read, 4 to 9 are discarded by
 * the channel that they came from; 10 to 19 are still there, and go when their reader does. */
Test(C, C15_rest_of_a_failed_chunk)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        EACH_SIZE (n) {
            ledger lost;
            ledger_make(&lost, 20);
            probe         p = {.lost = &lost}, f = {.code = 5, .fail_value = 3};
            async_pool   *pool = pool_of(n);
            async_writer *writer;
            async_reader *plain, *reader;
            uint64_t      items[10];
            size_t        got = 0;
            channel_of(&writer, &plain, 0, &p);
            write_numbers(writer, 0, 20);
            reader = TASK(pool, .input = plain, .each = kind == 0 ? each_twice : NULL,
                          .batch = kind == 1 ? batch_twice : NULL,
                          .emit = kind == 2 ? emit_copy : NULL, .item_size = 8, .context = &f);
            cr_assert_eq(async_reader_read(reader, items, 10, &got, async_forever()), ASYNC_FAILED);
            cr_assert_eq(got, 3);
            cr_assert(UNTIL(SOON, atomic_load(&p.discarded) >= 6), "N = %u, kind %u: %zu discarded",
                      n, kind, (size_t)atomic_load(&p.discarded));
            cr_assert_eq(ledger_count(&lost, 0, 4, 0), 4, "N = %u, kind %u", n, kind);
            cr_assert_eq(ledger_count(&lost, 4, 10, 1), 6, "N = %u, kind %u", n, kind);
            cr_assert_eq(ledger_count(&lost, 10, 20, 0), 10, "N = %u, kind %u", n, kind);
            cr_assert_eq(async_reader_read(plain, items, 10, &got, async_forever()), ASYNC_OK);
            cr_assert_eq(items[0], 10);
            cr_assert_eq(items[9], 19);
            write_numbers(writer, 0, 2);
            async_reader_release(reader);
            async_reader_release(plain);
            async_writer_release(writer);
            pool_end(pool);
            cr_assert_eq(atomic_load(&p.discarded), 8); /* and the two that were written last */
            cr_assert_eq(atomic_load(&p.released), 1);
            ledger_free(&lost);
        }
    }
}

/* C15: the rest of a failed chunk goes to the task that made it, and to none else; what the failing
 * task itself had made and nobody read goes to its own callback. */
Test(C, C15_rest_goes_to_its_producer)
{
    EACH_SIZE (n) {
        ledger lost_a, lost_b;
        ledger_make(&lost_a, 100);
        ledger_make(&lost_b, 100);
        probe         a = {.lost = &lost_a}, b = {.lost = &lost_b, .code = 1, .fail_value = 16};
        async_pool   *pool = pool_of(n);
        async_reader *first, *second;
        uint64_t      items[10];
        size_t        got = 0;
        first = TASK(pool, .source = range_of(0, 100), .batch = batch_add_one, .context = &a,
                     .discard = probe_discard);
        second = TASK(pool, .input = first, .batch = batch_copy, .context = &b,
                      .discard = probe_discard, .min_count = 20);
        cr_assert_eq(async_reader_read(second, items, 10, &got, async_forever()), ASYNC_OK);
        cr_assert_eq(items[9], 10); /* one chunk of 1 … 20, which failed at 16 */
        async_reader_release(first);
        async_reader_release(second);
        pool_end(pool);
        cr_assert_eq(ledger_count(&lost_a, 17, 21, 1), 4, "N = %u", n);
        cr_assert_eq(atomic_load(&a.discarded), 4, "N = %u", n);
        cr_assert_eq(ledger_count(&lost_b, 11, 16, 1), 5, "N = %u", n);
        cr_assert_eq(atomic_load(&b.discarded), 5, "N = %u", n);
        ledger_free(&lost_a);
        ledger_free(&lost_b);
    }
}

/* C15: a task that passes items on has its input's callback, unless it sets one. */
Test(C, C15_passing_on)
{
    for (unsigned own = 0; own < 2; own++) {
        EACH_SIZE (n) {
            probe         channel = {0}, task = {0};
            async_pool   *pool = pool_of(n);
            async_writer *writer;
            async_reader *plain, *middle, *reader;
            uint64_t      items[3];
            channel_of(&writer, &plain, 0, &channel);
            write_numbers(writer, 0, 10);
            async_writer_close(writer);
            middle = TASK(pool, .input = plain, .discard = own ? probe_discard : NULL,
                          .context = own ? &task : NULL);
            reader = TASK(pool, .input = middle, .min_count = 10);
            cr_assert_eq(async_reader_read(reader, items, 3, NULL, async_forever()), ASYNC_OK);
            cr_assert(UNTIL(SOON, async_reader_ready(reader) == 7));
            async_reader_release(plain);
            async_reader_release(middle);
            cr_assert_eq(atomic_load(&channel.discarded) + atomic_load(&task.discarded), 0);
            async_reader_release(reader);
            async_writer_release(writer);
            pool_end(pool);
            cr_assert_eq(atomic_load(&channel.discarded), own ? 0 : 7, "N = %u", n);
            cr_assert_eq(atomic_load(&task.discarded), own ? 7 : 0, "N = %u", n);
            cr_assert_eq(atomic_load(&channel.released), 1);
        }
    }
}

/* C15: what a cancel drops: ready items, once, at once. */
Test(C, C15_cancelled)
{
    EACH_SIZE (n) {
        ledger lost;
        ledger_make(&lost, 100);
        probe         p = {.lost = &lost};
        async_pool   *pool = pool_of(n);
        uint64_t      items[10];
        async_reader *reader = TASK(pool, .source = range_of(0, 100), .batch = batch_copy,
                                    .context = &p, .discard = probe_discard, .min_count = 40);
        cr_assert_eq(async_reader_read(reader, items, 10, NULL, async_forever()), ASYNC_OK);
        cr_assert(UNTIL(SOON, async_reader_ready(reader) == 30));
        cr_assert_eq(async_task_cancel(async_reader_task(reader)), ASYNC_OK);
        cr_assert(UNTIL(SOON, atomic_load(&p.discarded) == 30));
        cr_assert_eq(ledger_count(&lost, 0, 10, 0), 10);
        cr_assert_eq(ledger_count(&lost, 10, 40, 1), 30);
        cr_assert_eq(async_reader_ready(reader), 0);
        async_reader_release(reader);
        pool_end(pool);
        cr_assert_eq(atomic_load(&p.discarded), 30);
        ledger_free(&lost);
    }
}

/* C15: when the only reader of a task goes, and when a pool is destroyed dropping. */
Test(C, C15_reader_or_pool_gone)
{
    for (unsigned way = 0; way < 2; way++) {
        EACH_SIZE (n) {
            ledger lost;
            ledger_make(&lost, 100);
            probe         p = {.lost = &lost};
            async_pool   *pool = pool_of(n);
            uint64_t      items[10];
            async_reader *reader = TASK(pool, .source = range_of(0, 100), .each = each_add_one,
                                        .context = &p, .discard = probe_discard, .min_count = 40,
                                        .max_chunksize = 7, .order = ASYNC_ORDERED);
            cr_assert_eq(async_reader_read(reader, items, 10, NULL, async_forever()), ASYNC_OK);
            /* Workers run all that was scheduled, a reader no more than it needs. */
            cr_assert(UNTIL(SOON, n == 0 || async_reader_ready(reader) == 30));
            if (way == 0) {
                async_reader_release(reader);
                pool_end(pool);
            } else {
                cr_assert_eq(async_pool_destroy(pool, ASYNC_DROP), ASYNC_OK);
                cr_assert_eq(atomic_load(&p.discarded), atomic_load(&p.calls) - 10);
                async_reader_release(reader);
            }
            size_t made = (size_t)atomic_load(&p.calls);
            cr_assert(n == 0 ? made > 10 : made == 40, "N = %u: %zu", n, made);
            cr_assert_eq(ledger_count(&lost, 1, 11, 0), 10);
            cr_assert_eq(ledger_count(&lost, 11, made + 1, 1), made - 10, "N = %u, way %u", n, way);
            cr_assert_eq(atomic_load(&p.discarded), made - 10, "N = %u, way %u", n, way);
            ledger_free(&lost);
        }
    }
}

typedef struct seer {
    ledger   seen;
    uint64_t fail_value; /* 0: never */
} seer;

static int see(const void *in, void *out, size_t count, size_t *done, void *context)
{
    seer *s = context;
    for (size_t i = 0; i < count; i++) {
        uint64_t item = ((const uint64_t *)in)[i];
        ledger_add(&s->seen, &item, 1);
        if (item == s->fail_value && item != 0) {
            *done = i;
            return 1;
        }
        ((uint64_t *)out)[i] = item;
    }
    return 0;
}

#define ALL ((size_t)3000)

/* C15: of a chain that is stopped at some moment, by a failure, a cancel or the reader's going, or
 * by all of them, each item has its turn in the function or is discarded, and just once. */
Test(C, C15_nothing_twice_nothing_lost)
{
    for (unsigned round = 0; round < 30; round++) {
        EACH_SIZE (n) {
            ledger lost;
            seer   s = {.fail_value = round % 2 == 0 ? 0 : 20 + round * 9};
            ledger_make(&lost, ALL);
            ledger_make(&s.seen, ALL);
            probe         p = {.lost = &lost};
            async_pool   *pool = pool_of(n);
            async_writer *writer;
            async_reader *plain, *middle, *reader;
            uint64_t      items[300];
            channel_of(&writer, &plain, 0, &p);
            write_numbers(writer, 0, ALL);
            middle = TASK(pool, .input = plain, .max_chunksize = 1 + round % 9, .min_count = 1000);
            reader = TASK(pool, .input = middle, .batch = see, .context = &s, .max_chunksize = 5,
                          .order = round % 3 == 0 ? ASYNC_ORDERED : ASYNC_UNORDERED);
            async_reader_release(plain);
            async_reader_release(middle);
            async_reader_read(reader, items, 20 + 9 * round, NULL, async_forever());
            if (round % 4 < 2) { async_reader_cancel(reader); }
            async_reader_release(reader);
            async_writer_release(writer);
            pool_end(pool);
            cr_assert_eq(atomic_load(&p.released), 1);
            cr_assert_gt(atomic_load(&p.discarded), 0);
            for (size_t i = 0; i < ALL; i++) {
                unsigned seen = atomic_load(&s.seen.seen[i]), gone = atomic_load(&lost.seen[i]);
                cr_assert_eq(seen + gone, 1, "N = %u, round %u, item %zu: seen %u, discarded %u", n,
                             round, i, seen, gone);
            }
            ledger_free(&lost);
            ledger_free(&s.seen);
        }
    }
}
