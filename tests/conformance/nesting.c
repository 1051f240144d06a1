/* nesting.c: functions that read and write themselves: row M8. */
#define _GNU_SOURCE
#include "crew.h"
#include "expect.h"

#include <string.h>
#include <unistd.h>

/* A function that reads one item of another reader for each of its own, and gives their sum. */
typedef struct nest {
    async_reader *inner;
    async_wait    wait;
    atomic_uint   calls, waiting;
    atomic_uint   statuses[16]; /* of its reads */
    atomic_uint   deepest;
} nest;

static _Thread_local unsigned depth;

static int nested_read(const void *in, void *out, void *context)
{
    nest    *self = context;
    uint64_t item = 0;
    atomic_fetch_add(&self->calls, 1);
    depth++;
    unsigned seen = atomic_load(&self->deepest);
    while (depth > seen && !atomic_compare_exchange_weak(&self->deepest, &seen, depth)) {}
    atomic_fetch_add(&self->waiting, 1);
    async_status status = async_reader_read(self->inner, &item, 1, NULL, self->wait);
    atomic_fetch_sub(&self->waiting, 1);
    depth--;
    atomic_fetch_add(&self->statuses[status & 15], 1);
    *(uint64_t *)out = *(const uint64_t *)in + item;
    return status == ASYNC_OK ? 0 : (int)status;
}

/* M8: a function may read a task of its own pool, at any N. */
TestEachSize(M, M8_a_function_reads_a_task_of_its_pool)
{
    enum { COUNT = 200 };
    async_pool   *pool = pool_of(n);
    nest          s = {.wait = async_forever()};
    uint64_t      items[COUNT], sum = 0;
    async_reader *a = TASK(pool, .source = range_of(0, 10000), .batch = batch_add_one,
                           .max_chunksize = 3);
    s.inner = TASK(pool, .input = a, .batch = batch_copy, .max_chunksize = 2);
    async_reader *r = TASK(pool, .source = range_of(0, COUNT), .each = nested_read, .context = &s,
                           .max_chunksize = 5);
    CHECK_READ(r, items, COUNT, async_forever(), ASYNC_OK, COUNT);
    for (size_t i = 0; i < COUNT; i++) { sum += items[i]; }
    CHECK_EQ(sum, COUNT * (COUNT - 1) / 2 + COUNT * (COUNT + 1) / 2);
    CHECK_EQ(atomic_load(&s.statuses[ASYNC_OK]), COUNT);
    CHECK_EQ(counts_of(s.inner).items_out, COUNT);
    async_reader_release(a);
    async_reader_release(s.inner);
    async_reader_release(r);
    pool_end(pool);
}

/* A chain of `count` tasks where each one's function reads the one below. */
enum { LEVELS_MAX = 100 };
typedef struct levels {
    async_pool   *pool;
    nest          nests[LEVELS_MAX];
    async_reader *tasks[LEVELS_MAX];
    unsigned      count;
} levels;

static levels *levels_make(async_pool *pool, unsigned count)
{
    static levels l;
    memset(&l, 0, sizeof l);
    l.pool = pool;
    l.count = count;
    l.tasks[0] = TASK(pool, .source = range_of(0, 1000), .each = each_add_one);
    for (unsigned i = 1; i < count; i++) {
        l.nests[i].inner = l.tasks[i - 1];
        l.nests[i].wait = async_forever();
        l.tasks[i] = TASK(pool, .source = range_of(0, 1000), .each = nested_read,
                          .context = &l.nests[i]);
    }
    return &l;
}

static unsigned levels_end(levels *l)
{
    unsigned deepest = 0;
    for (unsigned i = 0; i < l->count; i++) {
        unsigned seen = atomic_load(&l->nests[i].deepest);
        deepest = seen > deepest ? seen : deepest;
        async_reader_release(l->tasks[i]);
    }
    pool_end(l->pool);
    return deepest;
}

