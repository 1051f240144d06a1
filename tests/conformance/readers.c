/* readers.c: rows R1, R2 and R8: reading one by one, sources, and what a reader knows. */
#include "pipeline.h"

#include <criterion/criterion.h>

static async_status read_one(async_reader *reader, uint64_t *item)
{
    size_t       got = 99;
    async_status status = async_reader_read(reader, item, 1, &got, async_forever());
    cr_assert_eq(got, status == ASYNC_OK ? 1 : 0);
    return status;
}

/* R1: iterating is reading one item until END; each item comes once, and END stays. */
Test(R, R1_one_by_one_until_the_end)
{
    EACH_SIZE (n) {
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = range_of(0, 57), .each = each_twice);
        uint64_t      item;
        unsigned      count = 0;
        while (read_one(reader, &item) == ASYNC_OK) {
            cr_assert_eq(item, 2 * count); /* one chunk at a time: in order */
            count++;
        }
        cr_assert_eq(count, 57, "N = %u: %u items", n, count);
        for (int again = 0; again < 3; again++) {
            cr_assert_eq(read_one(reader, &item), ASYNC_END);
        }
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* R1: of a plain channel. */
Test(R, R1_one_by_one_of_a_channel)
{
    async_writer *writer;
    async_reader *reader;
    uint64_t      item, count = 0;
    channel_of(&writer, &reader, 0, NULL);
    write_numbers(writer, 0, 30);
    async_writer_close(writer);
    while (read_one(reader, &item) == ASYNC_OK) {
        cr_assert_eq(item, count);
        count++;
    }
    cr_assert_eq(count, 30);
    async_writer_release(writer);
    async_reader_release(reader);
}

static uint64_t ten[10] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};

/* R2: read 2 of 10 gives 2, read-all 8, then always 0 and END; from each kind of source, and with
 * any number of workers that draw from it. */
Test(R, R2_two_then_all_then_none)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        EACH_SIZE (n) {
            for (size_t chunk = 0; chunk <= 4; chunk++) {
                numbers       made = {.end = 10};
                async_pool   *pool = pool_of(n);
                async_reader *reader = TASK(pool, .max_chunksize = chunk,
                                            .source = kind == 0   ? range_of(0, 10)
                                                      : kind == 1 ? array_of(ten, 10)
                                                                  : from_numbers(&made));
                uint64_t      items[10];
                size_t        got = 0;
                ledger        seen;
                ledger_make(&seen, 10);
                cr_assert_eq(async_reader_read(reader, items, 2, &got, async_forever()), ASYNC_OK);
                cr_assert_eq(got, 2);
                ledger_add(&seen, items, 2);
                uint64_t *rest = read_rest(reader, &got);
                cr_assert_eq(got, 8, "kind %u, N = %u, chunk %zu: %zu", kind, n, chunk, got);
                ledger_add(&seen, rest, got);
                async_free(rest);
                cr_assert_eq(ledger_count(&seen, 0, 10, 1), 10);
                for (size_t again = 1; again < 4; again++) {
                    got = 99;
                    async_status status = async_reader_read(reader, items, again, &got,
                                                            async_forever());
                    cr_assert_eq(status, ASYNC_END);
                    cr_assert_eq(got, 0);
                }
                cr_assert_not(atomic_load(&made.overlap));
                cr_assert_not(atomic_load(&made.after), "drawn after its end");
                cr_assert(kind != 2 || atomic_load(&made.ended));
                ledger_free(&seen);
                async_reader_release(reader);
                pool_end(pool);
            }
        }
    }
}

typedef struct drawer {
    async_reader *reader;
    ledger       *seen;
    size_t        size;
    async_status  status;
    thread        thread;
} drawer;

static void draw(void *arg)
{
    drawer  *d = arg;
    uint64_t items[16];
    do {
        size_t got = 0;
        d->status = async_reader_read(d->reader, items, d->size, &got, async_forever());
        ledger_add(d->seen, items, got);
    } while (d->status == ASYNC_OK);
}

/* R2: drawn by many workers for many readers at once: each item once, a function of the user's one
 * call at a time and never again after its end. */
