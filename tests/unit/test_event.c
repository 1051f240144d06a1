/* test_event.c: the event count of runtime/event.c.
 *
 * The second half compiles the very source once more with a hook before each of its steps and a
 * kernel of its own: while one side stands still in front of its k-th step, the other runs to its
 * end, for every k. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "event.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define MS   UINT64_C(1000000)
#define SOON (5000 * MS)

static void sleep_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * (long)MS};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

/* Whether *word reaches `value` soon. */
static bool reaches(shared_u32 *word, uint32_t value)
{
    for (uint64_t end = os_now_ns() + SOON; load_acquire(word) != value;) {
        if (os_now_ns() > end) { return false; }
        os_yield();
    }
    return true;
}

/* Threads that each wait once, on one event. */
struct sleeper {
    os_thread     thread;
    struct event *event;
    uint64_t      deadline;
    bool          answer;
    uint64_t      woke_at;
    shared_u32   *awake; /* how many have returned */
};

static void sleeper_main(void *argument)
{
    struct sleeper *sleeper = argument;
    uint32_t        key = event_prepare(sleeper->event);
    sleeper->answer = event_wait(sleeper->event, key, sleeper->deadline);
    sleeper->woke_at = os_now_ns();
    add_release(sleeper->awake, 1);
}

static void start(struct sleeper *sleepers, unsigned count, struct event *event, uint64_t deadline,
                  shared_u32 *awake)
{
    for (unsigned i = 0; i < count; i++) {
        sleepers[i] = (struct sleeper){.event = event, .deadline = deadline, .awake = awake};
        cr_assert(os_thread_start(&sleepers[i].thread, sleeper_main, &sleepers[i], 0, "sleeper"));
    }
    cr_assert(reaches(&event->waiters, count));
    sleep_ms(50); /* from the announcement into the kernel */
}

static void join(struct sleeper *sleepers, unsigned count)
{
    for (unsigned i = 0; i < count; i++) { os_thread_join(sleepers[i].thread); }
}

Test(event, nobody_waits)
{
    struct event event = {0};
    cr_assert_not(event_notify(&event, 1));
    cr_assert_not(event_notify(&event, UINT32_MAX));
    cr_assert_eq(load_relaxed(&event.epoch), 0, "and the epoch did not move");
}

Test(event, cancel_takes_the_announcement_back)
{
    struct event event = {0};
    event_prepare(&event);
    event_prepare(&event);
    cr_assert(event_notify(&event, 1));
    event_cancel(&event);
    event_cancel(&event);
    cr_assert_eq(load_relaxed(&event.waiters), 0);
    cr_assert_not(event_notify(&event, 1));
}

Test(event, a_notification_after_prepare_is_enough)
{
    struct event event = {0};
    uint32_t     key = event_prepare(&event);
    cr_assert(event_notify(&event, 1));
    cr_assert(event_wait(&event, key, OS_NEVER), "without sleeping");
    key = event_prepare(&event);
    cr_assert(event_notify(&event, 1));
    cr_assert(event_wait(&event, key, 0), "it counts, though the deadline has passed");
    cr_assert_eq(load_relaxed(&event.waiters), 0);
}

Test(event, a_notification_of_none_wakes_none)
{
    struct event event = {0};
    uint32_t     key = event_prepare(&event);
    cr_assert(event_notify(&event, 0));
    cr_assert_not(event_wait(&event, key, os_now_ns() + 20 * MS));
}

