/* small_read_beside_all.c: a small read waited for ever beside an unbounded reader of the same
 * task. For an unbounded reader only full chunks were scheduled, and all that was missing then was
 * rounded down to them, also what others asked for, while workers idled. Here the read is beside a
 * read_all that stays in its post callback, or in the sink of a for_each whose window is one
 * chunk. */
#include "expect.h"

enum { ITEMS = 1000, CHUNK = 10 };

static _Thread_local bool reads_all;
static async_reader      *reader;
static gate               small_is_read; /* the post callback waits there */
static atomic_bool        stuck;

/* Once all that read_all had asked for was made and taken: its window is empty, and it asks for
 * nothing while it is here. */
static void post_waits(void *items, size_t *count, void *context)
{
    (void)items;
    (void)count;
    (void)context;
    if (!reads_all || atomic_load(&small_is_read.open)) { return; }
    if (!UNTIL(SOON, counts_of(reader).in_flight == 0)) { atomic_store(&stuck, true); }
    if (counts_of(reader).ready == 0) { gate_pass(&small_is_read); }
}

static void read_everything(void *context)
{
    void  *items = NULL;
    size_t count = 0;
    reads_all = true;
    *(async_status *)context = async_reader_read_all(reader, &items, &count, async_forever());
    async_free(items);
}

Test(regress, small_read_beside_read_all, .timeout = 60)
{
    for (unsigned n = 1; n <= 4; n++) {
        NOTE("N = %u", n);
        async_pool  *pool = pool_of(n);
        async_status status = ASYNC_INVALID;
        uint64_t     items[CHUNK / 2];
        thread       all = {0};
        reader = TASK(pool, .source = range_of(0, ITEMS), .max_chunksize = CHUNK);
        small_is_read = (gate){0};
        CHECK_STATUS(async_reader_set_post(reader, post_waits, NULL, NULL, NULL), ASYNC_OK);
        thread_start(&all, read_everything, &status);
        gate_arrived(&small_is_read, 1);
        CHECK_READ(reader, items, CHUNK / 2, async_within_ms(SOON), ASYNC_OK, CHUNK / 2);
        gate_open(&small_is_read);
        thread_join(&all);
        CHECK_STATUS(status, ASYNC_OK);
        CHECK(!atomic_load(&stuck));
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* Counts what it is given, and takes one item more. */
static int sink_reads(const void *items, size_t count, void *context)
{
    size_t      *seen = context, got = 0;
    uint64_t     item;
    async_status status = async_reader_read(reader, &item, 1, &got, async_within_ms(SOON));
    (void)items;
    *seen += count + got;
    return status == ASYNC_OK || status == ASYNC_END ? 0 : (int)status;
}

Test(regress, small_read_beside_for_each, .timeout = 60)
{
    for (unsigned n = 1; n <= 4; n++) {
        NOTE("N = %u", n);
        async_pool        *pool;
        async_pool_options options = {.window = 1};
        size_t             seen = 0;
        CHECK_STATUS(async_pool_create(&pool, n, &options), ASYNC_OK);
        reader = TASK(pool, .source = range_of(0, ITEMS), .each = each_add_one,
                      .max_chunksize = CHUNK);
        CHECK_STATUS(async_reader_for_each(reader, sink_reads, &seen, async_within_ms(LATE)),
                     ASYNC_OK);
        CHECK_EQ(seen, ITEMS);
        async_reader_release(reader);
        pool_end(pool);
    }
}
