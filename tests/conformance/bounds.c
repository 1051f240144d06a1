/* bounds.c: streaming in chunks, the bound of what is held, and re-chunking: rows K9, K11, K12. */
#include "arena.h"
#include "expect.h"

#include <stdlib.h>
#include <string.h>

enum { DEFAULT_CHUNK = 64 * 1024 / sizeof(uint64_t) };

static size_t window_of(unsigned n) { return 4 * ((size_t)n + 1); }

/* K9: read_all streams in chunks: without a max_chunksize, of 64 KiB of items. */
TestEachSize(K, K9_read_all_streams_in_chunks_of_64_KiB)
{
    enum { COUNT = 100000 };
    async_pool   *pool = pool_of(n);
    probe         p = {0};
    async_reader *r = TASK(pool, .source = range_of(0, COUNT), .batch = batch_copy, .context = &p);
    size_t        count;
    uint64_t     *items = read_rest(r, &count);
    CHECK_EQ(count, COUNT);
    CHECK_SET(items, 0, COUNT);
    CHECK_EQ(atomic_load(&p.calls), COUNT / DEFAULT_CHUNK + 1);
    size_t full = 0, rest = 0;
    for (size_t i = 0; i < COUNT / DEFAULT_CHUNK + 1; i++) {
        full += p.log[i] == DEFAULT_CHUNK;
        rest += p.log[i] == COUNT % DEFAULT_CHUNK;
    }
    CHECK_EQ(full, COUNT / DEFAULT_CHUNK);
    CHECK_EQ(rest, 1);
    async_free(items);
    async_reader_release(r);
    pool_end(pool);
}

/* K9: so does a chain: no task makes the whole stream at once. */
TestEachSize(K, K9_a_chain_streams_too)
{
    enum { COUNT = 1 << 20 };
    async_pool   *pool = pool_of(n);
    probe         p[3] = {0};
    async_reader *r = TASK(pool, .source = range_of(0, COUNT), .batch = batch_copy,
                           .context = &p[0]);
    for (unsigned i = 1; i < 3; i++) {
        async_reader *next = TASK(pool, .input = r, .batch = batch_add_one, .context = &p[i]);
        async_reader_release(r);
        r = next;
    }
    size_t    count;
    uint64_t *items = read_rest(r, &count);
    CHECK_EQ(count, COUNT);
    CHECK_SET(items, 2, COUNT);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_LE(atomic_load(&p[i].calls), PROBE_LOG);
        for (size_t k = 0; k < atomic_load(&p[i].calls); k++) {
            CHECK_LE(p[i].log[k], i == 2 ? DEFAULT_CHUNK : window_of(n) * DEFAULT_CHUNK);
        }
    }
    async_free(items);
    async_reader_release(r);
    pool_end(pool);
}

enum { BIG_ITEM = 70000, BIG_COUNT = 5 };

static int copy_big(const void *in, void *out, size_t count, size_t *done, void *context)
{
    probe *p = context;
    (void)done;
    p->log[atomic_fetch_add(&p->logged, 1) % PROBE_LOG] = count;
    memcpy(out, in, count * BIG_ITEM);
    return 0;
}

/* K9: at least one item. */
TestEachSize(K, K9_an_item_of_more_than_64_KiB_is_a_chunk)
{
    static unsigned char big[BIG_COUNT][BIG_ITEM];
    for (unsigned i = 0; i < BIG_COUNT; i++) { memset(big[i], (int)i + 1, BIG_ITEM); }
    async_pool   *pool = pool_of(n);
    probe         p = {0};
    async_source  source = async_source_array(big, BIG_COUNT, BIG_ITEM);
    async_reader *r = TASK(pool, .source = &source, .batch = copy_big, .context = &p,
                           .order = ASYNC_ORDERED);
    void         *items = NULL;
    size_t        count = 0;
    CHECK_STATUS(async_reader_read_all(r, &items, &count, async_forever()), ASYNC_OK);
    CHECK_EQ(count, BIG_COUNT);
    cr_assert(memcmp(items, big, sizeof big) == 0, "[%s]", expect_note);
    CHECK_EQ(atomic_load(&p.logged), BIG_COUNT);
    for (unsigned i = 0; i < BIG_COUNT; i++) { CHECK_EQ(p.log[i], 1); }
    async_free(items);
    async_reader_release(r);
    pool_end(pool);
}

