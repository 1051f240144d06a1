/* resizing.c: workers that never block between tasks, and their number: rows M5 and M6. */
#define _GNU_SOURCE
#include "crew.h"
#include "expect.h"

#include <string.h>
#include <unistd.h>

/* M5: no worker blocks on a channel between tasks: chains much longer than the number of workers,
 * with chunks that need several of their input's, and several readers. No stand-ins either. */
TestEachSize(M, M5_long_chains_need_no_more_workers)
{
    enum { TASKS = 40, COUNT = 200 };
    unsigned      threads = threads_at_rest();
    async_pool   *pool = pool_of(n);
    async_reader *tasks[TASKS];
    for (unsigned i = 0; i < TASKS; i++) {
        async_task_options options = {.batch = batch_add_one, .max_chunksize = 1 + i * 7 % 23};
        if (i == 0) {
            options.source = range_of(0, 2 * COUNT);
        } else {
            options.input = tasks[i - 1];
        }
        tasks[i] = task_of(pool, &options);
    }
    static reading x, y;
    memset(&x, 0, sizeof x);
    memset(&y, 0, sizeof y);
    reading_start(&x, tasks[TASKS - 1], COUNT, async_forever());
    reading_start(&y, tasks[TASKS / 2], COUNT, async_forever());
    thread_join(&x.thread);
    thread_join(&y.thread);
    CHECK_STATUS(x.status, ASYNC_OK);
    CHECK_STATUS(y.status, ASYNC_OK);
    CHECK_SOON(thread_count() == threads + n);
    ledger seen;
    ledger_make(&seen, 2 * COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        x.items[i] -= TASKS;
        y.items[i] -= TASKS / 2 + 1;
    }
    ledger_add(&seen, x.items, COUNT);
    ledger_add(&seen, y.items, COUNT);
    CHECK_EQ(ledger_count(&seen, 0, 2 * COUNT, 1), 2 * COUNT);
    ledger_free(&seen);
    for (unsigned i = 0; i < TASKS; i++) { async_reader_release(tasks[i]); }
    pool_end(pool);
}

/* M5: tasks whose input does not come hold no worker: many more of them wait than there are
 * workers, and other work goes on. When the input comes, they run. */
TestEachSize(M, M5_waiting_for_input_holds_no_worker)
{
    enum { WAITING = 20 };
    unsigned       threads = threads_at_rest();
    async_pool    *pool = pool_of(n);
    static reading blocked[WAITING];
    memset(blocked, 0, sizeof blocked);
    async_writer *writer[WAITING];
    async_reader *tasks[WAITING];
    uint64_t      items[100];
    for (unsigned i = 0; i < WAITING; i++) {
        async_reader *input;
        channel_of(&writer[i], &input, 0, NULL);
        async_reader *middle = TASK(pool, .input = input, .each = each_add_one);
        tasks[i] = TASK(pool, .input = middle, .each = each_add_one);
        async_reader_release(input);
        async_reader_release(middle);
        reading_start(&blocked[i], tasks[i], 2, async_forever());
    }
    for (unsigned i = 0; i < WAITING; i++) { CHECK_SOON(counts_of(tasks[i]).asked == 2); }
    async_reader *r = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                           .max_chunksize = 3);
    CHECK_READ(r, items, 100, async_forever(), ASYNC_OK, 100);
    CHECK_EQ(thread_count(), threads + n + WAITING);
    for (unsigned i = 0; i < WAITING; i++) {
        CHECK(!thread_ended(&blocked[i].thread));
        write_numbers(writer[i], 10 * i, 1);
    }
    for (unsigned i = 0; i < WAITING; i++) {
        write_numbers(writer[i], 10 * i + 1, 1);
        thread_join(&blocked[i].thread);
        CHECK_STATUS(blocked[i].status, ASYNC_OK);
        CHECK_RISING(blocked[i].items, 10 * i + 2, 2);
        async_writer_release(writer[i]);
        async_reader_release(tasks[i]);
    }
    async_reader_release(r);
    pool_end(pool);
}

