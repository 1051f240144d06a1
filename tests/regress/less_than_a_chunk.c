/* less_than_a_chunk.c: a lone read_all of a pool with a small window hung. For an unbounded reader
 * only full chunks were scheduled. Where what came did not come in chunks (a filter drops items, a
 * source gives more than was asked for, or has chunks of another size), less than one stayed
 * missing: with a window of one to three chunks the reader waited for more than could still
 * come. */
#include "expect.h"

enum { ITEMS = 1000, CHUNK = 10, WINDOWS = 3 };

static async_pool *pool_with(unsigned workers, unsigned window)
{
    async_pool *pool = NULL;
    CHECK_STATUS(async_pool_create(&pool, workers, &(async_pool_options){.window = window}),
                 ASYNC_OK);
    return pool;
}

/* Gives out three of ten. */
static int emit_three(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    const uint64_t *items = in;
    (void)done;
    (void)context;
    for (size_t i = 0; i < count; i++) {
        if (items[i] % 10 < 3) { (void)async_emit(out, &items[i], 1); }
    }
    return 0;
}

/* Releases the reader and destroys the pool. */
static void read_them(async_pool *pool, async_reader *reader, size_t wanted)
{
    void  *items = NULL;
    size_t count = 0;
    CHECK_STATUS(async_reader_read_all(reader, &items, &count, async_within_ms(SOON)), ASYNC_OK);
    CHECK_EQ(count, wanted);
    async_free(items);
    async_reader_release(reader);
    pool_end(pool);
}

static void each_window(const char *what, void (*body)(async_pool *pool))
{
    EACH_SIZE (n) {
        for (unsigned window = 1; window <= WINDOWS; window++) {
            NOTE("%s, N = %u, window %u", what, n, window);
            body(pool_with(n, window));
        }
    }
}

static void filter(async_pool *pool)
{
    read_them(pool,
              TASK(pool, .source = range_of(0, ITEMS), .emit = emit_three, .max_chunksize = CHUNK),
              ITEMS / 10 * 3);
}

static void more_than_asked(async_pool *pool)
{
    read_them(pool,
              TASK(pool, .source = range_of(0, ITEMS), .max_chunksize = CHUNK, .min_count = 27),
              ITEMS);
}

static void other_chunks(async_pool *pool)
{
    async_reader *source = TASK(pool, .source = range_of(0, ITEMS), .max_chunksize = CHUNK,
                                .min_count = 27);
    async_reader *reader = TASK(pool, .input = source, .each = each_add_one, .max_chunksize = 16,
                                .order = ASYNC_ORDERED);
    async_reader_release(source);
    read_them(pool, reader, ITEMS);
}

Test(regress, less_than_a_chunk_filter, .timeout = 120) { each_window("a filter", filter); }

Test(regress, less_than_a_chunk_more_than_asked, .timeout = 120)
{
    each_window("more than asked for", more_than_asked);
}

Test(regress, less_than_a_chunk_other_chunks, .timeout = 120)
{
    each_window("other chunks", other_chunks);
}