/* A sink that stands at a gate with the first run it gets, and then stops the loop. */
typedef struct held_sink {
    gate          gate;
    atomic_size_t items;
    async_reader *reader;
    async_status  status;
    thread        thread;
} held_sink;

static int sink_at_gate(const void *items, size_t count, void *context)
{
    held_sink *s = context;
    (void)items;
    atomic_fetch_add(&s->items, count);
    gate_pass(&s->gate);
    return ASYNC_STOP;
}

static void for_each_body(void *arg)
{
    held_sink *s = arg;
    s->status = async_reader_for_each(s->reader, sink_at_gate, s, async_forever());
}

/* Starts to stream, waits until the sink has its first run and nothing moves any more. */
static void held_sink_start(held_sink *s, async_reader *reader, probe *last)
{
    memset(s, 0, sizeof *s);
    s->reader = reader;
    thread_start(&s->thread, for_each_body, s);
    gate_arrived(&s->gate, 1);
    uint64_t before;
    do {
        before = atomic_load(&last->items);
        sleep_ms(20);
    } while (atomic_load(&last->items) != before);
}

static void held_sink_end(held_sink *s)
{
    gate_open(&s->gate);
    thread_join(&s->thread);
    CHECK_STATUS(s->status, ASYNC_OK);
}

/* K11: under unbounded demand the last task of a chain holds, ready and in flight, at most
 * W × chunk items, and the others what that asks for and N chunks: here with a sink that takes
 * nothing more, over a source of a million. */
TestEachSize(K, K11_unbounded_demand_is_bounded_by_the_window)
{
    enum { CHUNK = 10, TASKS = 3 };
    static held_sink sink;
    for (unsigned window = 0; window <= 6; window += 3) {
        NOTE("N = %u, window %u", n, window);
        size_t             limit = window != 0 ? window : window_of(n);
        async_pool_options options = {.window = window};
        async_pool        *pool = NULL;
        async_reader      *tasks[TASKS];
        probe              p[TASKS] = {0};
        CHECK_STATUS(async_pool_create(&pool, n, &options), ASYNC_OK);
        for (unsigned i = 0; i < TASKS; i++) {
            async_task_options task = {
                .batch = batch_copy, .context = &p[i], .max_chunksize = CHUNK};
            if (i == 0) {
                task.source = range_of(0, 1000000);
            } else {
                task.input = tasks[i - 1];
            }
            tasks[i] = task_of(pool, &task);
        }
        held_sink_start(&sink, tasks[TASKS - 1], &p[0]);
        for (unsigned i = 0; i < TASKS; i++) {
            size_t taken = i + 1 < TASKS ? atomic_load(&p[i + 1].items) : atomic_load(&sink.items);
            size_t most = (i + 1 < TASKS ? limit + n : limit) * CHUNK;
            async_task_stats stats = counts_of(tasks[i]);
            CHECK_LE(atomic_load(&p[i].items) - taken, most);
            CHECK_LE(stats.ready + stats.in_flight, most);
        }
        held_sink_end(&sink);
        for (unsigned i = 0; i < TASKS; i++) { async_reader_release(tasks[i]); }
        pool_end(pool);
    }
}

/* K11: an emit task adds what its running chunks give out. */
TestEachSize(K, K11_emit_tasks_add_what_their_running_chunks_give_out)
{
    enum { CHUNK = 10 };
    static held_sink sink;
    async_pool      *pool = pool_of(n);
    probe            p = {0};
    async_reader *r = TASK(pool, .source = range_of(0, 1000000), .emit = emit_pair, .context = &p,
                           .max_chunksize = CHUNK);
    held_sink_start(&sink, r, &p);
    size_t running = n == 0 ? 1 : n;
    CHECK_LE(2 * atomic_load(&p.items) - atomic_load(&sink.items),
             window_of(n) * CHUNK + running * 2 * CHUNK);
    held_sink_end(&sink);
    async_reader_release(r);
    pool_end(pool);
}

