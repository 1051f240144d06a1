/* block.c: stores of blocks: free lists by size class, each thread's own, and a depot behind them.
 *
 * Magazines (Bonwick and Adams, USENIX 2001): a thread takes blocks from, and gives them back to,
 * two magazines of its own per size class; only a whole magazine, full or empty, passes through the
 * depot. So blocks that one thread allocates and another frees cross over in one exchange per
 * magazine. Differences from the paper: the depot has no lock. It is an array of slots for each
 * class, each NULL or one magazine; to put one is a CAS from NULL, to get one an exchange with
 * NULL, and whoever got the pointer owns all that hangs on it. No pointer is followed before it is
 * owned, so there is no ABA.
 *
 * The stores of users' allocators have no thread's lists: one block is a magazine.
 *
 * Bounds, which let memory return to the system after a burst: a magazine holds at most
 * MAGAZINE_BYTES (or one block), the depot at most DEPOT_BYTES for each class (or two magazines).
 * What does not fit is freed. Blocks past BLOCK_CACHED are never kept.
 *
 * Invariants
 *   I1 A block is in one place: used (refs > 0), in one thread's list, or in one depot slot.
 *   I2 refs is written by holders only; on a block that nobody uses it is 0.
 *   I3 A store outlives its used blocks: each of them holds a count of it. Blocks in its depot do
 *      not, and are freed with it.
 *
 * Orders
 *   B1 put, slot (acq_rel)         -> B2: the magazine's blocks and their links.
 *   B2 get, slot (acq_rel)         <- B1.
 *   B3 release, refs (acq_rel)     -> B3, B4, B6: what holders did with the block is over before it
 *      is reused.
 *   B4 release, refs (acquire)     <- B3: all counts are the caller's.
 *   B6 own all, refs (acquire)     <- B3: as B4; the plain store that follows would cut B3 off
 *      from who releases the block at last.
 *   B5 release, store refs (acq_rel) -> B5: what was put into its depot is there for who frees it.
 * Layer: 2 */
#include "block.h"

#include "check.h"
#include "mem.h"
#include "os.h"

#include <pthread.h>
#include <stdlib.h>

#define BLOCK_UNIT      CACHE_LINE        /* capacities are multiples of it */
#define BLOCK_CACHED    ((size_t)1 << 20) /* capacity of the largest class */
#define CLASSES         52                /* 64, 128, 192, 256, then four steps per power of two */
#define CLASS_NONE      UINT32_MAX
#define MAGAZINE_BYTES  ((size_t)32 << 10)
#define MAGAZINE_BLOCKS 32u
#define DEPOT_BYTES     ((size_t)1 << 20)
#ifndef DEPOT_SLOTS
#define DEPOT_SLOTS 32u
#endif
#define TRIM_LEAST ((int64_t)2 << 20)  /* bytes: what may stay loose */
#define TRIM_MOST  ((int64_t)64 << 20) /* the same where memory keeps coming and going */
#define REGRET_NS  50000000u

struct depot {
    /* Written by any thread; one magazine each, or NULL. */
    alignas(CACHE_LINE) SHARED(struct block *) slots[DEPOT_SLOTS];
};

struct store {
    /* one for the owner, one for each used block; the default store's is not counted */
    shared_u64      refs;
    bool            counted;
    shared_i64      held;      /* default store: bytes of all its blocks, cached ones too */
    shared_i64      loose;     /* bytes that were freed since the system last got some back */
    shared_i64      may_loose; /* TRIM_LEAST to TRIM_MOST */
    shared_u64      trimmed;   /* when that was; 0: it has been judged */
    async_allocator allocator; /* allocate NULL: aligned_alloc and free */
    struct depot    depots[CLASSES];
};

/* A thread's lists of one class; the thread's alone. */
struct bin {
    struct block *loaded; /* taken from and added to */
    struct block *spare;  /* NULL, or a full magazine */
    uint32_t      count;  /* in `loaded` */
    uint32_t      limit;  /* blocks of a full magazine */
};

