/* trace.c: the recorder, rows T1 to T5. */
#include "expect.h"

#include <stdlib.h>
#include <string.h>

enum { EVENTS_MAX = 20000 };

static async_trace_event events[EVENTS_MAX];

/* All that there is, and what was lost. */
static size_t read_events(async_pool *pool, uint64_t *lost)
{
    size_t got = 0;
    CHECK_STATUS(async_trace_read(pool, events, EVENTS_MAX, &got, lost), ASYNC_OK);
    return got;
}

static uint64_t number_of(async_reader *reader)
{
    return async_task_number(async_reader_task(reader));
}

static int by_sequence(const void *left, const void *right)
{
    const async_trace_event *a = left, *b = right;
    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

static int by_lane(const void *left, const void *right)
{
    const async_trace_event *a = left, *b = right;
    if (a->lane != b->lane) { return a->lane > b->lane ? 1 : -1; }
    if (a->start != b->start) { return a->start > b->start ? 1 : -1; }
    return (a->end < b->end) - (a->end > b->end);
}

/* The events of a kind of one task, behind each other; in the order of their positions. */
static size_t events_of(async_trace_event *to, size_t count, async_trace_kind kind, uint64_t task)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind == kind && events[i].task == task) { to[found++] = events[i]; }
    }
    qsort(to, found, sizeof *to, by_sequence);
    return found;
}

/* What holds for all events, whatever they record; they are sorted by lane afterwards. */
static void check_events(size_t count, unsigned workers, uint64_t from)
{
    for (size_t i = 0; i < count; i++) {
        const async_trace_event *e = &events[i];
        CHECK(e->start >= from && e->start <= e->end && e->end <= now_ns());
        CHECK(i == 0 || events[i - 1].start <= e->start);
        CHECK(e->worker < workers || e->worker == ASYNC_TRACE_CLIENT);
        CHECK(e->kind <= ASYNC_TRACE_PARK && e->waited_for <= ASYNC_TRACE_WINDOW);
        CHECK((e->task != 0) == (e->kind <= ASYNC_TRACE_DRAW));
        CHECK_EQ(e->reserved, 0);
    }
    qsort(events, count, sizeof *events, by_lane);
    for (size_t i = 1; i < count; i++) { /* behind the one before, or inside it */
        const async_trace_event *a = &events[i - 1], *b = &events[i];
        CHECK(a->lane != b->lane || b->start >= a->end || b->end <= a->end);
    }
}

/* The task's chunks are as many as it says, and cover its input once. */
static void check_task(size_t count, async_reader *reader, uint64_t drawn)
{
    static async_trace_event chunks[EVENTS_MAX];
    size_t                   n = events_of(chunks, count, ASYNC_TRACE_CHUNK, number_of(reader));
    async_task_stats         stats = counts_of(reader);
    uint64_t                 at = 0, out = 0;
    CHECK_EQ(n, stats.chunks);
    for (size_t i = 0; i < n; i++) {
        CHECK_EQ(chunks[i].sequence, at);
        CHECK(chunks[i].items_in > 0);
        at += chunks[i].items_in;
        out += chunks[i].items_out;
    }
    CHECK_EQ(at, stats.items_in);
    CHECK_EQ(out, stats.items_out);
    size_t   draws = events_of(chunks, count, ASYNC_TRACE_DRAW, number_of(reader));
    uint64_t got = 0;
    for (size_t i = 0; i < draws; i++) { /* one at a time, in the order of the stream */
        CHECK(i == 0 || chunks[i].start >= chunks[i - 1].end);
        CHECK_EQ(chunks[i].sequence, got);
        CHECK_EQ(chunks[i].items_in, 0);
        got += chunks[i].items_out;
    }
    CHECK_EQ(got, drawn);
}

static void trace_start(async_pool *pool, size_t size)
{
    CHECK_STATUS(async_trace_start(pool, size), ASYNC_OK);
}

/* T1: each chunk and each draw has its event, and the positions cover each stream once: tasks that
 * run as one, tasks that do not, filters, and more than one call's worth for a block of outputs. */
