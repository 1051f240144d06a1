/* endings.c: what outlives a task and its pool, and what each ending does: rows P8, P11 and M7. */
#include "arena.h"
#include "crew.h"
#include "destroying.h"
#include "expect.h"

#include <string.h>

/* P8: ready items outlive the task and the pool for as long as a reader is held. */
TestEachSize(P, P8_ready_items_outlive_task_and_pool)
{
    arena       a = {0};
    async_pool *pool = arena_pool(&a, n, NULL);
    uint64_t    items[100];
    CHECK(pool != NULL);
    async_reader *r = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                           .min_count = 50);
    async_reader *removed = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                                 .min_count = 30);
    CHECK_READ(r, items, 1, async_forever(), ASYNC_OK, 1);
    CHECK_READ(removed, items, 1, async_forever(), ASYNC_OK, 1);
    CHECK_STATUS(async_pool_remove_task(pool, async_reader_task(removed)), ASYNC_OK);
    CHECK_STATUS(async_pool_destroy(pool, ASYNC_DRAIN), ASYNC_OK);
    CHECK(atomic_load(&a.blocks) > 0);
    CHECK_EQ(async_reader_ready(r), 49);
    CHECK_READ(r, items, 9, async_forever(), ASYNC_OK, 9);
    CHECK_READ(r, items + 9, 100 - 9, async_forever(), ASYNC_END, 40);
    CHECK_RISING(items, 2, 49);
    CHECK_READ(removed, items, 100, async_forever(), ASYNC_END, 29);
    CHECK_RISING(items, 2, 29);
    async_reader_release(r);
    async_reader_release(removed);
    CHECK_EQ(atomic_load(&a.blocks), 0);
    CHECK_EQ(atomic_load(&a.wrong), 0);
}

/* P8: a view outlives everything else, in whatever order the rest goes. */
TestEachSize(P, P8_a_view_outlives_reader_and_pool)
{
    for (unsigned order = 0; order < 3; order++) {
        NOTE("N = %u, order %u", n, order);
        arena       a = {0};
        async_pool *pool = arena_pool(&a, n, NULL);
        CHECK(pool != NULL);
        async_reader *r = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                               .min_count = 50);
        async_view    view = {0};
        CHECK_STATUS(async_reader_borrow(r, &view, 20, async_forever()), ASYNC_OK);
        CHECK(view.count >= 1 && view.count <= 20);
        if (order == 0) {
            async_reader_release(r);
            CHECK_EQ(async_pool_num_tasks(pool), 0);
            CHECK_STATUS(async_pool_destroy(pool, ASYNC_DROP), ASYNC_OK);
        } else {
            CHECK_STATUS(async_pool_destroy(pool, order == 1 ? ASYNC_DROP : ASYNC_DRAIN), ASYNC_OK);
            async_reader_release(r);
        }
        CHECK(atomic_load(&a.blocks) > 0);
        CHECK_RISING((const uint64_t *)view.items, 1, view.count);
        CHECK_STATUS(async_view_return(&view), ASYNC_OK);
        CHECK(view.items == NULL && view.count == 0);
        CHECK_EQ(atomic_load(&a.blocks), 0);
        CHECK_EQ(atomic_load(&a.wrong), 0);
    }
}

/* A task with the 20 items 10 .. 29 ready, whose chunk of 30 .. 59 runs and stands at a gate, and
 * a reader that asked for `want` items and waits. Chunks have 30 items, one runs at a time. */
typedef struct scene {
    async_pool   *pool;
    async_reader *reader;
    probe         probe;
    gate          gate;
    ledger        lost;
    reading       blocked;
    uint64_t      items[100];
} scene;

static scene *scene_make(unsigned n, size_t want)
{
    static scene s;
    memset(&s, 0, sizeof s);
    ledger_make(&s.lost, 1000);
    s.pool = pool_of(n);
    s.probe.hold = &s.gate;
    s.probe.hold_one = true;
    s.probe.hold_value = 30;
    s.probe.lost = &s.lost;
    s.reader = TASK(s.pool, .source = range_of(0, 1000), .batch = batch_copy, .context = &s.probe,
                    .discard = probe_discard, .release = probe_release, .min_count = 30,
                    .max_chunksize = 30, .max_parallel = 1);
    CHECK_READ(s.reader, s.items, 10, async_forever(), ASYNC_OK, 10);
    CHECK_RISING(s.items, 0, 10);
    CHECK_EQ(async_reader_ready(s.reader), 20);
    CHECK_EQ(atomic_load(&s.probe.calls), 1);
    reading_start(&s.blocked, s.reader, want, async_forever());
    gate_arrived(&s.gate, 1);
    return &s;
}

