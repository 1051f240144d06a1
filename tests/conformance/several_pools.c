/* several_pools.c: pools that feed each other: rows M1 to M4. */
#define _GNU_SOURCE
#include "crew.h"
#include "expect.h"

#include <string.h>
#include <unistd.h>

/* A function that also notes who runs it. */
typedef struct noted {
    probe probe;
    crew  crew;
} noted;

static int noted_batch(const void *in, void *out, size_t count, size_t *done, void *context)
{
    noted *self = context;
    crew_note(&self->crew);
    return batch_add_one(in, out, count, done, &self->probe);
}

/* How many of the threads of x are in y too. */
static unsigned common(crew *x, crew *y)
{
    unsigned count = 0;
    for (unsigned i = 0; i < crew_size(x); i++) {
        count += crew_has(y, (pid_t)atomic_load(&x->ids[i]));
    }
    return count;
}

/* M1: a reader of pool A may feed a task of pool B; A keeps the reader's task, each pool counts
 * its own tasks only. */
TestEachSize(M, M1_each_pool_counts_its_own_tasks)
{
    EACH_SIZE (m) {
        NOTE("N = %u and %u", n, m);
        async_pool   *a = pool_of(n), *b = pool_of(m);
        uint64_t      items[11];
        async_reader *ra = TASK(a, .source = range_of(0, 10), .each = each_add_one);
        async_reader *ra2 = TASK(a, .input = ra, .each = each_add_one);
        async_reader *rb = TASK(b, .input = ra2, .each = each_add_one);
        CHECK_EQ(async_pool_num_tasks(a), 2);
        CHECK_EQ(async_pool_num_tasks(b), 1);
        CHECK(async_reader_pool(ra2) == a && async_reader_pool(rb) == b);
        CHECK_READ(rb, items, 5, async_forever(), ASYNC_OK, 5);
        CHECK_RISING(items, 3, 5);
        async_reader_release(ra);
        async_reader_release(ra2);
        CHECK_EQ(async_pool_num_tasks(a), 2);
        CHECK_EQ(async_pool_num_tasks(b), 1);
        CHECK_READ(rb, items, 11, async_forever(), ASYNC_END, 5);
        CHECK_RISING(items, 8, 5);
        CHECK_SOON(async_pool_num_tasks(a) == 0);
        CHECK_EQ(async_pool_num_tasks(b), 1);
        async_reader_release(rb);
        CHECK_EQ(async_pool_num_tasks(b), 0);
        pool_end(a);
        pool_end(b);
    }
}

/* M2: read_all on B's last reader drives both pools. Work of a pool of size 0 is run by the thread
 * on whose behalf it was asked: a worker of the consuming task's pool, else the reading client. */
TestEachSize(M, M2_reading_the_last_drives_both)
{
    enum { COUNT = 1000 };
    static noted a, b;
    EACH_SIZE (m) {
        NOTE("N = %u and %u", n, m);
        memset(&a, 0, sizeof a);
        memset(&b, 0, sizeof b);
        async_pool   *first = pool_of(n), *second = pool_of(m);
        async_reader *ra = TASK(first, .source = range_of(0, COUNT), .batch = noted_batch,
                                .context = &a, .max_chunksize = 20);
        async_reader *rb = TASK(second, .input = ra, .batch = noted_batch, .context = &b,
                                .max_chunksize = 30);
        size_t        count;
        uint64_t     *items = read_rest(rb, &count);
        CHECK_EQ(count, COUNT);
        CHECK_SET(items, 2, COUNT);
        async_free(items);
        CHECK_EQ(atomic_load(&a.probe.items), COUNT);
        CHECK_EQ(atomic_load(&b.probe.items), COUNT);

        bool client_in_a = crew_has(&a.crew, gettid()), client_in_b = crew_has(&b.crew, gettid());
        if (m == 0) {
            CHECK(client_in_b);
            CHECK_EQ(crew_size(&b.crew), 1);
        } else {
            CHECK(!client_in_b);
            CHECK_LE(crew_size(&b.crew), m);
        }
        if (n > 0) {
            CHECK(!client_in_a);
            CHECK_LE(crew_size(&a.crew), n);
            CHECK_EQ(common(&a.crew, &b.crew), 0);
        } else if (m == 0) {
            CHECK(client_in_a);
            CHECK_EQ(crew_size(&a.crew), 1);
        } else {
            CHECK(!client_in_a);
            CHECK_LE(crew_size(&a.crew) + crew_size(&b.crew) - common(&a.crew, &b.crew), m);
        }
        async_reader_release(ra);
        async_reader_release(rb);
        pool_end(first);
        pool_end(second);
    }
}