TestEachSize(T, T1_every_chunk)
{
    static numbers source;
    source = (numbers){.end = 5000};
    uint64_t      from = now_ns(), lost = 1;
    async_pool   *pool = pool_of(n);
    async_reader *a = TASK(pool, .source = from_numbers(&source), .each = each_add_one,
                           .max_chunksize = 7);
    async_reader *b = TASK(pool, .input = a, .batch = batch_twice, .max_chunksize = 7);
    async_reader *c = TASK(pool, .input = b, .emit = emit_even, .max_chunksize = 10);
    async_reader *d = TASK(pool, .input = c, .emit = emit_pair, .max_chunksize = 100,
                           .max_parallel = 1);
    async_reader *e = TASK(pool, .input = d, .max_chunksize = 33);
    CHECK(number_of(a) < number_of(b) && number_of(b) < number_of(c));
    trace_start(pool, 0);
    size_t    items = 0;
    uint64_t *all = read_rest(e, &items);
    CHECK_EQ(items, 10000);
    async_free(all);
    CHECK_STATUS(async_trace_stop(pool), ASYNC_OK);
    size_t count = read_events(pool, &lost);
    CHECK_EQ(lost, 0);
    check_events(count, n, from);
    check_task(count, a, 5000);
    check_task(count, b, 0);
    check_task(count, c, 0);
    check_task(count, d, 0);
    check_task(count, e, 0);
    for (size_t i = 0; n == 0 && i < count; i++) { CHECK_EQ(events[i].worker, ASYNC_TRACE_CLIENT); }
    CHECK_EQ(read_events(pool, NULL), 0);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(c);
    async_reader_release(d);
    async_reader_release(e);
    pool_end(pool);
}

/* T1: outputs that fill many blocks in one run are counted to the chunk that made them. */
TestEachSize(T, T1_outputs_in_many_blocks)
{
    async_pool   *pool = pool_of(n);
    uint64_t      lost;
    async_reader *a = TASK(pool, .source = range_of(0, 60000), .emit = emit_pair,
                           .max_chunksize = 5000);
    trace_start(pool, 0);
    size_t    items = 0;
    uint64_t *all = read_rest(a, &items);
    CHECK_EQ(items, 120000);
    async_free(all);
    size_t count = read_events(pool, &lost);
    check_task(count, a, 0);
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind == ASYNC_TRACE_CHUNK) {
            CHECK_EQ(events[i].items_out, 2 * events[i].items_in);
        }
    }
    async_reader_release(a);
    pool_end(pool);
}

/* T1: for_each's sink is a task of its own, that the client has no handle of. */
static int count_items(const void *items, size_t count, void *context)
{
    (void)items;
    *(uint64_t *)context += count;
    return ASYNC_CONTINUE;
}

TestEachSize(T, T1_the_sink_of_for_each)
{
    async_pool   *pool = pool_of(n);
    uint64_t      seen = 0, in = 0, lost;
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .each = each_twice,
                           .max_chunksize = 10);
    trace_start(pool, 0);
    CHECK_STATUS(async_reader_for_each(a, count_items, &seen, async_forever()), ASYNC_OK);
    CHECK_EQ(seen, 1000);
    size_t count = read_events(pool, &lost);
    check_task(count, a, 0);
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind == ASYNC_TRACE_CHUNK && events[i].task != number_of(a)) {
            CHECK(events[i].task > number_of(a));
            CHECK_EQ(events[i].items_out, 0);
            in += events[i].items_in;
        }
    }
    CHECK_EQ(in, 1000);
    async_reader_release(a);
    pool_end(pool);
}

