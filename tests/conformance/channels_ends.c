/* channels_ends.c: rows C5, C6, C13 and C14: how a channel ends, from either side. */
#include "pipeline.h"

#include <criterion/criterion.h>

#define THREADS 6

typedef struct closing {
    async_writer *writer;
    gate         *start;
    async_status  status, again;
    bool          closed;
    async_status  write;
    size_t        written;
    thread        thread;
} closing;

static void closing_body(void *arg)
{
    closing *c = arg;
    uint64_t items[3] = {7, 8, 9};
    gate_pass(c->start);
    c->status = async_writer_close(c->writer);
    c->closed = async_writer_closed(c->writer);
    c->written = 99;
    c->write = async_writer_write(c->writer, items, 3, &c->written, async_forever());
    c->again = async_writer_close(c->writer);
}

/* C5: close may be called any number of times, from any thread; after it `closed` is true, and a
 * write fails with CLOSED and writes nothing, whatever room there is. */
Test(C, C5_close_from_any_thread)
{
    for (size_t capacity = 0; capacity < 8; capacity += 4) {
        for (unsigned round = 0; round < 30; round++) {
            async_writer *writer;
            async_reader *reader;
            closing       c[THREADS];
            gate          start = {0};
            size_t        count = 99;
            channel_of(&writer, &reader, capacity, NULL);
            write_numbers(writer, 0, capacity); /* empty, or full */
            cr_assert_not(async_writer_closed(writer));
            for (unsigned i = 0; i < THREADS; i++) {
                c[i] = (closing){.writer = writer, .start = &start};
                thread_start(&c[i].thread, closing_body, &c[i]);
            }
            gate_open(&start);
            for (unsigned i = 0; i < THREADS; i++) {
                thread_join(&c[i].thread);
                cr_assert_eq(c[i].status, ASYNC_OK);
                cr_assert_eq(c[i].again, ASYNC_OK);
                cr_assert(c[i].closed);
                cr_assert_eq(c[i].write, ASYNC_CLOSED);
                cr_assert_eq(c[i].written, 0);
            }
            cr_assert(async_writer_closed(writer));
            uint64_t *rest = read_rest(reader, &count);
            cr_assert_eq(count, capacity);
            for (uint64_t i = 0; i < count; i++) { cr_assert_eq(rest[i], i); }
            async_free(rest);
            async_writer_release(writer);
            async_reader_release(reader);
        }
    }
}

/* C5: every kind of write is refused; a write of nothing is OK. */
Test(C, C5_writes_after_close)
{
    async_writer *writer;
    async_reader *reader;
    uint64_t      item = 5;
    size_t        written = 99;
    channel_of(&writer, &reader, 0, NULL);
    cr_assert_eq(async_writer_close(writer), ASYNC_OK);
    const async_wait waits[] = {async_now(), async_forever(), async_per_item_ms(50),
                                async_within_ms(50), async_until_ns(1)};
    for (size_t i = 0; i < 5; i++) {
        written = 99;
        cr_assert_eq(async_writer_write(writer, &item, 1, &written, waits[i]), ASYNC_CLOSED);
        cr_assert_eq(written, 0);
    }
    cr_assert_eq(async_writer_write(writer, &item, 1, NULL, async_now()), ASYNC_CLOSED);
    cr_assert_eq(async_writer_write(writer, &item, 0, &written, async_now()), ASYNC_OK);
    cr_assert_eq(async_reader_ready(reader), 0);
    async_writer_release(writer);
    async_reader_release(reader);
}

/* C6: what was accepted before the close stays readable; then 0 items and END at once, whatever is
 * asked for and however long the read would wait. */
