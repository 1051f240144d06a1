/* trace_ring.h: a ring of events with one writer, which overwrites the oldest and waits for nobody,
 * and one reader at a time, which never gets an event that is half another one.
 *
 * ring_put is the writer's: wait-free. ring_take and ring_lost are the reader's: the callers see to
 * it that there is one. ring_prepare and ring_free are for who is both.
 * Layer: 1 */
#ifndef ASYNC_RUNTIME_TRACE_RING_H
#define ASYNC_RUNTIME_TRACE_RING_H

#include "atomic.h"

#include <async/trace.h>

#define TRACE_WORDS 7 /* of an event that the ring holds: all but the lane */

struct trace_slot {
    shared_u64 words[TRACE_WORDS];
};

struct trace_ring {
    /* The writer's. */
    shared_u64         head;  /* events that were put; 2^64 of them take ages */
    size_t             at;    /* the slot of the next one */
    size_t             slots; /* one more than the events that it keeps; 0: it keeps none */
    struct trace_slot *slot;
    /* The reader's. */
    alignas(FALSE_SHARING) uint64_t next; /* to be read */
    uint64_t passed;                      /* over: they were overwritten before they were read */
};

/* Empties it, and makes room for so many events. False: no memory, it keeps none. A zeroed ring
 * keeps none. */
bool ring_prepare(struct trace_ring *ring, size_t events);
void ring_free(struct trace_ring *ring);

void ring_put(struct trace_ring *ring, const async_trace_event *event);

/* The oldest ones that have not been taken, of those that are there now; how many. */
size_t   ring_take(struct trace_ring *ring, async_trace_event *events, size_t count);
uint64_t ring_lost(struct trace_ring *ring); /* so far */

#endif