/* M8: nested reads go at most 16 levels deep on one thread; where a pool has workers, stand-ins
 * carry on, and all but one go when they are no longer needed. */
Test(M, M8_at_most_16_levels_and_then_stand_ins, .timeout = 30)
{
    for (unsigned n = 1; n <= 16; n *= 2) {
        NOTE("N = %u", n);
        unsigned threads = threads_at_rest();
        levels  *l = levels_make(pool_of(n), 60);
        uint64_t item;
        CHECK_READ(l->tasks[59], &item, 1, async_forever(), ASYNC_OK, 1);
        CHECK_EQ(item, 1);
        CHECK_LE(thread_count(), threads + n + 64);
        CHECK_SOON(thread_count() <= threads + n + 1); /* one may stay for the next time */
        unsigned deepest = levels_end(l);
        CHECK_LE(deepest, 16);
        CHECK(n > 1 || deepest > 1); /* a worker alone did help */
    }
}

/* M8: at N = 0 the reading thread does it alone, in as many levels; what it cannot compute itself
 * is DEADLOCK. */
Test(M, M8_levels_at_size_0, .timeout = 30)
{
    levels  *l = levels_make(pool_of(0), 12);
    uint64_t item;
    CHECK_READ(l->tasks[11], &item, 1, async_forever(), ASYNC_OK, 1);
    CHECK_EQ(item, 1);
    CHECK_EQ(levels_end(l), 11);

    l = levels_make(pool_of(0), 60);
    CHECK_READ(l->tasks[59], &item, 1, async_forever(), ASYNC_FAILED, 0);
    unsigned deadlocks = 0;
    for (unsigned i = 1; i < 60; i++) {
        deadlocks += atomic_load(&l->nests[i].statuses[ASYNC_DEADLOCK]);
    }
    CHECK_EQ(deadlocks, 1);
    CHECK_LE(levels_end(l), 16);
}

/* M8: at N = 0, a read or a write in a function that only another thread could complete. */
Test(M, M8_deadlock_at_size_0, .timeout = 30)
{
    async_pool   *pool = pool_of(0);
    nest          s = {.wait = async_forever()};
    async_writer *writer;
    uint64_t      item;
    channel_of(&writer, &s.inner, 0, NULL);
    async_reader *r = TASK(pool, .source = range_of(0, 10), .each = nested_read, .context = &s);
    CHECK_READ(r, &item, 1, async_forever(), ASYNC_FAILED, 0);
    CHECK_EQ(atomic_load(&s.statuses[ASYNC_DEADLOCK]), 1);
    async_error error;
    CHECK_STATUS(async_reader_error(r, &error), ASYNC_OK);
    CHECK_EQ(error.code, ASYNC_DEADLOCK);
    async_reader_release(r);

    /* What is there can be read. */
    write_numbers(writer, 5, 1);
    r = TASK(pool, .source = range_of(0, 10), .each = nested_read, .context = &s);
    CHECK_READ(r, &item, 1, async_forever(), ASYNC_OK, 1);
    CHECK_EQ(item, 5);
    async_reader_release(r);
    async_reader_release(s.inner);
    async_writer_release(writer);
    pool_end(pool);
}

/* A function that writes its item to a channel. */
typedef struct out {
    async_writer *writer;
    async_wait    wait;
    atomic_uint   waiting;
    atomic_uint   statuses[16];
} out;

static int nested_write(const void *in, void *result, void *context)
{
    out *self = context;
    *(uint64_t *)result = *(const uint64_t *)in;
    atomic_fetch_add(&self->waiting, 1);
    async_status status = async_writer_write(self->writer, in, 1, NULL, self->wait);
    atomic_fetch_sub(&self->waiting, 1);
    atomic_fetch_add(&self->statuses[status & 15], 1);
    return status == ASYNC_OK ? 0 : (int)status;
}