/* T1: a chunk that fails is there with what it read and made. */
TestEachSize(T, T1_a_failing_chunk)
{
    static probe p;
    memset(&p, 0, sizeof p);
    p.fail_value = 25;
    p.code = 7;
    uint64_t      items[100], lost;
    async_pool   *pool = pool_of(n);
    async_reader *a = TASK(pool, .source = range_of(0, 100), .each = each_twice, .context = &p,
                           .max_chunksize = 10, .max_parallel = 1);
    trace_start(pool, 0);
    CHECK_READ(a, items, 100, async_forever(), ASYNC_FAILED, 25);
    static async_trace_event chunks[EVENTS_MAX];
    size_t                   count = read_events(pool, &lost);
    count = events_of(chunks, count, ASYNC_TRACE_CHUNK, number_of(a));
    CHECK_EQ(count, 3);
    CHECK_EQ(chunks[2].sequence, 20);
    CHECK_EQ(chunks[2].items_in, 6);
    CHECK_EQ(chunks[2].items_out, 5);
    async_reader_release(a);
    pool_end(pool);
}

/* T1: what a function that reads does meanwhile lies inside its chunk, in the same lane. */
static int read_inside(const void *in, void *out, void *context)
{
    (void)in;
    return async_reader_read(context, out, 1, NULL, async_forever()) == ASYNC_OK ? 0 : 1;
}

TestEachSize(T, T1_work_inside_a_function)
{
    async_pool   *pool = pool_of(n), *other = pool_of(0);
    uint64_t      items[20], from = now_ns(), lost;
    async_reader *inner = TASK(other, .source = range_of(0, 20), .each = each_twice,
                               .max_chunksize = 1);
    async_reader *outer = TASK(pool, .source = range_of(0, 20), .each = read_inside,
                               .context = inner, .max_chunksize = 1, .max_parallel = 1);
    trace_start(pool, 0);
    trace_start(other, 0);
    CHECK_READ(outer, items, 20, async_forever(), ASYNC_OK, 20);
    size_t count = read_events(other, &lost);
    check_events(count, 0, from); /* no workers of its own: all are other threads */
    check_task(count, inner, 0);
    count = read_events(pool, &lost);
    check_events(count, n, from);
    check_task(count, outer, 0);
    async_reader_release(inner);
    async_reader_release(outer);
    pool_end(pool);
    pool_end(other);
}

/* T2: a full ring keeps the newest, as many as were asked for, and the others are counted. */
Test(T, T2_the_newest_are_kept, .timeout = 30)
{
    async_pool   *pool = pool_of(0);
    uint64_t      items[100], lost = 0;
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .each = each_twice,
                           .max_chunksize = 1);
    for (size_t size = 1; size < 12; size++) {
        trace_start(pool, size);
        CHECK_READ(a, items, 30, async_forever(), ASYNC_OK, 30);
        size_t count = read_events(pool, &lost);
        CHECK_EQ(count, size);
        CHECK_EQ(lost, 30 - size);
        for (size_t i = 1; i < count; i++) {
            CHECK_EQ(events[i].sequence, events[i - 1].sequence + 1);
        }
        /* Those that are read make room for others, and what was lost stays counted. */
        CHECK_READ(a, items, size, async_forever(), ASYNC_OK, size);
        CHECK_EQ(read_events(pool, &lost), size);
        CHECK_EQ(lost, 30 - size);
    }
    async_reader_release(a);
    pool_end(pool);
}

/* T2: events may be read a few at a time; each comes once, whichever lane it is in. */
TestEachSize(T, T2_a_few_at_a_time)
{
    async_pool   *pool = pool_of(n);
    uint64_t      items[100], lost = 0;
    async_reader *a = TASK(pool, .source = range_of(0, 100), .each = each_twice,
                           .max_chunksize = 1);
    trace_start(pool, 0);
    CHECK_READ(a, items, 100, async_forever(), ASYNC_OK, 100);
    CHECK_STATUS(async_trace_stop(pool), ASYNC_OK);
    size_t count = 0, got;
    do {
        CHECK_STATUS(async_trace_read(pool, events + count, 3, &got, &lost), ASYNC_OK);
        CHECK_LE(got, 3);
        count += got;
    } while (got > 0);
    check_task(count, a, 0);
    async_reader_release(a);
    pool_end(pool);
}

