/* trace.h: the recorder of a pool (async/trace.h), and the few places where the runtime calls it.
 *
 * Off, a run costs a look at pool->tracing; a chunk costs nothing: which way a run goes is settled
 * before its chunks are touched. Why a task could not be run is noted always, in a store on the way
 * out.
 * Layer: 3 */
#ifndef ASYNC_RUNTIME_TRACE_H
#define ASYNC_RUNTIME_TRACE_H

#include "os.h"

#include <async/trace.h>

struct strand;
struct trace_lane;
struct worker;

/* A part of the pool. */
struct trace {
    os_mutex mutex;
    /* pushed under the mutex, kept until the pool is freed */
    SHARED(struct trace_lane *) lanes;
    uint32_t                    generation; /* counts the starts; under the mutex */
    size_t                      events;     /* that a lane keeps; under the mutex */
    uint64_t                    since;      /* ns; under the mutex */
    struct trace_lane          *next;       /* to be read from; under the mutex */
    shared_u64                  without;    /* events that there was no lane for */
};

void trace_init(struct async_pool *pool);
void trace_free(struct async_pool *pool);
void trace_lock(struct async_pool *pool); /* around a fork */
void trace_unlock(struct async_pool *pool);
void trace_after_fork(struct async_pool *pool);

/* strand_execute, recorded. */
void trace_execute(struct strand *strand);
/* One chunk of a recorded run has gone through the stage: `read` items from its `sequence` on. */
void trace_chunk(const struct strand *strand, unsigned stage, uint64_t sequence, size_t read,
                 size_t made);
/* The source's function, recorded. */
int trace_next(const struct strand *strand, void *items, size_t count, size_t *got);

void trace_stolen(struct worker *worker, unsigned victim);

/* The calling thread is about to sleep, and is awake again. */
struct trace_park {
    struct trace_lane *outer; /* context.lane, from before */
    uint64_t           since;
};
void trace_parks(struct async_pool *pool, struct trace_park *park);
void trace_parked(struct async_pool *pool, const struct trace_park *park);

void trace_worker_ends(struct worker *worker);

#endif