struct cache {
    struct bin bins[CLASSES];
};

static struct store               default_store = {.may_loose = TRIM_LEAST};
static THREAD_LOCAL struct cache *own;     /* this thread's lists; NULL: none yet, or no more */
static THREAD_LOCAL bool          refused; /* it gets none: it is ending, or there was no key */
static pthread_key_t              key;
static bool                       has_key; /* written once, by pthread_once */
static pthread_once_t             once = PTHREAD_ONCE_INIT;

/* The smallest class with at least `size` bytes; size is 1 … BLOCK_CACHED. */
static uint32_t class_of(size_t size)
{
    uint32_t units = (uint32_t)((size + BLOCK_UNIT - 1) / BLOCK_UNIT);
    if (units <= 4) { return units - 1; }
    uint32_t power = 31 - (uint32_t)__builtin_clz(units - 1); /* 2^power < units <= 2^(power + 1) */
    return 4 + (power - 2) * 4 + ((units - 1) >> (power - 2)) % 4;
}

static size_t class_capacity(uint32_t size_class)
{
    if (size_class < 4) { return (size_class + 1) * (size_t)BLOCK_UNIT; }
    uint32_t power = (size_class - 4) / 4, step = (size_class - 4) % 4;
    return ((size_t)(5 + step) << power) * BLOCK_UNIT;
}

static uint32_t magazine_limit(const struct store *store, uint32_t size_class)
{
    if (store->counted) { return 1; }
    size_t limit = MAGAZINE_BYTES / class_capacity(size_class);
    return limit < 1 ? 1 : limit > MAGAZINE_BLOCKS ? MAGAZINE_BLOCKS : (uint32_t)limit;
}

static unsigned depot_slots(const struct store *store, uint32_t size_class)
{
    size_t slots = DEPOT_BYTES / (class_capacity(size_class) * magazine_limit(store, size_class));
    return slots < 2 ? 2 : slots > DEPOT_SLOTS ? DEPOT_SLOTS : (unsigned)slots;
}

/* So many bytes were freed. What the free lists still hold lies anywhere in the allocator's memory,
 * which by itself would give nothing back from below it. It is told to when half as much was freed
 * as is still held: a burst that drains costs a handful of such calls. */
static void give_back(struct store *store, int64_t bytes)
{
    /* relaxed (all): statistics; who resets the sum to 0 is the one that trims */
    int64_t held = add_relaxed(&store->held, -bytes) - bytes;
    int64_t loose = add_relaxed(&store->loose, bytes) + bytes;
    if (loose < load_relaxed(&store->may_loose) || loose < held / 2) { return; }
    if (!cas_relaxed(&store->loose, &loose, 0)) { return; }
    mem_trim();
    store_relaxed(&store->trimmed, os_now_ns());
}

/* Memory is wanted for the first time since some was given back at `trimmed`. If that was just now,
 * it was a mistake: more may stay loose from here on. */
static void judge_trim(struct store *store, uint64_t trimmed)
{
    /* relaxed (all): statistics; who resets the time judges */
    if (!cas_relaxed(&store->trimmed, &trimmed, 0)) { return; }
    int64_t may = load_relaxed(&store->may_loose);
    may = os_now_ns() - trimmed < REGRET_NS ? may * 2 : may / 2;
    if (may < TRIM_LEAST) { may = TRIM_LEAST; }
    store_relaxed(&store->may_loose, may > TRIM_MOST ? TRIM_MOST : may);
}