Test(R, R2_drawn_by_many)
{
    for (unsigned kind = 0; kind < 3; kind++) {
        EACH_SIZE (n) {
            static uint64_t array[3000];
            for (size_t i = 0; i < 3000; i++) { array[i] = i; }
            numbers       made = {.end = 3000};
            async_pool   *pool = pool_of(n);
            async_reader *reader = TASK(pool, .max_chunksize = 3,
                                        .source = kind == 0   ? range_of(0, 3000)
                                                  : kind == 1 ? array_of(array, 3000)
                                                              : from_numbers(&made));
            ledger        seen;
            drawer        d[3];
            ledger_make(&seen, 3000);
            for (unsigned i = 0; i < 3; i++) {
                d[i] = (drawer){.reader = reader, .seen = &seen, .size = 1 + 7 * i};
                thread_start(&d[i].thread, draw, &d[i]);
            }
            for (unsigned i = 0; i < 3; i++) {
                thread_join(&d[i].thread);
                cr_assert_eq(d[i].status, ASYNC_END);
            }
            cr_assert_eq(ledger_count(&seen, 0, 3000, 1), 3000, "kind %u, N = %u", kind, n);
            cr_assert_eq(atomic_load(&seen.strange), 0);
            cr_assert_not(atomic_load(&made.overlap));
            cr_assert_not(atomic_load(&made.after));
            ledger_free(&seen);
            async_reader_release(reader);
            pool_end(pool);
        }
    }
}

/* R2: arrays and ranges start afresh in each task; a range wraps. */
Test(R, R2_arrays_and_ranges_start_afresh)
{
    EACH_SIZE (n) {
        const async_source *sources[2] = {range_of(UINT64_MAX - 1, 5), array_of(ten, 10)};
        const uint64_t      third[2] = {0, 2};
        async_pool         *pool = pool_of(n);
        for (unsigned kind = 0; kind < 2; kind++) {
            async_reader *a = TASK(pool, .source = sources[kind]);
            async_reader *b = TASK(pool, .source = sources[kind]);
            uint64_t      items[3];
            cr_assert_eq(async_reader_read(a, items, 3, NULL, async_forever()), ASYNC_OK);
            cr_assert_eq(items[2], third[kind]);
            cr_assert_eq(async_reader_read(b, items, 3, NULL, async_forever()), ASYNC_OK);
            cr_assert_eq(items[2], third[kind]);
            async_reader_release(a);
            async_reader_release(b);
        }
        pool_end(pool);
    }
}

/* R2: a source that lacks its function, or what else it needs, is refused, and nothing is there. */
Test(R, R2_refused_sources)
{
    numbers      made = {.end = 10};
    async_source bad[] = {
        async_source_from(NULL, NULL, 8),
        async_source_from(next_number, &made, 0),
        async_source_array(NULL, 10, 8),
        async_source_array(ten, 10, 0),
        async_source_array(ten, SIZE_MAX, 8),
        {.kind = ASYNC_SOURCE_NONE},
        {.kind = (async_source_kind)77, .item_size = 8},
        async_source_range(0, 10),
    };
    bad[7].reserved[1] = 1;
    async_pool *pool = pool_of(1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        probe         p = {0};
        async_reader *reader = (async_reader *)&p;
        async_status  status = async_pool_add_task(
             pool, &reader,
             &(async_task_options){.source = &bad[i], .context = &p, .release = probe_release});
        cr_assert_eq(status, ASYNC_INVALID, "source %zu: %s", i, async_status_name(status));
        cr_assert_null(reader);
        cr_assert_eq(async_pool_num_tasks(pool), 0);
        cr_assert_eq(atomic_load(&p.released), 0);
    }
    cr_assert_eq(atomic_load(&made.calls), 0);
    pool_end(pool);
}

/* R8: a reader knows its task and its pool; of a plain channel both are NULL. */
Test(R, R8_task_and_pool)
{
    EACH_SIZE (n) {
        async_pool   *pool = pool_of(n), *other = pool_of(0);
        async_writer *writer;
        async_reader *plain, *a, *b, *c;
        channel_of(&writer, &plain, 0, NULL);
        a = TASK(pool, .input = plain);
        b = TASK(pool, .input = a);
        c = TASK(other, .input = b);
        cr_assert_null(async_reader_task(plain));
        cr_assert_null(async_reader_pool(plain));
        cr_assert_not_null(async_reader_task(a));
        cr_assert_not_null(async_reader_task(b));
        cr_assert_neq(async_reader_task(a), async_reader_task(b));
        cr_assert_eq(async_reader_task(a), async_reader_task(a));
        cr_assert_eq(async_reader_pool(a), pool);
        cr_assert_eq(async_reader_pool(b), pool);
        cr_assert_eq(async_reader_pool(c), other);
        cr_assert_not(async_task_done(async_reader_task(a)));
        pool_end(pool);
        cr_assert_null(async_reader_pool(a));
        cr_assert_null(async_reader_pool(b));
        cr_assert_eq(async_reader_pool(c), other);
        cr_assert_not_null(async_reader_task(a));
        cr_assert(async_task_done(async_reader_task(a)));
        pool_end(other);
        cr_assert_null(async_reader_pool(c));
        async_reader_release(a);
        async_reader_release(b);
        async_reader_release(c);
        async_reader_release(plain);
        async_writer_release(writer);
    }
}
