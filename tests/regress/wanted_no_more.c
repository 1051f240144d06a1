/* wanted_no_more.c: K4, C16. A consumer waited for a whole chunk of its input when its reader left.
 * It went on waiting, first in the line, for items that nobody would make: who came behind it was
 * never told of what was there. */
#include "expect.h"

static int gated(const void *in, void *out, void *context)
{
    *(uint64_t *)out = *(const uint64_t *)in;
    gate_pass(context);
    return 0;
}

Test(regress, wanted_no_more, .timeout = 60)
{
    for (unsigned n = 1; n < 4; n++) {
        NOTE("N = %u", n);
        gate          open = {0};
        async_pool   *pool = pool_of(n);
        async_reader *source = TASK(pool, .source = range_of(0, 1000), .each = gated,
                                    .context = &open, .max_chunksize = 1);
        async_reader *consumer = TASK(pool, .input = source, .each = each_add_one,
                                      .max_chunksize = 100);
        uint64_t      items[100];
        CHECK_READ(consumer, items, 100, async_within_ms(100), ASYNC_TIMEOUT, 0);
        gate_open(&open);
        for (unsigned i = 0; i < 20; i++) {
            CHECK_READ(source, items, 1, async_within_ms(10000), ASYNC_OK, 1);
        }
        async_reader_release(consumer);
        async_reader_release(source);
        pool_end(pool);
    }
}