/* M6: set_size gives the pool that size at once, and the number of threads follows. */
TestEachSize(M, M6_the_number_of_threads_follows)
{
    unsigned              threads = threads_at_rest();
    async_pool           *pool = pool_of(n);
    static const unsigned sizes[] = {3, 1, 8, 0, 2, 2, 0};
    async_reader         *r = TASK(pool, .source = range_of(0, 100000), .batch = batch_copy,
                                   .max_chunksize = 5);
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        NOTE("N = %u, size %u", n, sizes[i]);
        uint64_t items[50];
        CHECK_STATUS(async_pool_set_size(pool, sizes[i]), ASYNC_OK);
        CHECK_EQ(async_pool_size(pool), sizes[i]);
        CHECK_READ(r, items, 50, async_forever(), ASYNC_OK, 50);
        CHECK_SOON(thread_count() == threads + sizes[i]);
        CHECK_READ(r, items, 50, async_forever(), ASYNC_OK, 50);
    }
    async_reader_release(r);
    pool_end(pool);
    CHECK_SOON(thread_count() == threads);
}

/* A function that notes who runs it and stands at a gate with its first call. */
typedef struct noted {
    probe       probe;
    crew        crew;
    gate        gate;
    atomic_bool first;
} noted;

static int noted_batch(const void *in, void *out, size_t count, size_t *done, void *context)
{
    noted *self = context;
    crew_note(&self->crew);
    if (!atomic_exchange(&self->first, true)) { gate_pass(&self->gate); }
    return batch_copy(in, out, count, done, &self->probe);
}

typedef struct client {
    async_reader *reader;
    async_status  status;
    size_t        got;
    uint64_t      items[100];
    atomic_int    id;
    thread        thread;
} client;

static void client_body(void *arg)
{
    client *c = arg;
    atomic_store(&c->id, (int)gettid());
    c->status = async_reader_read(c->reader, c->items, 100, &c->got, async_forever());
}

/* M6: at 0 readers that wait are woken and go on themselves; the worker ends after its running
 * chunk, and set_size does not wait for it. */
Test(M, M6_at_size_0_waiting_readers_go_on_themselves, .timeout = 30)
{
    static noted  s;
    static client c;
    for (unsigned n = 1; n <= 16; n *= 4) {
        NOTE("N = %u", n);
        memset(&s, 0, sizeof s);
        memset(&c, 0, sizeof c);
        unsigned    threads = threads_at_rest();
        async_pool *pool = pool_of(n);
        c.reader = TASK(pool, .source = range_of(0, 1000), .batch = noted_batch, .context = &s,
                        .max_chunksize = 10, .max_parallel = 1);
        thread_start(&c.thread, client_body, &c);
        gate_arrived(&s.gate, 1);
        CHECK_EQ(crew_size(&s.crew), 1);
        CHECK(!crew_has(&s.crew, (pid_t)atomic_load(&c.id)));
        uint64_t began = now_ms();
        CHECK_STATUS(async_pool_set_size(pool, 0), ASYNC_OK);
        CHECK_LE(now_ms() - began, 1000);
        CHECK_EQ(async_pool_size(pool), 0);
        CHECK(!thread_ended(&c.thread));
        gate_open(&s.gate);
        thread_join(&c.thread);
        CHECK_STATUS(c.status, ASYNC_OK);
        CHECK_SET(c.items, 0, 100);
        CHECK_EQ(atomic_load(&s.probe.calls), 10);
        CHECK_EQ(crew_size(&s.crew), 2);
        CHECK(crew_has(&s.crew, (pid_t)atomic_load(&c.id)));
        CHECK_SOON(thread_count() == threads);
        async_reader_release(c.reader);
        pool_end(pool);
    }
}

/* M6: at 0, queued chunks stay for the next reader downstream of them: they neither run by
 * themselves nor twice, and are not lost. */
