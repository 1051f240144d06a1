/* record.c: see record.h. */
#include "record.h"

#include <stdlib.h>
#include <string.h>

uint64_t record_task_number(const async_task *task) { return async_task_number(task); }

void record_counts(async_pool *pool, struct outcome *outcome)
{
    async_pool_stats stats;
    if (async_pool_counts(pool, &stats) != ASYNC_OK) return;
    outcome->counted = true;
    outcome->steals = stats.steals;
    outcome->parks = stats.parks;
}

bool record_begin(struct recording *recording, async_pool *pool)
{
    return async_trace_start(pool, recording->room) == ASYNC_OK;
}

static int by_start(const void *a, const void *b)
{
    const async_trace_event *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* All events of all threads, to the end of the list. */
static bool read_events(struct recording *recording, async_pool *pool)
{
    enum { AT_A_TIME = 8192 };
    size_t room = 0, got = AT_A_TIME;
    while (got > 0) {
        if (recording->count + AT_A_TIME > room) {
            room = 2 * room + AT_A_TIME;
            async_trace_event *more = realloc(recording->events, room * sizeof *more);
            if (more == NULL) return false;
            recording->events = more;
        }
        if (async_trace_read(pool, recording->events + recording->count, AT_A_TIME, &got,
                             &recording->lost) != ASYNC_OK)
            return false;
        recording->count += got;
    }
    qsort(recording->events, recording->count, sizeof *recording->events, by_start);
    return true;
}

bool record_end(struct recording *recording, async_pool *pool, const struct stages *stages)
{
    if (async_trace_stop(pool) != ASYNC_OK || !read_events(recording, pool)) return false;
    recording->stages.list = calloc(stages->count + 1, sizeof *stages->list);
    if (recording->stages.list == NULL) return false;
    if (stages->count > 0)
        memcpy(recording->stages.list, stages->list, stages->count * sizeof *stages->list);
    recording->stages.count = stages->count;
    return true;
}

void record_free(struct recording *recording)
{
    free(recording->events);
    free(recording->stages.list);
    *recording = (struct recording){0};
}
