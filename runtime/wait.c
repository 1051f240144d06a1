/* wait.c: see wait.h.
 * Layer: 3 */
#include "wait.h"

#include "deadlock.h"
#include "pool.h"

/* a wake-up across CPUs costs about as much: look that long before sleeping; 0: not at all */
#ifndef SPIN_NS
#define SPIN_NS 60000
#endif
#define VAIN_LOOKS_MOST 6
#define LOOK_NS         20000000 /* asleep so long: the first look for a deadlock, or a lost job */
#define LOOK_NS_MOST    500000000
#define NS_PER_MS       1000000u

uint64_t wait_deadline(async_wait wait)
{
    uint64_t deadline;
    switch (wait.kind) {
    case ASYNC_WAIT_FOREVER:
        return OS_NEVER;
    case ASYNC_WAIT_UNTIL:
        return wait.value;
    case ASYNC_WAIT_PER_ITEM:
        if (__builtin_mul_overflow(wait.value, NS_PER_MS, &deadline) ||
            __builtin_add_overflow(deadline, os_now_ns(), &deadline)) {
            return OS_NEVER;
        }
        return deadline;
    case ASYNC_WAIT_NOW:
        break;
    }
    return 0;
}

/* Looking is in vain where what a thread waits for takes longer, or needs this very CPU. So who
 * looked in vain sleeps at once the next time; after n looks in vain the next 2^n - 1 times. */
static bool may_look(void)
{
    if (SPIN_NS == 0 || os_cpus_shared() <= 1) { return false; }
    if (context.looks_off > 0) {
        context.looks_off--;
        return false;
    }
    return true;
}

static bool looked(bool seen)
{
    if (seen) {
        context.vain_looks = 0;
    } else {
        if (context.vain_looks < VAIN_LOOKS_MOST) { context.vain_looks++; }
        context.looks_off = (1u << context.vain_looks) - 1;
    }
    return seen;
}

bool wait_look(const struct channel *channel, const struct wanted *wanted, bool *tried)
{
    const struct waitlist *list = wanted->room ? &channel->writers : &channel->readers;
    *tried = false;
    /* relaxed: whom it finds it lets go first */
    if (context.task != NULL || load_relaxed(&list->count) != 0 || !may_look()) { return false; }
    *tried = true;
    size_t   need = min_size(wanted->need, list->most);
    uint64_t until = os_now_ns() + SPIN_NS;
    if (until > wanted->deadline_ns) { until = wanted->deadline_ns; }
    for (unsigned looks = 0;; looks++) {
        /* relaxed (both): looks; what they find is looked at once more */
        if (list->met(list->context, load_relaxed(&list->promised) + need) ||
            load_relaxed(&channel->alarms) != wanted->alarms) {
            return looked(true);
        }
        /* seldom after a while: each look may cost the other side a cache miss */
        for (unsigned i = 0; i <= min_size(looks / 64, 16); i++) { cpu_relax(); }
        if (looks % 16 == 15 && os_now_ns() >= until) { return looked(false); }
    }
}

/* True: told while looking. */
static bool look_for_a_while(struct thread_waiter *waiter)
{
    if (!may_look()) { return false; }
    uint64_t start = os_now_ns();
    do {
        for (int i = 0; i < 64; i++) {
            if (thread_waiter_told(waiter)) { return looked(true); }
            cpu_relax();
        }
    } while (os_now_ns() - start <= SPIN_NS);
    return looked(false);
}

/* Whether a worker was woken for a job that lies in the pool that the channel is filled by. */
static bool look_after(const struct channel *channel)
{
    return channel->task != NULL && pool_look_after(channel->task->pool);
}

/* As thread_waiter_sleep; now and then looks whether there is any use in it, and returns DEADLOCK
 * where there is none. `blocked` is NULL outside of functions: there only a thread that is alone
 * has none. */
static async_status sleep_for_good(struct thread_waiter *waiter, struct blocked *blocked,
                                   struct channel *channel, bool room)
{
    for (uint64_t pause = LOOK_NS; !thread_waiter_sleep(waiter, os_now_ns() + pause); pause *= 2) {
        if (blocked == NULL) {
            if (os_thread_alone()) {
                deadlock_alone(channel, room);
                return ASYNC_DEADLOCK;
            }
            /* others come and go: the time-out rules, and there is none */
            if (!look_after(channel)) { break; }
        } else {
            if (deadlock_proved(blocked)) { return ASYNC_DEADLOCK; }
            (void)look_after(channel);
        }
        if (pause > LOOK_NS_MOST / 2) { pause = LOOK_NS_MOST / 2; }
    }
    thread_waiter_sleep(waiter, OS_NEVER);
    return ASYNC_OK;
}

/* Inside a function, with no deadline. */
static async_status sleep_inside(struct thread_waiter *waiter, struct channel *channel, bool room)
{
    struct blocked blocked = {.inside = context.inside,
                              .function = context.task,
                              .channel = channel,
                              .waiter = waiter,
                              .room = room};
    deadlock_sleeps(&blocked);
    async_status status = deadlock_proved(&blocked) ? ASYNC_DEADLOCK : ASYNC_OK;
    if (status == ASYNC_OK && context.worker != NULL) { status = worker_stand_aside(); }
    if (status == ASYNC_OK && !look_for_a_while(waiter)) {
        status = sleep_for_good(waiter, &blocked, channel, room);
    }
    deadlock_awake(&blocked);
    return status;
}

async_status wait_sleep(struct thread_waiter *waiter, struct channel *channel,
                        const struct wanted *wanted, bool tried)
{
    bool     room = wanted->room;
    uint64_t deadline_ns = wanted->deadline_ns;
    if (thread_waiter_told(waiter)) { return ASYNC_OK; }
    if (context.task != NULL) {
        if (deadline_ns == OS_NEVER) {
            /* relaxed: a pool that gets its first workers just now may be too late */
            if (context.worker == NULL && load_relaxed(&context.task->pool->size) == 0) {
                deadlock_no_workers(channel, room);
                return ASYNC_DEADLOCK;
            }
            return sleep_inside(waiter, channel, room);
        }
        if (context.worker != NULL) {
            async_status status = worker_stand_aside();
            if (status != ASYNC_OK) { return status; }
        }
    }
    if (!tried && look_for_a_while(waiter)) { return ASYNC_OK; }
    if (deadline_ns == OS_NEVER) { return sleep_for_good(waiter, NULL, channel, room); }
    uint64_t pause = LOOK_NS, look;
    while ((look = os_now_ns() + pause) < deadline_ns) {
        if (thread_waiter_sleep(waiter, look)) { return ASYNC_OK; }
        if (!look_after(channel)) { break; }
        pause *= 2;
    }
    return thread_waiter_sleep(waiter, deadline_ns) ? ASYNC_OK : ASYNC_TIMEOUT;
}