/* What was discarded is the numbers [first, end), each once. */
static void check_lost(scene *s, size_t first, size_t end)
{
    CHECK_SOON(atomic_load(&s->probe.discarded) == end - first);
    CHECK_EQ(ledger_count(&s->lost, first, end, 1), end - first);
    CHECK_STAYS(5, atomic_load(&s->probe.discarded) == end - first);
}

/* The reader goes too: everything was read or discarded before. */
static void scene_end(scene *s)
{
    size_t discarded = atomic_load(&s->probe.discarded);
    async_reader_release(s->reader);
    CHECK_SOON(atomic_load(&s->probe.released) == 1);
    CHECK_EQ(atomic_load(&s->probe.discarded), discarded);
    ledger_free(&s->lost);
}

/* P11, first line: running chunks finish, ready items are kept, a read gets them, then END. */
TestEachSize(P, P11_remove)
{
    scene *s = scene_make(n, 100); /* 20 are ready, chunks of 30, 30 and 20 are scheduled */
    CHECK_STATUS(async_pool_remove_task(s->pool, async_reader_task(s->reader)), ASYNC_OK);
    CHECK_STAYS(20, !thread_ended(&s->blocked.thread));
    gate_open(&s->gate);
    thread_join(&s->blocked.thread);
    CHECK_STATUS(s->blocked.status, ASYNC_END);
    CHECK_EQ(s->blocked.got, 50);
    CHECK_RISING(s->blocked.items, 10, 50);
    CHECK_READ(s->reader, s->items, 1, async_forever(), ASYNC_END, 0);
    CHECK_EQ(atomic_load(&s->probe.calls), 2);
    CHECK_EQ(atomic_load(&s->probe.discarded), 0);
    scene_end(s);
    pool_end(s->pool);
}

/* P11, second line: running chunks finish, their results and the ready items are discarded, a read
 * gets CANCELLED. The reader wakes without waiting for the chunk, unless it runs it itself. */
static void cancel_scene(scene *s, bool waits)
{
    if (!waits) {
        CHECK_SOON(thread_ended(&s->blocked.thread));
        CHECK(!atomic_load(&s->gate.open));
        CHECK_READ(s->reader, s->items, 1, async_forever(), ASYNC_CANCELLED, 0);
    }
    CHECK_SOON(atomic_load(&s->probe.discarded) == 20);
    CHECK_EQ(atomic_load(&s->probe.released), 0);
    gate_open(&s->gate);
    thread_join(&s->blocked.thread);
    CHECK_STATUS(s->blocked.status, ASYNC_CANCELLED);
    CHECK_EQ(s->blocked.got, 0);
    check_lost(s, 10, 60);
    CHECK_READ(s->reader, s->items, 1, async_forever(), ASYNC_CANCELLED, 0);
    CHECK_EQ(atomic_load(&s->probe.calls), 2);
    scene_end(s);
}

TestEachSize(P, P11_cancel_a_task)
{
    scene *s = scene_make(n, 100);
    CHECK_STATUS(async_task_cancel(async_reader_task(s->reader)), ASYNC_OK);
    cancel_scene(s, n == 0);
    pool_end(s->pool);
}

TestEachSize(P, P11_cancel_a_pool)
{
    scene *s = scene_make(n, 100);
    CHECK_STATUS(async_pool_cancel(s->pool), ASYNC_OK);
    cancel_scene(s, n == 0);
    /* The pool stays usable. */
    async_reader *again = TASK(s->pool, .source = range_of(0, 3));
    CHECK_READ(again, s->items, 3, async_forever(), ASYNC_OK, 3);
    async_reader_release(again);
    pool_end(s->pool);
}

/* Discarding may take its time. */
static void slow_discard(void *items, size_t count, void *context)
{
    sleep_us(500);
    probe_discard(items, count, context);
}

/* P11, second line: ready items are discarded, and not given to the reader that waits for more of
 * them, however soon it wakes. */
