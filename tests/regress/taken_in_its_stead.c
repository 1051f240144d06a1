/* taken_in_its_stead.c: P9, K3. A task with two inputs took more from one than it had asked for, in
 * the other's stead. What it took had been asked for by another consumer of that input, which
 * nobody gave any more: where the first one waited for that consumer, for ever. */
#include "expect.h"

#include <stdlib.h>

enum { ITEMS = 5000 };

Test(regress, taken_in_its_stead, .timeout = 120)
{
    for (unsigned round = 0; round < 20; round++) {
        unsigned n = round % 4;
        NOTE("round %u, N = %u", round, n);
        async_pool   *pool = pool_of(n);
        async_reader *source = TASK(pool, .source = range_of(0, ITEMS), .max_chunksize = 1);
        async_reader *other = TASK(pool, .input = source, .each = each_add_one,
                                   .max_chunksize = 100, .max_parallel = 1);
        async_reader *both = TASK(pool, .input = other, .each = each_add_one);
        CHECK_STATUS(async_task_add_input(async_reader_task(both), source), ASYNC_OK);
        async_reader_release(source);
        async_reader_release(other);
        uint64_t items[500];
        size_t   got = 0, count = 0;
        while (async_reader_read(both, items, 500, &got, async_forever()) == ASYNC_OK) {
            count += got;
        }
        CHECK_EQ(count + got, ITEMS);
        async_reader_release(both);
        pool_end(pool);
    }
}