/* F17 */
Test(event, F17_deadlines)
{
    struct event event = {0};
    uint64_t     now = os_now_ns(), past[] = {0, 1, now - 1, now};
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        cr_assert_not(event_wait(&event, event_prepare(&event), past[i]));
    }
    cr_assert_lt(os_now_ns() - now, 1000 * MS);

    uint64_t deadline = os_now_ns() + 60 * MS;
    cr_assert_not(event_wait(&event, event_prepare(&event), deadline));
    cr_assert_geq(os_now_ns(), deadline, "not before");
    cr_assert_eq(load_relaxed(&event.waiters), 0);

    uint64_t far[] = {INT64_MAX, (uint64_t)INT64_MAX + 1, OS_NEVER - 1, OS_NEVER};
    for (size_t i = 0; i < sizeof far / sizeof *far; i++) {
        shared_u32     awake = 0;
        struct sleeper sleeper;
        start(&sleeper, 1, &event, far[i], &awake);
        cr_assert_eq(load_acquire(&awake), 0, "it sleeps");
        cr_assert(event_notify(&event, 1));
        join(&sleeper, 1);
        cr_assert(sleeper.answer);
    }
}

Test(event, wakes_one_then_two_then_all)
{
    enum { SLEEPERS = 6 };
    struct event   event = {0};
    struct sleeper sleepers[SLEEPERS];
    shared_u32     awake = 0;
    start(sleepers, SLEEPERS, &event, OS_NEVER, &awake);
    cr_assert(event_notify(&event, 1));
    cr_assert(reaches(&awake, 1));
    sleep_ms(50);
    cr_assert_eq(load_acquire(&awake), 1);
    cr_assert(event_notify(&event, 2));
    cr_assert(reaches(&awake, 3));
    sleep_ms(50);
    cr_assert_eq(load_acquire(&awake), 3);
    cr_assert(event_notify(&event, UINT32_MAX));
    join(sleepers, SLEEPERS);
    cr_assert_not(event_notify(&event, UINT32_MAX));
    for (int i = 0; i < SLEEPERS; i++) { cr_assert(sleepers[i].answer); }
}

/* F14 */
Test(event, F14_the_epoch_wraps)
{
    enum { SLEEPERS = 3 };
    struct event event = {0};
    for (uint32_t epoch = UINT32_MAX - 2; epoch != 2; epoch++) {
        struct sleeper sleepers[SLEEPERS];
        shared_u32     awake = 0;
        store_relaxed(&event.epoch, epoch);
        cr_assert_not(event_wait(&event, event_prepare(&event), os_now_ns() + MS));
        start(sleepers, SLEEPERS, &event, OS_NEVER, &awake);
        cr_assert(event_notify(&event, 1));
        cr_assert_eq(load_relaxed(&event.epoch), epoch + 1);
        cr_assert(reaches(&awake, 1));
        cr_assert(event_notify(&event, UINT32_MAX));
        join(sleepers, SLEEPERS);
        uint32_t key = event_prepare(&event);
        cr_assert(event_notify(&event, 1));
        cr_assert(event_wait(&event, key, OS_NEVER));
    }
}

static void ignored(int number) { (void)number; }

/* F16: signals neither end a wait nor move its deadline, with or without SA_RESTART. */
Test(event, F16_a_storm_of_signals)
{
    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = ignored;
        action.sa_flags = flags;
        sigaction(SIGALRM, &action, NULL);
        const struct itimerval often = {.it_interval.tv_usec = 100, .it_value.tv_usec = 100};
        const struct itimerval off = {.it_value.tv_usec = 0};
        struct event           event = {0};
        struct rusage          before, after;

        uint64_t deadline = os_now_ns() + 300 * MS;
        setitimer(ITIMER_REAL, &often, NULL);
        getrusage(RUSAGE_THREAD, &before);
        bool     answer = event_wait(&event, event_prepare(&event), deadline);
        uint64_t end = os_now_ns();
        getrusage(RUSAGE_THREAD, &after);
        setitimer(ITIMER_REAL, &off, NULL);

        cr_assert_not(answer, "signals are no notification");
        cr_assert_geq(end, deadline);
        cr_assert_lt(end - deadline, 1000 * MS);
        cr_assert_gt(after.ru_nvcsw - before.ru_nvcsw, 10, "it slept between the signals");
    }
}

/* ── The same source, stopped at each step ───────────────────────────────────────────────────── */

static void step(void);

