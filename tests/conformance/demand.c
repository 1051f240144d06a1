/* demand.c: what is missing is scheduled, and nothing more: rows K1 to K8, K10 and K13. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>

static int compare_sizes(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

/* The sizes of the calls that a function saw are these, in any order; `wanted` is descending. */
#define CHECK_SIZES(probe_, ...)                                                                   \
    do {                                                                                           \
        static const size_t sizes_wanted[] = {__VA_ARGS__};                                        \
        size_t              sizes_count = sizeof sizes_wanted / sizeof *sizes_wanted;              \
        CHECK_EQ(atomic_load(&(probe_)->calls), sizes_count);                                      \
        size_t sizes_seen[PROBE_LOG];                                                              \
        memcpy(sizes_seen, (probe_)->log, sizes_count * sizeof(size_t));                           \
        qsort(sizes_seen, sizes_count, sizeof(size_t), compare_sizes);                             \
        for (size_t sizes_at = 0; sizes_at < sizes_count; sizes_at++) {                            \
            CHECK_EQ(sizes_seen[sizes_count - 1 - sizes_at], sizes_wanted[sizes_at]);              \
        }                                                                                          \
    } while (0)

/* `calls` calls of the function, all of `max` items but for the last remainder of `items`. */
static void check_chunks(probe *p, size_t items, size_t max)
{
    size_t calls = (items + max - 1) / max, full = 0, rest = 0;
    CHECK_EQ(atomic_load(&p->items), items);
    CHECK_EQ(atomic_load(&p->calls), calls);
    CHECK_LE(calls, PROBE_LOG);
    for (size_t i = 0; i < calls; i++) {
        full += p->log[i] == max;
        rest += p->log[i] != max && p->log[i] == items % max;
    }
    CHECK_EQ(full, items / max);
    CHECK_EQ(rest, items % max != 0);
}

static probe *fresh_probes(size_t count)
{
    static probe probes[5];
    memset(probes, 0, sizeof probes);
    return count <= 5 ? probes : NULL;
}

/* K1: no min, no max: read(n) is one chunk of n, at every task. */
TestEachSize(K, K1_one_chunk_for_each_read)
{
    probe        *p = fresh_probes(3);
    async_pool   *pool = pool_of(n);
    uint64_t      items[100];
    numbers       source = {.end = 1000};
    async_reader *a = TASK(pool, .source = from_numbers(&source), .batch = batch_copy,
                           .context = &p[0]);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &p[1]);
    async_reader *c = TASK(pool, .input = b, .batch = batch_copy, .context = &p[2]);
    CHECK_READ(c, items, 100, async_forever(), ASYNC_OK, 100);
    CHECK_RISING(items, 0, 100);
    CHECK_READ(c, items, 37, async_forever(), ASYNC_OK, 37);
    CHECK_RISING(items, 100, 37);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_SIZES(&p[i], 100, 37);
        CHECK_EQ(p[i].log[0], 100);
    }
    CHECK_EQ(counts_of(a).chunks, 2);
    CHECK_EQ(counts_of(c).chunks, 2);
    CHECK_EQ(source.next, 137);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(c);
    pool_end(pool);
}

/* K1: m × read(1) is m chunks and m calls. */
TestEachSize(K, K1_m_reads_of_1_are_m_chunks)
{
    enum { M = 50 };
    probe        *p = fresh_probes(3);
    async_pool   *pool = pool_of(n);
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .batch = batch_copy,
                           .context = &p[0]);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &p[1]);
    async_reader *c = TASK(pool, .input = b, .each = each_add_one, .context = &p[2]);
    for (uint64_t i = 0; i < M; i++) {
        uint64_t item;
        CHECK_READ(c, &item, 1, async_forever(), ASYNC_OK, 1);
        CHECK_EQ(item, i + 1);
    }
    for (unsigned i = 0; i < 3; i++) { check_chunks(&p[i], M, 1); }
    CHECK_EQ(counts_of(a).chunks, M);
    CHECK_EQ(counts_of(b).chunks, M);
    CHECK_EQ(counts_of(c).chunks, M);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(c);
    pool_end(pool);
}

/* K2: min_count = m / 2, read(1): one chunk of m / 2 calls, 1 item delivered, m / 2 - 1 ready.
 * K3: only what is missing is scheduled: the second read(1) runs nothing, and 1 + 1 + (m - 2) items
 * take 2 chunks. */