/* K11: under bounded demand, max(asked, M) + N × chunk. */
TestEachSize(K, K11_bounded_demand)
{
    enum { CHUNK = 10, READERS = 3, EACH = 100, MIN = 100 };
    static reading blocked[READERS];
    memset(blocked, 0, sizeof blocked);
    async_pool   *pool = pool_of(n);
    gate          g = {0};
    probe         p = {.hold = &g};
    async_reader *r = TASK(pool, .source = range_of(0, 100000), .batch = batch_copy, .context = &p,
                           .min_count = MIN, .max_chunksize = CHUNK, .max_parallel = 1);
    for (unsigned i = 0; i < READERS; i++) { reading_start(&blocked[i], r, EACH, async_forever()); }
    CHECK_SOON(counts_of(r).asked == READERS * EACH);
    gate_arrived(&g, 1);
    sleep_ms(5);
    async_task_stats stats = counts_of(r);
    CHECK_LE(stats.ready + stats.in_flight, READERS * EACH + n * CHUNK);
    CHECK(stats.ready + stats.in_flight >= READERS * EACH);
    gate_open(&g);
    for (unsigned i = 0; i < READERS; i++) {
        thread_join(&blocked[i].thread);
        CHECK_STATUS(blocked[i].status, ASYNC_OK);
    }
    /* A reader that takes a little at a time from a task that makes MIN at a time. */
    uint64_t items[7];
    size_t   taken = READERS * EACH;
    for (unsigned i = 0; i < 50; i++) {
        CHECK_READ(r, items, 7, async_forever(), ASYNC_OK, 7);
        taken += 7;
        CHECK_LE(atomic_load(&p.items) - taken, MIN + n * CHUNK);
    }
    async_reader_release(r);
    pool_end(pool);
}

static int sink_count(const void *items, size_t count, void *context)
{
    (void)items;
    atomic_fetch_add((atomic_size_t *)context, count);
    return ASYNC_CONTINUE;
}

/* K11, as memory: streaming 32 MiB takes the window's blocks and some spare ones; so does reading
 * a little at a time. */
TestEachSize(K, K11_memory_of_a_stream)
{
    enum { COUNT = 1 << 22, CHUNK = 1000, TASKS = 2, SPARE = 1 << 20 };
    arena       a = {0};
    async_pool *pool = arena_pool(&a, n, NULL);
    CHECK(pool != NULL);
    async_reader *first = TASK(pool, .source = range_of(0, COUNT), .batch = batch_copy,
                               .max_chunksize = CHUNK);
    async_reader *r = TASK(pool, .input = first, .batch = batch_copy, .max_chunksize = CHUNK);
    async_reader_release(first);
    uint64_t items[500];
    for (unsigned i = 0; i < 200; i++) {
        CHECK_READ(r, items, 500, async_forever(), ASYNC_OK, 500);
    }
    CHECK_LE(atomic_load(&a.most), SPARE);
    atomic_size_t streamed = 0;
    CHECK_STATUS(async_reader_for_each(r, sink_count, &streamed, async_forever()), ASYNC_OK);
    CHECK_EQ(atomic_load(&streamed), COUNT - 200 * 500);
    CHECK_LE(atomic_load(&a.most),
             2 * TASKS * (window_of(n) + n + 4) * CHUNK * sizeof(uint64_t) + SPARE);
    async_reader_release(r);
    pool_end(pool);
    CHECK_EQ(atomic_load(&a.blocks), 0);
}

/* Where the items of a task's calls lie. */
typedef struct places {
    probe                probe;
    atomic_uintptr_t     out[64];   /* by the first item's number / 10 */
    atomic_uintptr_t     low, high; /* of all inputs */
    atomic_uint_fast64_t copied;    /* calls whose input is not where `from` put it */
    struct places       *from;
} places;

static int placed_batch(const void *in, void *out, size_t count, size_t *done, void *context)
{
    places         *p = context;
    const uint64_t *from = in;
    uintptr_t       low = (uintptr_t)in, high = (uintptr_t)(from + count), seen;
    batch_copy(in, out, count, done, &p->probe);
    atomic_store(&p->out[from[0] / 10 % 64], (uintptr_t)out);
    seen = atomic_load(&p->low);
    while ((seen == 0 || low < seen) && !atomic_compare_exchange_weak(&p->low, &seen, low)) {}
    seen = atomic_load(&p->high);
    while (high > seen && !atomic_compare_exchange_weak(&p->high, &seen, high)) {}
    if (p->from != NULL) {
        bool there = from[0] % 10 == 0 && atomic_load(&p->from->out[from[0] / 10 % 64]) == low;
        atomic_fetch_add(&p->copied, !there);
    }
    return 0;
}

