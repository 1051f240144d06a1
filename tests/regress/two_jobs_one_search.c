/* two_jobs_one_search.c: two jobs that were pushed while the last searching worker was about to
 * give up. Whoever pushes wakes nobody while a worker searches, and relies on it to pass the search
 * on. This one saw the jobs only in its last look before sleeping, and took one like any other:
 * nobody was woken for the second, which was left until the next push.
 *
 * The hook stops a worker when it has found nothing and is still counted as one that searches. The
 * two jobs wait for each other, so that one worker alone cannot run both. */
#include "pipeline.h"
#include "pool.h"
#include "step.h"
#include "workers.h"

#include <string.h>

#define ROUNDS 20

static atomic_bool        armed; /* the next worker that searches stops at the end of it */
static gate               stand;
static _Thread_local bool searches;

void async_step(const char *site)
{
    if (strcmp(site, "search: counted") == 0) {
        searches = true;
    } else if (searches && strcmp(site, "sub_seq_cst") == 0) { /* it is about to be uncounted */
        searches = false;
        if (atomic_exchange(&armed, false)) { gate_pass(&stand); }
    }
}

static int arm(const void *in, void *out, void *context)
{
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in;
    atomic_store(&armed, true);
    return 0;
}

static void push(async_reader *reader)
{
    uint64_t item;
    if (async_reader_read(reader, &item, 1, NULL, async_now()) != ASYNC_TIMEOUT) {
        give_up("an item that nobody can have made");
    }
}

static void play(void)
{
    gate          together = {0};
    probe         p = {.hold = &together};
    uint64_t      item;
    async_pool   *pool = pool_of(2);
    async_reader *first = TASK(pool, .source = range_of(0, 1), .each = arm);
    async_reader *one = TASK(pool, .source = range_of(0, 1), .each = each_add_one, .context = &p);
    async_reader *two = TASK(pool, .source = range_of(0, 1), .each = each_add_one, .context = &p);
    pool->left_alone = true; /* or who waits for the pool's work would have a worker woken */
    stand = (gate){0};
    workers_sleep(pool, 2);
    if (async_reader_read(first, &item, 1, NULL, async_forever()) != ASYNC_OK) {
        give_up("no item");
    }
    gate_arrived(&stand, 1);
    workers_sleep(pool, 1);
    workers_rely_on_search(pool);
    push(one);
    push(two);
    gate_open(&stand);
    gate_arrived(&together, 2);
    gate_open(&together);
    async_reader_release(first);
    async_reader_release(one);
    async_reader_release(two);
    pool_end(pool);
}

int main(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) { play(); }
    return 0;
}
