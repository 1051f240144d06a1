/* fail_behind_callback.c: a chunk fails behind a post callback that dropped items of it. What was
 * not read of those that are left is discarded once; the places behind them hold stale copies,
 * which were discarded too. The error's position counts what the task drew before the chunk. */
#include "pipeline.h"

#include <stdio.h>

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
    for (unsigned n = 0; n <= 1; n++) {
        ledger      seen;
        probe       above = {.lost = &seen}, fails = {.fail_value = 24, .code = 7};
        uint64_t    items[100];
        size_t      got;
        async_error error;
        async_pool *pool = pool_of(n);
        ledger_make(&seen, 200);
        async_reader *a = TASK(pool, .source = range_of(0, 100), .max_chunksize = 10,
                               .context = &above, .discard = probe_discard);
        if (async_reader_set_post(a, drop_odd, NULL, NULL, NULL) != ASYNC_OK) {
            give_up("no callback");
        }
        async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .max_chunksize = 10,
                               .context = &fails);
        async_reader_release(a);
        async_status status = async_reader_read(b, items, 100, &got, async_forever());
        async_task_error(async_reader_task(b), &error);
        async_reader_release(b);
        pool_end(pool);
        /* 0 to 18 came, 20 and 22 or none of them; 24 was read, 26 and 28 were left; those behind
         * them came from no run of that chunk. */
        bool ok = status == ASYNC_FAILED && got >= 10 && error.item >= 20 && error.item < 30;
        for (uint64_t odd = 1; odd < 30; odd += 2) { ok = ok && atomic_load(&seen.seen[odd]) == 0; }
        ok = ok && ledger_count(&seen, 26, 27, 1) == 1 && ledger_count(&seen, 28, 29, 1) == 1;
        ok = ok && ledger_count(&seen, 0, 26, 0) == 26;
        if (!ok) {
            fprintf(stderr, "N = %u: %s, %zu items, position %d, %llu discarded\n", n,
                    async_status_name(status), got, (int)error.item,
                    (unsigned long long)atomic_load(&above.discarded));
            return 1;
        }
        ledger_free(&seen);
    }
    return 0;
}
