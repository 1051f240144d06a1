/* traces.h: reading a recorder's events, and what holds for all of them. For the thread of the test
 * only; in one file of a program. */
#ifndef SUPPORT_TRACES_H
#define SUPPORT_TRACES_H

#include "expect.h"

#include <stdlib.h>

enum { EVENTS_MAX = 20000 };

static async_trace_event events[EVENTS_MAX];

/* All that there is, and what was lost. */
static inline size_t read_events(async_pool *pool, uint64_t *lost)
{
    size_t got = 0;
    CHECK_STATUS(async_trace_read(pool, events, EVENTS_MAX, &got, lost), ASYNC_OK);
    return got;
}

static inline uint64_t number_of(async_reader *reader)
{
    return async_task_number(async_reader_task(reader));
}

static inline int by_sequence(const void *left, const void *right)
{
    const async_trace_event *a = left, *b = right;
    return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

static inline int by_lane(const void *left, const void *right)
{
    const async_trace_event *a = left, *b = right;
    if (a->lane != b->lane) { return a->lane > b->lane ? 1 : -1; }
    if (a->start != b->start) { return a->start > b->start ? 1 : -1; }
    return (a->end < b->end) - (a->end > b->end);
}

/* The events of a kind of one task, behind each other; in the order of their positions. */
static inline size_t events_of(async_trace_event *to, size_t count, async_trace_kind kind,
                               uint64_t task)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (events[i].kind == kind && events[i].task == task) { to[found++] = events[i]; }
    }
    qsort(to, found, sizeof *to, by_sequence);
    return found;
}

/* What holds for all events, whatever they record; they are sorted by lane afterwards. */
static inline void check_events(size_t count, unsigned workers, uint64_t from)
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
static inline void check_task(size_t count, async_reader *reader, uint64_t drawn)
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

static inline void trace_start(async_pool *pool, size_t size)
{
    CHECK_STATUS(async_trace_start(pool, size), ASYNC_OK);
}

#endif
