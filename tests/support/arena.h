/* arena.h: an allocator for pools that counts, that can fail on purpose, and that spoils what is
 * given back, so that whoever still looks at it sees rubbish. */
#ifndef SUPPORT_ARENA_H
#define SUPPORT_ARENA_H

#include "pipeline.h"

/* Zeroed, it only counts. */
typedef struct arena {
    atomic_uint_fast64_t calls;   /* of allocate */
    atomic_uint_fast64_t blocks;  /* in use */
    atomic_uint_fast64_t bytes;   /* in them */
    atomic_uint_fast64_t most;    /* and the most at once */
    atomic_uint_fast64_t wrong;   /* calls with sizes or alignments that are not as promised */
    atomic_uint_fast64_t fail_at; /* this call of allocate fails, counted from 1; 0: none */
    atomic_uint_fast64_t failed;  /* calls that failed on purpose */
} arena;

async_allocator arena_allocator(arena *a);
/* A pool whose blocks come from the arena; NULL where that fails. `base` may be NULL. */
async_pool *arena_pool(arena *a, unsigned workers, const async_pool_options *base);

#endif
