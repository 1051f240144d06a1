/* wait.h: how threads of the library's users sleep.
 * Layer: 3 */
#ifndef ASYNC_RUNTIME_WAIT_H
#define ASYNC_RUNTIME_WAIT_H

#include "waitlist.h"

#include <async/status.h>
#include <async/wait.h>

/* Whether this is a wait that async.h could have made. */
bool wait_valid(async_wait wait);
/* The deadline of the whole call, or, for a per-item wait, of the item that is waited for from now. */
uint64_t wait_deadline(async_wait wait);

/* Sleeps until told. Looks for a short while before it gives up the CPU. OK: told; TIMEOUT: the
 * deadline has passed; BUSY: inside a task, and no thread can stand in; DEADLOCK: inside a task of a
 * pool of size 0, where nobody else would do the work. On all but OK the waiter may still be in the
 * list: the caller removes it. */
async_status wait_sleep(struct thread_waiter *waiter, uint64_t deadline_ns);

#endif
