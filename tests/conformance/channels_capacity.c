/* channels_capacity.c: rows C10, C11 and C12: counts, one set of semantics for every pool, and
 * capacities. */
#include "pipeline.h"

#include <criterion/criterion.h>
#include <string.h>

/* C10: the largest count there is is a count like any other, and too large; "all" has a name. */
Test(C, C10_counts_are_unsigned)
{
    async_writer *writer;
    async_reader *reader;
    uint64_t      items[8] = {0};
    size_t        count = 99;
    channel_of(&writer, &reader, 0, NULL);
    async_status status = async_writer_write(writer, items, (size_t)-1, &count, async_now());
    cr_assert_eq(status, ASYNC_INVALID);
    cr_assert_eq(count, 0);
    cr_assert_eq(async_reader_ready(reader), 0);
    write_numbers(writer, 0, 5);
    cr_assert_eq(async_reader_read(reader, items, (size_t)-1, &count, async_now()), ASYNC_INVALID);
    cr_assert_eq(count, 0);
    cr_assert_eq(async_reader_ready(reader), 5);
    async_writer_close(writer);
    uint64_t *all = read_rest(reader, &count);
    cr_assert_eq(count, 5);
    cr_assert_eq(all[4], 4);
    async_free(all);
    async_writer_release(writer);
    async_reader_release(reader);
}

/* C10: a wait of the largest number is a long wait, not an error and not none. */
Test(C, C10_the_longest_wait_is_forever)
{
    const async_wait longest[] = {async_per_item_ms(UINT64_MAX), async_within_ms(UINT64_MAX),
                                  async_until_ns(UINT64_MAX)};
    for (size_t i = 0; i < 3; i++) {
        async_writer *writer;
        async_reader *reader;
        channel_of(&writer, &reader, 0, NULL);
        reading r = {0};
        reading_start(&r, reader, 1, longest[i]);
        cr_assert(thread_asleep(&r.thread));
        write_numbers(writer, 7, 1);
        thread_join(&r.thread);
        cr_assert_eq(r.status, ASYNC_OK);
        cr_assert_eq(r.items[0], 7);
        async_writer_release(writer);
        async_reader_release(reader);
    }
}

/* What a reader answers to one fixed history of its channel. */
typedef struct transcript {
    size_t       at;
    async_status status[40];
    size_t       got[40];
    uint64_t     items[40][8];
} transcript;

static void note_read(transcript *t, async_reader *reader, size_t count, async_wait wait)
{
    t->status[t->at] = async_reader_read(reader, t->items[t->at], count, &t->got[t->at], wait);
    t->at++;
}

static void history(transcript *t, async_writer *writer, async_reader *reader)
{
    memset(t, 0, sizeof *t);
    uint64_t began = now_ns();
    note_read(t, reader, 1, async_within_ms(30)); /* nothing there */
    note_read(t, reader, 3, async_per_item_ms(30));
    cr_assert_geq(now_ns() - began, 60000000u);
    note_read(t, reader, 0, async_forever());
    write_numbers(writer, 0, 5);
    note_read(t, reader, 3, async_forever());
    note_read(t, reader, 2, async_forever());
    reading blocked = {0}; /* a write wakes who waits for it */
    reading_start(&blocked, reader, 2, async_forever());
    cr_assert(thread_asleep(&blocked.thread));
    write_numbers(writer, 5, 2);
    thread_join(&blocked.thread);
    t->status[t->at] = blocked.status;
    t->got[t->at] = blocked.got;
    memcpy(t->items[t->at++], blocked.items, 2 * sizeof(uint64_t));
    write_numbers(writer, 7, 3); /* ends behind what was written */
    async_writer_close(writer);
    note_read(t, reader, 1, async_forever());
    note_read(t, reader, 8, async_forever());
    note_read(t, reader, 1, async_forever());
    note_read(t, reader, 0, async_forever());
    note_read(t, reader, 8, async_within_ms(20));
    note_read(t, reader, 8, async_now());
}