TestEachSize(K, K2_K3_min_count_and_what_is_missing)
{
    enum { M = 100 };
    probe        *p = fresh_probes(2);
    async_pool   *pool = pool_of(n);
    uint64_t      items[M];
    async_reader *r = TASK(pool, .source = range_of(0, M), .batch = batch_copy, .context = &p[0],
                           .min_count = M / 2);
    async_reader *each = TASK(pool, .source = range_of(0, M), .each = each_add_one,
                              .context = &p[1], .min_count = M / 2);
    CHECK_READ(r, items, 1, async_forever(), ASYNC_OK, 1);
    CHECK_SIZES(&p[0], M / 2);
    CHECK_EQ(async_reader_ready(r), M / 2 - 1);
    async_task_stats stats = counts_of(r);
    CHECK_EQ(stats.chunks, 1);
    CHECK_EQ(stats.items_out, M / 2);
    CHECK_EQ(stats.ready, M / 2 - 1);
    CHECK_EQ(stats.in_flight, 0);
    CHECK_EQ(stats.asked, 0);

    CHECK_READ(each, items, 1, async_forever(), ASYNC_OK, 1);
    CHECK_EQ(atomic_load(&p[1].calls), M / 2);
    CHECK_EQ(counts_of(each).chunks, 1);

    CHECK_READ(r, items + 1, 1, async_forever(), ASYNC_OK, 1);
    CHECK_STAYS(3, atomic_load(&p[0].calls) == 1);
    CHECK_EQ(async_reader_ready(r), M / 2 - 2);
    CHECK_READ(r, items + 2, M - 2, async_forever(), ASYNC_OK, M - 2);
    items[0] = 0;
    CHECK_RISING(items, 0, M);
    CHECK_SIZES(&p[0], M / 2, M / 2);
    async_reader_release(r);
    async_reader_release(each);
    pool_end(pool);
}

/* K3: what one reader left ready serves the next; a read within what is ready runs nothing. */
TestEachSize(K, K3_nothing_runs_for_what_is_ready_or_in_flight)
{
    probe        *p = fresh_probes(2);
    async_pool   *pool = pool_of(n);
    uint64_t      items[100];
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .batch = batch_copy, .context = &p[0],
                           .min_count = 60);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &p[1]);
    CHECK_READ(a, items, 10, async_forever(), ASYNC_OK, 10); /* 50 are ready at a */
    CHECK_READ(b, items, 40, async_forever(), ASYNC_OK, 40); /* 60 at b, 10 missing at a: 60 */
    CHECK_SIZES(&p[0], 60, 60);
    CHECK_SIZES(&p[1], 60);
    CHECK_READ(b, items, 20, async_forever(), ASYNC_OK, 20);
    CHECK_READ(a, items, 50, async_forever(), ASYNC_OK, 50);
    CHECK_STAYS(3, atomic_load(&p[0].calls) == 2 && atomic_load(&p[1].calls) == 1);
    CHECK_EQ(async_reader_ready(a), 0);
    CHECK_EQ(async_reader_ready(b), 0);
    async_reader_release(a);
    async_reader_release(b);
    pool_end(pool);
}

/* K4: min 500, max 250, a source of 1000: read(502) is chunks of 250, 250 and 2 and leaves nothing
 * ready; read(498) is 2 more, 1000 items in all, and the task is done in that read. */
TestEachSize(K, K4_min_500_max_250)
{
    probe          *p = fresh_probes(1);
    async_pool     *pool = pool_of(n);
    static uint64_t items[1000];
    numbers         source = {.end = 1000};
    async_reader *r = TASK(pool, .source = from_numbers(&source), .batch = batch_copy, .context = p,
                           .min_count = 500, .max_chunksize = 250);
    CHECK_READ(r, items, 502, async_forever(), ASYNC_OK, 502);
    CHECK_SIZES(p, 250, 250, 2);
    CHECK_EQ(async_reader_ready(r), 0);
    CHECK_EQ(source.next, 502);
    CHECK(!async_task_done(async_reader_task(r)));
    CHECK_READ(r, items + 502, 498, async_forever(), ASYNC_OK, 498);
    CHECK(async_task_done(async_reader_task(r)));
    CHECK_SIZES(p, 250, 250, 250, 248, 2);
    CHECK_EQ(counts_of(r).items_out, 1000);
    CHECK_SET(items, 0, 1000);
    CHECK_READ(r, items, 1, async_forever(), ASYNC_END, 0);
    CHECK_EQ(atomic_load(&p->calls), 5);
    async_reader_release(r);
    pool_end(pool);
}

/* K4, behind a task without limits: demand travels upstream, chunks don't. */
TestEachSize(K, K4_min_500_max_250_behind_another_task)
{
    probe          *p = fresh_probes(2);
    async_pool     *pool = pool_of(n);
    static uint64_t items[1000];
    async_reader   *a = TASK(pool, .source = range_of(0, 1000), .batch = batch_copy,
                             .context = &p[0]);
    async_reader   *b = TASK(pool, .input = a, .batch = batch_copy, .context = &p[1],
                             .min_count = 500, .max_chunksize = 250);
    CHECK_READ(b, items, 502, async_forever(), ASYNC_OK, 502);
    CHECK_SIZES(&p[0], 502);
    CHECK_SIZES(&p[1], 250, 250, 2);
    CHECK_READ(b, items + 502, 498, async_forever(), ASYNC_OK, 498);
    CHECK_SIZES(&p[0], 502, 498);
    CHECK_SIZES(&p[1], 250, 250, 250, 248, 2);
    CHECK(async_task_done(async_reader_task(a)));
    CHECK(async_task_done(async_reader_task(b)));
    CHECK_SET(items, 0, 1000);
    async_reader_release(a);
    async_reader_release(b);
    pool_end(pool);
}

