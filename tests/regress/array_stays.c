/* array_stays.c: P2, in_place. An array that is a task's source is the caller's, and is not written
 * to. Behind a first task without a function a stage that works in place was given the array
 * itself. */
#include "expect.h"

enum { ITEMS = 1000 };

Test(regress, array_stays, .timeout = 60)
{
    for (unsigned workers = 0; workers < 3; workers++) {
        for (unsigned stages = 1; stages < 4; stages++) {
            uint64_t array[ITEMS], items[ITEMS];
            for (uint64_t i = 0; i < ITEMS; i++) { array[i] = i; }
            async_pool   *pool = pool_of(workers);
            async_source  source = async_source_array(array, ITEMS, sizeof array[0]);
            async_reader *reader = TASK(pool, .source = &source, .max_chunksize = 16);
            for (unsigned i = 0; i < stages; i++) {
                async_reader *next = TASK(pool, .input = reader, .each = each_add_one,
                                          .in_place = true, .max_chunksize = 16);
                async_reader_release(reader);
                reader = next;
            }
            CHECK_READ(reader, items, ITEMS, async_forever(), ASYNC_OK, ITEMS);
            uint64_t sum = 0;
            for (uint64_t i = 0; i < ITEMS; i++) {
                CHECK_EQ(array[i], i);
                sum += items[i];
            }
            CHECK_EQ(sum, (uint64_t)ITEMS * (ITEMS - 1) / 2 + (uint64_t)ITEMS * stages);
            async_reader_release(reader);
            pool_end(pool);
        }
    }
}
