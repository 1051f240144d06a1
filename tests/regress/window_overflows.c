/* window_overflows.c: a reader of everything asks for a window of chunks. With a max_chunksize, or
 * a window, so large that the number of items overflows, it asked for less than nothing:
 * async_reader_read_all and async_reader_for_each waited for ever, also where there was no memory
 * for such a chunk. Such values are refused, or are like any other large ones.
 *
 * The pool's allocator has no memory for large chunks. They may be told so. */
#include "expect.h"

#include <stdlib.h>

enum { ITEMS = 1000, LARGEST = 1 << 20 };

static const char array[ITEMS];

static const struct {
    size_t   chunk;
    unsigned window;
} sizes[] = {
    {SIZE_MAX - 1, 0},
    {SIZE_MAX / 2, 0},
    {SIZE_MAX / 4, 0},
    {SIZE_MAX / 8, 0}, /* the largest one that is counted */
    {SIZE_MAX / 8, 1},
    {(size_t)1 << 50, 0},
    {(size_t)1 << 50, INT32_MAX},
    {(size_t)1 << 33, 1U << 30},
    {(size_t)1 << 32, INT32_MAX},
    {LARGEST / 2, INT32_MAX},
    {1, INT32_MAX},
    {0, INT32_MAX},
};

static void *allocate(size_t size, size_t alignment, void *context)
{
    (void)context;
    if (size > LARGEST) { return NULL; }
    return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void deallocate(void *memory, size_t size, void *context)
{
    (void)size;
    (void)context;
    free(memory);
}

static int count_items(const void *items, size_t count, void *context)
{
    (void)items;
    *(size_t *)context += count;
    return ASYNC_CONTINUE;
}

static void try_reader(async_reader *reader, bool each, bool large)
{
    async_status status;
    size_t       count = 0;
    void        *items = NULL;
    async_wait   soon = async_within_ms(SOON);
    if (each) {
        status = async_reader_for_each(reader, count_items, &count, soon);
    } else {
        status = async_reader_read_all(reader, &items, &count, soon);
        async_free(items);
    }
    if (!large || status != ASYNC_NO_MEMORY) {
        CHECK_STATUS(status, ASYNC_OK);
        CHECK_EQ(count, ITEMS);
    }
}

static void try_it(unsigned n, unsigned at, bool each)
{
    NOTE("N = %u, %s, max_chunksize %zx, window %x", n, each ? "for_each" : "read_all",
         sizes[at].chunk, sizes[at].window);
    async_pool        *pool;
    async_reader      *reader;
    async_allocator    allocator = {.allocate = allocate, .deallocate = deallocate};
    async_pool_options pool_options = {.window = sizes[at].window, .allocator = &allocator};
    CHECK_STATUS(async_pool_create(&pool, n, &pool_options), ASYNC_OK);
    async_source       source = async_source_array(array, ITEMS, 1);
    async_task_options options = {.source = &source, .max_chunksize = sizes[at].chunk};
    async_status       status = async_pool_add_task(pool, &reader, &options);
    if (sizes[at].chunk <= SIZE_MAX / 8 || status != ASYNC_INVALID) {
        CHECK_STATUS(status, ASYNC_OK);
        try_reader(reader, each, sizes[at].chunk > LARGEST / 2);
        async_reader_release(reader);
    }
    pool_end(pool);
}

Test(regress, window_overflows, .timeout = 120)
{
    for (unsigned n = 0; n < 3; n++) {
        for (unsigned at = 0; at < sizeof sizes / sizeof sizes[0]; at++) {
            try_it(n, at, false);
            try_it(n, at, true);
        }
    }
}
