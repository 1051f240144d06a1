/* channels_waits.c: rows C2, C3, C4 and C7: how long who waits for what. */
#include "pipeline.h"

#include <criterion/criterion.h>

#define MS ((uint64_t)1000000)

/* A reader of `channel` itself (i = 0), or of a task of pools of all sizes that passes it on. */
#define SETUPS (1 + sizeof pool_sizes / sizeof pool_sizes[0])

typedef struct setup {
    async_writer *writer;
    async_reader *plain, *reader;
    async_pool   *pool;
} setup;

static setup setup_make(size_t i, size_t capacity)
{
    setup s = {0};
    channel_of(&s.writer, &s.plain, capacity, NULL);
    if (i == 0) {
        s.reader = async_reader_retain(s.plain);
    } else {
        s.pool = pool_of(pool_sizes[i - 1]);
        s.reader = TASK(s.pool, .input = s.plain, .max_chunksize = 1, .order = ASYNC_ORDERED);
    }
    return s;
}

static void setup_free(setup *s)
{
    async_writer_release(s->writer);
    async_reader_release(s->plain);
    async_reader_release(s->reader);
    pool_end(s->pool);
}

/* Writes `count` items, one after each `every` milliseconds, and notes when it did. */
typedef struct drip {
    async_writer *writer;
    unsigned      every, count;
    uint64_t      began[16]; /* just before the write */
    atomic_bool   stop;
    thread        thread;
} drip;

static void drip_body(void *arg)
{
    drip *d = arg;
    for (unsigned i = 0; i < d->count && !atomic_load(&d->stop); i++) {
        sleep_ms(d->every);
        d->began[i % 16] = now_ns();
        write_numbers(d->writer, i, 1);
    }
}

/* Where a row speaks of items that come in time, a thread that stands still for longer than that,
 * on a machine that is busy with other things, spoils the attempt, and it is made again. How long
 * a call waits at least, and what it says then, must be right in every attempt. */
#define ATTEMPTS 6

static bool all_in_time(size_t i)
{
    setup  s = setup_make(i, 0);
    void  *items = NULL;
    size_t first, second;
    write_numbers(s.writer, 0, 5);
    uint64_t     began = now_ns();
    async_status status = async_reader_read_all(s.reader, &items, &first, async_per_item_ms(100));
    cr_assert_geq(now_ns() - began, 100 * MS);
    cr_assert_eq(status, ASYNC_TIMEOUT, "setup %zu: %s", i, async_status_name(status));
    for (uint64_t k = 0; k < first; k++) { cr_assert_eq(((uint64_t *)items)[k], k); }
    async_free(items);

    write_numbers(s.writer, 5, 3);
    began = now_ns();
    status = async_reader_read_all(s.reader, &items, &second, async_within_ms(100));
    cr_assert_geq(now_ns() - began, 100 * MS);
    cr_assert_eq(status, ASYNC_TIMEOUT, "setup %zu: %s", i, async_status_name(status));
    async_free(items);
    setup_free(&s);
    return first == 5 && second == 3;
}

/* C2: reading all from an open channel returns what there is, not before the wait is over with
 * nothing new. */
Test(C, C2_all_of_an_open_channel)
{
    for (size_t i = 0; i < SETUPS; i++) {
        bool done = false;
        for (unsigned attempt = 0; attempt < ATTEMPTS && !done; attempt++) {
            done = all_in_time(i);
        }
        cr_assert(done, "setup %zu", i);
    }
}

static bool all_that_is_new(size_t i)
{
    setup  s = setup_make(i, 0);
    drip   d = {.writer = s.writer, .every = 40, .count = 3};
    void  *items = NULL;
    size_t count = 0;
    thread_start(&d.thread, drip_body, &d);
    async_status status = async_reader_read_all(s.reader, &items, &count, async_per_item_ms(250));
    uint64_t     ended = now_ns();
    thread_join(&d.thread);
    cr_assert_eq(status, ASYNC_TIMEOUT);
    cr_assert(count == 0 || ended - d.began[count - 1] >= 250 * MS);
    async_free(items);
    setup_free(&s);
    return count == 3;
}

/* C2: what comes while it waits is new, and begins the wait anew. */
Test(C, C2_something_new_begins_the_wait_anew)
{
    for (size_t i = 0; i < SETUPS; i++) {
        bool done = false;
        for (unsigned attempt = 0; attempt < ATTEMPTS && !done; attempt++) {
            done = all_that_is_new(i);
        }
        cr_assert(done, "setup %zu", i);
    }
}

