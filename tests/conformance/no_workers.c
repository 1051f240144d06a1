/* no_workers.c: a pool of size 0 whose readers have deadlines, and several of them: row M14. */
#define _GNU_SOURCE
#include "crew.h"
#include "expect.h"

#include <string.h>
#include <unistd.h>

/* M14: a read that doesn't wait does the work it asks for, through a whole chain. */
Test(M, M14_a_read_that_does_not_wait_does_the_work, .timeout = 30)
{
    async_pool   *pool = pool_of(0);
    probe         p = {0}, q = {0};
    uint64_t      items[21];
    async_reader *a = TASK(pool, .source = range_of(0, 20), .batch = batch_copy, .context = &p,
                           .max_chunksize = 3);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &q);
    CHECK_READ(b, items, 10, async_now(), ASYNC_OK, 10);
    CHECK_RISING(items, 0, 10);
    CHECK_EQ(atomic_load(&p.calls), 4);
    CHECK_EQ(atomic_load(&q.calls), 1);
    CHECK_READ(b, items, 21, async_now(), ASYNC_END, 10);
    CHECK_RISING(items, 10, 10);
    async_reader_release(a);
    async_reader_release(b);
    pool_end(pool);
}

/* M14: a read with a deadline starts no chunk after it and finishes the one it runs. */
Test(M, M14_no_chunk_starts_after_the_deadline, .timeout = 30)
{
    async_pool   *pool = pool_of(0);
    probe         p = {.delay_us = 30000};
    uint64_t      items[100];
    async_reader *r = TASK(pool, .source = range_of(0, 1000), .batch = batch_copy, .context = &p,
                           .max_chunksize = 2);
    size_t        got = 0;
    uint64_t      began = now_ms();
    CHECK_STATUS(async_reader_read(r, items, 100, &got, async_within_ms(75)), ASYNC_TIMEOUT);
    CHECK(now_ms() - began >= 75);
    CHECK_LE(got, 6); /* chunks that began 0, 30 and 60 ms after */
    CHECK(got >= 2 && got % 2 == 0);
    CHECK_EQ(atomic_load(&p.items), got);
    CHECK_EQ(atomic_load(&p.running), 0);
    CHECK_RISING(items, 0, got);
    /* A deadline that has passed starts nothing. */
    CHECK_READ(r, items, 10, async_until_ns(1), ASYNC_TIMEOUT, 0);
    CHECK_EQ(atomic_load(&p.items), got);
    async_reader_release(r);
    pool_end(pool);
}

/* M14: it never waits for another thread that runs what it needs. */
Test(M, M14_a_read_that_does_not_wait_waits_for_nobody, .timeout = 30)
{
    async_pool    *pool = pool_of(0);
    gate           g = {0};
    probe          p = {.hold = &g};
    static reading blocked;
    memset(&blocked, 0, sizeof blocked);
    uint64_t      items[10];
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .batch = batch_copy, .context = &p,
                           .max_parallel = 1);
    async_reader *r = TASK(pool, .input = a, .each = each_add_one);
    reading_start(&blocked, r, 10, async_forever());
    gate_arrived(&g, 1);
    uint64_t began = now_ms();
    CHECK_READ(r, items, 10, async_now(), ASYNC_TIMEOUT, 0);
    CHECK_READ(a, items, 10, async_now(), ASYNC_TIMEOUT, 0);
    CHECK_LE(now_ms() - began, 1000);
    began = now_ms();
    CHECK_READ(r, items, 10, async_within_ms(30), ASYNC_TIMEOUT, 0);
    CHECK(now_ms() - began >= 30);
    CHECK_LE(now_ms() - began, 1000);
    gate_open(&g);
    thread_join(&blocked.thread);
    CHECK_STATUS(blocked.status, ASYNC_OK);
    CHECK_RISING(blocked.items, 1, 10);
    async_reader_release(a);
    async_reader_release(r);
    pool_end(pool);
}

typedef struct noted {
    probe probe;
    crew  crew;
} noted;

static int noted_batch(const void *in, void *out, size_t count, size_t *done, void *context)
{
    noted *self = context;
    crew_note(&self->crew);
    return batch_copy(in, out, count, done, &self->probe);
}