/* K5: no remainder is lost, whatever the chunk sizes along a chain, and each task's boundaries are
 * its own: full chunks and one rest at every task. */
TestEachSize(K, K5_chunk_sizes_along_a_chain)
{
    enum { COUNT = 500, TASKS = 4 };
    static const size_t chains[][TASKS] = {
        {7, 1, 13, 1000}, {1000, 13, 1, 7},   {2, 3, 5, 7},     {499, 501, 500, 251},
        {1, 1, 1, 1},     {1000, 1, 1000, 1}, {31, 17, 64, 11}, {100, 250, 125, 50},
    };
    for (size_t at = 0; at < sizeof chains / sizeof chains[0]; at++) {
        const size_t *max = chains[at];
        NOTE("N = %u, chunks of %zu %zu %zu %zu", n, max[0], max[1], max[2], max[3]);
        for (unsigned all = 0; all < 2; all++) {
            probe        *p = fresh_probes(TASKS);
            async_pool   *pool = pool_of(n);
            async_reader *r = NULL;
            for (unsigned i = 0; i < TASKS; i++) {
                async_task_options options = {
                    .batch = batch_add_one, .context = &p[i], .max_chunksize = max[i]};
                if (i == 0) { options.source = range_of(0, COUNT); }
                options.input = r;
                async_reader *next = task_of(pool, &options);
                async_reader_release(r);
                r = next;
            }
            uint64_t items[COUNT], *rest = items;
            size_t   count = COUNT;
            if (all == 0) {
                CHECK_READ(r, items, COUNT, async_forever(), ASYNC_OK, COUNT);
            } else {
                rest = read_rest(r, &count);
            }
            CHECK_EQ(count, COUNT);
            CHECK_SET(rest, TASKS, COUNT);
            if (all == 0) {
                for (unsigned i = 0; i < TASKS; i++) { check_chunks(&p[i], COUNT, max[i]); }
                CHECK_READ(r, items, 1, async_forever(), ASYNC_END, 0);
            } else {
                for (unsigned i = 0; i < TASKS; i++) { CHECK_EQ(atomic_load(&p[i].items), COUNT); }
                check_chunks(&p[TASKS - 1], COUNT, max[TASKS - 1]);
                async_free(rest);
            }
            async_reader_release(r);
            pool_end(pool);
        }
    }
}

/* K6: min = max = m / 4, m × read(1): 4 chunks; only read m + 1 may start a fifth, which finds the
 * end. */
TestEachSize(K, K6_four_chunks_for_m_reads_of_1)
{
    enum { M = 100 };
    probe        *p = fresh_probes(1);
    async_pool   *pool = pool_of(n);
    numbers       source = {.end = M};
    uint64_t      items[M + 1];
    async_reader *r = TASK(pool, .source = from_numbers(&source), .batch = batch_copy, .context = p,
                           .min_count = M / 4, .max_chunksize = M / 4);
    for (size_t i = 0; i < M; i++) {
        CHECK_READ(r, items + i, 1, async_forever(), ASYNC_OK, 1);
        CHECK_EQ(atomic_load(&p->calls), i / (M / 4) + 1);
        CHECK_EQ(async_reader_ready(r), M / 4 - 1 - i % (M / 4));
    }
    CHECK_RISING(items, 0, M);
    CHECK_STAYS(5, atomic_load(&p->calls) == 4);
    CHECK(!atomic_load(&source.ended));
    CHECK(!async_task_done(async_reader_task(r)));
    CHECK_READ(r, items, 1, async_forever(), ASYNC_END, 0);
    CHECK(async_task_done(async_reader_task(r)));
    CHECK_SIZES(p, M / 4, M / 4, M / 4, M / 4);
    async_reader_release(r);
    pool_end(pool);
}

/* K7: five tasks, min 250 on any one of them: read(1) of the last is 250 items in one chunk at
 * every task. */