/* M8: a full channel whose reader only this thread could serve is DEADLOCK at N = 0. */
Test(M, M8_writing_to_a_full_channel_at_size_0, .timeout = 30)
{
    async_pool   *pool = pool_of(0);
    out           s = {.wait = async_forever()};
    async_reader *reader;
    uint64_t      items[10];
    channel_of(&s.writer, &reader, 2, NULL);
    async_reader *r = TASK(pool, .source = range_of(0, 10), .each = nested_write, .context = &s,
                           .max_chunksize = 1);
    CHECK_READ(r, items, 5, async_forever(), ASYNC_FAILED, 2);
    CHECK_EQ(atomic_load(&s.statuses[ASYNC_DEADLOCK]), 1);
    CHECK_READ(reader, items, 3, async_now(), ASYNC_TIMEOUT, 2);
    CHECK_RISING(items, 0, 2);
    async_reader_release(r);
    async_reader_release(reader);
    async_writer_release(s.writer);
    pool_end(pool);
}

/* M8: a worker that waits for what nobody upstream can make sleeps, a stand-in keeps its slot
 * working, and does not stay there when the worker is back. */
Test(M, M8_a_stand_in_keeps_the_slot_working, .timeout = 30)
{
    for (unsigned n = 1; n <= 4; n *= 2) {
        NOTE("N = %u", n);
        unsigned       threads = threads_at_rest();
        async_pool    *pool = pool_of(n);
        nest           s = {.wait = async_forever()};
        static reading blocked[4];
        memset(blocked, 0, sizeof blocked);
        async_reader *waiting[4], *r;
        async_writer *writer;
        uint64_t      items[100];
        channel_of(&writer, &s.inner, 0, NULL);
        for (unsigned i = 0; i < n; i++) { /* every worker waits */
            waiting[i] = TASK(pool, .source = range_of(100, 10), .each = nested_read,
                              .context = &s);
            reading_start(&blocked[i], waiting[i], 1, async_forever());
        }
        CHECK_SOON(atomic_load(&s.waiting) == n);
        r = TASK(pool, .source = range_of(0, 1000), .each = each_add_one, .max_chunksize = 3);
        CHECK_READ(r, items, 100, async_forever(), ASYNC_OK, 100);
        CHECK_SET(items, 1, 100);
        CHECK_EQ(atomic_load(&s.waiting), n);
        CHECK_LE(thread_count(), threads + 3 * n); /* clients, workers, stand-ins */
        write_numbers(writer, 0, n);
        for (unsigned i = 0; i < n; i++) {
            thread_join(&blocked[i].thread);
            CHECK_STATUS(blocked[i].status, ASYNC_OK);
            async_reader_release(waiting[i]);
        }
        CHECK_SOON(thread_count() <= threads + n + 1); /* one may stay for the next time */
        CHECK_READ(r, items, 100, async_forever(), ASYNC_OK, 100);
        async_reader_release(r);
        async_reader_release(s.inner);
        async_writer_release(writer);
        pool_end(pool);
        CHECK_SOON(thread_count() == threads);
    }
}

/* M8: so does a worker that waits to write. */
Test(M, M8_a_stand_in_for_a_writer, .timeout = 30)
{
    async_pool    *pool = pool_of(1);
    out            s = {.wait = async_forever()};
    static reading blocked;
    memset(&blocked, 0, sizeof blocked);
    async_reader *reader;
    uint64_t      items[10];
    channel_of(&s.writer, &reader, 2, NULL);
    async_reader *r = TASK(pool, .source = range_of(0, 5), .each = nested_write, .context = &s);
    reading_start(&blocked, r, 5, async_forever());
    CHECK_SOON(atomic_load(&s.statuses[ASYNC_OK]) == 2 && atomic_load(&s.waiting) == 1);
    /* The channel is drained by a task of the same pool. */
    async_reader *drain = TASK(pool, .input = reader, .each = each_add_one);
    CHECK_READ(drain, items, 5, async_forever(), ASYNC_OK, 5);
    CHECK_SET(items, 1, 5);
    thread_join(&blocked.thread);
    CHECK_STATUS(blocked.status, ASYNC_OK);
    CHECK_EQ(blocked.got, 5);
    async_reader_release(r);
    async_reader_release(drain);
    async_reader_release(reader);
    async_writer_release(s.writer);
    pool_end(pool);
}