/* C3: one item from an empty open channel: none, TIMEOUT, after at least the time. */
Test(C, C3_nothing_comes)
{
    for (size_t i = 0; i < SETUPS; i++) {
        setup s = setup_make(i, 0);
        for (unsigned way = 0; way < 3; way++) {
            uint64_t     item, began = now_ns();
            size_t       got = 99;
            async_wait   wait = way == 0   ? async_per_item_ms(40)
                                : way == 1 ? async_within_ms(40)
                                           : async_until_ns(now_ns() + 40 * MS);
            async_status status = async_reader_read(s.reader, &item, 1, &got, wait);
            uint64_t     took = now_ns() - began;
            cr_assert_eq(status, ASYNC_TIMEOUT, "setup %zu: %s", i, async_status_name(status));
            cr_assert_eq(got, 0);
            cr_assert_geq(took, 40 * MS, "setup %zu, way %u: %zu ns", i, way, (size_t)took);
            cr_assert_leq(took, 5000 * MS);
        }
        setup_free(&s);
    }
}

/* C3: a wait that is over, or none, returns at once. */
Test(C, C3_no_wait)
{
    for (size_t i = 0; i < SETUPS; i++) {
        setup    s = setup_make(i, 0);
        uint64_t item, began = now_ns();
        for (unsigned k = 0; k < 50; k++) {
            size_t     got = 99;
            async_wait wait = k % 2 == 0 ? async_now() : async_until_ns(1);
            cr_assert_eq(async_reader_read(s.reader, &item, 1, &got, wait), ASYNC_TIMEOUT);
            cr_assert_eq(got, 0);
        }
        cr_assert_leq(now_ns() - began, 5000 * MS);
        setup_free(&s);
    }
}

static bool three_of_four(size_t i)
{
    setup    s = setup_make(i, 0);
    drip     d = {.writer = s.writer, .every = 80, .count = 3};
    uint64_t items[4];
    size_t   got = 0;
    thread_start(&d.thread, drip_body, &d);
    async_status status = async_reader_read(s.reader, items, 4, &got, async_per_item_ms(250));
    uint64_t     ended = now_ns();
    thread_join(&d.thread);
    cr_assert_eq(status, ASYNC_TIMEOUT);
    cr_assert_leq(got, 3);
    cr_assert(got == 0 || ended - d.began[got - 1] >= 250 * MS);
    cr_assert_leq(ended - d.began[0], 8000 * MS);
    setup_free(&s);
    return got == 3;
}

/* C4: the time per item begins anew with every item: 3 of 4 items, and the rest of the wait. */
Test(C, C4_per_item)
{
    for (size_t i = 0; i < SETUPS; i++) {
        bool done = false;
        for (unsigned attempt = 0; attempt < ATTEMPTS && !done; attempt++) {
            done = three_of_four(i);
        }
        cr_assert(done, "setup %zu", i);
    }
}

/* C4: as many items as asked for, each within its own time, though all together take longer. */
Test(C, C4_per_item_takes_as_long_as_items_come)
{
    size_t got = 0;
    for (unsigned attempt = 0; attempt < ATTEMPTS && got < 8; attempt++) {
        setup    s = setup_make(0, 0);
        drip     d = {.writer = s.writer, .every = 60, .count = 8};
        uint64_t items[8], began = now_ns();
        thread_start(&d.thread, drip_body, &d);
        async_status status = async_reader_read(s.reader, items, 8, &got, async_per_item_ms(300));
        cr_assert_eq(status, got == 8 ? ASYNC_OK : ASYNC_TIMEOUT);
        cr_assert(got < 8 || now_ns() - began >= 480 * MS);
        thread_join(&d.thread);
        setup_free(&s);
    }
    cr_assert_eq(got, 8);
}

/* C4: a deadline is for the whole call: it doesn't move when items come. */
Test(C, C4_deadline)
{
    for (size_t i = 0; i < SETUPS; i++) {
        for (unsigned way = 0; way < 2; way++) {
            setup    s = setup_make(i, 0);
            drip     d = {.writer = s.writer, .every = 20, .count = 100000};
            uint64_t items[1000], began = now_ns();
            size_t   got = 0;
            write_numbers(s.writer, 900, 1);
            thread_start(&d.thread, drip_body, &d);
            async_wait   wait = way == 0 ? async_within_ms(150) : async_until_ns(began + 150 * MS);
            async_status status = async_reader_read(s.reader, items, 1000, &got, wait);
            uint64_t     ended = now_ns();
            atomic_store(&d.stop, true);
            thread_join(&d.thread);
            cr_assert_eq(status, ASYNC_TIMEOUT);
            cr_assert_geq(got, 1);
            cr_assert_geq(ended - began, 150 * MS);
            cr_assert_leq(ended - began, 5000 * MS);
            setup_free(&s);
        }
    }
}

static bool three_find_room(void)
{
    async_writer *writer;
    async_reader *reader;
    writing       w = {0};
    uint64_t      item, next = 0, taken = 0;
    channel_of(&writer, &reader, 1, NULL);
    write_numbers(writer, 0, 1);
    writing_start(&w, writer, 1, 5, async_per_item_ms(250));
    for (unsigned i = 0; i < 3; i++) {
        sleep_ms(100);
        taken = now_ns();
        /* the writer may be late */
        if (async_reader_read(reader, &item, 1, NULL, async_now()) == ASYNC_OK) {
            cr_assert_eq(item, next);
            next++;
        }
    }
    thread_join(&w.thread);
    cr_assert_eq(w.status, ASYNC_TIMEOUT);
    cr_assert_leq(w.written, 3);
    cr_assert(w.written < 3 || w.ended - taken >= 250 * MS);
    async_writer_release(writer);
    async_reader_release(reader);
    return w.written == 3;
}