static struct block *memory_new(struct store *store, uint32_t size_class, size_t capacity)
{
    size_t bytes;
    if (!size_add(capacity, sizeof(struct block), &bytes)) { return NULL; }
    const async_allocator *from = &store->allocator;
    struct block *block = from->allocate != NULL ? from->allocate(bytes, CACHE_LINE, from->context)
                                                 : aligned_alloc(CACHE_LINE, bytes);
    if (block == NULL) { return NULL; }
    CHECK((uintptr_t)block % CACHE_LINE == 0);
    if (!store->counted) {
        add_relaxed(&store->held, (int64_t)bytes); /* relaxed (both): statistics */
        uint64_t trimmed = load_relaxed(&store->trimmed);
        if (unlikely(trimmed != 0)) { judge_trim(store, trimmed); }
    }
    atomic_init(&block->refs, 0);
    block->size_class = size_class;
    block->chain = 0;
    block->capacity = capacity;
    block->store = store;
    block->next = NULL;
    return block;
}

static void memory_free(struct store *store, struct block *block)
{
    const async_allocator *to = &store->allocator;
    size_t                 bytes = sizeof *block + block->capacity;
    if (to->deallocate != NULL) {
        to->deallocate(block, bytes, to->context);
    } else {
        free(block);
    }
    if (!store->counted) { give_back(store, (int64_t)bytes); }
}

static void magazine_free(struct store *store, struct block *first)
{
    while (first != NULL) {
        struct block *block = first;
        first = first->next;
        memory_free(store, block);
    }
}

/* A magazine, owned by the caller, or NULL. Wait-free. */
static struct block *depot_get(struct store *store, uint32_t size_class)
{
    struct depot *depot = &store->depots[size_class];
    for (unsigned i = 0, count = depot_slots(store, size_class); i < count; i++) {
        /* relaxed: only saves the exchange */
        if (load_relaxed(&depot->slots[i]) == NULL) { continue; }
        struct block *first = exchange_acq_rel(&depot->slots[i], NULL); /* B2 <- B1. LP */
        if (first != NULL) { return first; }
    }
    return NULL;
}

/* Takes over a magazine; frees it where the depot is full. Wait-free but for that. */
static void depot_put(struct store *store, uint32_t size_class, struct block *first)
{
    struct depot *depot = &store->depots[size_class];
    for (unsigned i = 0, count = depot_slots(store, size_class); i < count; i++) {
        struct block *none = NULL;
        /* relaxed: only saves the CAS */
        /* B1 -> B2. LP */
        if (load_relaxed(&depot->slots[i]) == NULL && cas_acq_rel(&depot->slots[i], &none, first)) {
            return;
        }
    }
    magazine_free(store, first);
}

/* The thread ends: what it has goes to the depot. */
static void thread_ends(void *argument)
{
    struct cache *cache = argument;
    own = NULL;
    refused = true;
    for (uint32_t i = 0; i < CLASSES; i++) {
        struct bin *bin = &cache->bins[i];
        if (bin->loaded != NULL) {
            bin->loaded->chain = bin->count;
            depot_put(&default_store, i, bin->loaded);
        }
        if (bin->spare != NULL) { depot_put(&default_store, i, bin->spare); }
    }
    mem_free(cache);
}

static void make_key(void) { has_key = pthread_key_create(&key, thread_ends) == 0; }

/* The thread's lists; NULL where it can have none now. */
static struct cache *own_cache(void)
{
    if (likely(own != NULL)) { return own; }
    if (refused) { return NULL; }
    pthread_once(&once, make_key);
    struct cache *cache = has_key ? mem_zalloc(sizeof *cache, CACHE_LINE) : NULL;
    if (cache == NULL) { return NULL; }
    if (pthread_setspecific(key, cache) != 0) {
        mem_free(cache);
        return NULL;
    }
    for (uint32_t i = 0; i < CLASSES; i++) {
        cache->bins[i].limit = magazine_limit(&default_store, i);
    }
    return own = cache;
}

/* From the depot, the rest of whose magazine becomes the bin's. */
static struct block *refill(struct bin *bin, uint32_t size_class)
{
    struct block *first = bin->spare;
    if (first != NULL) {
        bin->spare = NULL;
    } else {
        first = depot_get(&default_store, size_class);
        if (first == NULL) { return NULL; }
    }
    bin->loaded = first->next;
    bin->count = first->chain - 1;
    return first;
}

