/* position_of_failure.c: X4. The item index of an error is the position in which the task drew the
 * item. Behind a run's first granule it counted from the start of the granule. */
#include "expect.h"

enum { ITEMS = 60000 };

struct failing {
    uint64_t at;
};

static int fails_at(const void *in, void *out, size_t count, size_t *done, void *context)
{
    const struct failing *failing = context;
    const uint64_t       *from = in;
    uint64_t             *to = out;
    for (size_t i = 0; i < count; i++) {
        if (from[i] == failing->at) {
            *done = i;
            return 7;
        }
        to[i] = from[i];
    }
    return 0;
}

Test(regress, position_of_failure, .timeout = 60)
{
    static uint64_t items[ITEMS];
    for (struct failing failing = {0}; failing.at < ITEMS; failing.at += 1999) {
        async_pool   *pool = pool_of(0);
        async_source  source = async_source_range(0, ITEMS);
        async_reader *first = TASK(pool, .source = &source, .each = each_add_one,
                                   .max_chunksize = 64);
        failing.at++;
        async_reader *reader = TASK(pool, .input = first, .batch = fails_at, .context = &failing,
                                    .max_chunksize = 64);
        CHECK_READ(reader, items, ITEMS, async_forever(), ASYNC_FAILED, failing.at - 1);
        async_error error;
        CHECK_STATUS(async_reader_error(reader, &error), ASYNC_OK);
        CHECK_EQ(error.item, failing.at - 1);
        async_reader_release(first);
        async_reader_release(reader);
        pool_end(pool);
    }
}