/* M8: past max_threads the waiting call returns BUSY; a wait that needs no stand-in does not. */
Test(M, M8_busy_at_max_threads, .timeout = 30)
{
    for (unsigned extra = 0; extra < 3; extra++) {
        NOTE("max_threads %u", 1 + extra);
        unsigned           threads = threads_at_rest();
        async_pool        *pool = NULL;
        async_pool_options options = {.max_threads = 1 + extra};
        nest               s = {.wait = async_forever()}, below = {.wait = async_forever()};
        static reading     blocked[4];
        memset(blocked, 0, sizeof blocked);
        async_reader *waiting[4];
        async_writer *writer;
        uint64_t      items[10];
        CHECK_STATUS(async_pool_create(&pool, 1, &options), ASYNC_OK);
        channel_of(&writer, &s.inner, 0, NULL);
        for (unsigned i = 0; i <= extra; i++) {
            waiting[i] = TASK(pool, .source = range_of(0, 10), .each = nested_read, .context = &s);
            reading_start(&blocked[i], waiting[i], 1, async_forever());
            CHECK_SOON(atomic_load(&s.calls) == i + 1);
        }
        /* The one that came last found no thread to stand in for it. */
        thread_join(&blocked[extra].thread);
        CHECK_STATUS(blocked[extra].status, ASYNC_FAILED);
        CHECK_EQ(atomic_load(&s.statuses[ASYNC_BUSY]), 1);
        CHECK_EQ(atomic_load(&s.waiting), extra);
        CHECK_LE(thread_count(), threads + 1 + extra + extra);
        /* It can still wait for what it can make itself. */
        below.inner = TASK(pool, .source = range_of(0, 10), .each = each_add_one);
        async_reader *r = TASK(pool, .source = range_of(0, 10), .each = nested_read,
                               .context = &below);
        CHECK_READ(r, items, 3, async_forever(), ASYNC_OK, 3);
        write_numbers(writer, 0, extra + 1);
        for (unsigned i = 0; i < extra; i++) {
            thread_join(&blocked[i].thread);
            CHECK_STATUS(blocked[i].status, ASYNC_OK);
        }
        for (unsigned i = 0; i <= extra; i++) { async_reader_release(waiting[i]); }
        async_reader_release(r);
        async_reader_release(below.inner);
        async_reader_release(s.inner);
        async_writer_release(writer);
        pool_end(pool);
    }
}

/* M8: the same for a write to a full channel. */
Test(M, M8_busy_for_a_writer, .timeout = 30)
{
    async_pool        *pool = NULL;
    async_pool_options options = {.max_threads = 1};
    out                s = {.wait = async_forever()};
    async_reader      *reader;
    uint64_t           items[5];
    CHECK_STATUS(async_pool_create(&pool, 1, &options), ASYNC_OK);
    channel_of(&s.writer, &reader, 2, NULL);
    async_reader *r = TASK(pool, .source = range_of(0, 10), .each = nested_write, .context = &s,
                           .max_parallel = 1);
    CHECK_READ(r, items, 5, async_forever(), ASYNC_FAILED, 2);
    CHECK_EQ(atomic_load(&s.statuses[ASYNC_BUSY]), 1);
    CHECK_READ(reader, items, 2, async_now(), ASYNC_OK, 2);
    CHECK_RISING(items, 0, 2);
    async_reader_release(r);
    async_reader_release(reader);
    async_writer_release(s.writer);
    pool_end(pool);
}