/* M2: through three pools, the one in the middle of size 0. */
TestEachSize(M, M2_a_pool_of_size_0_in_the_middle)
{
    enum { COUNT = 300 };
    static noted middle, last;
    memset(&middle, 0, sizeof middle);
    memset(&last, 0, sizeof last);
    async_pool   *a = pool_of(1), *b = pool_of(0), *c = pool_of(n);
    async_reader *ra = TASK(a, .source = range_of(0, COUNT), .each = each_add_one,
                            .max_chunksize = 7);
    async_reader *rb = TASK(b, .input = ra, .batch = noted_batch, .context = &middle,
                            .max_chunksize = 11);
    async_reader *rc = TASK(c, .input = rb, .batch = noted_batch, .context = &last,
                            .max_chunksize = 5);
    uint64_t      items[COUNT];
    CHECK_READ(rc, items, COUNT, async_forever(), ASYNC_OK, COUNT);
    CHECK_SET(items, 3, COUNT);
    CHECK(crew_has(&middle.crew, gettid()) == (n == 0));
    CHECK(crew_has(&last.crew, gettid()) == (n == 0));
    CHECK_LE(crew_size(&middle.crew) + crew_size(&last.crew) - common(&middle.crew, &last.crew),
             n == 0 ? 1 : n);
    async_reader_release(ra);
    async_reader_release(rb);
    async_reader_release(rc);
    pool_end(a);
    pool_end(b);
    pool_end(c);
}

/* M3: reading A's reader directly while B consumes it is allowed: each item goes to one of them. */
TestEachSize(M, M3_reading_what_another_pool_consumes)
{
    enum { COUNT = 700 };
    EACH_SIZE (m) {
        NOTE("N = %u and %u", n, m);
        async_pool    *a = pool_of(n), *b = pool_of(m);
        probe          p = {0};
        static reading direct, through;
        memset(&direct, 0, sizeof direct);
        memset(&through, 0, sizeof through);
        async_reader *ra = TASK(a, .source = range_of(0, 100000), .batch = batch_copy,
                                .context = &p, .max_chunksize = 9);
        async_reader *rb = TASK(b, .input = ra, .batch = batch_copy, .max_chunksize = 4);
        reading_start(&direct, ra, COUNT / 2, async_forever());
        reading_start(&through, rb, COUNT / 2, async_forever());
        thread_join(&direct.thread);
        thread_join(&through.thread);
        CHECK_STATUS(direct.status, ASYNC_OK);
        CHECK_STATUS(through.status, ASYNC_OK);
        CHECK_EQ(atomic_load(&p.items), COUNT);
        ledger seen;
        ledger_make(&seen, COUNT);
        ledger_add(&seen, direct.items, direct.got);
        ledger_add(&seen, through.items, through.got);
        CHECK_EQ(ledger_count(&seen, 0, COUNT, 1), COUNT);
        ledger_free(&seen);
        async_reader_release(ra);
        async_reader_release(rb);
        pool_end(a);
        pool_end(b);
    }
}

/* M4: dropping B's handles takes B to 0 tasks and leaves A's count; what A's reader did not give
 * away is still there. */
TestEachSize(M, M4_dropping_the_consumer_leaves_the_producer)
{
    EACH_SIZE (m) {
        NOTE("N = %u and %u", n, m);
        async_pool   *a = pool_of(n), *b = pool_of(m);
        uint64_t      items[100];
        async_reader *ra = TASK(a, .source = range_of(0, 100), .batch = batch_copy);
        async_reader *rb = TASK(b, .input = ra, .batch = batch_copy);
        async_reader *rc = TASK(b, .input = rb, .batch = batch_copy);
        CHECK_READ(rc, items, 10, async_forever(), ASYNC_OK, 10);
        async_reader_release(rb);
        CHECK_EQ(async_pool_num_tasks(b), 2);
        async_reader_release(rc);
        CHECK_EQ(async_pool_num_tasks(b), 0);
        CHECK_EQ(async_pool_num_tasks(a), 1);
        pool_end(b);
        CHECK_READ(ra, items, 100, async_forever(), ASYNC_END, 90);
        CHECK_SET(items, 10, 90);
        CHECK_EQ(async_pool_num_tasks(a), 1);
        async_reader_release(ra);
        CHECK_EQ(async_pool_num_tasks(a), 0);
        pool_end(a);
    }
}
