/* stopped_in_search.c: a worker that was stopped, or preempted, while it searched for work. Whoever
 * pushed a job relied on it, however long it had stood there, and woke nobody: the other tasks of
 * the pool waited for it. It is relied on for as long as a search takes.
 *
 * The hook stops a worker at the start of a search that finds nothing. The reads after that rest on
 * the other worker, which sleeps. */
#include "pipeline.h"
#include "pool.h"
#include "step.h"
#include "workers.h"

#include <string.h>

#define ROUNDS 20
#define READS  3

static atomic_bool armed; /* the next worker that searches stops */
static gate        stand;

void async_step(const char *site)
{
    if (strcmp(site, "search: counted") == 0 && atomic_exchange(&armed, false)) {
        gate_pass(&stand);
    }
}

static int arm(const void *in, void *out, void *context)
{
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in;
    atomic_store(&armed, true);
    return 0;
}

static void play(void)
{
    uint64_t      item;
    async_pool   *pool = pool_of(2);
    async_reader *first = TASK(pool, .source = range_of(0, 1), .each = arm);
    async_reader *other = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                               .max_chunksize = 1);
    pool->left_alone = true; /* or who waits for the pool's work would have a worker woken */
    stand = (gate){0};
    workers_sleep(pool, 2);
    if (async_reader_read(first, &item, 1, NULL, async_forever()) != ASYNC_OK) {
        give_up("no item");
    }
    gate_arrived(&stand, 1);
    for (uint64_t i = 0; i < READS; i++) {
        workers_sleep(pool, 1);
        sleep_ms(1); /* longer than a search takes */
        async_status status = async_reader_read(other, &item, 1, NULL, async_within_ms(SOON));
        if (status != ASYNC_OK || item != i + 1) {
            give_up("read %u: %s: the job waits for the worker that stands", (unsigned)i,
                    async_status_name(status));
        }
    }
    gate_open(&stand);
    async_reader_release(first);
    async_reader_release(other);
    pool_end(pool);
}

int main(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) { play(); }
    return 0;
}