/* M14: several threads read: each runs only what its own need lies downstream of. */
Test(M, M14_each_reader_runs_what_it_needs, .timeout = 30)
{
    enum { READERS = 3 };
    async_pool    *pool = pool_of(0);
    static noted   s[READERS][2];
    static reading r[READERS];
    async_reader  *first[READERS], *last[READERS];
    memset(s, 0, sizeof s);
    memset(r, 0, sizeof r);
    for (unsigned i = 0; i < READERS; i++) {
        s[i][0].probe.delay_us = 300;
        first[i] = TASK(pool, .source = range_of(0, 10000), .batch = noted_batch,
                        .context = &s[i][0], .max_chunksize = 10);
        last[i] = TASK(pool, .input = first[i], .batch = noted_batch, .context = &s[i][1],
                       .max_chunksize = 7);
    }
    for (unsigned i = 0; i < READERS; i++) { reading_start(&r[i], last[i], 500, async_forever()); }
    for (unsigned i = 0; i < READERS; i++) {
        thread_join(&r[i].thread);
        CHECK_STATUS(r[i].status, ASYNC_OK);
        CHECK_RISING(r[i].items, 0, 500);
        CHECK_EQ(crew_size(&s[i][0].crew), 1);
        CHECK_EQ(crew_size(&s[i][1].crew), 1);
        CHECK_EQ(atomic_load(&s[i][0].crew.ids[0]), atomic_load(&s[i][1].crew.ids[0]));
        for (unsigned k = 0; k < i; k++) {
            CHECK(atomic_load(&s[i][0].crew.ids[0]) != atomic_load(&s[k][0].crew.ids[0]));
        }
        async_reader_release(first[i]);
        async_reader_release(last[i]);
    }
    pool_end(pool);
}

/* M14: readers of one stream share its work, and each item goes to one of them. */
Test(M, M14_readers_of_one_stream_share_the_work, .timeout = 30)
{
    enum { READERS = 4, EACH = 250 };
    async_pool    *pool = pool_of(0);
    probe          p = {.together = 2};
    static reading r[READERS];
    memset(r, 0, sizeof r);
    async_reader *a = TASK(pool, .source = range_of(0, 100000), .batch = batch_copy, .context = &p,
                           .max_chunksize = 10);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .max_chunksize = 7);
    for (unsigned i = 0; i < READERS; i++) { reading_start(&r[i], b, EACH, async_forever()); }
    ledger seen;
    ledger_make(&seen, READERS * EACH);
    for (unsigned i = 0; i < READERS; i++) {
        thread_join(&r[i].thread);
        CHECK_STATUS(r[i].status, ASYNC_OK);
        CHECK_EQ(r[i].got, EACH);
        ledger_add(&seen, r[i].items, EACH);
    }
    CHECK_EQ(ledger_count(&seen, 0, READERS * EACH, 1), READERS * EACH);
    CHECK_EQ(atomic_load(&p.items), READERS * EACH);
    CHECK(atomic_load(&p.most) > 1);
    ledger_free(&seen);
    async_reader_release(a);
    async_reader_release(b);
    pool_end(pool);
}

/* A chunk that stands at a gate, and who runs it. */
typedef struct standing {
    gate       gate;
    atomic_int id;
    probe      probe;
} standing;

static int stands(const void *in, void *out, size_t count, size_t *done, void *context)
{
    standing *s = context;
    atomic_store(&s->id, (int)gettid());
    gate_pass(&s->gate);
    return batch_copy(in, out, count, done, &s->probe);
}

/* M14: who has nothing left to run sleeps until something is queued or finished: it uses no CPU
 * meanwhile, and wakes for either. */
Test(M, M14_who_has_nothing_to_run_sleeps, .timeout = 30)
{
    unsigned        threads = threads_at_rest() - 1;
    async_pool     *pool = pool_of(0);
    static standing s;
    static reading  runs, waits, third;
    memset(&s, 0, sizeof s);
    memset(&runs, 0, sizeof runs);
    memset(&waits, 0, sizeof waits);
    memset(&third, 0, sizeof third);
    async_writer *writer;
    async_reader *input;
    channel_of(&writer, &input, 0, NULL);
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .batch = stands, .context = &s,
                           .max_parallel = 1, .min_count = 20);
    async_reader *b = TASK(pool, .input = input, .each = each_add_one);
    reading_start(&runs, a, 10, async_forever());
    gate_arrived(&s.gate, 1);
    reading_start(&waits, a, 10, async_forever()); /* for what the first one runs */
    reading_start(&third, b, 10, async_forever()); /* for what nobody has queued */
    CHECK_SOON(counts_of(a).asked == 20 && counts_of(b).asked == 10);
    CHECK(others_stand_still((pid_t)atomic_load(&s.id), threads + 2));
    CHECK(!thread_ended(&waits.thread) && !thread_ended(&third.thread));
    write_numbers(writer, 0, 10);
    thread_join(&third.thread);
    CHECK_STATUS(third.status, ASYNC_OK);
    CHECK_RISING(third.items, 1, 10);
    gate_open(&s.gate);
    thread_join(&runs.thread);
    thread_join(&waits.thread);
    CHECK_STATUS(runs.status, ASYNC_OK);
    CHECK_STATUS(waits.status, ASYNC_OK);
    CHECK_EQ(atomic_load(&s.probe.calls), 1);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(input);
    async_writer_release(writer);
    pool_end(pool);
}
