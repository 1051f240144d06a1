/* destroying.h: the destruction of a pool in a thread of its own. */
#ifndef SUPPORT_DESTROYING_H
#define SUPPORT_DESTROYING_H

#include "pipeline.h"

typedef struct destroying {
    async_pool  *pool;
    async_ending how;
    async_status status;
    thread       thread;
} destroying;

/* Returns when the pool is being destroyed: it refuses what is new. The pool must have something
 * that keeps it from ending, such as a chunk that stands at a gate. */
void destroying_start(destroying *d, async_pool *pool, async_ending how);
bool destroying_ended(destroying *d);
void destroying_join(destroying *d);

#endif
