/* results_stay.c: a chunk was drawn and its function called before there was a segment of the queue
 * for its results. Where there was no memory for one, what the chunk had made was discarded, and
 * the task failed for good. The segment is had first, and a chunk that gets none waits.
 *
 * Every segment is refused once, of the task whose chunks have one item each, so that each result
 * takes a slot. The items lie in blocks of the pool's allocator, which refuses nothing. */
#include "refusing.h"

#include "../../runtime/queue_segment.h"

enum { ITEMS = 4 * SEGMENT_SLOTS };

static void *allocate(size_t size, size_t alignment, void *context)
{
    (void)context;
    return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void deallocate(void *memory, size_t size, void *context)
{
    (void)size;
    (void)context;
    free(memory);
}

static void try_it(unsigned n)
{
    async_allocator    allocator = {.allocate = allocate, .deallocate = deallocate};
    async_pool_options options = {.allocator = &allocator};
    async_pool        *pool;
    probe              p = {0};
    uint64_t           item;
    unsigned           told = 0;
    if (async_pool_create(&pool, n, &options) != ASYNC_OK) { give_up("no pool"); }
    async_reader *reader = TASK(pool, .source = range_of(0, ITEMS), .each = each_add_one,
                                .max_chunksize = 1, .context = &p, .discard = probe_discard);
    atomic_store(&refusals, 0);
    for (uint64_t i = 0; i < ITEMS; i++) {
        /* with a deadline: else the read may make the item itself, without a queue */
        async_wait wait = async_within_ms(LATE);
        atomic_store(&refusing, i > 0); /* the first read makes what is kept for later ones */
        async_status status = async_reader_read(reader, &item, 1, NULL, wait);
        atomic_store(&refusing, false);
        for (; status == ASYNC_NO_MEMORY; told++) {
            status = async_reader_read(reader, &item, 1, NULL, wait);
        }
        if (status != ASYNC_OK || item != i + 1) {
            give_up("N = %u: %s instead of item %u, %u discarded", n, async_status_name(status),
                    (unsigned)i, (unsigned)atomic_load(&p.discarded));
        }
    }
    if (told == 0 || atomic_load(&refusals) == 0) { give_up("N = %u: nothing was refused", n); }
    if (atomic_load(&p.calls) != ITEMS || atomic_load(&p.discarded) != 0) {
        give_up("N = %u: %u calls, %u discarded", n, (unsigned)atomic_load(&p.calls),
                (unsigned)atomic_load(&p.discarded));
    }
    async_reader_release(reader);
    pool_end(pool);
}

int main(void)
{
    for (unsigned n = 0; n < 3; n++) { try_it(n); }
    return 0;
}
