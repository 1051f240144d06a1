/* taken_back_before.c: a read that times out takes back what it had asked for, from the only input
 * of its task. Where the task then got a second input, what had been taken back before was counted
 * once more, as if it was still to be taken back from both: the next read, of ten items, had each
 * of them make a thousand. */
#include "pipeline.h"

enum { MANY = 2000, FEW = 10, AT_MOST = 20 * FEW };

static uint64_t items[MANY];

static void add_input(unsigned n)
{
    gate          hold = {0};
    probe         p = {.hold = &hold};
    size_t        got;
    async_pool   *pool = pool_of(n);
    async_reader *first = TASK(pool, .source = range_of(0, 100000), .each = each_add_one,
                               .context = &p, .max_chunksize = 1);
    async_reader *second = TASK(pool, .source = range_of(0, 100000), .each = each_add_one,
                                .max_chunksize = 1);
    async_reader *reader = TASK(pool, .input = first, .each = each_add_one, .max_chunksize = 2);

    /* the read times out when its input was asked, and makes the first items */
    for (unsigned ms = 5; atomic_load(&hold.waiting) == 0; ms *= 2) {
        async_status status = async_reader_read(reader, items, MANY, &got, async_within_ms(ms));
        if (status != ASYNC_TIMEOUT || ms > SOON) {
            give_up("N = %u, a read of %d: %s", n, MANY, async_status_name(status));
        }
    }
    gate_open(&hold);
    if (!pool_asleep(pool, n)) { give_up("N = %u: workers do not sleep", n); }
    uint64_t before = counts_of(first).items_out + counts_of(second).items_out;
    if (async_task_add_input(async_reader_task(reader), second) != ASYNC_OK) {
        give_up("no second input");
    }

    async_status status = async_reader_read(reader, items, FEW, &got, async_within_ms(SOON));
    if (status != ASYNC_OK) {
        give_up("N = %u, a read of %d: %s", n, FEW, async_status_name(status));
    }
    if (!pool_asleep(pool, n)) { give_up("N = %u: workers do not sleep again", n); }
    uint64_t made = counts_of(first).items_out + counts_of(second).items_out - before;
    if (made > AT_MOST) {
        give_up("N = %u: a read of %d had its inputs make %llu", n, FEW, (unsigned long long)made);
    }
    async_reader_release(first);
    async_reader_release(second);
    async_reader_release(reader);
    pool_end(pool);
}

int main(void)
{
    for (unsigned n = 1; n <= 4; n *= 2) { add_input(n); }
    return 0;
}
