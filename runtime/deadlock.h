/* deadlock.h: waits that can never end: see deadlock.c.
 * Layer: 3 */
#ifndef ASYNC_RUNTIME_DEADLOCK_H
#define ASYNC_RUNTIME_DEADLOCK_H

#include "context.h"
#include "waitlist.h"

/* A thread that sleeps inside a function, with no deadline. */
struct blocked {
    struct blocked       *next;
    struct inside        *inside;   /* what it has entered */
    struct async_task    *function; /* whose function waits */
    struct channel       *channel;
    struct thread_waiter *waiter;
    bool                  room; /* for room; else for items */
};

/* Inside a function: whether it is about to wait for a task that, on this thread, waits for it (for
 * itself, at the least). Reports it. */
bool deadlock_own(const struct channel *channel);

/* The calling thread is about to sleep, and is awake again. */
void deadlock_sleeps(struct blocked *blocked);
void deadlock_awake(struct blocked *blocked);
/* Between these two: whether, as things are, nothing will ever wake it. Reports it. */
bool deadlock_proved(struct blocked *blocked);

/* Two cases that need no search; the chain is reported. `room`: it waits for room, not for items.
 */
void deadlock_no_workers(const struct channel *channel, bool room);
void deadlock_alone(const struct channel *channel, bool room);

/* For fork.c. */
void deadlock_lock(void);
void deadlock_unlock(void);
void deadlock_after_fork(void); /* in the child: nobody sleeps */

#endif
