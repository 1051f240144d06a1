/* told_without_memory.c: where memory is short for a while, what tells of it must need none. The
 * walk over a pool's tasks made a list of them first: a reader that waited was not told NO_MEMORY,
 * but waited until memory was back; async_pool_cancel said NO_MEMORY and cancelled nothing; the end
 * of the pool waited for memory. So did a read of a task whose job no longer fitted into the queue
 * of jobs from outside, whatever its deadline. */
#include "refusing.h"

#include "../../runtime/queue_segment.h"

enum { TASKS = 2 * SEGMENT_SLOTS };

static void ends(void *pool) { async_pool_destroy(pool, ASYNC_DROP); }

/* A pool of one worker, which stands at the gate. */
static async_pool *held(gate *hold, probe *p, async_reader **holding)
{
    async_pool *pool = pool_of(1);
    uint64_t    item;
    *hold = (gate){0};
    *p = (probe){.hold = hold};
    *holding = TASK(pool, .source = range_of(0, 1), .each = each_add_one, .context = p);
    if (async_reader_read(*holding, &item, 1, NULL, async_now()) != ASYNC_TIMEOUT) {
        give_up("the worker is not held");
    }
    gate_arrived(hold, 1);
    return pool;
}

/* The reader sleeps already when the worker comes to its task, and finds no memory for a chunk of
 * that size. */
static void readers(void)
{
    static reading r;
    gate           hold;
    probe          p;
    async_reader  *holding;
    async_pool    *pool = held(&hold, &p, &holding);
    async_reader  *reader = TASK(pool, .source = range_of(0, READING_ITEMS), .each = each_add_one);
    reading_start(&r, reader, READING_ITEMS, async_forever());
    if (!thread_asleep(&r.thread)) { give_up("the reader does not sleep"); }
    atomic_store(&refusing, true);
    gate_open(&hold);
    if (!thread_join_within(&r.thread, SOON)) { give_up("the reader is not told"); }
    if (r.status != ASYNC_NO_MEMORY) { give_up("told %s", async_status_name(r.status)); }
    atomic_store(&refusing, false);
    async_reader_release(holding);
    async_reader_release(reader);
    pool_end(pool);
}

static void cancel_and_end(void)
{
    thread        ending = {0};
    uint64_t      item;
    async_pool   *pool = pool_of(1);
    async_reader *reader = TASK(pool, .source = range_of(0, 10), .each = each_add_one);
    atomic_store(&refusing, true);
    async_status cancelled = async_pool_cancel(pool);
    async_status status = async_reader_read(reader, &item, 1, NULL, async_now());
    if (cancelled != ASYNC_OK || status != ASYNC_CANCELLED) {
        give_up("cancel: %s, then a read: %s", async_status_name(cancelled),
                async_status_name(status));
    }
    thread_start(&ending, ends, pool);
    if (!thread_join_within(&ending, SOON)) { give_up("the pool does not end"); }
    atomic_store(&refusing, false);
    async_reader_release(reader);
}

struct many {
    async_reader *readers[TASKS];
    unsigned      timeouts;
};

static void read_each(void *arg)
{
    struct many *many = arg;
    uint64_t     item;
    for (unsigned i = 0; i < TASKS; i++) {
        async_status status = async_reader_read(many->readers[i], &item, 1, NULL, async_now());
        many->timeouts += status == ASYNC_TIMEOUT;
    }
}

/* More jobs than a segment of that queue has slots, while the worker does none. */
static void jobs(void)
{
    static struct many many;
    thread             reads = {0};
    gate               hold;
    probe              p;
    async_reader      *holding;
    uint64_t           item;
    async_pool        *pool = held(&hold, &p, &holding);
    for (uint64_t i = 0; i < TASKS; i++) {
        many.readers[i] = TASK(pool, .source = range_of(i, 2), .each = each_add_one);
    }
    atomic_store(&refusing, true);
    thread_start(&reads, read_each, &many);
    if (!thread_join_within(&reads, SOON)) { give_up("a read that does not wait waits"); }
    atomic_store(&refusing, false);
    if (many.timeouts != TASKS) { give_up("%u of %d timeouts", many.timeouts, TASKS); }
    gate_open(&hold);
    for (uint64_t i = 0; i < TASKS; i++) { /* and the jobs are done */
        async_status status = async_reader_read(many.readers[i], &item, 1, NULL,
                                                async_within_ms(LATE));
        if (status != ASYNC_OK || item != i + 1) {
            give_up("task %u: %s", (unsigned)i, async_status_name(status));
        }
        async_reader_release(many.readers[i]);
    }
    async_reader_release(holding);
    pool_end(pool);
}

int main(void)
{
    readers();
    cancel_and_end();
    jobs();
    return 0;
}
