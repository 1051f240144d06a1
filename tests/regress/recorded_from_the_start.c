/* recorded_from_the_start.c: T2. A run that has begun before the recorder was started is not
 * recorded. Where the recorder was on before, and was started anew, what was left of the run was:
 * the chunk had an event, and the draw that it had its items from had none.
 *
 * The source starts the recorder anew in the midst of the first run. */
#include "expect.h"
#include "traces.h"

enum { READ = 5 };

typedef struct numbered {
    async_pool *pool;
    uint64_t    next, first; /* items of the run that the start fell into */
    unsigned    calls;
} numbered;

static int next_restarts(void *items, size_t count, size_t *got, void *context)
{
    numbered *s = context;
    if (s->calls++ == 0) {
        if (async_trace_start(s->pool, 0) != ASYNC_OK) { give_up("no recorder"); }
        s->first = count;
    }
    for (size_t i = 0; i < count; i++) { ((uint64_t *)items)[i] = s->next++; }
    *got = count;
    return 0;
}

/* All events of chunks and draws are of later runs; how many of that kind there are. */
static size_t later(size_t count, async_trace_kind kind, const numbered *s)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind != kind) { continue; }
        CHECK(events[i].sequence >= s->first);
        found++;
    }
    return found;
}

TestEachSize(regress, recorded_from_the_start)
{
    static numbered s;
    uint64_t        items[READ], lost;
    s = (numbered){.pool = pool_of(n)};
    async_source  source = async_source_from(next_restarts, &s, sizeof items[0]);
    async_reader *first = TASK(s.pool, .source = &source, .each = each_add_one);
    async_reader *reader = TASK(s.pool, .input = first, .each = each_add_one);
    trace_start(s.pool, 0);
    CHECK_READ(reader, items, READ, async_forever(), ASYNC_OK, READ);
    CHECK_RISING(items, 2, READ);
    size_t count = read_events(s.pool, &lost);
    CHECK_EQ(lost, 0);
    size_t chunks = later(count, ASYNC_TRACE_CHUNK, &s);
    CHECK_EQ(later(count, ASYNC_TRACE_DRAW, &s), s.calls - 1);
    CHECK(s.calls > 1 || chunks == 0);
    /* The next run is recorded, with all that belongs to it. */
    CHECK_READ(reader, items, READ, async_forever(), ASYNC_OK, READ);
    CHECK_RISING(items, 2 + READ, READ);
    count = read_events(s.pool, &lost);
    CHECK(later(count, ASYNC_TRACE_CHUNK, &s) >= 2); /* of each task */
    CHECK(later(count, ASYNC_TRACE_DRAW, &s) >= 1);
    async_reader_release(first);
    async_reader_release(reader);
    pool_end(s.pool);
}
