/* asked_once_for_each.c: R4. async_reader_for_each of a task's reader called the pre callback for
 * each chunk, with the chunk's size, when its items were made; and a code of its own that it gave
 * was the error of a task that nobody has a handle of. It is called as by async_reader_read_all:
 * once, with SIZE_MAX, before anything is scheduled or taken; and async_reader_error finds its
 * code. */
#include "expect.h"

enum { ITEMS = 1000, CODE = 42 };

typedef struct asking {
    async_reader *reader;
    int           code;  /* what it says */
    bool          live;  /* of a task that nobody has asked for anything */
    unsigned      calls; /* by the thread that calls for_each */
    bool          early; /* whether nothing had happened before it */
    size_t        size;
    pthread_t     caller;
    atomic_uint   elsewhere;   /* calls in other threads */
    uint64_t      items, runs; /* that the sink saw: one thread at a time */
} asking;

static int pre(size_t count, void *context)
{
    asking *a = context;
    if (!pthread_equal(pthread_self(), a->caller)) {
        atomic_fetch_add(&a->elsewhere, 1);
        return a->code;
    }
    a->calls++;
    a->size = count;
    if (a->live) {
        async_task_stats s = counts_of(a->reader);
        a->early = s.chunks + s.items_in + s.ready + s.in_flight + s.asked == 0;
    } else {
        a->early = async_reader_ready(a->reader) == ITEMS;
    }
    return a->code;
}

static int sink(const void *items, size_t count, void *context)
{
    asking *a = context;
    (void)items;
    a->items += count;
    a->runs++;
    return ASYNC_CONTINUE;
}

static void try_it(async_reader *reader, bool live)
{
    asking      refusal = {.reader = reader, .code = CODE, .live = live, .caller = pthread_self()};
    asking      consent = {.reader = reader, .live = live, .caller = pthread_self()};
    async_error error;
    (void)async_reader_set_pre(reader, pre, &refusal, NULL, NULL);
    CHECK_STATUS(async_reader_for_each(reader, sink, &refusal, async_forever()), ASYNC_FAILED);
    CHECK_EQ(atomic_load(&refusal.elsewhere), 0);
    CHECK_EQ(refusal.calls, 1);
    CHECK_EQ(refusal.size, SIZE_MAX);
    CHECK(refusal.early);
    CHECK_EQ(refusal.runs, 0);
    CHECK_STATUS(async_reader_error(reader, &error), ASYNC_OK);
    CHECK_STATUS(error.status, ASYNC_FAILED);
    CHECK_EQ(error.code, CODE);
    if (live) { CHECK_EQ(counts_of(reader).chunks, 0); }
    /* Nothing is lost by it. */
    (void)async_reader_set_pre(reader, pre, &consent, NULL, NULL);
    CHECK_STATUS(async_reader_for_each(reader, sink, &consent, async_forever()), ASYNC_OK);
    CHECK_EQ(atomic_load(&consent.elsewhere), 0);
    CHECK_EQ(consent.calls, 1);
    CHECK_EQ(consent.size, SIZE_MAX);
    CHECK(consent.early);
    CHECK_EQ(consent.items, ITEMS);
    async_reader_release(reader);
}

Test(regress, asked_once_for_each, .timeout = 60)
{
    async_writer *writer;
    async_reader *reader;
    NOTE("a plain channel");
    channel_of(&writer, &reader, 0, NULL);
    write_numbers(writer, 0, ITEMS);
    async_writer_release(writer);
    try_it(reader, false);
    for (unsigned n = 0; n < 3; n++) {
        async_pool *pool = pool_of(n);
        NOTE("a task, N = %u", n);
        try_it(TASK(pool, .source = range_of(0, ITEMS), .each = each_add_one, .max_chunksize = 10),
               true);
        NOTE("what is left of a task, N = %u", n);
        uint64_t      item;
        async_reader *rest = TASK(pool, .source = range_of(0, ITEMS + 1), .each = each_add_one,
                                  .min_count = ITEMS + 1);
        CHECK_READ(rest, &item, 1, async_forever(), ASYNC_OK, 1);
        CHECK_SOON(async_reader_ready(rest) == ITEMS);
        pool_end(pool);
        try_it(rest, false);
    }
}
