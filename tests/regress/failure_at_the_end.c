/* failure_at_the_end.c: X3, X4, F30: a failure in the run that met the source's end, or in one that
 * was still inside when another met it, was lost: the tasks that had been run as one with the
 * failing one were ended with END, and their reader was told of no error. */
#include "pipeline.h"

#define ITEMS 10

static void try_it(unsigned n, uint64_t bad, unsigned delay_us)
{
    probe         p = {.fail_value = bad, .code = 7, .delay_us = delay_us};
    async_pool   *pool = pool_of(n);
    async_reader *a = TASK(pool, .source = range_of(0, ITEMS), .each = each_add_one, .context = &p,
                           .max_chunksize = n == 0 ? 0 : 1);
    async_reader *r = TASK(pool, .input = a, .each = each_add_one, .max_chunksize = n == 0 ? 0 : 1);
    uint64_t      items[2 * ITEMS];
    size_t        got = 0;
    async_error   error;
    async_status  status = async_reader_read(r, items, 2 * ITEMS, &got, async_forever());
    if (status != ASYNC_FAILED) {
        give_up("N = %u, item %u: %s with %zu items", n, (unsigned)bad, async_status_name(status),
                got);
    }
    if (async_reader_error(r, &error) != ASYNC_OK || error.code != 7 || error.item != bad) {
        give_up("N = %u: code %d at item %u", n, error.code, (unsigned)error.item);
    }
    async_reader_release(a);
    async_reader_release(r);
    pool_end(pool);
}

int main(void)
{
    for (uint64_t bad = 0; bad < ITEMS; bad++) {
        try_it(0, bad, 0);
        /* The chunk that fails is still running when others find the end. */
        for (unsigned i = 0; i < 20; i++) { try_it(4, bad, 100 + 50 * i); }
    }
    return 0;
}
