/* refusing.h: the runtime's allocations, which the program can refuse. Memory comes from two of its
 * files: the blocks of items and the queues' segments from block.c, all else from mem.c. Both are
 * compiled here, with functions of ours in the places of the C library's.
 *
 * Blocks that the runtime has kept from before are given out again, refused or not. */
#ifndef REGRESS_REFUSING_H
#define REGRESS_REFUSING_H

#include "pipeline.h"

#include <stdlib.h>

static atomic_bool refusing;
static atomic_uint refusals;

static bool refuse(void)
{
    if (!atomic_load(&refusing)) { return false; }
    atomic_fetch_add(&refusals, 1);
    return true;
}

static void *zeroed_or_not(size_t count, size_t size)
{
    return refuse() ? NULL : calloc(count, size);
}

static void *aligned_or_not(size_t alignment, size_t size)
{
    return refuse() ? NULL : aligned_alloc(alignment, size);
}

#define calloc        zeroed_or_not
#define aligned_alloc aligned_or_not
#include "../../runtime/block.c"
#include "../../runtime/mem.c"
#undef calloc
#undef aligned_alloc

#endif