/* C11: the channel of a task in a pool of any size answers as a plain channel does. */
Test(C, C11_one_set_of_semantics)
{
    async_writer *writer;
    async_reader *plain, *reader;
    transcript    expected, seen;
    channel_of(&writer, &plain, 0, NULL);
    history(&expected, writer, plain);
    cr_assert_eq(expected.status[0], ASYNC_TIMEOUT);
    cr_assert_eq(expected.status[7], ASYNC_END);
    cr_assert_eq(expected.got[7], 2);
    async_writer_release(writer);
    async_reader_release(plain);
    EACH_SIZE (n) {
        async_pool *pool = pool_of(n);
        channel_of(&writer, &plain, 0, NULL);
        reader = TASK(pool, .input = plain, .order = ASYNC_ORDERED);
        history(&seen, writer, reader);
        cr_assert_eq(seen.at, expected.at);
        for (size_t i = 0; i < seen.at; i++) {
            cr_assert_eq(seen.status[i], expected.status[i], "N = %u, read %zu: %s, not %s", n, i,
                         async_status_name(seen.status[i]), async_status_name(expected.status[i]));
            cr_assert_eq(seen.got[i], expected.got[i], "N = %u, read %zu", n, i);
            cr_assert_arr_eq(seen.items[i], expected.items[i], seen.got[i] * sizeof(uint64_t));
        }
        async_writer_release(writer);
        async_reader_release(plain);
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* C12: a capacity is a real bound: who doesn't wait is refused, who waits for a time times out, and
 * who waits goes on as soon as there is room. */
Test(C, C12_capacity_is_a_bound)
{
    const size_t sizes[] = {1, 2, 3, 7, 64, 1000};
    for (size_t at = 0; at < 6; at++) {
        async_writer *writer;
        async_reader *reader;
        uint64_t      items[1000];
        size_t        c = sizes[at], count = 99;
        channel_of(&writer, &reader, c, NULL);
        writing *w = calloc(1, sizeof *w);
        cr_assert_not_null(w);
        writing_start(w, writer, 0, c + 5, async_now()); /* refused, but for what fits */
        thread_join(&w->thread);
        cr_assert_eq(w->status, ASYNC_TIMEOUT);
        cr_assert_eq(w->written, c, "capacity %zu: %zu accepted", c, w->written);
        cr_assert_eq(async_reader_ready(reader), c);
        cr_assert_eq(async_writer_write(writer, w->items, 1, &count, async_now()), ASYNC_TIMEOUT);
        cr_assert_eq(count, 0);

        uint64_t began = now_ns(); /* waits for a time */
        cr_assert_eq(async_writer_write(writer, w->items, 1, &count, async_within_ms(30)),
                     ASYNC_TIMEOUT);
        cr_assert_geq(now_ns() - began, 30000000u);
        cr_assert_eq(count, 0);
        began = now_ns();
        cr_assert_eq(async_writer_write(writer, w->items, 1, &count, async_per_item_ms(30)),
                     ASYNC_TIMEOUT);
        cr_assert_geq(now_ns() - began, 30000000u);
        cr_assert_eq(count, 0);

        writing_start(w, writer, c, 3, async_forever()); /* waits for room */
        cr_assert(thread_asleep(&w->thread));
        cr_assert_eq(async_reader_ready(reader), c);
        uint64_t next = 0;
        while (next < c + 3) {
            size_t want = c + 3 - next < c ? (size_t)(c + 3 - next) : c;
            cr_assert_eq(async_reader_read(reader, items, want, &count, async_forever()), ASYNC_OK);
            cr_assert_leq(async_reader_ready(reader), c);
            for (size_t i = 0; i < count; i++) {
                cr_assert_eq(items[i], next);
                next++;
            }
        }
        thread_join(&w->thread);
        cr_assert_eq(w->status, ASYNC_OK);
        cr_assert_eq(w->written, 3);
        free(w);
        async_writer_release(writer);
        async_reader_release(reader);
    }
}

/* C12: also with many writers at once; and exactly as much as the capacity goes in. */
Test(C, C12_capacity_with_many_writers)
{
    for (unsigned round = 0; round < 40; round++) {
        async_writer *writer;
        async_reader *reader;
        size_t        capacity = 1 + round * 7 % 100, sum = 0, count = 0;
        writing      *w = calloc(4, sizeof *w);
        cr_assert_not_null(w);
        channel_of(&writer, &reader, capacity, NULL);
        for (unsigned i = 0; i < 4; i++) {
            writing_start(&w[i], writer, i * 1000, 1 + round, async_now());
        }
        for (unsigned i = 0; i < 4; i++) {
            thread_join(&w[i].thread);
            sum += w[i].written;
        }
        cr_assert_leq(sum, capacity);
        cr_assert_eq(async_reader_ready(reader), sum);
        async_writer_write(writer, w[0].items, 100, &count, async_now());
        cr_assert_eq(count, capacity - sum, "capacity %zu: %zu, then %zu", capacity, sum, count);
        free(w);
        async_writer_release(writer);
        async_reader_release(reader);
    }
}

/* C12: 0 is unbounded: a write that doesn't wait is never refused. */
Test(C, C12_zero_is_unbounded)
{
    async_writer *writer;
    async_reader *reader;
    uint64_t      items[500] = {0};
    size_t        count = 0;
    channel_of(&writer, &reader, 0, NULL);
    for (unsigned i = 0; i < 400; i++) {
        cr_assert_eq(async_writer_write(writer, items, 500, &count, async_now()), ASYNC_OK);
        cr_assert_eq(count, 500);
    }
    cr_assert_eq(async_reader_ready(reader), 200000);
    async_writer_release(writer);
    async_reader_release(reader);
}
