/* deque_shapes.c: the work-stealing deque. Each job is taken exactly once, with what was
 * written to it before it was pushed. */
#include "deque.h"
#include "model.h"

#include <stdlib.h>

#define JOBS 6

struct job {
    int number; /* written by the owner before the push */
};

static struct deque deque;
static struct job   jobs[JOBS];
static unsigned     taken[MODEL_THREADS][JOBS]; /* each thread's own */
static unsigned     pushed;

static void push(int number)
{
    jobs[number].number = number + 1;
    EXPECT(deque_push(&deque, &jobs[number]));
    pushed++;
}

static void got(unsigned thread, struct job *job)
{
    EXPECT(job >= jobs && job < jobs + JOBS);
    EXPECT(job->number == (int)(job - jobs) + 1);
    taken[thread][job - jobs]++;
}

static bool pop(void)
{
    struct job *job = (struct job *)deque_pop(&deque);
    if (job == NULL) { return false; }
    got(0, job);
    return true;
}

/* Whether it was not empty. */
static bool steal(unsigned thread)
{
    void *job;
    switch (deque_steal(&deque, &job)) {
    case DEQUE_TAKEN:
        got(thread, (struct job *)job);
        return true;
    case DEQUE_LOST:
        return true;
    default:
        return false;
    }
}

static void start(size_t capacity) { EXPECT(deque_init(&deque, capacity)); }

static void start_1(void) { start(1); }
static void start_2(void) { start(2); }

/* Indices that wrap, in both. */
static void start_at_end(void)
{
    start(2);
    atomic_init(&deque.top, INT64_MAX - 1);
    atomic_init(&deque.bottom, INT64_MAX - 1);
}

static void check_all(void)
{
    while (pop()) {}
    EXPECT(deque_size(&deque) == 0);
    for (unsigned i = 0; i < JOBS; i++) {
        unsigned sum = 0;
        for (unsigned t = 0; t < MODEL_THREADS; t++) { sum += taken[t][i]; }
        EXPECT(sum == (i < pushed));
    }
    deque_destroy(&deque);
    EXPECT(model_allocations() == 0);
}

/* F23: the owner takes what it pushes, a thief now and then. */
static void owner_heavy(unsigned thread)
{
    if (thread == 0) {
        push(0);
        push(1);
        pop();
        push(2);
        pop();
        pop();
        pop();
    } else {
        steal(thread);
    }
}

static void one_job(void)
{
    start(2);
    push(0);
}

/* F23: one job, the owner's pop and two thieves. */
static void last_job(unsigned thread)
{
    if (thread == 0) {
        pop();
    } else {
        steal(thread);
    }
}

/* Thieves find what the owner pushes and then takes back. */
static void thief_heavy(unsigned thread)
{
    if (thread == 0) {
        push(0);
        push(1);
        pop();
        pop();
    } else {
        steal(thread);
        steal(thread);
    }
}

/* F24: capacity 1, 2, 4, 8 while thieves hold old arrays. */
static void growth(unsigned thread)
{
    if (thread == 0) {
        for (int i = 0; i < 5; i++) { push(i); }
        pop();
    } else {
        steal(thread);
        steal(thread);
    }
}

/* Slots are used again, at the size that they have, as soon as a thief has moved top. */
static void wrap(unsigned thread)
{
    if (thread == 0) {
        for (int i = 0; i < 4; i++) { push(i); }
        pop();
    } else {
        steal(thread);
        steal(thread);
    }
}

/* A thief tells what it saw empty: what had been pushed before it looked was taken by somebody. */
static shared_u32 ready;

static void seen(unsigned thread)
{
    if (thread == 0) {
        push(0);
        push(1);
        store_release(&ready, 1);
        pop();
    } else if (load_acquire(&ready) != 0) {
        void             *job;
        enum deque_result result = deque_steal(&deque, &job);
        EXPECT(result != DEQUE_EMPTY); /* job 0 is there: nobody else steals, one pop takes job 1 */
        if (result == DEQUE_TAKEN) { got(thread, (struct job *)job); }
    }
}

const struct model_shape deque_shapes[] = {
    {"deque/owner-heavy", 2, 0, start_2, owner_heavy, check_all},
    {"deque/last-job", 3, 0, one_job, last_job, check_all},
    {"deque/thief-heavy", 3, 0, start_2, thief_heavy, check_all},
    {"deque/growth", 2, 0, start_1, growth, check_all},
    {"deque/growth-two-thieves", 3, 0, start_1, growth, check_all},
    {"deque/wrap", 2, 0, start_2, wrap, check_all},
    {"deque/indices-wrap", 3, 0, start_at_end, thief_heavy, check_all},
    {"deque/seen", 2, 0, start_2, seen, check_all},
    {0},
};
