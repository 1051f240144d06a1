/* wait.c: see wait.h.
 * Layer: 3 */
#include "wait.h"

#include "context.h"
#include "pool.h"

#define SPIN_NS 60000 /* a wake-up across CPUs costs about as much: look that long before sleeping */
#define NS_PER_MS 1000000u

bool wait_valid(async_wait wait)
{
    return wait.kind == ASYNC_WAIT_NOW || wait.kind == ASYNC_WAIT_FOREVER ||
           wait.kind == ASYNC_WAIT_PER_ITEM || wait.kind == ASYNC_WAIT_UNTIL;
}

uint64_t wait_deadline(async_wait wait)
{
    uint64_t deadline;
    switch (wait.kind) {
    case ASYNC_WAIT_FOREVER: return OS_NEVER;
    case ASYNC_WAIT_UNTIL: return wait.value;
    case ASYNC_WAIT_PER_ITEM:
        if (__builtin_mul_overflow(wait.value, NS_PER_MS, &deadline) ||
            __builtin_add_overflow(deadline, os_now_ns(), &deadline)) {
            return OS_NEVER;
        }
        return deadline;
    case ASYNC_WAIT_NOW: break;
    }
    return 0;
}

/* True: told while looking. */
static bool look_for_a_while(struct thread_waiter *waiter)
{
    if (os_cpu_affinity_cached() <= 1) { return false; } /* who would tell us needs this CPU */
    uint64_t start = os_now_ns();
    do {
        for (int i = 0; i < 64; i++) {
            if (load_acquire(&waiter->told) != 0) { return true; } /* W6 <- W5 */
            cpu_relax();
        }
    } while (os_now_ns() - start < SPIN_NS);
    return false;
}

async_status wait_sleep(struct thread_waiter *waiter, uint64_t deadline_ns)
{
    if (load_acquire(&waiter->told) != 0) { return ASYNC_OK; } /* W6 <- W5 */
    if (context.task != NULL) {
        if (context.worker == NULL) {
            if (deadline_ns == OS_NEVER) { return ASYNC_DEADLOCK; }
        } else {
            async_status status = worker_stand_aside();
            if (status != ASYNC_OK) { return status; }
        }
    }
    if (look_for_a_while(waiter)) { return ASYNC_OK; }
    return thread_waiter_sleep(waiter, deadline_ns) ? ASYNC_OK : ASYNC_TIMEOUT;
}
