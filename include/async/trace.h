/* trace.h: the recorder: what each thread did for a pool, chunk by chunk, and when.
 *
 * It is off until async_trace_start, and costs nothing by the chunk then; while it is on, a look at
 * the clock and one event for each chunk. docs/design/trace.md says what can be made of it. */
#ifndef ASYNC_TRACE_H
#define ASYNC_TRACE_H

#include <async/pool.h>

typedef enum async_trace_kind {
    /* One call of a task's function (with `each`: one run of calls; with none: one chunk passed
     * on). Tasks that run as one have an event for each of them. */
    ASYNC_TRACE_CHUNK,
    ASYNC_TRACE_DRAW,  /* one call of a source's function: one at a time for each source */
    ASYNC_TRACE_STEAL, /* a worker took a job from another one's deque; start is end */
    /* A worker slept, as it found nothing to do; or a thread waited for items in a read, which
     * looks for a short while before it sleeps. */
    ASYNC_TRACE_PARK
} async_trace_kind;

/* What kept a run of chunks from starting earlier: the last reason for which somebody who looked at
 * the task went away again. Said of the first chunk of a run and of its draw; those behind it, and
 * the tasks that run as one with it, waited for nothing else. */
typedef enum async_trace_wait {
    ASYNC_TRACE_NOTHING, /* nothing but a free worker */
    ASYNC_TRACE_INPUT,   /* items of its input */
    ASYNC_TRACE_TURN,    /* its turn: max_parallel, or a draw of another thread's */
    ASYNC_TRACE_WINDOW   /* room: the reorder window; or demand: nobody had asked */
} async_trace_wait;

typedef struct async_trace_event {
    uint64_t start, end; /* CLOCK_MONOTONIC, ns */
    uint64_t task;       /* async_task_number of it; 0: none (PARK, STEAL) */
    /* CHUNK, DRAW: position of its first input item in the task's input stream; STEAL: index of the
     * worker whose job it was */
    uint64_t sequence;
    uint64_t items_in;  /* CHUNK: that it read */
    uint64_t items_out; /* CHUNK, DRAW: that it made */
    uint32_t worker;    /* index of the worker; or ASYNC_TRACE_CLIENT */
    uint16_t kind, waited_for;
    /* From 0: events of one lane are those of one thread at a time. They lie one behind the other,
     * or one inside another: what a function that reads does meanwhile. */
    uint64_t lane;
    uint64_t reserved;
} async_trace_event;

/* A thread that is not the pool's worker: one that reads and works, or another pool's. */
#define ASYNC_TRACE_CLIENT UINT32_MAX

ASYNC_EXTERN_BEGIN

/* From now on each thread that works for the pool records into a ring of its own of `events` events
 * (0: 65536, in 3.5 MiB), in memory that is taken here or at the thread's first event; a full
 * ring keeps the newest. Again: starts anew, and what was recorded before is gone. A run of chunks
 * that has begun before is not recorded; of a PARK, what lies behind the start. In the child of a
 * fork the recorder is off.
 *
 * Threads: any, while work runs.
 * Progress: takes a lock; allocates.
 * Errors: INVALID (NULL, a number of events that overflows), NO_MEMORY (the recorder is off),
 *   CLOSED (being destroyed).
 * Since: 0.1 */
ASYNC_API ASYNC_CHECKED async_status async_trace_start(async_pool *pool, size_t events);

/* No run of chunks that begins from now on is recorded; what a thread is in the middle of still may
 * be: a run, a STEAL, a PARK that ends. What was recorded can be read until the next start or
 * the end of the pool. Without a start: OK.
 *
 * Threads: any, while work runs.
 * Progress: takes a lock; does not wait for running chunks.
 * Errors: INVALID (NULL).
 * Since: 0.1 */
ASYNC_API async_status async_trace_stop(async_pool *pool);

/* Copies up to `count` events that were not read yet, ordered by their start, and puts their number
 * into *got. An event is there when it has ended: while it records, a later call may give one that
 * encloses those of an earlier one. *lost: events since the start that nobody can read any more, as
 * newer ones took their place, or that there was no memory for; may be NULL.
 *
 * Threads: any, also while it records; several readers share the events.
 * Progress: takes a lock, which no thread with a ring of its own ever waits for.
 * Errors: INVALID (NULL; `events` may be NULL where count is 0).
 * Since: 0.1 */
ASYNC_API async_status async_trace_read(async_pool *pool, async_trace_event *events, size_t count,
                                        size_t *got, uint64_t *lost);

/* The task's number: from 1, in the order in which the process's tasks were made, those that
 * async_reader_for_each makes for its sink included. NULL: 0.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API uint64_t async_task_number(const async_task *task);

ASYNC_EXTERN_END

#endif