Test(C, C6_accepted_items_stay_readable)
{
    for (size_t capacity = 0; capacity <= 40; capacity += 20) {
        async_writer *writer;
        async_reader *reader;
        uint64_t      items[1000];
        size_t        got = 0;
        channel_of(&writer, &reader, capacity, NULL);
        write_numbers(writer, 0, 20);
        async_writer_close(writer);
        for (uint64_t i = 0; i < 17; i++) {
            cr_assert_eq(async_reader_read(reader, items, 1, &got, async_forever()), ASYNC_OK);
            cr_assert_eq(items[0], i);
        }
        cr_assert_eq(async_reader_read(reader, items, 1000, &got, async_forever()), ASYNC_END);
        cr_assert_eq(got, 3);
        cr_assert_eq(items[2], 19);
        uint64_t         began = now_ms();
        const async_wait waits[] = {async_now(), async_forever(), async_per_item_ms(60000),
                                    async_within_ms(60000), async_until_ns(1)};
        for (size_t i = 0; i < 5; i++) {
            for (size_t count = 1; count <= 1000; count *= 10) {
                got = 99;
                cr_assert_eq(async_reader_read(reader, items, count, &got, waits[i]), ASYNC_END);
                cr_assert_eq(got, 0);
            }
        }
        cr_assert_leq(now_ms() - began, 5000);
        async_writer_release(writer);
        async_reader_release(reader);
    }
}

typedef struct race {
    async_writer *writer;
    gate         *start;
    uint64_t      first;
    size_t        accepted;
    bool          odd; /* a status that must not be */
    thread        thread;
} race;

static void race_body(void *arg)
{
    race        *r = arg;
    uint64_t     items[7], next = r->first;
    async_status status = ASYNC_OK;
    gate_pass(r->start);
    for (size_t size = 1; status != ASYNC_CLOSED && r->accepted < 3000; size = size % 7 + 1) {
        size_t written = 0;
        for (size_t i = 0; i < size; i++) { items[i] = next + i; }
        status = async_writer_write(r->writer, items, size, &written,
                                    size % 2 == 0 ? async_now() : async_forever());
        r->odd = r->odd || written > size || (status == ASYNC_OK && written != size);
        r->accepted += written;
        next += written;
    }
}

/* C6: a close among writes in progress: accepted before it or refused, and nothing accepted is
 * lost; each writer's items are the first `accepted` of its own. */
Test(C, C6_close_among_writes)
{
    for (unsigned round = 0; round < 150; round++) {
        async_writer *writer;
        async_reader *reader;
        race          r[3];
        gate          start = {0};
        size_t        count = 0, next[3] = {0};
        channel_of(&writer, &reader, round % 3 == 0 ? 0 : round % 3 == 1 ? 6 : 4096, NULL);
        for (unsigned i = 0; i < 3; i++) {
            r[i] = (race){.writer = writer, .start = &start, .first = i * 10000};
            thread_start(&r[i].thread, race_body, &r[i]);
        }
        reading *early = calloc(1, sizeof *early);
        cr_assert_not_null(early);
        reading_start(early, reader, 150 + round, async_forever());
        gate_open(&start);
        sleep_us(round % 8 * 60);
        cr_assert_eq(async_writer_close(writer), ASYNC_OK);
        thread_join(&early->thread);
        for (unsigned i = 0; i < 3; i++) {
            thread_join(&r[i].thread);
            cr_assert_not(r[i].odd);
        }
        uint64_t *rest = read_rest(reader, &count);
        for (size_t k = 0; k < early->got + count; k++) {
            uint64_t item = k < early->got ? early->items[k] : rest[k - early->got];
            size_t   i = (size_t)(item / 10000);
            cr_assert_lt(i, 3);
            cr_assert_eq(item % 10000, next[i], "round %u", round);
            next[i]++;
        }
        for (unsigned i = 0; i < 3; i++) {
            cr_assert_eq(next[i], r[i].accepted, "round %u: writer %u: %zu accepted, %zu read",
                         round, i, r[i].accepted, next[i]);
        }
        async_free(rest);
        free(early);
        async_writer_release(writer);
        async_reader_release(reader);
    }
}

typedef struct holding {
    async_writer *writer;
    async_reader *reader;
    gate         *start;
    thread        thread;
} holding;

/* Takes and gives up the ends a number of times, and then the ones that it was given. */
static void holding_body(void *arg)
{
    holding *h = arg;
    gate_pass(h->start);
    for (unsigned i = 0; i < 2000; i++) {
        async_writer *w = async_writer_retain(h->writer);
        async_reader *r = async_reader_retain(h->reader);
        async_writer_release(w);
        async_reader_release(r);
    }
    async_writer_release(h->writer);
}

