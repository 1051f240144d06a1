/* workers.h: for programs that stop a worker in its search while the others sleep. */
#ifndef REGRESS_WORKERS_H
#define REGRESS_WORKERS_H

#include "pipeline.h"
#include "pool.h"

/* Waits until `count` of the workers sleep, and aborts where they do not. All are woken once more:
 * one that was about to fall asleep when somebody was woken before would not, but search again. */
static inline void workers_sleep(async_pool *pool, unsigned count)
{
    async_pool_stats before, after;
    do {
        if (!pool_asleep(pool, count)) { give_up("%u workers do not sleep", count); }
        if (async_pool_counts(pool, &before) != ASYNC_OK) { give_up("no counts"); }
        pool_wake_all(pool);
        if (!UNTIL(SOON, async_pool_counts(pool, &after) == ASYNC_OK &&
                             after.parks >= before.parks + count)) {
            give_up("%u workers do not sleep again", count);
        }
    } while (after.parks != before.parks + count); /* one did just that meanwhile */
}

/* Whoever pushes relies on the worker that searches, however long that takes. */
static inline void workers_rely_on_search(async_pool *pool)
{
    atomic_store(&pool->search_began, now_ns() + UINT64_C(60000000000));
}

#endif
