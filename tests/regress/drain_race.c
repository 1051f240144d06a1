/* drain_race.c: destroying a pool with ASYNC_DRAIN runs what was asked for. A task that lacked
 * input when the destroying thread looked at it got it from a run that was over before its own task
 * was looked at: nobody was inside then, and what was asked of the first task was left out. */
#include "pipeline.h"

#include <stdio.h>

#define ROUNDS 3000
#define ASKED  64

int main(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint64_t      items[ASKED + 1];
        size_t        got, rest;
        async_pool   *pool = pool_of(1 + round % 2);
        async_reader *a = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                               .max_chunksize = 16, .min_count = ASKED);
        async_reader *b = TASK(pool, .input = a, .max_chunksize = 7);
        async_reader_release(a);
        if (async_reader_read(b, items, 20, &got, async_forever()) != ASYNC_OK) {
            give_up("no items");
        }
        pool_end(pool);
        if (async_reader_read(b, items, ASKED, &rest, async_forever()) != ASYNC_END ||
            got + rest != ASKED) {
            fprintf(stderr, "round %u: %zu items instead of %d\n", round, got + rest, ASKED);
            return 1;
        }
        async_reader_release(b);
    }
    return 0;
}
