/* emit_behind_callback.c: an emit task whose input's reader has a callback has no output block, and
 * the place in it was worked out all the same: arithmetic on a null pointer, which clang's UBSan
 * reports. Besides, what the callback lets through is what comes out. */
#include "pipeline.h"

static void drop_odd(void *items, size_t *count, void *context)
{
    (void)context;
    uint64_t *all = items;
    size_t    kept = 0;
    for (size_t i = 0; i < *count; i++) {
        if (all[i] % 2 == 0) { all[kept++] = all[i]; }
    }
    *count = kept;
}

int main(void)
{
    for (unsigned n = 0; n <= 2; n++) {
        async_pool   *pool = pool_of(n);
        size_t        count;
        async_reader *a = TASK(pool, .source = range_of(0, 100), .max_chunksize = 10);
        if (async_reader_set_post(a, drop_odd, NULL, NULL, NULL) != ASYNC_OK) {
            give_up("no callback");
        }
        async_reader *b = TASK(pool, .input = a, .emit = emit_pair, .max_chunksize = 10);
        async_reader_release(a);
        uint64_t *items = read_rest(b, &count), sum = 0;
        for (size_t i = 0; i < count; i++) { sum += items[i]; }
        if (count != 100 || sum != 4900) {
            give_up("N = %u: %zu items, their sum %llu", n, count, (unsigned long long)sum);
        }
        async_free(items);
        async_reader_release(b);
        pool_end(pool);
    }
    return 0;
}