/* T3: nothing is recorded before a start and after a stop; a start begins anew; what was recorded
 * stays until then; the number of workers may change meanwhile. */
TestEachSize(T, T3_start_and_stop)
{
    async_pool   *pool = pool_of(n);
    uint64_t      items[100], lost = 7;
    async_reader *a = TASK(pool, .source = range_of(0, 10000), .batch = batch_copy,
                           .max_chunksize = 10);
    CHECK_EQ(read_events(pool, &lost), 0);
    CHECK_EQ(lost, 0);
    CHECK_STATUS(async_trace_stop(pool), ASYNC_OK);
    CHECK_READ(a, items, 100, async_forever(), ASYNC_OK, 100);
    CHECK_EQ(read_events(pool, NULL), 0);
    for (unsigned round = 0; round < 5; round++) {
        uint64_t before = counts_of(a).chunks, from = now_ns();
        trace_start(pool, 100 + round % 2);
        CHECK_READ(a, items, 100, async_forever(), ASYNC_OK, 100);
        CHECK_STATUS(async_pool_set_size(pool, n + round), ASYNC_OK);
        CHECK_READ(a, items, 100, async_forever(), ASYNC_OK, 100);
        CHECK_STATUS(async_trace_stop(pool), ASYNC_OK);
        uint64_t recorded = counts_of(a).chunks - before;
        CHECK_READ(a, items, 100, async_forever(), ASYNC_OK, 100);
        size_t count = read_events(pool, &lost), chunks = 0;
        CHECK_EQ(lost, 0);
        check_events(count, n + round, from);
        for (size_t i = 0; i < count; i++) { chunks += events[i].kind == ASYNC_TRACE_CHUNK; }
        CHECK_EQ(chunks, recorded);
        CHECK_STATUS(async_pool_set_size(pool, n), ASYNC_OK);
    }
    trace_start(pool, 0);
    CHECK_READ(a, items, 100, async_forever(), ASYNC_OK, 100);
    trace_start(pool, 0);
    CHECK_STATUS(async_trace_stop(pool), ASYNC_OK);
    for (size_t i = 0, count = read_events(pool, &lost); i < count; i++) {
        CHECK(events[i].kind == ASYNC_TRACE_PARK);
    }
    async_reader_release(a);
    pool_end(pool);
}

/* The reasons that the chunks of a task waited for. */
static unsigned reasons_of(size_t count, async_reader *reader)
{
    unsigned reasons = 0;
    for (size_t i = 0; i < count; i++) {
        if (events[i].task == number_of(reader)) { reasons |= 1u << events[i].waited_for; }
    }
    return reasons;
}

/* T4: why a chunk did not start earlier: nobody had asked; there was no input. */
TestEachSize(T, T4_what_it_waited_for)
{
    async_pool   *pool = pool_of(n);
    uint64_t      items[100], lost;
    unsigned      reasons = 0;
    async_writer *writer;
    async_reader *input;
    channel_of(&writer, &input, 0, NULL);
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .each = each_twice);
    async_reader *b = TASK(pool, .input = input, .each = each_twice, .max_chunksize = 10);
    trace_start(pool, 0);
    for (unsigned i = 0; i < 2; i++) { CHECK_READ(a, items, 10, async_forever(), ASYNC_OK, 10); }
    CHECK((reasons_of(read_events(pool, &lost), a) & 1u << ASYNC_TRACE_WINDOW) != 0);
    for (uint64_t end = now_ms() + SOON; reasons == 0 && now_ms() < end;) {
        static reading blocked;
        memset(&blocked, 0, sizeof blocked);
        reading_start(&blocked, b, 10, async_forever());
        CHECK_SOON(counts_of(b).asked == 10);
        sleep_ms(10); /* in which somebody looks at the task */
        write_numbers(writer, 0, 10);
        thread_join(&blocked.thread);
        reasons = reasons_of(read_events(pool, &lost), b) & 1u << ASYNC_TRACE_INPUT;
    }
    CHECK(reasons != 0);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(input);
    async_writer_release(writer);
    pool_end(pool);
}