static struct block *block_find(struct store *store, uint32_t size_class)
{
    if (unlikely(store->counted)) { return depot_get(store, size_class); }
    struct cache *cache = own_cache();
    if (unlikely(cache == NULL)) {
        struct block *first = depot_get(store, size_class);
        if (first != NULL && first->next != NULL) {
            first->next->chain = first->chain - 1;
            depot_put(store, size_class, first->next);
        }
        return first;
    }
    struct bin   *bin = &cache->bins[size_class];
    struct block *block = bin->loaded;
    if (unlikely(block == NULL)) { return refill(bin, size_class); }
    bin->loaded = block->next;
    bin->count--;
    return block;
}

struct block *block_new(struct store *store, size_t size)
{
    struct block *block = NULL;
    if (likely(size <= BLOCK_CACHED)) {
        uint32_t size_class = class_of(size == 0 ? 1 : size);
        block = block_find(store, size_class);
        if (unlikely(block == NULL)) {
            block = memory_new(store, size_class, class_capacity(size_class));
        }
    } else {
        size_t capacity;
        if (!size_add(size, BLOCK_UNIT - 1, &capacity)) { return NULL; }
        block = memory_new(store, CLASS_NONE, capacity / BLOCK_UNIT * BLOCK_UNIT);
    }
    if (unlikely(block == NULL)) { return NULL; }
    store_retain(store);
    store_relaxed(&block->refs, 1); /* relaxed: nobody else knows the block yet */
    return block;
}

/* Nobody uses the block any more. */
static void block_keep(struct store *store, struct block *block)
{
    uint32_t size_class = block->size_class;
    if (unlikely(size_class == CLASS_NONE)) {
        memory_free(store, block);
        return;
    }
    struct cache *cache = store->counted ? NULL : own_cache();
    if (unlikely(cache == NULL)) {
        block->next = NULL;
        block->chain = 1;
        depot_put(store, size_class, block);
        return;
    }
    struct bin *bin = &cache->bins[size_class];
    if (unlikely(bin->count == bin->limit)) {
        if (bin->spare != NULL) { depot_put(store, size_class, bin->spare); }
        bin->loaded->chain = bin->count;
        bin->spare = bin->loaded;
        bin->loaded = NULL;
        bin->count = 0;
    }
    block->next = bin->loaded;
    bin->loaded = block;
    bin->count++;
}

void block_release(struct block *block, uint64_t count)
{
    if (unlikely(count == 0)) { return; }
    /* B4 <- B3: no one else has any, so no one can add one */
    if (load_acquire(&block->refs) == count) {
        store_relaxed(&block->refs, 0); /* relaxed: the caller's alone */
    } else {
        uint64_t before = sub_acq_rel(&block->refs, count); /* B3 -> B3, B4 */
        DEBUG_CHECK(before >= count);
        if (before != count) { return; }
    }
    struct store *store = block->store;
    block_keep(store, block);
    store_drop(store);
}

struct store *store_default(void) { return &default_store; }

/* relaxed: a statistic */
int64_t store_default_held(void) { return load_relaxed(&default_store.held); }

struct store *store_create(const async_allocator *allocator)
{
    if (allocator == NULL) { return &default_store; }
    struct store *store = mem_zalloc(sizeof *store, alignof(struct store));
    if (store == NULL) { return NULL; }
    atomic_init(&store->refs, 1);
    store->counted = true;
    store->allocator = *allocator;
    return store;
}

struct store *store_retain(struct store *store)
{
    /* relaxed: the caller has a count already */
    if (store->counted) { add_relaxed(&store->refs, 1); }
    return store;
}

void store_drop(struct store *store)
{
    if (likely(!store->counted)) { return; }
    if (sub_acq_rel(&store->refs, 1) != 1) { return; } /* B5 -> B5 */
    for (uint32_t i = 0; i < CLASSES; i++) {
        struct block *first;
        while ((first = depot_get(store, i)) != NULL) { magazine_free(store, first); }
    }
    mem_free(store);
}
