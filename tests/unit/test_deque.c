/* test_deque.c: the deque of runtime/deque.c.
 *
 * The second half compiles the very source once more with a hook before each of its atomic
 * operations. While one operation stands still in front of its k-th step, others run to their end,
 * for every k: each interleaving of that shape is tried, and always in the same way. */
#include "deque.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static void *job(uint64_t number) { return (void *)(uintptr_t)(number + 1); /* never NULL */ }

static void preset(struct deque *deque, int64_t index)
{
    store_relaxed(&deque->top, index);
    store_relaxed(&deque->bottom, index);
}

static const int64_t presets[] = {
    0, INT32_MAX - 1, (int64_t)UINT32_MAX - 1, INT64_MAX - 1, INT64_MAX - 5000, -2, INT64_MIN,
};
#define PRESETS (sizeof presets / sizeof *presets)

/* ── The deque as it is ──────────────────────────────────────────────────────────────────────── */

Test(deque, F25_fresh_is_empty)
{
    struct deque deque;
    cr_assert(deque_init(&deque, 8));
    void *stolen = &deque;
    for (int i = 0; i < 3; i++) {
        cr_assert_null(deque_pop(&deque));
        cr_assert_eq(deque_steal(&deque, &stolen), DEQUE_EMPTY);
        cr_assert_eq(deque_size(&deque), 0);
    }
    cr_assert_eq(stolen, (void *)&deque, "an empty steal left the result alone");
    cr_assert_eq(load_relaxed(&deque.bottom), 0);
    cr_assert_eq(load_relaxed(&deque.top), 0);
    cr_assert(deque_push(&deque, job(7)));
    cr_assert_eq(deque_size(&deque), 1);
    cr_assert_eq(deque_pop(&deque), job(7));
    cr_assert_null(deque_pop(&deque));
    deque_destroy(&deque);
}

Test(deque, owner_takes_the_newest_thief_the_oldest)
{
    struct deque deque;
    void        *stolen = NULL;
    cr_assert(deque_init(&deque, 4));
    for (uint64_t i = 0; i < 4; i++) { cr_assert(deque_push(&deque, job(i))); }
    cr_assert_eq(deque_steal(&deque, &stolen), DEQUE_TAKEN);
    cr_assert_eq(stolen, job(0));
    cr_assert_eq(deque_pop(&deque), job(3));
    cr_assert_eq(deque_steal(&deque, &stolen), DEQUE_TAKEN);
    cr_assert_eq(stolen, job(1));
    cr_assert_eq(deque_pop(&deque), job(2));
    cr_assert_null(deque_pop(&deque));
    deque_destroy(&deque);
}

/* F26: the owner as a thief of its own deque; a deque whose owner has left. */
Test(deque, F26_steal_from_own_and_from_a_finished_owner)
{
    struct deque deque;
    void        *stolen = NULL;
    cr_assert(deque_init(&deque, 2));
    cr_assert_eq(deque_steal(&deque, &stolen), DEQUE_EMPTY);
    cr_assert(deque_push(&deque, job(1)));
    cr_assert_eq(deque_steal(&deque, &stolen), DEQUE_TAKEN);
    cr_assert_eq(stolen, job(1));
    cr_assert_eq(deque_steal(&deque, &stolen), DEQUE_EMPTY);
    cr_assert_null(deque_pop(&deque));
    deque_destroy(&deque);
}

Test(deque, grows_from_one_and_keeps_order)
{
    enum { JOBS = 5000 };
    struct deque deque;
    void        *stolen = NULL;
    cr_assert(deque_init(&deque, 1));
    for (uint64_t i = 0; i < JOBS; i++) { cr_assert(deque_push(&deque, job(i))); }
    cr_assert_eq(deque_size(&deque), JOBS);
    for (uint64_t i = 0; i < JOBS / 2; i++) {
        cr_assert_eq(deque_steal(&deque, &stolen), DEQUE_TAKEN);
        cr_assert_eq(stolen, job(i));
    }
    for (uint64_t i = JOBS; i-- > JOBS / 2;) { cr_assert_eq(deque_pop(&deque), job(i)); }
    cr_assert_null(deque_pop(&deque));
    deque_destroy(&deque);
}

/* F13: 10^4 operations against a plain list, across each place where an index of another width, or
 * of this one, would wrap. */