Test(M, M6_at_size_0_queued_chunks_stay_for_the_next_reader, .timeout = 30)
{
    static noted s;
    for (unsigned n = 1; n <= 16; n *= 4) {
        NOTE("N = %u", n);
        memset(&s, 0, sizeof s);
        async_pool   *pool = pool_of(n);
        uint64_t      items[100];
        async_reader *r = TASK(pool, .source = range_of(0, 1000), .batch = noted_batch,
                               .context = &s, .max_chunksize = 10, .max_parallel = 1);
        CHECK_READ(r, items, 100, async_within_ms(10), ASYNC_TIMEOUT, 0);
        gate_arrived(&s.gate, 1);
        CHECK_STATUS(async_pool_set_size(pool, 0), ASYNC_OK);
        gate_open(&s.gate);
        CHECK_SOON(async_reader_ready(r) == 10);
        CHECK_STAYS(20, atomic_load(&s.probe.calls) == 1);
        CHECK_READ(r, items, 100, async_forever(), ASYNC_OK, 100);
        CHECK_SET(items, 0, 100);
        CHECK_EQ(atomic_load(&s.probe.calls), 10);
        CHECK(crew_has(&s.crew, gettid()));
        async_reader_release(r);
        pool_end(pool);
    }
}

/* M6: from 0 up, while a reader is doing the work itself: the workers help. */
Test(M, M6_from_size_0_up_workers_take_over, .timeout = 30)
{
    static noted  s;
    static client c;
    memset(&s, 0, sizeof s);
    memset(&c, 0, sizeof c);
    async_pool *pool = pool_of(0);
    c.reader = TASK(pool, .source = range_of(0, 1000), .batch = noted_batch, .context = &s,
                    .max_chunksize = 10);
    thread_start(&c.thread, client_body, &c);
    gate_arrived(&s.gate, 1); /* the reader stands there with the first chunk */
    CHECK(crew_has(&s.crew, (pid_t)atomic_load(&c.id)));
    CHECK_STATUS(async_pool_set_size(pool, 2), ASYNC_OK);
    CHECK_SOON(atomic_load(&s.probe.calls) == 9);
    CHECK(!thread_ended(&c.thread));
    gate_open(&s.gate);
    thread_join(&c.thread);
    CHECK_STATUS(c.status, ASYNC_OK);
    CHECK_SET(c.items, 0, 100);
    CHECK(crew_size(&s.crew) >= 2);
    async_reader_release(c.reader);
    pool_end(pool);
}

/* M6: up and down at random while a stream is read: each item exactly once. */
TestEachSize(M, M6_resizing_while_work_runs)
{
    enum { COUNT = 20000 };
    unsigned      threads = threads_at_rest();
    async_pool   *pool = pool_of(n);
    async_reader *a = TASK(pool, .source = range_of(0, COUNT), .batch = batch_add_one,
                           .max_chunksize = 3);
    async_reader *b = TASK(pool, .input = a, .batch = batch_add_one, .max_chunksize = 5,
                           .order = ASYNC_ORDERED);
    ledger        seen;
    uint64_t      items[100];
    unsigned      random = 12345 + n, resized = 0;
    ledger_make(&seen, COUNT + 2);
    for (size_t count = 0; count < COUNT; count += 100) {
        random = random * 1103515245 + 12345;
        CHECK_STATUS(async_pool_set_size(pool, random >> 16 & 3), ASYNC_OK);
        resized++;
        CHECK_READ(b, items, 100, async_forever(), ASYNC_OK, 100);
        ledger_add(&seen, items, 100);
    }
    CHECK_EQ(resized, COUNT / 100);
    CHECK_EQ(ledger_count(&seen, 2, COUNT + 2, 1), COUNT);
    ledger_free(&seen);
    CHECK_STATUS(async_pool_set_size(pool, n), ASYNC_OK);
    CHECK_SOON(thread_count() == threads + n);
    async_reader_release(a);
    async_reader_release(b);
    pool_end(pool);
}