#undef load_relaxed
#undef load_acquire
#undef add_relaxed
#undef add_release
#undef sub_relaxed
#undef fence_seq_cst
#define load_relaxed(p)   (step(), atomic_load_explicit((p), memory_order_relaxed))
#define load_acquire(p)   (step(), atomic_load_explicit((p), memory_order_acquire))
#define add_relaxed(p, v) (step(), atomic_fetch_add_explicit((p), (v), memory_order_relaxed))
#define add_release(p, v) (step(), atomic_fetch_add_explicit((p), (v), memory_order_release))
#define sub_relaxed(p, v) (step(), atomic_fetch_sub_explicit((p), (v), memory_order_relaxed))
#define fence_seq_cst()   (step(), atomic_thread_fence(memory_order_seq_cst))
#define event_prepare     stepped_prepare
#define event_cancel      stepped_cancel
#define event_wait        stepped_wait
#define event_notify      stepped_notify
#define os_futex_wait     kernel_wait
#define os_futex_wake     kernel_wake

static bool kernel_wait(shared_u32 *word, uint32_t expected, uint64_t deadline_ns);
static void kernel_wake(shared_u32 *word, unsigned count);

#include "../../runtime/event.c"

static struct event shared;
static bool         change; /* what the waiter looks for */
static bool         asleep, woken;
static unsigned     countdown; /* to the step that is stopped at; 0: none */
static bool         stopped;
static void (*meanwhile)(void);

static void step(void)
{
    if (countdown == 0 || --countdown != 0) { return; }
    stopped = true;
    meanwhile();
}

/* One thread plays both sides, and none sleeps: what counts is that who would is woken later. */
static bool kernel_wait(shared_u32 *word, uint32_t expected, uint64_t deadline_ns)
{
    (void)deadline_ns;
    step();
    if (atomic_load(word) != expected) { return true; }
    asleep = true;
    atomic_fetch_add(&shared.waiters, 1); /* who sleeps has not left, though this thread goes on */
    return true;
}

static void kernel_wake(shared_u32 *word, unsigned count)
{
    step();
    cr_assert_eq((void *)word, (void *)&shared.epoch);
    cr_assert_geq(count, 1);
    if (asleep) { woken = true; }
}

static void waiter(void)
{
    uint32_t key = event_prepare(&shared);
    step();
    if (change) {
        event_cancel(&shared);
    } else {
        event_wait(&shared, key, OS_NEVER);
    }
}

static void notifier(void)
{
    step();
    change = true;
    event_notify(&shared, 1);
}

static void notifier_twice(void)
{
    notifier();
    notifier();
}

static void passer_by(void)
{
    event_prepare(&shared);
    event_cancel(&shared);
    notifier();
}

static void at_each_step(void (*operation)(void), void (*other)(void), uint32_t epoch)
{
    for (unsigned at = 1;; at++) {
        memset(&shared, 0, sizeof shared);
        atomic_store(&shared.epoch, epoch);
        change = asleep = woken = stopped = false;
        meanwhile = other;
        countdown = at;
        operation();
        countdown = 0;
        if (!stopped) { return; }
        cr_assert(!asleep || woken, "the waiter sleeps for ever (step %u)", at);
        cr_assert_eq(atomic_load(&shared.waiters), asleep ? 1 : 0);
    }
}

/* F32, for the event: each side frozen in each of its windows. */
Test(event_steps, F32_no_wakeup_is_lost)
{
    const uint32_t epochs[] = {0, UINT32_MAX, UINT32_MAX - 1};
    for (size_t i = 0; i < sizeof epochs / sizeof *epochs; i++) {
        at_each_step(waiter, notifier, epochs[i]);
        at_each_step(waiter, notifier_twice, epochs[i]);
        at_each_step(waiter, passer_by, epochs[i]);
        at_each_step(notifier, waiter, epochs[i]);
        at_each_step(notifier_twice, waiter, epochs[i]);
    }
}
