/* waitlist_shapes.c: those who wait. Who is told, is told once; no wake-up is lost (a thread
 * that sleeps for ever is a deadlock); a waiter that was removed is the caller's memory again. */
#include "model.h"
#include "waitlist.h"

static struct waitlist list;
static shared_u64      there; /* what waiters need */
static unsigned        told[MODEL_THREADS], took[MODEL_THREADS];

static bool met(void *context, size_t need)
{
    (void)context;
    return load_seq_cst(&there) >= need;
}

static void start(void) { waitlist_init(&list, met, NULL); }

/* Takes one, if there is one. */
static bool take_one(void)
{
    uint64_t seen = load_relaxed(&there);
    while (seen > 0) {
        if (cas_seq_cst(&there, &seen, seen - 1)) { return true; }
    }
    return false;
}

static void give(uint64_t count)
{
    add_seq_cst(&there, count);
    waitlist_serve(&list);
}

/* Plain memory that nobody else may touch any more. */
static void given_back(struct thread_waiter *waiter)
{
    waiter->waiter.next = NULL;
    waiter->waiter.told = NULL;
    waiter->waiter.place = 0;
    waiter->waiter.need = 0;
    __asm__ volatile("" ::"r"(waiter) : "memory"); /* the stores are made */
}

/* As a reader does: until it has one. */
static void take_waiting(unsigned thread)
{
    while (!take_one()) {
        struct thread_waiter waiter;
        thread_waiter_init(&waiter, 1);
        waitlist_add(&list, &waiter.waiter);
        EXPECT(thread_waiter_sleep(&waiter, OS_NEVER));
        given_back(&waiter);
        told[thread]++;
    }
    took[thread]++;
    waitlist_serve(&list);
}

static void one_and_one(unsigned thread)
{
    if (thread == 0) {
        take_waiting(thread);
    } else {
        give(1);
    }
}

/* Two wait, each item is for one of them. */
static void two_wait(unsigned thread)
{
    if (thread < 2) {
        take_waiting(thread);
    } else {
        give(1);
        give(1);
    }
}

static void two_give(unsigned thread)
{
    if (thread == 0) {
        take_waiting(thread);
        take_waiting(thread);
    } else {
        give(1);
    }
}

static void one_gives_two(unsigned thread)
{
    if (thread < 2) {
        take_waiting(thread);
    } else {
        give(2);
    }
}

/* F18: a deadline races the delivery: told or removed, never both, never neither. */
static void timeout(unsigned thread)
{
    if (thread == 0) {
        struct thread_waiter waiter;
        thread_waiter_init(&waiter, 1);
        waitlist_add(&list, &waiter.waiter);
        bool slept = thread_waiter_sleep(&waiter, os_now_ns() + 1000000000);
        bool removed = waitlist_remove(&list, &waiter.waiter);
        EXPECT(slept ? !removed : true);
        EXPECT(removed == (load_relaxed(&waiter.told) != THREAD_TOLD));
        given_back(&waiter);
        took[0] += take_one();
        waitlist_serve(&list);
    } else {
        give(1);
    }
}

/* One leaves, for whatever reason, the one behind it must not be forgotten. */
static void leaves(unsigned thread)
{
    if (thread == 0) {
        timeout(0);
    } else if (thread == 1) {
        take_waiting(thread);
    } else {
        give(2);
    }
}

static void all_taken(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < MODEL_THREADS; i++) { sum += took[i]; }
    EXPECT(sum + load_relaxed(&there) != 0);
    EXPECT(load_relaxed(&list.count) == 0 && list.first == NULL &&
           load_relaxed(&list.arriving) == NULL);
    EXPECT(load_relaxed(&list.turn) == 0);
}

/* Everybody is told of the end, however they came. */
static shared_u32 ended;

static bool met_or_ended(void *context, size_t need)
{
    return load_seq_cst(&ended) != 0 || met(context, need);
}

static void start_ending(void) { waitlist_init(&list, met_or_ended, NULL); }

static void tell_all(unsigned thread)
{
    if (thread < 2) {
        while (load_seq_cst(&ended) == 0) {
            struct thread_waiter waiter;
            thread_waiter_init(&waiter, thread + 1);
            waitlist_add(&list, &waiter.waiter);
            EXPECT(thread_waiter_sleep(&waiter, OS_NEVER));
        }
        took[thread]++;
    } else {
        store_seq_cst(&ended, 1);
        waitlist_tell_all(&list);
    }
}

/* An alarm: told, met or not. Who came before it sees what it is about. */
static shared_u32 alarms;

static void await_alarm(unsigned thread)
{
    uint32_t             before = load_seq_cst(&alarms);
    struct thread_waiter waiter;
    thread_waiter_init(&waiter, 1);
    waitlist_add(&list, &waiter.waiter);
    if (load_seq_cst(&alarms) == before && before == 0) {
        EXPECT(thread_waiter_sleep(&waiter, OS_NEVER));
    }
    waitlist_remove(&list, &waiter.waiter);
    EXPECT(load_relaxed(&alarms) == 1);
    took[thread] = 1;
}

static void ring(void)
{
    add_seq_cst(&alarms, 1);
    waitlist_tell_all(&list);
}

static void alarm_one(unsigned thread)
{
    if (thread == 0) {
        await_alarm(thread);
    } else {
        ring();
    }
}

static void alarm_two(unsigned thread)
{
    if (thread < 2) {
        await_alarm(thread);
    } else {
        ring();
    }
}

/* One that needs too much stands before one that does not, and goes: whoever gave meanwhile has
 * left a mark, and nobody else will look. */
static void removed(unsigned thread)
{
    if (thread == 0) {
        struct thread_waiter waiter;
        thread_waiter_init(&waiter, 5);
        waitlist_add(&list, &waiter.waiter);
        waitlist_remove(&list, &waiter.waiter);
    } else if (thread == 1) {
        take_waiting(thread);
    } else {
        give(1);
    }
}

/* Needs add up, and the longest-waiting comes first: of three, one is enough for the first. */
static void in_order(unsigned thread)
{
    if (thread < 2) {
        take_waiting(thread);
    } else {
        give(1);
        struct thread_waiter waiter;
        thread_waiter_init(&waiter, 4);
        waitlist_add(&list, &waiter.waiter);
        if (!thread_waiter_sleep(&waiter, os_now_ns() + 1000000000)) {
            waitlist_remove(&list, &waiter.waiter);
        }
        give(1);
    }
}

const struct model_shape waitlist_shapes[] = {
    {"waitlist/one-and-one", 2, 0, start, one_and_one, all_taken},
    {"waitlist/two-wait", 3, 0, start, two_wait, all_taken},
    {"waitlist/two-give", 3, 0, start, two_give, all_taken},
    {"waitlist/one-gives-two", 3, 0, start, one_gives_two, all_taken},
    {"waitlist/timeout", 2, 0, start, timeout, all_taken},
    {"waitlist/leaves", 3, 0, start, leaves, all_taken},
    {"waitlist/tell-all", 3, 0, start_ending, tell_all, all_taken},
    {"waitlist/alarm", 2, 0, start, alarm_one, all_taken},
    {"waitlist/alarm-two", 3, 0, start, alarm_two, all_taken},
    {"waitlist/removed", 3, 0, start, removed, all_taken},
    {"waitlist/in-order", 3, 0, start, in_order, all_taken},
    {0},
};
