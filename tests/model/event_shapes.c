/* event_shapes.c: the event count. No wake-up is lost: a waiter that sleeps for ever is a
 * deadlock, which ends the execution. Changes are relaxed stores: it is the event that orders
 * them. */
#include "event.h"
#include "model.h"

static struct event event;
static shared_u32   changed, also;

static void await(shared_u32 *word, uint32_t least)
{
    while (load_relaxed(word) < least) {
        uint32_t key = event_prepare(&event);
        if (load_relaxed(word) >= least) {
            event_cancel(&event);
            return;
        }
        event_wait(&event, key, OS_NEVER);
    }
}

static void only_for_a_reason(void) { model_spurious = false; }

static void nobody_left(void) { EXPECT(load_relaxed(&event.waiters) == 0); }

/* One sleeps until the other's change. */
static void one_and_one(unsigned thread)
{
    if (thread == 0) {
        await(&changed, 1);
    } else {
        store_relaxed(&changed, 1);
        event_notify(&event, 1);
    }
}

/* One notification for each of two waiters. */
static void one_each(unsigned thread)
{
    if (thread < 2) {
        await(&changed, thread + 1);
    } else {
        store_relaxed(&changed, 2);
        event_notify(&event, 1);
        event_notify(&event, 1);
    }
}

/* All of them at once. */
static void all(unsigned thread)
{
    if (thread < 2) {
        await(&changed, 1);
    } else {
        store_relaxed(&changed, 1);
        event_notify(&event, UINT32_MAX);
    }
}

/* A waiter, two changes of two threads: it must not sleep through the second. */
static void two_changes(unsigned thread)
{
    if (thread == 0) {
        await(&changed, 1);
        await(&also, 1);
    } else {
        store_relaxed(thread == 1 ? &changed : &also, 1);
        event_notify(&event, 1);
    }
}

/* F14: the epoch wraps. */
static void epoch_at_end(void) { atomic_init(&event.epoch, UINT32_MAX); }

/* Each waits for the other in turn. */
static void ping_pong(unsigned thread)
{
    shared_u32 *mine = thread == 0 ? &changed : &also, *other = thread == 0 ? &also : &changed;
    for (uint32_t i = 1; i <= 2; i++) {
        if (thread == 1) { await(other, i); }
        store_relaxed(mine, i);
        event_notify(&event, UINT32_MAX);
        if (thread == 0) { await(other, i); }
    }
}

/* Whoever was notified sees the change, without a look of its own at it. */
static int plain;

static void carries(unsigned thread)
{
    if (thread == 0) {
        uint32_t key = event_prepare(&event);
        if (load_acquire(&changed) != 0) {
            event_cancel(&event);
        } else {
            event_wait(&event, key, OS_NEVER);
        }
        EXPECT(plain == 7);
    } else {
        plain = 7;
        store_release(&changed, 1);
        event_notify(&event, 1);
    }
}

/* A deadline races the notification. Told of one, in time or not, it sees the change. */
static void timeout(unsigned thread)
{
    if (thread == 0) {
        uint32_t key = event_prepare(&event);
        if (load_relaxed(&changed) != 0) {
            event_cancel(&event);
        } else if (event_wait(&event, key, os_now_ns() + 1000000000)) {
            EXPECT(plain == 7);
        }
    } else {
        plain = 7;
        store_relaxed(&changed, 1);
        event_notify(&event, 1);
    }
}

const struct model_shape event_shapes[] = {
    {"event/one-and-one", 2, 0, NULL, one_and_one, nobody_left},
    {"event/one-each", 3, 0, NULL, one_each, nobody_left},
    {"event/all", 3, 0, NULL, all, nobody_left},
    {"event/two-changes", 3, 0, NULL, two_changes, nobody_left},
    {"event/ping-pong", 2, 0, NULL, ping_pong, nobody_left},
    {"event/wrap", 2, 0, epoch_at_end, ping_pong, nobody_left},
    {"event/timeout", 2, 0, only_for_a_reason, timeout, nobody_left},
    {"event/carries", 2, 0, only_for_a_reason, carries, nobody_left},
    {0},
};
