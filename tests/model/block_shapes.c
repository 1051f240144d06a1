/* block_shapes.c: counts of blocks, and the depot that threads exchange them through (the return
 * stack). A block has one owner at a time: its data is plain memory, which the model watches. */
#include "block.h"
#include "model.h"

#include <stdlib.h>

static struct block *shared;
static struct store *store;

static void use(struct block *block)
{
    uint64_t *data = (uint64_t *)(void *)block->data;
    data[0]++;
}

static struct block *fresh(struct store *from)
{
    struct block *block = block_new(from, 64);
    EXPECT(block != NULL);
    EXPECT(load_relaxed(&block->refs) == 1);
    *(uint64_t *)(void *)block->data = 0;
    return block;
}

static void start(void)
{
    shared = fresh(store_default());
    block_retain(shared, 2); /* three counts */
}

/* Each thread is done with its part before its release; who takes the last count may write. */
static void releases(unsigned thread)
{
    uint64_t *part = (uint64_t *)(void *)shared->data + thread;
    *part = thread;
    block_release(shared, 1);
    use(fresh(store_default()));
}

static void folds(unsigned thread)
{
    uint64_t *part = (uint64_t *)(void *)shared->data + thread;
    *part = thread;
    if (thread == 0) {
        block_fold(shared, 2);
        if (load_relaxed(&shared->refs) == 1) {
            block_retain_own(shared, 1);
        } else {
            block_retain(shared, 1);
        }
        block_release(shared, 2);
    } else {
        block_release(shared, 1);
    }
    use(fresh(store_default()));
}

static void let_go(void) { EXPECT(load_relaxed(&shared->refs) <= 1); }

/* What a thread leaves behind at its end, the next one finds. */
static void leaves_and_finds(unsigned thread)
{
    (void)thread;
    struct block *one = fresh(store_default()), *two = fresh(store_default());
    EXPECT(one != two);
    use(one);
    use(two);
    block_release(one, 1);
    block_release(two, 1);
}

/* A user's allocator: no lists of threads, so each block goes by the depot. */
static void *allocate(size_t size, size_t alignment, void *context)
{
    (void)context;
    (void)alignment;

    return aligned_alloc(64, size);
}

static void deallocate(void *memory, size_t size, void *context)
{

    (void)size;
    (void)context;

    free(memory);
}

static unsigned at_start;

static void start_store(void)
{
    at_start = (unsigned)model_allocations();
    async_allocator allocator = {.allocate = allocate, .deallocate = deallocate};
    store = store_create(&allocator);
    EXPECT(store != NULL);
    store_retain(store);
    store_retain(store); /* one for each thread */
    store_drop(store);
}

static void store_used(unsigned thread)
{
    (void)thread;
    struct block *block = fresh(store);
    use(block);
    block_release(block, 1);
    block = fresh(store);
    use(block);
    block_release(block, 1);
    store_drop(store);
}

/* The depot has two places: who finds both taken frees, who finds both empty allocates. */
static void start_store_of_3(void)
{
    start_store();
    store_retain(store);
}

static void overflows(unsigned thread)
{
    (void)thread;
    struct block *one = fresh(store), *two = fresh(store);
    EXPECT(one != two);
    use(one);
    use(two);
    block_release(one, 1);
    block_release(two, 1);
    store_drop(store);
}

/* Each block is released by another thread than the one that made it, and found by any. */
static SHARED(struct block *) passed_on[2];

static void crosses(unsigned thread)
{
    struct block *block = fresh(store);
    use(block);
    if (thread < 2) {
        block = exchange_acq_rel(&passed_on[thread], block);
        if (block != NULL) { use(block); }
    }
    if (block != NULL) { block_release(block, 1); }
    block = thread == 2 ? fresh(store) : exchange_acq_rel(&passed_on[1 - thread], NULL);
    if (block != NULL) {
        use(block);
        block_release(block, 1);
    }
    store_drop(store);
}

static void collect(void)
{
    for (unsigned i = 0; i < 2; i++) {
        /* relaxed: alone */
        struct block *block = load_relaxed(&passed_on[i]);
        if (block != NULL) { block_release(block, 1); }
    }
    EXPECT(model_allocations() == at_start);
}

static void all_back(void) { EXPECT(model_allocations() == at_start); }

const struct model_shape block_shapes[] = {
    {"block/releases", 3, 0, start, releases, let_go},
    {"block/folds", 2, 0, start, folds, NULL},
    {"block/leaves-and-finds", 3, 0, NULL, leaves_and_finds, NULL},
    {"block/store", 2, 0, start_store, store_used, all_back},
    {"block/depot-overflows", 3, 0, start_store_of_3, overflows, all_back},
    {"block/depot-crossed", 3, 0, start_store_of_3, crosses, collect},
    {0},
};
