/* test_waitlist.c: the list of waiters of runtime/waitlist.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "waitlist.h"

#include <criterion/criterion.h>

/* A stand-in for a channel: so many items are there. */
static shared_u64 there;

static bool there_met(void *context, size_t need)
{
    (void)context;
    return load_seq_cst(&there) >= need;
}

struct noted {
    struct waiter    waiter;
    unsigned         order; /* in which it was told; 0: not yet */
    unsigned         times;
    struct waitlist *again; /* added there again, once, when it is told */
};
static unsigned told_count;

static void note_told(struct waiter *waiter)
{
    struct noted *noted = container_of(waiter, struct noted, waiter);
    noted->order = ++told_count;
    noted->times++;
    struct waitlist *again = noted->again;
    noted->again = NULL;
    if (again != NULL) { waitlist_add_first(again, waiter); }
}

static struct waitlist list;
static struct noted    waiters[8];

static void setup(void)
{
    waitlist_init(&list, there_met, NULL);
    for (size_t i = 0; i < 8; i++) {
        waiters[i].waiter.need = 1;
        waiters[i].waiter.told = note_told;
    }
}

Test(waitlist, tells_the_longest_waiting_first_and_as_many_as_there_is_for, .init = setup)
{
    for (size_t i = 0; i < 4; i++) { waitlist_add(&list, &waiters[i].waiter); }
    cr_assert_eq(told_count, 0);
    cr_assert_eq(load_relaxed(&list.count), 4);
    store_seq_cst(&there, 2);
    waitlist_serve(&list);
    cr_assert_eq(told_count, 2);
    cr_assert_eq(waiters[0].order, 1);
    cr_assert_eq(waiters[1].order, 2);
    cr_assert_eq(load_relaxed(&waiters[0].waiter.state), WAITER_TOLD);
    cr_assert_eq(load_relaxed(&waiters[2].waiter.state), WAITER_WAITING);
    cr_assert_eq(load_relaxed(&list.count), 2);
}

/* C16: the first in the list is not overtaken by one that needs less */
Test(waitlist, keeps_the_order_whatever_the_needs, .init = setup)
{
    waiters[0].waiter.need = 10;
    waitlist_add(&list, &waiters[0].waiter);
    waitlist_add(&list, &waiters[1].waiter);
    store_seq_cst(&there, 9);
    waitlist_serve(&list);
    cr_assert_eq(told_count, 0);
    store_seq_cst(&there, 11);
    waitlist_serve(&list);
    cr_assert_eq(told_count, 2);
}

Test(waitlist, a_need_counts_as_the_capacity_at_most, .init = setup)
{
    list.most = 4;
    waiters[0].waiter.need = SIZE_MAX;
    waiters[1].waiter.need = SIZE_MAX;
    waitlist_add(&list, &waiters[0].waiter);
    waitlist_add(&list, &waiters[1].waiter);
    store_seq_cst(&there, 4);
    waitlist_serve(&list);
    cr_assert_eq(told_count, 1);
}

/* C16: what one was told of is not told to the next, however long the first takes to come for
 * it. */
Test(waitlist, what_was_promised_is_promised_to_one, .init = setup)
{
    for (size_t i = 0; i < 3; i++) {
        waiters[i].waiter.need = 2;
        waiters[i].waiter.settles = true;
        waitlist_add(&list, &waiters[i].waiter);
    }
    store_seq_cst(&there, 2);
    waitlist_serve(&list);
    waitlist_serve(&list);
    cr_assert_eq(told_count, 1);
    store_seq_cst(&there, 3);
    waitlist_serve(&list);
    cr_assert_eq(told_count, 1, "one item more is not enough for the second");
    store_seq_cst(&there, 4);
    waitlist_serve(&list);
    cr_assert_eq(told_count, 2);
    store_seq_cst(&there, 2); /* the first takes its two */
    waitlist_settle(&list, &waiters[0].waiter);
    waitlist_settle(&list, &waiters[0].waiter);
    cr_assert_eq(told_count, 2);
    waitlist_settle(&list, &waiters[1].waiter); /* the second leaves without them */
    cr_assert_eq(told_count, 3);
    cr_assert_eq(waiters[2].times, 1);
}

/* Who was told because all were has no claim to the items. */
Test(waitlist, who_is_told_with_all_is_promised_nothing, .init = setup)
{
    waiters[0].waiter.settles = true;
    waitlist_add(&list, &waiters[0].waiter);
    waitlist_tell_all(&list);
    waitlist_add(&list, &waiters[1].waiter);
    store_seq_cst(&there, 1);
    waitlist_serve(&list);
    cr_assert_eq(told_count, 2);
}

Test(waitlist, one_whose_need_is_met_is_told_while_it_is_added, .init = setup)
{
    store_seq_cst(&there, 1);
    waitlist_add(&list, &waiters[0].waiter);
    cr_assert_eq(told_count, 1);
    cr_assert_eq(load_relaxed(&list.count), 0);
}

