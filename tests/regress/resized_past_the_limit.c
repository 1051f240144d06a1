/* resized_past_the_limit.c: max_threads of a pool's options held for async_pool_create only:
 * async_pool_set_size went past it. It refuses what create refuses, and changes nothing. */
#include "expect.h"

enum { LIMIT = 2, ITEMS = 1000 };

static void check_refused(async_pool *pool, unsigned workers, unsigned size)
{
    async_pool_stats stats;
    NOTE("%u workers, wanted: %u", size, workers);
    CHECK_STATUS(async_pool_set_size(pool, workers), ASYNC_INVALID);
    CHECK_EQ(async_pool_size(pool), size);
    CHECK_STATUS(async_pool_counts(pool, &stats), ASYNC_OK);
    CHECK_LE(stats.threads, LIMIT);
}

Test(regress, resized_past_the_limit, .timeout = 60)
{
    async_pool_options options = {.max_threads = LIMIT};
    async_pool        *pool, *none;
    NOTE("create");
    CHECK_STATUS(async_pool_create(&none, LIMIT + 1, &options), ASYNC_INVALID);
    for (unsigned n = 0; n <= LIMIT; n++) {
        CHECK_STATUS(async_pool_create(&pool, n, &options), ASYNC_OK);
        check_refused(pool, LIMIT + 1, n);
        check_refused(pool, 8, n);
        NOTE("from %u workers to the limit", n);
        CHECK_STATUS(async_pool_set_size(pool, LIMIT), ASYNC_OK);
        CHECK_EQ(async_pool_size(pool), LIMIT);
        check_refused(pool, LIMIT + 1, LIMIT);
        async_reader *reader = TASK(pool, .source = range_of(0, ITEMS), .each = each_add_one);
        size_t        count;
        async_free(read_rest(reader, &count));
        CHECK_EQ(count, ITEMS);
        async_reader_release(reader);
        pool_end(pool);
    }
    NOTE("no limit of its own");
    pool = pool_of(1);
    CHECK_STATUS(async_pool_set_size(pool, 8), ASYNC_OK);
    CHECK_EQ(async_pool_size(pool), 8);
    pool_end(pool);
}