Test(P, P11_cancel_gives_a_waiting_reader_nothing, .timeout = 30)
{
    for (unsigned n = 1; n <= 16; n *= 2) {
        NOTE("N = %u", n);
        async_pool    *pool = pool_of(n);
        gate           g = {0};
        probe          p = {.hold = &g, .hold_one = true, .hold_value = 30};
        static reading blocked;
        uint64_t       item;
        memset(&blocked, 0, sizeof blocked);
        async_reader *r = TASK(pool, .source = range_of(0, 1000), .batch = batch_copy,
                               .context = &p, .discard = slow_discard, .min_count = 30,
                               .max_chunksize = 3, .max_parallel = 1);
        CHECK_READ(r, &item, 1, async_forever(), ASYNC_OK, 1);
        CHECK_SOON(async_reader_ready(r) == 29);
        reading_start(&blocked, r, 100, async_forever());
        gate_arrived(&g, 1);
        CHECK_STATUS(async_task_cancel(async_reader_task(r)), ASYNC_OK);
        thread_join(&blocked.thread);
        CHECK_STATUS(blocked.status, ASYNC_CANCELLED);
        CHECK_EQ(blocked.got, 0);
        CHECK_EQ(atomic_load(&p.discarded), 29);
        gate_open(&g);
        CHECK_SOON(atomic_load(&p.discarded) == 32);
        async_reader_release(r);
        pool_end(pool);
    }
}

/* P11, second line, further down: what it has, then CANCELLED. */
TestEachSize(P, P11_cancel_upstream)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0}, q = {0};
    uint64_t      items[100];
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .batch = batch_copy, .context = &p,
                           .discard = probe_discard);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &q,
                           .discard = probe_discard, .min_count = 30);
    CHECK_READ(b, items, 10, async_forever(), ASYNC_OK, 10);
    CHECK_EQ(async_reader_ready(b), 20);
    CHECK_STATUS(async_task_cancel(async_reader_task(a)), ASYNC_OK);
    CHECK_READ(b, items + 10, 5, async_forever(), ASYNC_OK, 5);
    CHECK_READ(b, items + 15, 80, async_forever(), ASYNC_CANCELLED, 15);
    CHECK_SET(items, 0, 30);
    CHECK_READ(b, items, 1, async_forever(), ASYNC_CANCELLED, 0);
    CHECK_READ(a, items, 1, async_forever(), ASYNC_CANCELLED, 0);
    CHECK_EQ(atomic_load(&q.items), 30);
    CHECK_EQ(atomic_load(&p.items), 30);
    CHECK_EQ(atomic_load(&p.discarded) + atomic_load(&q.discarded), 0);
    async_reader_release(a);
    async_reader_release(b);
    pool_end(pool);
}

/* P11, third line: what was asked for is run, what is ready is kept, a read gets it, then END. The
 * destruction waits for it. */
static void drain(unsigned n, size_t want, size_t made, unsigned calls)
{
    scene     *s = scene_make(n, want);
    destroying d;
    destroying_start(&d, s->pool, ASYNC_DRAIN);
    CHECK_STAYS(10, !destroying_ended(&d) && !thread_ended(&s->blocked.thread));
    gate_open(&s->gate);
    thread_join(&s->blocked.thread);
    destroying_join(&d);
    CHECK_STATUS(d.status, ASYNC_OK);
    CHECK_STATUS(s->blocked.status, ASYNC_OK);
    CHECK_EQ(s->blocked.got, want);
    CHECK_EQ(atomic_load(&s->probe.calls), calls);
    CHECK_READ(s->reader, s->blocked.items + want, 10, async_forever(), ASYNC_END,
               made - 10 - want);
    CHECK_SET(s->blocked.items, 10, made - 10);
    CHECK_READ(s->reader, s->items, 1, async_forever(), ASYNC_END, 0);
    CHECK_EQ(atomic_load(&s->probe.discarded), 0);
    scene_end(s);
}

TestEachSize(P, P11_destroy_drain)
{
    drain(n, 45, 60, 2);   /* 25 are missing: 30 more, of which 5 stay ready */
    drain(n, 100, 110, 4); /* 80 are missing: the chunk that runs, and two more */
}