/* K12: a big chunk feeds many small ones, where it lies, and several at a time. */
TestEachSize(K, K12_a_big_chunk_feeds_small_ones)
{
    enum { COUNT = 600, CHUNK = 10 };
    async_pool   *pool = pool_of(n);
    places        a = {.low = 0}, b = {.low = 0, .probe.together = n < 2 ? 1 : 2};
    uint64_t      items[COUNT];
    async_reader *first = TASK(pool, .source = range_of(0, 10000), .batch = placed_batch,
                               .context = &a);
    async_reader *r = TASK(pool, .input = first, .batch = placed_batch, .context = &b,
                           .max_chunksize = CHUNK);
    CHECK_READ(r, items, COUNT, async_forever(), ASYNC_OK, COUNT);
    CHECK_SET(items, 0, COUNT);
    CHECK_EQ(atomic_load(&a.probe.calls), 1);
    CHECK_EQ(atomic_load(&b.probe.calls), COUNT / CHUNK);
    CHECK_EQ(atomic_load(&b.low), atomic_load(&a.out[0]));
    CHECK_EQ(atomic_load(&b.high), atomic_load(&a.out[0]) + COUNT * sizeof(uint64_t));
    CHECK(n < 2 ? atomic_load(&b.probe.most) == 1 : atomic_load(&b.probe.most) > 1);
    async_reader_release(first);
    async_reader_release(r);
    pool_end(pool);
}

/* K12: small chunks join into a big one. */
TestEachSize(K, K12_small_chunks_join)
{
    enum { COUNT = 600, CHUNK = 7 };
    async_pool   *pool = pool_of(n);
    probe         a = {.together = n < 2 ? 1 : 2}, b = {0};
    uint64_t      items[COUNT];
    async_reader *first = TASK(pool, .source = range_of(0, 10000), .batch = batch_copy,
                               .context = &a, .max_chunksize = CHUNK);
    async_reader *r = TASK(pool, .input = first, .batch = batch_copy, .context = &b);
    CHECK_READ(r, items, COUNT, async_forever(), ASYNC_OK, COUNT);
    CHECK_SET(items, 0, COUNT);
    CHECK_EQ(atomic_load(&a.calls), COUNT / CHUNK + 1);
    CHECK_EQ(atomic_load(&b.calls), 1);
    CHECK_EQ(b.log[0], COUNT);
    CHECK(n < 2 || atomic_load(&a.most) > 1);
    async_reader_release(first);
    async_reader_release(r);
    pool_end(pool);
}

/* K12: between equal chunks nothing is copied; nor for a reader that borrows. */
TestEachSize(K, K12_equal_chunks_are_not_copied)
{
    enum { COUNT = 600, CHUNK = 10 };
    async_pool   *pool = pool_of(n);
    places        a = {.low = 0}, b = {.low = 0, .from = &a};
    async_view    view = {0};
    uint64_t      items[COUNT];
    async_reader *first = TASK(pool, .source = range_of(0, 10000), .batch = placed_batch,
                               .context = &a, .max_chunksize = CHUNK);
    async_reader *r = TASK(pool, .input = first, .batch = placed_batch, .context = &b,
                           .max_chunksize = CHUNK);
    CHECK_READ(r, items, COUNT, async_forever(), ASYNC_OK, COUNT);
    CHECK_SET(items, 0, COUNT);
    CHECK_EQ(atomic_load(&b.probe.calls), COUNT / CHUNK);
    CHECK_EQ(atomic_load(&b.copied), 0);
    for (unsigned i = 0; i < 4; i++) {
        CHECK_STATUS(async_reader_borrow(r, &view, CHUNK, async_forever()), ASYNC_OK);
        uint64_t number = *(const uint64_t *)view.items;
        CHECK_EQ((uintptr_t)view.items,
                 atomic_load(&b.out[number / 10 % 64]) + number % 10 * sizeof number);
        CHECK_STATUS(async_view_return(&view), ASYNC_OK);
    }
    async_reader_release(first);
    async_reader_release(r);
    pool_end(pool);
}