/* C13: all holders share one counted end: the last release closes it, none before. */
Test(C, C13_last_release_closes)
{
    probe         p = {0};
    async_writer *writer;
    async_reader *reader;
    channel_of(&writer, &reader, 0, &p);
    cr_assert_eq(async_writer_retain(writer), writer);
    cr_assert_eq(async_writer_retain(writer), writer);
    reading r = {0};
    reading_start(&r, reader, 5, async_forever());
    cr_assert(thread_asleep(&r.thread));
    async_writer_release(writer);
    async_writer_release(writer);
    cr_assert_not(async_writer_closed(writer));
    write_numbers(writer, 0, 3);
    sleep_ms(10);
    cr_assert_not(thread_ended(&r.thread));
    async_writer_release(writer);
    thread_join(&r.thread);
    cr_assert_eq(r.status, ASYNC_END);
    cr_assert_eq(r.got, 3);
    cr_assert_eq(atomic_load(&p.released), 0);
    async_reader_release(reader);
    cr_assert_eq(atomic_load(&p.released), 1);
    cr_assert_eq(atomic_load(&p.discarded), 0);
    async_writer_release(NULL);
    async_reader_release(NULL);
}

/* C13: the count holds when many threads retain and release at once. */
Test(C, C13_many_holders)
{
    for (unsigned round = 0; round < 20; round++) {
        probe         p = {0};
        async_writer *writer;
        async_reader *reader;
        gate          start = {0};
        holding       h[THREADS];
        channel_of(&writer, &reader, 0, &p);
        for (unsigned i = 0; i < THREADS; i++) {
            h[i] = (holding){
                .writer = async_writer_retain(writer), .reader = reader, .start = &start};
            thread_start(&h[i].thread, holding_body, &h[i]);
        }
        gate_open(&start);
        for (unsigned i = 0; i < THREADS; i++) { thread_join(&h[i].thread); }
        cr_assert_not(async_writer_closed(writer));
        write_numbers(writer, 0, 1);
        cr_assert_eq(atomic_load(&p.released), 0);
        async_writer_release(writer);
        size_t count = 0;
        async_free(read_rest(reader, &count));
        cr_assert_eq(count, 1);
        async_reader_release(reader);
        cr_assert_eq(atomic_load(&p.released), 1);
    }
}

/* C13: close by any holder closes it at once for all. */
Test(C, C13_close_by_any_holder)
{
    async_writer *writer, *other;
    async_reader *reader;
    uint64_t      item = 1;
    channel_of(&writer, &reader, 0, NULL);
    other = async_writer_retain(writer);
    cr_assert_eq(async_writer_close(other), ASYNC_OK);
    cr_assert(async_writer_closed(writer));
    cr_assert_eq(async_writer_write(writer, &item, 1, NULL, async_now()), ASYNC_CLOSED);
    cr_assert_eq(async_reader_read(reader, &item, 1, NULL, async_forever()), ASYNC_END);
    async_writer_release(other);
    async_writer_release(writer);
    async_reader_release(reader);
}

/* C13: a task that has the read end as its input is a holder of it too. */
Test(C, C13_a_task_is_a_holder)
{
    EACH_SIZE (n) {
        async_pool   *pool = pool_of(n);
        async_writer *writer;
        async_reader *plain, *reader;
        uint64_t      item = 0;
        channel_of(&writer, &plain, 0, NULL);
        reader = TASK(pool, .input = plain, .each = each_twice);
        async_reader_release(plain);
        cr_assert_not(async_writer_closed(writer));
        write_numbers(writer, 21, 1);
        cr_assert_eq(async_reader_read(reader, &item, 1, NULL, async_forever()), ASYNC_OK);
        cr_assert_eq(item, 42);
        async_reader_release(reader); /* the task goes, and with it the last reader */
        cr_assert(UNTIL(SOON, async_writer_closed(writer)));
        async_writer_release(writer);
        pool_end(pool);
    }
}