Test(waitlist, who_is_removed_is_not_told_and_lets_the_next_go_on, .init = setup)
{
    waiters[0].waiter.need = 5;
    waitlist_add(&list, &waiters[0].waiter);
    waitlist_add(&list, &waiters[1].waiter);
    waitlist_add(&list, &waiters[2].waiter);
    store_seq_cst(&there, 1);
    waitlist_serve(&list);
    cr_assert_eq(told_count, 0);
    cr_assert(waitlist_remove(&list, &waiters[0].waiter));
    cr_assert_eq(told_count, 1);
    cr_assert_eq(waiters[1].times, 1);
    store_seq_cst(&there, 0);
    cr_assert_not(waitlist_remove(&list, &waiters[0].waiter));
    cr_assert_not(waitlist_remove(&list, &waiters[3].waiter), "it was never added");
    cr_assert(waitlist_remove(&list, &waiters[2].waiter));
    cr_assert_eq(load_relaxed(&list.count), 0);
}

Test(waitlist, tell_all_tells_all_whatever_is_there, .init = setup)
{
    for (size_t i = 0; i < 4; i++) { waitlist_add(&list, &waiters[i].waiter); }
    waitlist_tell_all(&list);
    cr_assert_eq(told_count, 4);
    for (unsigned i = 0; i < 4; i++) { cr_assert_eq(waiters[i].order, i + 1); }
    waitlist_tell_all(&list);
    cr_assert_eq(told_count, 4);
    waitlist_add(&list, &waiters[5].waiter);
    cr_assert_eq(told_count, 4, "it came after the call");
}

Test(waitlist, who_comes_again_has_the_place_it_had, .init = setup)
{
    waiters[0].again = &list;
    for (size_t i = 0; i < 3; i++) { waitlist_add(&list, &waiters[i].waiter); }
    waitlist_tell_all(&list);
    cr_assert_eq(told_count, 3);
    cr_assert_eq(waiters[0].times, 1);
    waitlist_add(&list, &waiters[3].waiter);
    waitlist_add_first(&list, &waiters[1].waiter);
    store_seq_cst(&there, 3);
    waitlist_serve(&list);
    cr_assert_eq(told_count, 6);
    cr_assert_eq(waiters[0].order, 4);
    cr_assert_eq(waiters[1].order, 5);
    cr_assert_eq(waiters[3].order, 6);
}

Test(waitlist, a_thread_sleeps_until_told_or_late)
{
    waitlist_init(&list, there_met, NULL);
    struct thread_waiter waiter;
    thread_waiter_init(&waiter, 1);
    waitlist_add(&list, &waiter.waiter);
    uint64_t start = os_now_ns();
    cr_assert_not(thread_waiter_sleep(&waiter, start + 20000000));
    cr_assert_geq(os_now_ns(), start + 20000000);
    store_seq_cst(&there, 1);
    waitlist_serve(&list);
    cr_assert(thread_waiter_sleep(&waiter, 0));
    cr_assert_not(waitlist_remove(&list, &waiter.waiter));
}

/* Tokens are handed to sleeping threads; each token wakes somebody who takes it. */
static shared_u64 taken;

static bool try_take(void)
{
    uint64_t seen = load_seq_cst(&there);
    while (seen > 0) {
        if (cas_seq_cst(&there, &seen, seen - 1)) { return true; }
    }
    return false;
}
static void *taker(void *argument)
{
    uint64_t wanted = *(uint64_t *)argument;
    for (uint64_t i = 0; i < wanted; i++) {
        bool told = false;
        while (!try_take()) {
            struct thread_waiter waiter;
            thread_waiter_init(&waiter, 1);
            if (told) {
                waitlist_add_first(&list, &waiter.waiter);
            } else {
                waitlist_add(&list, &waiter.waiter);
            }
            /* Some give up and come again, as often as not just when they are told. */
            uint64_t deadline = i % 3 == 0 ? os_now_ns() + i % 7 * 10000 : OS_NEVER;
            told = thread_waiter_sleep(&waiter, deadline) ||
                   !waitlist_remove(&list, &waiter.waiter);
        }
        waitlist_serve(&list);
        add_relaxed(&taken, 1);
    }
    return NULL;
}

Test(waitlist, no_wake_up_is_lost, .timeout = 60)
{
    enum { THREADS = 6 };
    waitlist_init(&list, there_met, NULL);
    pthread_t threads[THREADS];
    uint64_t  each = 5000;
    for (size_t i = 0; i < THREADS; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, taker, &each), 0);
    }
    for (uint64_t i = 0; i < THREADS * each; i++) {
        add_seq_cst(&there, 1);
        waitlist_serve(&list);
        if (i % 64 == 0) { os_yield(); }
    }
    for (size_t i = 0; i < THREADS; i++) { pthread_join(threads[i], NULL); }
    cr_assert_eq(load_relaxed(&taken), THREADS * each);
    cr_assert_eq(load_relaxed(&list.count), 0);
}
