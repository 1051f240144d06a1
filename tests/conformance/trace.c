/* trace.c: the recorder: when it records, what a chunk waited for, who slept, wrong calls: rows T3
 * to T5. */
#include "traces.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* The number of the first thing that was not as it must be; 0: none. */
#define STEP(number, condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) { _exit(number); }                                                       \
    } while (0)

/* In the child of a fork: `recorded` events are there, nothing is recorded; but anew it can be. */
static void use_in_child(async_pool *pool, size_t recorded)
{
    size_t        got = 0;
    uint64_t      items[20], lost = 7;
    async_pool   *fresh = pool_of(0);
    async_reader *r = TASK(fresh, .source = range_of(0, 100), .each = each_twice,
                           .max_chunksize = 5);
    STEP(1, async_trace_read(pool, events, EVENTS_MAX, &got, &lost) == ASYNC_OK && lost == 0);
    STEP(2, got >= recorded);
    STEP(3, async_trace_start(fresh, 0) == ASYNC_OK && async_trace_start(pool, 0) == ASYNC_OK);
    STEP(4, async_reader_read(r, items, 20, NULL, async_forever()) == ASYNC_OK);
    STEP(5, async_trace_read(fresh, events, EVENTS_MAX, &got, &lost) == ASYNC_OK && got == 4);
    async_reader_release(r);
    STEP(6, async_pool_destroy(fresh, ASYNC_DRAIN) == ASYNC_OK);
}

static bool child_is_well(pid_t child)
{
    int status = 0;
    CHECK(UNTIL(3 * SOON, waitpid(child, &status, WNOHANG) == child));
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* T3: in the child of a fork the recorder is off, and can be used again. */
TestEachSize(T, T3_the_child_of_a_fork)
{
    async_pool   *pool = pool_of(n);
    uint64_t      items[100], lost;
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .each = each_twice,
                           .max_chunksize = 5);
    trace_start(pool, 0);
    CHECK_READ(a, items, 100, async_forever(), ASYNC_OK, 100);
    CHECK(pool_asleep(pool, n));
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        use_in_child(pool, 20);
        _exit(0);
    }
    CHECK(child_is_well(child));
    CHECK_READ(a, items, 100, async_forever(), ASYNC_OK, 100);
    size_t count = read_events(pool, &lost);
    check_task(count, a, 0); /* the parent has gone on */
    async_reader_release(a);
    pool_end(pool);
}

typedef struct forking {
    async_pool *pool;
    pid_t       child;
} forking;

/* At item 7, two chunks of 3 lie behind it; the child ends inside. */
static int fork_inside(const void *in, void *out, void *context)
{
    forking *f = context;
    *(uint64_t *)out = *(const uint64_t *)in;
    if (*(const uint64_t *)in == 7 && (f->child = fork()) == 0) {
        use_in_child(f->pool, 2);
        _exit(0);
    }
    return 0;
}

TestEachSize(T, T3_a_fork_in_a_recorded_function)
{
    uint64_t      items[20], lost;
    forking       f = {.pool = pool_of(n)};
    async_reader *a = TASK(f.pool, .source = range_of(0, 1000), .each = fork_inside, .context = &f,
                           .max_chunksize = 3, .max_parallel = 1);
    CHECK(pool_asleep(f.pool, n)); /* none is still starting */
    trace_start(f.pool, 0);
    CHECK_READ(a, items, 20, async_forever(), ASYNC_OK, 20);
    CHECK(f.child > 0 && child_is_well(f.child));
    size_t count = read_events(f.pool, &lost);
    check_task(count, a, 0);
    async_reader_release(a);
    pool_end(f.pool);
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

/* T4: the reorder window is full, as its oldest run takes long; the others are one chunk each. */
Test(T, T4_window, .timeout = 60)
{
    static probe p;
    static gate  hold;
    memset(&p, 0, sizeof p);
    memset(&hold, 0, sizeof hold);
    p.hold = &hold;
    p.hold_one = true;
    p.hold_value = 0;
    p.delay_us = 100;
    async_pool_options options = {.window = 2000};
    async_pool        *pool;
    uint64_t           lost;
    CHECK_STATUS(async_pool_create(&pool, 2, &options), ASYNC_OK);
    async_reader  *a = TASK(pool, .source = range_of(0, 1000000), .each = each_twice, .context = &p,
                            .max_chunksize = 1, .order = ASYNC_ORDERED);
    static reading all;
    memset(&all, 0, sizeof all);
    trace_start(pool, 0);
    reading_start(&all, a, 1000, async_forever());
    CHECK_SOON(atomic_load(&hold.waiting) == 1);
    CHECK_SOON(counts_of(a).chunks > 100);
    CHECK(pool_asleep(pool, 1)); /* the other worker has filled the window */
    CHECK(counts_of(a).chunks < 999);
    gate_open(&hold);
    thread_join(&all.thread);
    CHECK_EQ(all.got, 1000);
    unsigned reasons = reasons_of(read_events(pool, &lost), a);
    CHECK((reasons & 1u << ASYNC_TRACE_WINDOW) != 0);
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
