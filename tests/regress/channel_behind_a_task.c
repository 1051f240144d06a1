/* channel_behind_a_task.c: P9. An ordered task takes its inputs one after the other. What lay in a
 * plain channel counted as if it could be had, though its turn came later: the first input was
 * asked for nothing, and the read waited for ever. */
#include "expect.h"

Test(regress, channel_behind_a_task, .timeout = 60)
{
    EACH_SIZE (n) {
        NOTE("N = %u", n);
        async_pool   *pool = pool_of(n);
        async_writer *writer;
        async_reader *later;
        channel_of(&writer, &later, 0, NULL);
        uint64_t items[20] = {10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
        CHECK_STATUS(async_writer_write(writer, items, 10, NULL, async_forever()), ASYNC_OK);
        async_writer_release(writer);
        async_reader *first = TASK(pool, .source = range_of(0, 10));
        async_reader *both = TASK(pool, .input = first, .order = ASYNC_ORDERED);
        CHECK_STATUS(async_task_add_input(async_reader_task(both), later), ASYNC_OK);
        async_reader_release(first);
        async_reader_release(later);
        for (uint64_t i = 0; i < 20; i++) {
            CHECK_READ(both, items, 1, async_within_ms(10000), ASYNC_OK, 1);
            CHECK_EQ(items[0], i);
        }
        async_reader_release(both);
        pool_end(pool);
    }
}