/* T4: another one had its turn: at the source, and where as many run as may. */
Test(T, T4_turns, .timeout = 60)
{
    for (unsigned limit = 0; limit < 2; limit++) {
        static numbers source;
        source = (numbers){.end = 1000000, .delay_us = 300};
        async_pool   *pool = pool_of(3);
        uint64_t      lost;
        async_reader *a = TASK(pool, .source = from_numbers(&source), .max_chunksize = 5,
                               .max_parallel = limit);
        trace_start(pool, 0);
        unsigned turns = 0;
        for (uint64_t end = now_ms() + SOON; turns == 0 && now_ms() < end;) {
            static reading readings[4]; /* each has somebody look */
            memset(readings, 0, sizeof readings);
            for (unsigned i = 0; i < 4; i++) {
                reading_start(&readings[i], a, 20, async_forever());
                sleep_us(100);
            }
            for (unsigned i = 0; i < 4; i++) { thread_join(&readings[i].thread); }
            turns = reasons_of(read_events(pool, &lost), a) & 1u << ASYNC_TRACE_TURN;
        }
        CHECK(turns != 0);
        async_reader_release(a);
        pool_end(pool);
    }
}

/* T4: the reorder window is full, as its oldest run takes long. */
Test(T, T4_window, .timeout = 60)
{
    static probe p;
    static gate  hold;
    memset(&p, 0, sizeof p);
    memset(&hold, 0, sizeof hold);
    p.hold = &hold;
    p.hold_one = true;
    p.hold_value = 0;
    async_pool_options options = {.window = 2000};
    async_pool        *pool;
    uint64_t           lost, chunks = 0;
    CHECK_STATUS(async_pool_create(&pool, 2, &options), ASYNC_OK);
    async_reader  *a = TASK(pool, .source = range_of(0, 1000000), .each = each_twice, .context = &p,
                            .max_chunksize = 1, .order = ASYNC_ORDERED);
    static reading all;
    memset(&all, 0, sizeof all);
    trace_start(pool, 0);
    reading_start(&all, a, 1000, async_forever());
    CHECK_SOON(atomic_load(&hold.waiting) == 1);
    /* The other worker goes on until the window, or what was asked for, is full. */
    do {
        chunks = counts_of(a).chunks;
        sleep_ms(20);
    } while (chunks != counts_of(a).chunks);
    gate_open(&hold);
    thread_join(&all.thread);
    CHECK_EQ(all.got, 1000);
    unsigned reasons = reasons_of(read_events(pool, &lost), a);
    if (chunks < 999) { CHECK((reasons & 1u << ASYNC_TRACE_WINDOW) != 0); }
    async_reader_release(a);
    pool_end(pool);
}

/* T4: sleeping workers and waiting readers are seen, with their times; and counted without a
 * recorder. */
TestEachSize(T, T4_parks)
{
    if (n == 0) { return; } /* nobody sleeps: the reader works */
    static numbers source;
    source = (numbers){.end = 10, .delay_us = 20000};
    async_pool      *pool = pool_of(n);
    async_pool_stats before, after;
    uint64_t         item, lost;
    async_reader    *a = TASK(pool, .source = from_numbers(&source), .max_chunksize = 1);
    sleep_ms(20);
    CHECK_STATUS(async_pool_counts(pool, &before), ASYNC_OK);
    CHECK_EQ(before.threads, n);
    trace_start(pool, 0);
    CHECK_READ(a, &item, 1, async_forever(), ASYNC_OK, 1);
    sleep_ms(50);
    CHECK_READ(a, &item, 1, async_forever(), ASYNC_OK, 1);
    CHECK_STATUS(async_pool_counts(pool, &after), ASYNC_OK);
    size_t   count = read_events(pool, &lost);
    uint64_t readers = 0, workers = 0;
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind != ASYNC_TRACE_PARK) { continue; }
        bool      client = events[i].worker == ASYNC_TRACE_CLIENT;
        uint64_t *longest = client ? &readers : &workers, time = events[i].end - events[i].start;
        if (time > *longest) { *longest = time; }
    }
    CHECK_LE(15000000, readers);
    CHECK_LE(30000000, workers);
    CHECK(after.parks > before.parks && after.wakes > before.wakes);
    CHECK(after.asleep_ns - before.asleep_ns > 30000000);
    async_reader_release(a);
    pool_end(pool);
}

