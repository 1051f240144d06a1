/* reads_itself.c: a function that reads its own task's output waits for itself, and is told so
 * (M13). Without workers that held for the first read of the task only: later ones make their items
 * themselves, and called the function again from within, 16 times, for items that came after. */
#include "expect.h"

enum { ITEMS = 6 };

static async_reader *own;
static atomic_uint   depth, deepest;

static int each_reads_itself(const void *in, void *out, void *context)
{
    (void)context;
    uint64_t item;
    unsigned now = atomic_fetch_add(&depth, 1) + 1;
    if (now > atomic_load(&deepest)) { atomic_store(&deepest, now); }
    async_status status = async_reader_read(own, &item, 1, NULL, async_forever());
    atomic_fetch_sub(&depth, 1);
    *(uint64_t *)out = *(const uint64_t *)in;
    return status == ASYNC_DEADLOCK ? 0 : 1;
}

Test(regress, reads_itself)
{
    async_pool *pool = pool_of(0);
    own = TASK(pool, .source = range_of(0, ITEMS), .each = each_reads_itself);
    for (uint64_t i = 0; i < ITEMS; i++) {
        uint64_t item;
        CHECK_STATUS(async_reader_read(own, &item, 1, NULL, async_forever()), ASYNC_OK);
        CHECK_EQ(item, i);
    }
    CHECK_EQ(atomic_load(&deepest), 1);
    async_reader_release(own);
    pool_end(pool);
}