/* C4: a writer's time per item begins anew with every item that finds room. */
Test(C, C4_per_item_of_a_writer)
{
    bool done = false;
    for (unsigned attempt = 0; attempt < ATTEMPTS && !done; attempt++) { done = three_find_room(); }
    cr_assert(done);
}

#define BLOCKED 4

/* C7: close wakes all blocked readers, and what there is is all read. */
Test(C, C7_close_wakes_all_readers)
{
    for (size_t i = 0; i < SETUPS; i++) {
        setup    s = setup_make(i, 0);
        reading *r = calloc(BLOCKED, sizeof *r);
        cr_assert_not_null(r);
        ledger seen;
        ledger_make(&seen, 10);
        for (unsigned k = 0; k < BLOCKED; k++) {
            reading_start(&r[k], s.reader, 20 + k, async_forever());
            cr_assert(thread_asleep(&r[k].thread));
        }
        write_numbers(s.writer, 0, 10);
        sleep_ms(20);
        for (unsigned k = 0; k < BLOCKED; k++) { cr_assert_not(thread_ended(&r[k].thread)); }
        cr_assert_eq(async_writer_close(s.writer), ASYNC_OK);
        for (unsigned k = 0; k < BLOCKED; k++) {
            cr_assert(thread_join_within(&r[k].thread, SOON), "setup %zu: reader %u", i, k);
            cr_assert_eq(r[k].status, ASYNC_END);
            ledger_add(&seen, r[k].items, r[k].got);
        }
        cr_assert_eq(ledger_count(&seen, 0, 10, 1), 10);
        ledger_free(&seen);
        free(r);
        setup_free(&s);
    }
}

/* C7: each reader gets what there is, up to its count: with items for some of them, some are OK. */
Test(C, C7_each_up_to_its_count)
{
    for (unsigned round = 0; round < 100; round++) {
        async_writer *writer;
        async_reader *reader;
        reading       r[BLOCKED];
        size_t        sum = 0, full = 0;
        channel_of(&writer, &reader, 0, NULL);
        for (unsigned k = 0; k < BLOCKED; k++) {
            r[k] = (reading){0};
            reading_start(&r[k], reader, 4, async_forever());
        }
        write_numbers(writer, 0, 10); /* 4 + 4 + 2 + 0 */
        async_writer_close(writer);
        for (unsigned k = 0; k < BLOCKED; k++) {
            thread_join(&r[k].thread);
            cr_assert_eq(r[k].status, r[k].got == 4 ? ASYNC_OK : ASYNC_END);
            sum += r[k].got;
            full += r[k].got == 4;
        }
        cr_assert_eq(sum, 10);
        cr_assert_eq(full, 2);
        async_writer_release(writer);
        async_reader_release(reader);
    }
}

/* C7: close wakes all blocked writers; each says what was accepted, and just that is there. */
Test(C, C7_close_wakes_all_writers)
{
    async_writer *writer;
    async_reader *reader;
    writing      *w = calloc(BLOCKED, sizeof *w);
    cr_assert_not_null(w);
    size_t sum = 0, count = 0;
    channel_of(&writer, &reader, 7, NULL);
    for (unsigned k = 0; k < BLOCKED; k++) {
        writing_start(&w[k], writer, 100 * k, 3 + k, async_forever());
    }
    for (unsigned k = 0; k < BLOCKED; k++) {
        cr_assert(UNTIL(SOON, thread_ended(&w[k].thread) || thread_asleep(&w[k].thread)));
    }
    size_t ready = async_reader_ready(reader);
    cr_assert_leq(ready, 7);
    cr_assert_eq(async_writer_close(writer), ASYNC_OK);
    for (unsigned k = 0; k < BLOCKED; k++) {
        cr_assert(thread_join_within(&w[k].thread, SOON), "writer %u sleeps on", k);
        cr_assert_eq(w[k].status, w[k].written == 3 + k ? ASYNC_OK : ASYNC_CLOSED);
        sum += w[k].written;
    }
    cr_assert_eq(sum, ready);
    uint64_t *rest = read_rest(reader, &count), next[BLOCKED] = {0};
    cr_assert_eq(count, ready);
    for (size_t i = 0; i < count; i++) {
        size_t k = (size_t)(rest[i] / 100);
        cr_assert_lt(k, BLOCKED);
        cr_assert_eq(rest[i] % 100, next[k]);
        next[k]++;
    }
    for (unsigned k = 0; k < BLOCKED; k++) { cr_assert_eq(next[k], w[k].written); }
    async_free(rest);
    free(w);
    async_writer_release(writer);
    async_reader_release(reader);
}
