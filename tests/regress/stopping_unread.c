/* stopping_unread.c: async_stopping tells a function that nobody wants its results any more. Where
 * that was because the last reader had been released, it said no for ever: also to functions
 * upstream, which were of use to nobody else.
 *
 * The function waits for the yes. While somebody still holds the reader there is none. */
#include "expect.h"

static gate        entered;
static atomic_bool stopping, left;

static int each_waits(const void *in, void *out, void *context)
{
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in;
    if (atomic_load(&entered.waiting) != 0) { return 0; }
    gate_pass(&entered);
    if (UNTIL(SOON, async_stopping())) { atomic_store(&stopping, true); }
    atomic_store(&left, true);
    return 0;
}

static void try_it(unsigned n, unsigned behind)
{
    NOTE("N = %u, %u tasks behind the function", n, behind);
    entered = (gate){.open = true};
    atomic_store(&stopping, false);
    atomic_store(&left, false);
    async_pool   *pool = pool_of(n);
    async_reader *reader = TASK(pool, .source = range_of(0, 10), .each = each_waits);
    for (unsigned i = 0; i < behind; i++) {
        async_reader *next = TASK(pool, .input = reader, .each = each_add_one);
        async_reader_release(reader);
        reader = next;
    }
    uint64_t item;
    for (uint64_t end = now_ms() + SOON; atomic_load(&entered.waiting) == 0;) {
        CHECK(now_ms() < end);
        CHECK_READ(reader, &item, 1, async_within_ms(5), ASYNC_TIMEOUT, 0);
    }
    async_reader_retain(reader);
    async_reader_release(reader);
    CHECK_STAYS(20, !atomic_load(&stopping));
    async_reader_release(reader);
    CHECK_SOON(atomic_load(&left));
    CHECK(atomic_load(&stopping));
    pool_end(pool);
}

Test(regress, stopping_unread, .timeout = 120)
{
    for (unsigned n = 1; n < 3; n++) {
        for (unsigned behind = 0; behind < 3; behind++) { try_it(n, behind); }
    }
}