TestEachSize(K, K7_min_count_raises_the_whole_chain)
{
    for (unsigned place = 0; place < 5; place++) {
        NOTE("N = %u, min_count on task %u", n, place);
        probe        *p = fresh_probes(5);
        async_pool   *pool = pool_of(n);
        async_reader *tasks[5] = {NULL};
        for (unsigned i = 0; i < 5; i++) {
            async_task_options options = {
                .batch = batch_copy, .context = &p[i], .min_count = i == place ? 250 : 0};
            if (i == 0) {
                options.source = range_of(0, 10000);
            } else {
                options.input = tasks[i - 1];
            }
            tasks[i] = task_of(pool, &options);
        }
        uint64_t item;
        CHECK_READ(tasks[4], &item, 1, async_forever(), ASYNC_OK, 1);
        for (unsigned i = 0; i < 5; i++) {
            CHECK_SIZES(&p[i], 250);
            CHECK_EQ(async_reader_ready(tasks[i]), i == 4 ? 249 : 0);
        }
        for (unsigned i = 0; i < 5; i++) { async_reader_release(tasks[i]); }
        pool_end(pool);
    }
}

/* K8: reading an intermediate reader computes its upstream only. */
TestEachSize(K, K8_an_intermediate_reader)
{
    probe        *p = fresh_probes(4);
    async_pool   *pool = pool_of(n);
    uint64_t      items[20];
    async_reader *a = TASK(pool, .source = range_of(0, 100), .batch = batch_copy, .context = &p[0]);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &p[1]);
    async_reader *c = TASK(pool, .input = b, .batch = batch_copy, .context = &p[2]);
    async_reader *d = TASK(pool, .input = a, .batch = batch_copy, .context = &p[3]);
    CHECK_READ(b, items, 20, async_forever(), ASYNC_OK, 20);
    CHECK_STAYS(5, atomic_load(&p[2].calls) + atomic_load(&p[3].calls) == 0);
    CHECK_SIZES(&p[0], 20);
    CHECK_SIZES(&p[1], 20);
    CHECK_READ(a, items, 5, async_forever(), ASYNC_OK, 5);
    CHECK_SIZES(&p[0], 20, 5);
    CHECK_EQ(atomic_load(&p[1].calls), 1);
    CHECK_READ(c, items, 10, async_forever(), ASYNC_OK, 10);
    CHECK_RISING(items, 25, 10);
    CHECK_EQ(atomic_load(&p[3].calls), 0);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(c);
    async_reader_release(d);
    pool_end(pool);
}

/* K10: consumers that share one reader compete: each item goes to one of them, each chunk claims
 * exactly its own count, and no more is made than they ask for. */
TestEachSize(K, K10_consumers_of_one_reader_compete)
{
    probe         *p = fresh_probes(3);
    async_pool    *pool = pool_of(n);
    static reading x, y, z;
    memset(&x, 0, sizeof x);
    memset(&y, 0, sizeof y);
    memset(&z, 0, sizeof z);
    async_reader *a = TASK(pool, .source = range_of(0, 10000), .batch = batch_copy,
                           .context = &p[0], .max_chunksize = 11);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &p[1],
                           .max_chunksize = 30);
    async_reader *c = TASK(pool, .input = a, .batch = batch_copy, .context = &p[2],
                           .max_chunksize = 7);
    reading_start(&x, b, 300, async_forever());
    reading_start(&y, c, 230, async_forever());
    reading_start(&z, a, 470, async_forever());
    thread_join(&x.thread);
    thread_join(&y.thread);
    thread_join(&z.thread);
    CHECK_STATUS(x.status, ASYNC_OK);
    CHECK_STATUS(y.status, ASYNC_OK);
    CHECK_STATUS(z.status, ASYNC_OK);
    check_chunks(&p[1], 300, 30);
    check_chunks(&p[2], 230, 7);
    CHECK_EQ(atomic_load(&p[0].items), 1000);
    ledger seen;
    ledger_make(&seen, 1000);
    ledger_add(&seen, x.items, x.got);
    ledger_add(&seen, y.items, y.got);
    ledger_add(&seen, z.items, z.got);
    CHECK_EQ(ledger_count(&seen, 0, 1000, 1), 1000);
    ledger_free(&seen);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(c);
    pool_end(pool);
}

/* K13: until it is built, max_chunksize = AUTO is refused as a whole. */
TestEachSize(K, K13_auto_is_unsupported)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0};
    async_writer *writer;
    async_reader *input, *r = NULL;
    channel_of(&writer, &input, 0, NULL);
    CHECK_STATUS(async_pool_add_task(pool, &r,
                                     &(async_task_options){.input = input,
                                                           .batch = batch_copy,
                                                           .context = &p,
                                                           .release = probe_release,
                                                           .max_chunksize = ASYNC_CHUNK_AUTO}),
                 ASYNC_UNSUPPORTED);
    CHECK(r == NULL);
    CHECK_EQ(async_pool_num_tasks(pool), 0);
    async_reader_release(input);
    CHECK(async_writer_closed(writer)); /* it was not retained */
    async_writer_release(writer);
    pool_end(pool);
    CHECK_EQ(atomic_load(&p.released), 0);
}
