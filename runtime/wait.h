/* wait.h: how threads of the library's users sleep.
 * Layer: 3 */
#ifndef ASYNC_RUNTIME_WAIT_H
#define ASYNC_RUNTIME_WAIT_H

#include "channel.h"

#include <async/status.h>
#include <async/wait.h>

/* Whether this is a wait that async.h could have made. */
static inline bool wait_valid(async_wait wait)
{
    return wait.kind == ASYNC_WAIT_NOW || wait.kind == ASYNC_WAIT_FOREVER ||
           wait.kind == ASYNC_WAIT_PER_ITEM || wait.kind == ASYNC_WAIT_UNTIL;
}

/* The deadline of the whole call, or, for a per-item wait, of the item that is waited for from
 * now. */
uint64_t wait_deadline(async_wait wait);

/* What is waited for. */
struct wanted {
    bool     room;   /* else items */
    size_t   need;   /* so much of it */
    uint32_t alarms; /* as they were before the last look at all that may have changed */
    uint64_t deadline_ns;
};

/* Looks for a short while whether there is what is wanted, where nobody is in the list already who
 * was first, outside of functions: who waits for a moment only needs no list, and whoever gives it
 * no call. True: it seems so, or the alarms have moved. *tried: it looked, so wait_sleep need not.
 */
bool wait_look(const struct channel *channel, const struct wanted *wanted, bool *tried);

/* Sleeps until told; the waiter is in the channel's list of readers, or of writers. Looks for a
 * short while before it gives up the CPU, if not `tried`. OK: told; TIMEOUT: the deadline has
 * passed; BUSY: inside a task, and no thread can stand in; DEADLOCK: nobody will ever tell it
 * (deadlock.c). On all but OK the waiter may still be in the list: the caller removes it. */
async_status wait_sleep(struct thread_waiter *waiter, struct channel *channel,
                        const struct wanted *wanted, bool tried);

#endif
