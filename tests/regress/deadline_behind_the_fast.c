/* deadline_behind_the_fast.c: a deadline for the whole call was not kept by a read beside writers
 * that were as fast as it, nor by a read_all of a fast task: the clock was looked at only before
 * sleeping, and whoever finds items does not sleep. The hook slows the reader, so that items are
 * there wherever it looks. */
#include "expect.h"
#include "step.h"

#include <sched.h>

enum { DEADLINE = 50, FOR_EVER = SOON / 2, CAPACITY = 256, BURST = 64, MANY = 50000 };

static async_writer *writer;
static uint64_t      until; /* when no more come, where the deadline is not kept */
static atomic_bool   full, over;

static _Thread_local void (*slowed)(void); /* in the reading thread */
static _Thread_local unsigned steps;

void async_step(const char *site)
{
    (void)site;
    if (slowed != NULL) { slowed(); }
}

/* In fewer steps than that it does not empty the channel. */
static void slowed_until_full(void)
{
    if (++steps % BURST != 0) { return; }
    atomic_store(&full, false);
    sleep_ms(1);
    (void)UNTIL(SOON, atomic_load(&full) || atomic_load(&over));
}

static void keep_full(void *nothing)
{
    uint64_t items[BURST] = {0};
    (void)nothing;
    while (!atomic_load(&over) && now_ms() < until) {
        if (async_writer_write(writer, items, BURST, NULL, async_now()) == ASYNC_TIMEOUT) {
            atomic_store(&full, true);
            sched_yield();
        }
    }
    atomic_store(&over, true);
    (void)async_writer_close(writer);
}

Test(regress, deadline_behind_fast_writers, .timeout = 60)
{
    static uint64_t items[MANY]; /* more than it reads until then */
    async_reader   *reader;
    thread          keeper = {0};
    size_t          got = 0;
    NOTE("%d ms", DEADLINE);
    channel_of(&writer, &reader, CAPACITY, NULL);
    until = now_ms() + FOR_EVER;
    thread_start(&keeper, keep_full, NULL);
    CHECK_SOON(atomic_load(&full));
    slowed = slowed_until_full;
    async_status status = async_reader_read(reader, items, MANY, &got, async_within_ms(DEADLINE));
    slowed = NULL;
    atomic_store(&over, true);
    thread_join(&keeper);
    CHECK_STATUS(status, ASYNC_TIMEOUT);
    CHECK(got > 0 && got < MANY);
    async_reader_release(reader);
    async_writer_release(writer);
}

static void slowed_each_step(void) { sleep_us(10); }

static int each_until(const void *in, void *out, void *context)
{
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in;
    return now_ms() < until ? 0 : 1;
}

Test(regress, deadline_behind_a_fast_task, .timeout = 60)
{
    for (unsigned n = 1; n <= 2; n++) {
        void  *items = NULL;
        size_t count = 0;
        NOTE("%d ms, N = %u", DEADLINE, n);
        until = now_ms() + FOR_EVER;
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = range_of(0, UINT64_MAX), .each = each_until,
                                    .max_chunksize = 10);
        slowed = slowed_each_step;
        async_status status = async_reader_read_all(reader, &items, &count,
                                                    async_within_ms(DEADLINE));
        slowed = NULL;
        CHECK_STATUS(status, ASYNC_TIMEOUT);
        async_free(items);
        async_reader_release(reader);
        pool_end(pool);
    }
}