Test(deque, F13_indices_wrap)
{
    enum { STEPS = 10000, JOBS_MAX = 2 * STEPS };
    static uint64_t list[JOBS_MAX];
    for (size_t p = 0; p < PRESETS; p++) {
        for (size_t capacity = 1; capacity <= 256; capacity *= 16) {
            struct deque deque;
            cr_assert(deque_init(&deque, capacity));
            preset(&deque, presets[p]);
            uint64_t random = 88172645463325252u + p, next = 0;
            size_t   first = 0, last = 0;
            for (int step = 0; step < STEPS; step++) {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                void *stolen = NULL;
                /* More pushes than takes while the index has not yet wrapped. */
                switch (random % 8) {
                case 0:
                case 1:
                    cr_assert_eq(deque_pop(&deque), last > first ? job(list[last - 1]) : NULL);
                    if (last > first) { last--; }
                    break;
                case 2:
                case 3:
                    cr_assert_eq(deque_steal(&deque, &stolen),
                                 last > first ? DEQUE_TAKEN : DEQUE_EMPTY);
                    cr_assert_eq(stolen, last > first ? job(list[first]) : NULL);
                    if (last > first) { first++; }
                    break;
                default:
                    list[last++] = next;
                    cr_assert(deque_push(&deque, job(next++)));
                }
                cr_assert_eq(deque_size(&deque), last - first);
            }
            while (last > first) { cr_assert_eq(deque_pop(&deque), job(list[--last])); }
            cr_assert_null(deque_pop(&deque));
            deque_destroy(&deque);
        }
    }
}

Test(deque, F12_a_size_that_overflows_is_no_memory)
{
    struct deque deque;
    memset(&deque, 0, sizeof deque);
    cr_assert_not(deque_init(&deque, (size_t)1 << 61));
    cr_assert_not(deque_init(&deque, (size_t)1 << 63));
    deque_destroy(&deque); /* all zero is fine */
}

Test(deque, capacity_is_a_power_of_two, .signal = SIGABRT)
{
    struct deque deque;
    deque_init(&deque, 3);
}

Test(deque, destroy_forgets_what_is_in_it_and_may_be_repeated)
{
    struct deque deque;
    cr_assert(deque_init(&deque, 1));
    for (uint64_t i = 0; i < 100; i++) { cr_assert(deque_push(&deque, job(i))); }
    deque_destroy(&deque);
    deque_destroy(&deque);
}

#ifdef ASYNC_DEBUG
Test(deque, F61_two_owners_abort, .signal = SIGABRT)
{
    struct deque deque;
    cr_assert(deque_init(&deque, 1));
    store_relaxed(&deque.owners, 1); /* another thread is inside push */
    deque_push(&deque, job(0));
}
#endif

/* The owner is gone in the middle of a pop that found nothing: bottom lies before top. */
Test(deque, after_a_fork)
{
    struct deque deque = {0};
    int          job;
    cr_assert(deque_init(&deque, 4));
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(deque_push(&deque, &job));
        cr_assert_eq(deque_pop(&deque), &job);
    }
    atomic_store(&deque.bottom, atomic_load(&deque.top) - 1);
    deque_after_fork(&deque);
    cr_assert_eq(deque_size(&deque), 0);
    cr_assert(deque_push(&deque, &job));
    cr_assert_eq(deque_size(&deque), 1);
    cr_assert_eq(deque_pop(&deque), &job);
    cr_assert_null(deque_pop(&deque));
    deque_destroy(&deque);
}

/* ── The same source, stopped at each step ───────────────────────────────────────────────────── */

static void step(void);

#undef load_relaxed
#undef load_acquire
#undef store_relaxed
#undef store_release
#undef cas_seq_cst
#undef fence_seq_cst
#define load_relaxed(p)             (step(), atomic_load_explicit((p), memory_order_relaxed))
#define load_acquire(p)             (step(), atomic_load_explicit((p), memory_order_acquire))
#define store_relaxed(p, v)         (step(), atomic_store_explicit((p), (v), memory_order_relaxed))
#define store_release(p, v)         (step(), atomic_store_explicit((p), (v), memory_order_release))
#define cas_seq_cst(p, expected, v) (step(), atomic_compare_exchange_strong((p), (expected), (v)))
#define fence_seq_cst()             (step(), atomic_thread_fence(memory_order_seq_cst))

#define deque_init       stepped_init
#define deque_destroy    stepped_destroy
#define deque_push       stepped_push
#define deque_pop        stepped_pop
#define deque_steal      stepped_steal
#define deque_size       stepped_size
#define deque_after_fork stepped_after_fork
#undef ASYNC_DEBUG /* the operations of one thread within one another look like two owners */
#include "../../runtime/deque.c"

enum { JOBS = 200 };

static struct deque shared;
static unsigned     taken[JOBS]; /* how often each job was */
static uint64_t     pushed;
static unsigned     countdown; /* to the step that is stopped at; 0: none */
static unsigned     stops;     /* that took place */
static void (*meanwhile)(void);

static void step(void)
{
    if (countdown == 0 || --countdown != 0) { return; }
    stops++;
    meanwhile(); /* countdown is 0: what runs now is not stopped */
}

static void push(void)
{
    cr_assert_lt(pushed, JOBS);
    cr_assert(deque_push(&shared, job(pushed++)));
}