/* P11, fourth line: running chunks finish, their results and what is ready are discarded, nothing
 * else runs, a read gets CANCELLED. The destruction waits for the running chunk. */
TestEachSize(P, P11_destroy_drop)
{
    scene     *s = scene_make(n, 100);
    destroying d;
    destroying_start(&d, s->pool, ASYNC_DROP);
    if (n > 0) { CHECK_SOON(thread_ended(&s->blocked.thread)); }
    CHECK_STAYS(20, !destroying_ended(&d));
    gate_open(&s->gate);
    thread_join(&s->blocked.thread);
    destroying_join(&d);
    CHECK_STATUS(d.status, ASYNC_OK);
    CHECK_STATUS(s->blocked.status, ASYNC_CANCELLED);
    CHECK_EQ(s->blocked.got, 0);
    check_lost(s, 10, 60);
    CHECK_EQ(atomic_load(&s->probe.calls), 2);
    CHECK_READ(s->reader, s->items, 1, async_forever(), ASYNC_CANCELLED, 0);
    scene_end(s);
}

/* M7: destroying a pool joins its threads and wakes the blocked readers: those whose tasks wait
 * for input that does not come too. What they get is P11's. */
static void destroy_blocked(unsigned n, async_ending how, async_status status)
{
    enum { READERS = 3 };
    unsigned    threads = threads_at_rest();
    async_pool *pool = pool_of(n);
    CHECK_EQ(thread_count(), threads + n);
    probe         p = {0};
    async_writer *writer;
    async_reader *input;
    channel_of(&writer, &input, 0, NULL);
    async_reader *a = TASK(pool, .input = input, .batch = batch_copy, .context = &p);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &p);
    uint64_t      item;
    reading       blocked[READERS] = {0};
    for (unsigned i = 0; i < READERS; i++) { reading_start(&blocked[i], b, 10, async_forever()); }
    CHECK_SOON(counts_of(b).asked == 10 * READERS);
    CHECK_STAYS(10, !thread_ended(&blocked[0].thread));
    CHECK_STATUS(async_pool_destroy(pool, how), ASYNC_OK);
    for (unsigned i = 0; i < READERS; i++) {
        thread_join(&blocked[i].thread);
        CHECK_STATUS(blocked[i].status, status);
        CHECK_EQ(blocked[i].got, 0);
    }
    CHECK_SOON(thread_count() == threads);
    CHECK_EQ(atomic_load(&p.calls), 0);
    CHECK_READ(b, &item, 1, async_forever(), status, 0);
    CHECK_READ(a, &item, 1, async_forever(), status, 0);
    CHECK(async_reader_pool(b) == NULL);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(input);
    async_writer_release(writer);
}

TestEachSize(M, M7_drain_joins_threads_and_wakes_readers)
{
    destroy_blocked(n, ASYNC_DRAIN, ASYNC_END);
}

TestEachSize(M, M7_drop_joins_threads_and_wakes_readers)
{
    destroy_blocked(n, ASYNC_DROP, ASYNC_CANCELLED);
}

/* M7: a destruction waits for the chunk that a worker runs, also when nobody reads any more. */
Test(M, M7_destroying_waits_for_running_chunks, .timeout = 30)
{
    for (unsigned n = 1; n <= 4; n *= 2) {
        NOTE("N = %u", n);
        unsigned      threads = threads_at_rest();
        async_pool   *pool = pool_of(n);
        gate          g = {0};
        probe         p = {.hold = &g};
        uint64_t      items[10];
        async_reader *r = TASK(pool, .source = range_of(0, 10), .batch = batch_copy, .context = &p,
                               .discard = probe_discard, .release = probe_release);
        CHECK_READ(r, items, 10, async_within_ms(5), ASYNC_TIMEOUT, 0);
        gate_arrived(&g, 1);
        async_reader_release(r);
        destroying d;
        destroying_start(&d, pool, ASYNC_DROP);
        CHECK_STAYS(20, !destroying_ended(&d));
        CHECK_EQ(atomic_load(&p.released), 0);
        gate_open(&g);
        destroying_join(&d);
        CHECK_STATUS(d.status, ASYNC_OK);
        CHECK_EQ(atomic_load(&p.discarded), 10);
        CHECK_EQ(atomic_load(&p.released), 1);
        CHECK_SOON(thread_count() == threads);
    }
}
