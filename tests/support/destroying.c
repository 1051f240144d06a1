/* destroying.c: the destruction of a pool in a thread of its own. */
#include "destroying.h"

static void destroy_body(void *arg)
{
    destroying *d = arg;
    d->status = async_pool_destroy(d->pool, d->how);
}

void destroying_start(destroying *d, async_pool *pool, async_ending how)
{
    d->pool = pool;
    d->how = how;
    thread_start(&d->thread, destroy_body, d);
    unsigned size = async_pool_size(pool);
    if (!UNTIL(SOON, async_pool_set_size(pool, size) == ASYNC_CLOSED)) {
        give_up("a pool that is being destroyed still takes a size after %d ms", SOON);
    }
}

bool destroying_ended(destroying *d) { return thread_ended(&d->thread); }

void destroying_join(destroying *d) { thread_join(&d->thread); }