static void note(void *found)
{
    uint64_t number = (uint64_t)(uintptr_t)found - 1;
    cr_assert_lt(number, pushed, "what was taken was pushed before");
    cr_assert_eq(taken[number]++, 0, "job %" PRIu64 " was taken twice", number);
}

static bool pop(void)
{
    void *found = deque_pop(&shared);
    if (found != NULL) { note(found); }
    return found != NULL;
}

static enum deque_result steal(void)
{
    void             *found = NULL;
    enum deque_result result = deque_steal(&shared, &found);
    if (result == DEQUE_TAKEN) { note(found); }
    return result;
}

static void steal_once(void) { steal(); }
static void steal_twice(void)
{
    steal();
    steal();
}
static void pop_once(void) { pop(); }
static void pop_steal(void)
{
    pop();
    steal();
}
static void pop_push(void)
{
    pop();
    push();
}
static void push_pop(void)
{
    push();
    pop();
}
static void pop_pop_push_push(void)
{
    pop();
    pop();
    push();
    push();
}
static void steal_push(void)
{
    steal();
    push();
}
static void steal_all(void)
{
    while (steal() == DEQUE_TAKEN) {}
}
static void steal_all_push(void)
{
    steal_all();
    push();
}
static void pop_all_push(void)
{
    while (pop()) {}
    push();
}
/* Fills and empties the array several times over, so that each slot holds something else. */
static void lap(void)
{
    for (int i = 0; i < 20; i++) {
        push();
        steal();
    }
}
static void lap_pop(void)
{
    for (int i = 0; i < 20; i++) {
        push();
        pop();
    }
}
/* Three growths in a row, from 2 to 16. */
static void grow_thrice(void)
{
    for (int i = 0; i < 16; i++) { push(); }
}
static void grow_and_lap(void)
{
    grow_thrice();
    steal_all();
    lap();
}

/* `operation` on `jobs` jobs, stopped at each of its steps while `others` run. */
static void at_each_step(void (*operation)(void), void (*others)(void), unsigned jobs,
                         int64_t index)
{
    for (unsigned at = 1;; at++) {
        memset(taken, 0, sizeof taken);
        pushed = 0;
        stops = 0;
        countdown = 0;
        cr_assert(deque_init(&shared, 2));
        atomic_store(&shared.top, index);
        atomic_store(&shared.bottom, index);
        for (unsigned i = 0; i < jobs; i++) { push(); }

        meanwhile = others;
        countdown = at;
        operation();
        countdown = 0;

        while (pop()) {}
        cr_assert_eq(steal(), DEQUE_EMPTY);
        for (uint64_t i = 0; i < pushed; i++) {
            cr_assert_eq(taken[i], 1, "job %" PRIu64 ": %u times (step %u)", i, taken[i], at);
        }
        deque_destroy(&shared);
        if (stops == 0) { return; } /* the operation has fewer steps than `at` */
    }
}

/* F24 and the traps: a thief that stands still at any step, while the owner and other thieves take,
 * fill the array again and again, and let it grow. */
Test(deque_steps, F24_a_frozen_thief)
{
    void (*const others[])(void) = {
        steal_once, steal_twice,  pop_once,       pop_steal,   pop_push,
        push_pop,   lap,          lap_pop,        steal_push,  pop_pop_push_push,
        steal_all,  pop_all_push, steal_all_push, grow_thrice, grow_and_lap,
    };
    for (size_t p = 0; p < PRESETS; p++) {
        for (unsigned jobs = 0; jobs <= 4; jobs++) {
            for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                at_each_step(steal_once, others[i], jobs, presets[p]);
            }
        }
    }
}

/* F23: the owner stands still within pop, while thieves come, two of them for one job. */
Test(deque_steps, F23_a_frozen_owner)
{
    void (*const others[])(void) = {steal_once, steal_twice, steal_all};
    void (*const operations[])(void) = {pop_once, push, pop_push, pop_pop_push_push, grow_thrice};
    for (size_t p = 0; p < PRESETS; p++) {
        for (unsigned jobs = 0; jobs <= 4; jobs++) {
            for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
                for (size_t k = 0; k < sizeof operations / sizeof *operations; k++) {
                    at_each_step(operations[k], others[i], jobs, presets[p]);
                }
            }
        }
    }
}

/* Two thieves, each inside the other's operation, and the owner inside the second. */
static unsigned inner;

static void inner_pops(void)
{
    meanwhile = pop_push;
    countdown = inner;
    steal();
    countdown = 0;
}

Test(deque_steps, F23_one_job_two_thieves_and_the_owner)
{
    for (unsigned jobs = 1; jobs <= 3; jobs++) {
        for (inner = 1; inner <= 8; inner++) {
            at_each_step(steal_once, inner_pops, jobs, INT64_MAX - 1);
        }
    }
}
