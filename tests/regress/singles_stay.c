/* singles_stay.c: items that were written singly lie in the queue's slots. A borrow took them out
 * before it had a block to put them into, and a task that gathers them had a block for its results
 * and then none for its input: where memory was short just then, they were discarded. What is taken
 * is kept, and comes when the call is repeated. */
#include "refusing.h"

enum { ITEMS = 20, CHUNK = 10 };

static probe channel_of_items;

/* A channel of the numbers 0 ... ITEMS - 1, each written by itself. */
static async_reader *singles(void)
{
    async_writer *writer;
    async_reader *reader;
    channel_of_items = (probe){0};
    channel_of(&writer, &reader, 0, &channel_of_items);
    for (uint64_t i = 0; i < ITEMS; i++) { write_numbers(writer, i, 1); }
    async_writer_release(writer);
    return reader;
}

static void none_discarded(const char *by, unsigned allowed)
{
    unsigned discarded = (unsigned)atomic_load(&channel_of_items.discarded);
    if (discarded > 0) { give_up("%s, allocation %u: %u discarded", by, allowed, discarded); }
}

static void borrow(void)
{
    async_reader *reader = singles();
    async_view    view;
    atomic_store(&refusing, true);
    async_status status = async_reader_borrow(reader, &view, 1, async_now());
    atomic_store(&refusing, false);
    if (status != ASYNC_NO_MEMORY) { give_up("a borrow: %s", async_status_name(status)); }
    none_discarded("borrow", 0);
    for (uint64_t i = 0; i < ITEMS; i++) {
        status = async_reader_borrow(reader, &view, 1, async_now());
        if (status != ASYNC_OK || view.count != 1 || *(const uint64_t *)view.items != i) {
            give_up("borrow of item %u: %s", (unsigned)i, async_status_name(status));
        }
        async_view_return(&view);
    }
    async_reader_release(reader);
}

/* The pool's own allocator gives so many blocks, and then none until `refusing` is false. */
static atomic_uint allowed_left;

static void *allocate(size_t size, size_t alignment, void *context)
{
    (void)context;
    if (atomic_load(&refusing)) {
        if (atomic_load(&allowed_left) == 0) { return NULL; }
        atomic_fetch_sub(&allowed_left, 1);
    }
    return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void deallocate(void *memory, size_t size, void *context)
{
    (void)size;
    (void)context;
    free(memory);
}

/* How many items had been taken out of the channel when the first read was refused. */
static size_t gather(unsigned allowed)
{
    async_allocator    allocator = {.allocate = allocate, .deallocate = deallocate};
    async_pool_options options = {.allocator = &allocator};
    async_pool        *pool;
    uint64_t           items[ITEMS + 1];
    size_t             got, more, taken = 0;
    async_reader      *input = singles();
    if (async_pool_create(&pool, 0, &options) != ASYNC_OK) { give_up("no pool"); }
    async_reader *reader = TASK(pool, .input = input, .batch = batch_copy, .max_chunksize = CHUNK);
    atomic_store(&allowed_left, allowed);
    atomic_store(&refusing, true);
    async_status status = async_reader_read(reader, items, CHUNK, &got, async_now());
    if (status == ASYNC_NO_MEMORY) { taken = ITEMS - async_reader_ready(input); }
    atomic_store(&refusing, false);
    status = async_reader_read(reader, items + got, ITEMS + 1 - got, &more, async_forever());
    none_discarded("gather", allowed);
    if (status != ASYNC_END || got + more != ITEMS) {
        give_up("gather, allocation %u: %s after %zu", allowed, async_status_name(status),
                got + more);
    }
    for (uint64_t i = 0; i < ITEMS; i++) {
        if (items[i] != i) { give_up("gather, allocation %u: items out of order", allowed); }
    }
    async_reader_release(input);
    async_reader_release(reader);
    pool_end(pool);
    return taken;
}

int main(void)
{
    size_t taken = 0;
    borrow();
    for (unsigned allowed = 0; allowed < 5; allowed++) { taken += gather(allowed); }
    if (taken == 0) { give_up("no read was refused between the taking and the stash"); }
    return 0;
}
