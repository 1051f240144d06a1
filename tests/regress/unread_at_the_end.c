/* unread_at_the_end.c: X10. A task, or a channel, that was cancelled when it was at its end and its
 * items were not read had them discarded, and its readers were told END, which says that they have
 * everything. Whoever was told END before the cancel keeps it, and there is nothing to discard. */
#include "expect.h"

enum { ITEMS = 10, READ = 3 };

static void cancel_task(unsigned n, bool told)
{
    probe         p = {0};
    uint64_t      items[ITEMS];
    async_pool   *pool = pool_of(n);
    async_reader *reader = TASK(pool, .source = range_of(0, ITEMS), .context = &p,
                                .discard = probe_discard, .min_count = 2 * ITEMS);
    CHECK_READ(reader, items, READ, async_forever(), ASYNC_OK, READ);
    CHECK_SOON(async_task_done(async_reader_task(reader)));
    if (told) { CHECK_READ(reader, items, ITEMS, async_forever(), ASYNC_END, ITEMS - READ); }
    CHECK_STATUS(async_task_cancel(async_reader_task(reader)), ASYNC_OK);
    CHECK_EQ(atomic_load(&p.discarded), told ? 0 : ITEMS - READ);
    CHECK_READ(reader, items, 1, async_forever(), told ? ASYNC_END : ASYNC_CANCELLED, 0);
    async_error error;
    CHECK_STATUS(async_reader_error(reader, &error), ASYNC_OK);
    CHECK_STATUS(error.status, told ? ASYNC_OK : ASYNC_CANCELLED);
    async_reader_release(reader);
    pool_end(pool);
}

static void cancel_channel(bool told)
{
    probe         p = {0};
    uint64_t      items[ITEMS];
    async_writer *writer;
    async_reader *reader;
    channel_of(&writer, &reader, 0, &p);
    write_numbers(writer, 0, ITEMS);
    async_writer_release(writer);
    CHECK_READ(reader, items, READ, async_forever(), ASYNC_OK, READ);
    if (told) { CHECK_READ(reader, items, ITEMS, async_forever(), ASYNC_END, ITEMS - READ); }
    CHECK_STATUS(async_reader_cancel(reader), ASYNC_OK);
    CHECK_EQ(atomic_load(&p.discarded), told ? 0 : ITEMS - READ);
    CHECK_READ(reader, items, 1, async_forever(), told ? ASYNC_END : ASYNC_CANCELLED, 0);
    async_reader_release(reader);
}

Test(regress, unread_at_the_end, .timeout = 60)
{
    for (unsigned told = 0; told < 2; told++) {
        EACH_SIZE (n) {
            NOTE("a task, N = %u, told %u", n, told);
            cancel_task(n, told != 0);
        }
        NOTE("a channel, told %u", told);
        cancel_channel(told != 0);
    }
}