/* T4: each steal is recorded, with whom it was stolen from, and counted. */
Test(T, T4_steals, .timeout = 60)
{
    async_pool      *pool = pool_of(3);
    async_pool_stats before, after;
    uint64_t         lost = 0, seen = 0;
    CHECK_STATUS(async_pool_counts(pool, &before), ASYNC_OK);
    trace_start(pool, 0);
    for (uint64_t end = now_ms() + LATE; seen == 0 && now_ms() < end;) {
        async_reader *a = TASK(pool, .source = range_of(0, 3000), .each = each_twice,
                               .max_chunksize = 10);
        async_reader *both[2];
        for (unsigned i = 0; i < 2; i++) {
            both[i] = TASK(pool, .input = a, .each = each_twice, .max_chunksize = 15);
        }
        static reading readings[2];
        memset(readings, 0, sizeof readings);
        for (unsigned i = 0; i < 2; i++) {
            reading_start(&readings[i], both[i], 1000, async_forever());
        }
        for (unsigned i = 0; i < 2; i++) {
            thread_join(&readings[i].thread);
            async_reader_release(both[i]);
        }
        async_reader_release(a);
        CHECK_STATUS(async_pool_counts(pool, &after), ASYNC_OK);
        seen = after.steals - before.steals;
    }
    CHECK(seen > 0);
    CHECK_STATUS(async_pool_set_size(pool, 0), ASYNC_OK); /* nobody steals any more */
    CHECK_SOON(async_pool_counts(pool, &after) == ASYNC_OK && after.threads == 0);
    size_t count = read_events(pool, &lost), steals = 0;
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind != ASYNC_TRACE_STEAL) { continue; }
        steals++;
        CHECK(events[i].sequence < 3 && events[i].worker < 3);
        CHECK(events[i].sequence != events[i].worker);
    }
    CHECK_EQ(steals, after.steals - before.steals);
    CHECK_EQ(lost, 0);
    pool_end(pool);
}

/* T5: wrong calls are told so. */
Test(T, T5_misuse, .timeout = 30)
{
    async_pool      *pool = pool_of(1);
    async_pool_stats stats;
    size_t           got = 7;
    uint64_t         lost = 7;
    CHECK_STATUS(async_trace_start(NULL, 0), ASYNC_INVALID);
    CHECK_STATUS(async_trace_start(pool, SIZE_MAX), ASYNC_INVALID);
    CHECK_STATUS(async_trace_start(pool, SIZE_MAX / 8), ASYNC_INVALID);
    CHECK_STATUS(async_trace_start(pool, SIZE_MAX / 100), ASYNC_NO_MEMORY);
    CHECK_STATUS(async_trace_stop(NULL), ASYNC_INVALID);
    CHECK_STATUS(async_trace_read(NULL, events, 1, &got, &lost), ASYNC_INVALID);
    CHECK(got == 0 && lost == 0);
    CHECK_STATUS(async_trace_read(pool, NULL, 1, &got, NULL), ASYNC_INVALID);
    CHECK_STATUS(async_trace_read(pool, events, 1, NULL, &lost), ASYNC_INVALID);
    CHECK_STATUS(async_trace_read(pool, NULL, 0, &got, NULL), ASYNC_OK);
    CHECK_STATUS(async_pool_counts(NULL, &stats), ASYNC_INVALID);
    CHECK_STATUS(async_pool_counts(pool, NULL), ASYNC_INVALID);
    CHECK_EQ(async_task_number(NULL), 0);
    pool_end(pool);
}