/* C13, C14: the read end is counted as well: when its last holder is gone, writers get CLOSED. */
Test(C, C14_last_reader_gone)
{
    async_writer *writer;
    async_reader *reader, *other;
    uint64_t      items[3] = {0};
    size_t        written = 99;
    channel_of(&writer, &reader, 0, NULL);
    other = async_reader_retain(reader);
    cr_assert_eq(other, reader);
    async_reader_release(reader);
    cr_assert_not(async_writer_closed(writer));
    cr_assert_eq(async_writer_write(writer, items, 3, &written, async_now()), ASYNC_OK);
    async_reader_release(other);
    cr_assert(async_writer_closed(writer));
    cr_assert_eq(async_writer_write(writer, items, 3, &written, async_now()), ASYNC_CLOSED);
    cr_assert_eq(written, 0);
    cr_assert_eq(async_writer_write(writer, items, 3, &written, async_forever()), ASYNC_CLOSED);
    cr_assert_eq(async_writer_close(writer), ASYNC_OK);
    async_writer_release(writer);
}

/* C14: blocked writers wake with CLOSED; what they got in is discarded, once, and nothing else. */
Test(C, C14_wakes_blocked_writers)
{
    ledger lost;
    ledger_make(&lost, THREADS * 100);
    probe         p = {.lost = &lost};
    async_writer *writer;
    async_reader *reader;
    channel_of(&writer, &reader, 5, &p);
    writing *w = calloc(THREADS, sizeof *w);
    cr_assert_not_null(w);
    for (unsigned i = 0; i < THREADS; i++) {
        writing_start(&w[i], writer, i * 100, 6, async_forever());
    }
    for (unsigned i = 0; i < THREADS; i++) { cr_assert(thread_asleep(&w[i].thread)); }
    cr_assert_eq(atomic_load(&p.discarded), 0);
    async_reader_release(reader);
    size_t sum = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        cr_assert(thread_join_within(&w[i].thread, SOON), "writer %u sleeps on", i);
        cr_assert_eq(w[i].status, ASYNC_CLOSED);
        cr_assert_eq(ledger_count(&lost, i * 100, i * 100 + w[i].written, 1), w[i].written);
        cr_assert_eq(ledger_count(&lost, i * 100 + w[i].written, i * 100 + 100, 0),
                     100 - w[i].written);
        sum += w[i].written;
    }
    cr_assert_leq(sum, 5);
    cr_assert_eq(atomic_load(&p.discarded), sum);
    cr_assert_eq(atomic_load(&p.released), 0);
    async_writer_release(writer);
    cr_assert_eq(atomic_load(&p.released), 1);
    ledger_free(&lost);
    free(w);
}

/* C14: the last reader goes among writes in progress: whatever was accepted is discarded. */
Test(C, C14_reader_goes_among_writes)
{
    for (unsigned round = 0; round < 150; round++) {
        ledger lost;
        ledger_make(&lost, 30000);
        probe         p = {.lost = &lost};
        async_writer *writer;
        async_reader *reader;
        race          r[3];
        gate          start = {0};
        size_t        sum = 0;
        channel_of(&writer, &reader, round % 2 == 0 ? 0 : 4096, &p);
        for (unsigned i = 0; i < 3; i++) {
            r[i] = (race){.writer = writer, .start = &start, .first = i * 10000};
            thread_start(&r[i].thread, race_body, &r[i]);
        }
        gate_open(&start);
        sleep_us(round % 8 * 60);
        async_reader_release(reader);
        for (unsigned i = 0; i < 3; i++) {
            thread_join(&r[i].thread);
            sum += r[i].accepted;
        }
        async_writer_release(writer);
        cr_assert_eq(atomic_load(&p.released), 1);
        for (unsigned i = 0; i < 3; i++) {
            size_t first = i * 10000;
            cr_assert_eq(ledger_count(&lost, first, first + r[i].accepted, 1), r[i].accepted);
        }
        cr_assert_eq(atomic_load(&p.discarded), sum, "round %u", round);
        ledger_free(&lost);
    }
}