/* M8: a pool has at most N + 64 threads where nothing else was said. */
Test(M, M8_at_most_N_and_64_threads, .timeout = 30)
{
    enum { TASKS = 80 };
    unsigned      threads = threads_at_rest();
    async_pool   *pool = pool_of(1);
    nest          s = {.wait = async_forever()};
    async_reader *tasks[TASKS];
    async_writer *writer;
    uint64_t      item;
    channel_of(&writer, &s.inner, 0, NULL);
    for (unsigned i = 0; i < TASKS; i++) {
        tasks[i] = TASK(pool, .source = range_of(0, 10), .each = nested_read, .context = &s);
        (void)async_reader_read(tasks[i], &item, 1, NULL, async_now());
    }
    CHECK_SOON(atomic_load(&s.calls) == TASKS);
    CHECK_SOON(atomic_load(&s.statuses[ASYNC_BUSY]) == TASKS - 64);
    CHECK_EQ(atomic_load(&s.waiting), 64);
    CHECK_EQ(thread_count(), threads + 65);
    write_numbers(writer, 0, 64);
    CHECK_SOON(atomic_load(&s.statuses[ASYNC_OK]) == 64);
    CHECK_SOON(thread_count() <= threads + 2); /* one may stay for the next time */
    for (unsigned i = 0; i < TASKS; i++) { async_reader_release(tasks[i]); }
    async_reader_release(s.inner);
    async_writer_release(writer);
    pool_end(pool);
}

/* M8: the waiting worker runs only work upstream of what it waits for. */
static _Thread_local bool inside;

typedef struct guarded {
    nest        nest;
    atomic_uint unrelated_inside, unrelated;
} guarded;

static int waits_inside(const void *in, void *result, void *context)
{
    guarded *g = context;
    inside = true;
    int code = nested_read(in, result, &g->nest);
    inside = false;
    return code;
}

static int unrelated_work(const void *in, void *result, void *context)
{
    guarded *g = context;
    atomic_fetch_add(&g->unrelated, 1);
    atomic_fetch_add(&g->unrelated_inside, inside);
    *(uint64_t *)result = *(const uint64_t *)in;
    return 0;
}

Test(M, M8_a_waiting_worker_runs_upstream_work_only, .timeout = 30)
{
    enum { COUNT = 300 };
    for (unsigned n = 1; n <= 16; n *= 2) {
        NOTE("N = %u", n);
        async_pool    *pool = pool_of(n);
        static guarded g;
        static reading others[2];
        memset(&g, 0, sizeof g);
        memset(others, 0, sizeof others);
        g.nest.wait = async_forever();
        uint64_t      items[COUNT];
        probe         slow = {.delay_us = 50};
        async_reader *u = TASK(pool, .source = range_of(0, 100000), .each = unrelated_work,
                               .context = &g, .max_chunksize = 1);
        async_reader *a = TASK(pool, .source = range_of(0, 100000), .batch = batch_add_one,
                               .context = &slow, .max_chunksize = 4);
        g.nest.inner = TASK(pool, .input = a, .batch = batch_add_one, .max_chunksize = 3);
        async_reader *r = TASK(pool, .source = range_of(0, COUNT), .each = waits_inside,
                               .context = &g, .max_chunksize = 2);
        reading_start(&others[0], u, 1000, async_forever());
        reading_start(&others[1], u, 1000, async_forever());
        CHECK_READ(r, items, COUNT, async_forever(), ASYNC_OK, COUNT);
        thread_join(&others[0].thread);
        thread_join(&others[1].thread);
        CHECK_EQ(atomic_load(&g.unrelated), 2000);
        CHECK_EQ(atomic_load(&g.unrelated_inside), 0);
        CHECK_EQ(atomic_load(&g.nest.calls), COUNT);
        async_reader_release(u);
        async_reader_release(a);
        async_reader_release(g.nest.inner);
        async_reader_release(r);
        pool_end(pool);
    }
}
