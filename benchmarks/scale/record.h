/* record.h: what the runtime's recorder (async/trace.h) tells of a run. */
#ifndef SCALE_RECORD_H
#define SCALE_RECORD_H

#include "run.h"

#include <async/trace.h>

struct recording {
    size_t             room;   /* events of a thread's ring */
    async_trace_event *events; /* by start */
    size_t             count;
    uint64_t           lost;
    double             seconds; /* of the run */
    struct stages      stages;  /* without their readers */
};

bool record_begin(struct recording *recording, async_pool *pool);
bool record_end(struct recording *recording, async_pool *pool, const struct stages *stages);
void record_free(struct recording *recording);

uint64_t record_task_number(const async_task *task);

/* Steals and sleeps of the pool's workers so far, from its counters. */
void record_counts(async_pool *pool, struct outcome *outcome);

#endif
