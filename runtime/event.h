/* event.h: an event count on one 32-bit futex word: sleep until something has changed, with no
 * lock, and cost nothing to the notifier while nobody sleeps.
 *
 *     waiter                                notifier
 *     key = event_prepare(e)                make the change visible
 *     look again; found: event_cancel(e)    event_notify(e, n)
 *     else event_wait(e, key, deadline)
 *
 * Layer: 1 */
#ifndef ASYNC_RUNTIME_EVENT_H
#define ASYNC_RUNTIME_EVENT_H

#include "os.h"

/* All zero is a valid event. Both words are written by waiters and by notifiers that found one; a
 * notifier that finds nobody only reads. */
struct event {
    shared_u32 epoch;   /* the futex word; moves with every notification that found a waiter */
    shared_u32 waiters; /* announced and not yet gone */
};

/* Any thread. Announces the caller as a waiter: event_wait or event_cancel must follow. */
uint32_t event_prepare(struct event *event);

/* Takes the announcement back. */
void event_cancel(struct event *event);

/* Sleeps until a notification that came after the prepare which gave `key`, or until the deadline.
 * False: the deadline has passed, and there was no notification. True: there was one, or there is
 * no reason; the caller looks again. Either way the announcement is taken back. */
bool event_wait(struct event *event, uint32_t key, uint64_t deadline_ns);

/* Any thread, after its change. Wakes up to `count` of the waiters that announced themselves before
 * (UINT32_MAX: all); those that don't sleep yet will not. True: there was at least one waiter. */
bool event_notify(struct event *event, unsigned count);

#endif
