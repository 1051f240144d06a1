/* block.h: the memory that items travel in: aligned, counted, recycled.
 *
 * A block is one run of memory. A run is a piece of a block with items in it, and holds one count
 * of it; who holds the last count gives the block back to the store that it came from. Stores are
 * counted too: blocks that are in use hold theirs.
 *
 * The default store (no allocator of the user's) keeps per-thread free lists by size class, and
 * a depot behind them that threads exchange whole magazines of blocks through; the stores of
 * user's allocators have the depot alone. All of them are bounded.
 *
 * Progress: wait-free but for the allocator, which the steady path does not call.
 * Layer: 2 */
#ifndef ASYNC_RUNTIME_BLOCK_H
#define ASYNC_RUNTIME_BLOCK_H

#include "atomic.h"

#include <async/pool.h>

struct store;

/* never fails; retain/release are no-ops on it */
struct store *store_default(void);
struct store *store_create(const async_allocator *allocator); /* NULL: no memory */
struct store *store_retain(struct store *store);
void          store_drop(struct store *store);
/* Bytes of all blocks of the default store: those in use, and those that are kept to be used
 * again. */
int64_t store_default_held(void);

struct block {
    shared_u64    refs;       /* whoever holds a count adds; who takes it to 0 owns the block */
    uint32_t      size_class; /* the store's */
    uint32_t      chain;      /* of the first block of a magazine: how many blocks it has */
    size_t        capacity;   /* bytes at `data` */
    struct store *store;
    struct block *next; /* in a list: the list's owner's */
    size_t        used; /* items in it: its only holder's, while it is not shared */
    alignas(CACHE_LINE) unsigned char data[];
};

/* A block of at least `size` bytes (0 is taken as 1), with one count. NULL: there is no memory. */
struct block *block_new(struct store *store, size_t size);

/* The caller has a count already; `count` more. */
static inline void block_retain(struct block *block, uint64_t count)
{
    add_relaxed(&block->refs, count); /* relaxed: the caller has a count already */
}

/* `count` counts less, all of them the caller's; 0 is fine and does nothing. */
void block_release(struct block *block, uint64_t count);

/* As block_retain, for one who has just one count: cheaper where that is the only one. */
static inline void block_retain_own(struct block *block, uint64_t count)
{
    if (load_acquire(&block->refs) == 1) {      /* B6 <- B3 */
        store_relaxed(&block->refs, 1 + count); /* relaxed: the caller's alone */
    } else {
        add_relaxed(&block->refs, count); /* relaxed: the caller has a count already */
    }
}

/* Of `count` counts, all of them the caller's, one is left. */
static inline void block_fold(struct block *block, uint64_t count)
{
    if (load_acquire(&block->refs) == count) { /* B6 <- B3 */
        store_relaxed(&block->refs, 1);        /* relaxed: the caller's alone */
    } else {
        block_release(block, count - 1);
    }
}

/* `count` items at `items`, inside `block`, of which it holds one count. */
struct run {
    struct block  *block;
    unsigned char *items;
    size_t         count;
};

#endif
