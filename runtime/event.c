/* event.c: the event count of event.h, on one futex word.
 *
 * After the event counts of D. Vyukov (2008) and of folly (EventCount.h, 2014); the differences are
 * in docs/design/parking.md. Two words: `waiters` says whether a notifier has anything to do,
 * `epoch` is what the kernel compares before it lets a waiter sleep.
 *
 * Who may call: anyone, anything, any number at once. The event must be there until event_notify
 * has returned; only its system call, the last step, no longer needs it.
 * Progress: prepare, cancel and notify are wait-free (notify makes at most one system call and
 * waits for nobody); wait blocks.
 *
 * Invariants
 *   I1 waiters >= the number of threads between event_prepare and the end of their cancel or wait.
 *   I2 epoch moves only after the change that it tells of, and only by notifiers.
 *   I3 a thread sleeps on the futex only while epoch is what it was after its announcement.
 *
 * Orders
 *   E1 prepare, fence (seq_cst)       <-> E2 notify, fence (seq_cst): not both miss the other.
 *          waiter                          notifier
 *          waiters + 1                     the change
 *          E1                              E2
 *          looks again: no change          reads waiters: 0
 *      Forbidden: both, for then the waiter sleeps and nobody wakes it.
 *   E1 prepare, fence (seq_cst)       <-> S1 of worker.c: a push looks at `waiters` itself, behind
 *      a fence of its own.
 *   E3 notify, epoch (release)         -> E4 prepare, epoch (acquire): a key that is new already
 *      brings the change with it: the waiter's second look, which comes after, finds it.
 *   E3 notify, epoch (release)         -> E5 wait, epoch (acquire): whoever was notified sees the
 *      change that it was notified of.
 *
 * No wake-up is lost: take a waiter w and a change by a notifier n. If n's fence is before w's,
 * w's second look finds the change. Else n finds `waiters` not zero and moves the epoch. If w's key
 * is from after that, E3 -> E4 shows w the change. Else the kernel finds another epoch than the key
 * and doesn't let w sleep, or w was asleep when n asked the kernel to wake.
 *
 * Wrap: epoch after 2^32 notifications that found a waiter, a quarter of an hour at the least, as
 * each is a system call. Only a thread that stands still between prepare and wait for exactly a
 * multiple of that would take an old key for the new one, and then until the next notification.
 *
 * Not promised: fairness (the kernel wakes sleepers of one priority in the order in which they fell
 * asleep), nor that a return from wait has a reason. Wake-ups are not used up by who doesn't sleep:
 * the kernel counts only those that it woke, so a waiter that has left takes nobody's turn.
 * Layer: 1 */
#include "event.h"

uint32_t event_prepare(struct event *event)
{
    add_relaxed(&event->waiters, 1); /* relaxed: E1 orders it before the second look */
    STEP("event_prepare: announced");
    fence_seq_cst(); /* E1 <-> E2 */
    STEP("event_prepare: fenced");
    return load_acquire(&event->epoch); /* E4 <- E3 */
}

void event_cancel(struct event *event)
{
    sub_relaxed(&event->waiters, 1); /* relaxed: who reads too high a count makes a useless call */
}

bool event_wait(struct event *event, uint32_t key, uint64_t deadline_ns)
{
    STEP("event_wait: about to sleep");
    bool woken = os_futex_wait(&event->epoch, key, deadline_ns);
    /* A notification that came together with the deadline counts: the caller looks again. */
    if (load_acquire(&event->epoch) != key) { woken = true; } /* E5 <- E3 */
    event_cancel(event);
    return woken;
}

bool event_notify(struct event *event, unsigned count)
{
    STEP("event_notify: changed");
    fence_seq_cst(); /* E2 <-> E1 */
    /* relaxed: E2 orders it after the change */
    if (likely(load_relaxed(&event->waiters) == 0)) { return false; }
    if (count == 0) { return true; }
    STEP("event_notify: found");
    add_release(&event->epoch, 1); /* E3 -> E4, E5; LP: from here on no older key sleeps */
    STEP("event_notify: moved");
    os_futex_wake(&event->epoch, count); /* by address: a waiter may have left and freed it */
    return true;
}
