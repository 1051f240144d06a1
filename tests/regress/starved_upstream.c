/* starved_upstream.c: a task whose input is made by a task of another pool, which has no workers:
 * the worker that lacks the items makes them itself. Where that one's allocator refused once, the
 * worker dropped the shortage, and did not try again: everything slept, and the reader waited for
 * ever, although memory was back at once.
 *
 * Every allocation of the second pool is refused in turn, once. */
#include "pipeline.h"

#include <stdlib.h>

enum { ITEMS = 10 };

static atomic_int  until_refused; /* the next but so many; 0: none */
static atomic_bool refused;

static void *allocate(size_t size, size_t alignment, void *context)
{
    (void)context;
    if (atomic_load(&until_refused) > 0 && atomic_fetch_sub(&until_refused, 1) == 1) {
        atomic_store(&refused, true);
        return NULL;
    }
    return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void deallocate(void *memory, size_t size, void *context)
{
    (void)size;
    (void)context;
    free(memory);
}

/* Reads with the k-th allocation refused. False: there is no k-th one. */
static bool refuse(unsigned n, int k)
{
    async_allocator    allocator = {.allocate = allocate, .deallocate = deallocate};
    async_pool_options options = {.allocator = &allocator};
    async_pool        *pool = pool_of(n), *upstream;
    uint64_t           items[ITEMS];
    size_t             done = 0;
    if (async_pool_create(&upstream, 0, &options) != ASYNC_OK) { give_up("no pool"); }
    async_reader *input = TASK(upstream, .source = range_of(0, 1000), .each = each_add_one);
    async_reader *reader = TASK(pool, .input = input, .each = each_add_one);
    atomic_store(&refused, false);
    atomic_store(&until_refused, k);
    while (done < ITEMS) {
        size_t       got = 0;
        async_status status = async_reader_read(reader, items + done, ITEMS - done, &got,
                                                async_within_ms(SOON));
        done += got;
        /* NO_MEMORY is an answer, too: the next read goes on */
        if (status != ASYNC_OK && status != ASYNC_NO_MEMORY) {
            give_up("N = %u, allocation %d refused: %s after %zu of %d items", n, k,
                    async_status_name(status), done, ITEMS);
        }
    }
    atomic_store(&until_refused, 0);
    async_reader_release(input);
    async_reader_release(reader);
    pool_end(pool);
    pool_end(upstream);
    return atomic_load(&refused);
}

int main(void)
{
    for (unsigned n = 1; n <= 4; n *= 2) {
        int k = 1;
        while (refuse(n, k)) { k++; }
        if (k == 1) { give_up("N = %u: nothing was allocated", n); }
    }
    return 0;
}
