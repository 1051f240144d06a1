/* stopped_when_woken.c: F56. A worker stops for good, or for long, just after it was woken for a
 * job, or just after it began to search: the job that was left to it waited for the next push. Who
 * waits for the pool's work has another worker woken. And with three workers: one that had stopped
 * in its search was still counted, so that another one, which took one of two jobs, thought that
 * the search was passed on already, and nobody was woken for the second.
 *
 * The hook stops workers at the start of a search. */
#include "pipeline.h"
#include "pool.h"
#include "step.h"
#include "workers.h"

#include <string.h>

static atomic_bool armed; /* the next worker that searches stops */
static atomic_uint stood;
static gate        stands[2];

void async_step(const char *site)
{
    if (strcmp(site, "search: counted") == 0 && atomic_exchange(&armed, false)) {
        gate_pass(&stands[atomic_fetch_add(&stood, 1)]);
    }
}

static int arm(const void *in, void *out, void *context)
{
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in;
    atomic_store(&armed, true);
    return 0;
}

/* A pool whose workers all sleep. */
static async_pool *sleeping_pool(unsigned workers)
{
    async_pool *pool = pool_of(workers);
    atomic_store(&stood, 0);
    stands[0] = stands[1] = (gate){0};
    workers_sleep(pool, workers);
    return pool;
}

static void read_one(async_reader *reader, bool timed, const char *what)
{
    static reading one;
    one = (reading){0};
    reading_start(&one, reader, 1, timed ? async_within_ms(LATE) : async_forever());
    if (!thread_join_within(&one.thread, SOON) || one.status != ASYNC_OK) {
        give_up("a job waits for the worker that %s", what);
    }
}

static void job_is_looked_after(bool timed)
{
    async_pool   *pool = sleeping_pool(2);
    async_reader *reader = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                                .max_chunksize = 1);
    atomic_store(&armed, true);
    read_one(reader, timed, "was woken for it");
    gate_arrived(&stands[0], 1);
    workers_sleep(pool, 1);
    workers_rely_on_search(pool);
    read_one(reader, timed, "searches");
    gate_open(&stands[0]);
    async_reader_release(reader);
    pool_end(pool);
}

/* Nobody waits for these jobs, which wait for each other. */
static void search_is_passed_on(void)
{
    gate          together = {0};
    probe         p = {.hold = &together};
    uint64_t      item;
    async_pool   *pool = sleeping_pool(3);
    async_reader *first = TASK(pool, .source = range_of(0, 1), .each = arm);
    async_reader *one = TASK(pool, .source = range_of(0, 1), .each = each_add_one, .context = &p);
    async_reader *two = TASK(pool, .source = range_of(0, 1), .each = each_add_one, .context = &p);
    read_one(first, false, "nobody stopped");
    gate_arrived(&stands[0], 1);
    workers_sleep(pool, 2);
    sleep_ms(1); /* longer than a search takes */
    atomic_store(&armed, true);
    (void)async_reader_read(one, &item, 1, NULL, async_now());
    gate_arrived(&stands[1], 1);
    /* The third sleeps; or was about to when the second was woken, and has taken the job. */
    if (!UNTIL(SOON,
               atomic_load(&together.waiting) == 1 || atomic_load(&pool->idle.waiters) == 1)) {
        give_up("the third worker neither sleeps nor works");
    }
    workers_rely_on_search(pool);
    (void)async_reader_read(two, &item, 1, NULL, async_now());
    gate_open(&stands[1]);
    gate_arrived(&together, 2);
    gate_open(&together);
    gate_open(&stands[0]);
    async_reader_release(first);
    async_reader_release(one);
    async_reader_release(two);
    pool_end(pool);
}

int main(void)
{
    for (unsigned round = 0; round < 3; round++) {
        job_is_looked_after(false);
        job_is_looked_after(true);
        search_is_passed_on();
    }
    return 0;
}
