/* deque.c: the work-stealing deque, with every instruction of a push, a pop and a steal as the
 * instant at which a thread stands still (F55), and a thief that stands still while the owner grows
 * the deque three times (F24).
 *
 * A frozen owner leaves nobody who could push: the others can have the jobs that are there, and
 * EMPTY is a true answer when those are gone. Where the owner is not the frozen one, the first of
 * the others is it. */
#include "deque.h"
#include "freezer.h"

#include <sched.h>
#include <string.h>

#define JOBS_MAX  8192
#define LAST_TURN (SUCCESSES - 1)

enum {
    OWNER_FROZEN = 1,
    FEW = 2,   /* less than the others want: EMPTY is an answer */
    WRAPS = 4, /* indices begin where they soon wrap */
    GROWS = 8  /* the owner first makes it grow three times */
};

static struct deque      deque;
static uintptr_t         pushed; /* the owner's */
static atomic_uint       taken;
static atomic_uchar      seen[JOBS_MAX];
static void             *victims_job;
static enum deque_result victims_result;

static _Thread_local uintptr_t last_stolen; /* one thief's jobs get younger and younger */

static void push(void)
{
    MUST(pushed + 1 < JOBS_MAX);
    pushed++;
    MUST(deque_push(&deque, (void *)pushed));
}

static void have(void *job)
{
    uintptr_t number = (uintptr_t)job;
    MUST(number > 0 && number < JOBS_MAX);
    MUST_EQ(atomic_exchange(&seen[number], 1), 0);
    atomic_fetch_add(&taken, 1);
}

/* ---- the others ---- */

static void steal_one(bool may_be_empty)
{
    void             *job;
    enum deque_result result;
    while ((result = deque_steal(&deque, &job)) != DEQUE_TAKEN) {
        if (result == DEQUE_EMPTY && may_be_empty) { return; }
        if (result == DEQUE_EMPTY) { sched_yield(); }
    }
    MUST((uintptr_t)job > last_stolen);
    last_stolen = (uintptr_t)job;
    have(job);
}

static void own(const struct scene *scene, unsigned turn)
{
    if (turn == 0) {
        /* From 4 on, three times: 8, 16, 32. */
        for (unsigned i = 0; i < 32 && (scene->flags & GROWS) != 0; i++) { push(); }
    }
    void *job;
    push();
    push();
    while ((job = deque_pop(&deque)) == NULL) { push(); }
    have(job);
    for (unsigned i = 0; i < SUCCESSES && turn == LAST_TURN; i++) {
        push(); /* what the thief still needs */
    }
}

static void other(const struct scene *scene, unsigned who, unsigned turn)
{
    if (turn == 0) { last_stolen = 0; }
    if ((scene->flags & OWNER_FROZEN) == 0 && who == 0) {
        own(scene, turn);
    } else {
        steal_one((scene->flags & FEW) != 0);
    }
}

/* ---- the state, and the calls ---- */

static void prepare(const struct scene *scene)
{
    MUST(deque_init(&deque, scene->capacity));
    if ((scene->flags & WRAPS) != 0) {
        store_relaxed(&deque.top, INT64_MAX - 2);
        store_relaxed(&deque.bottom, INT64_MAX - 2);
    }
    pushed = 0;
    victims_job = NULL;
    victims_result = DEQUE_EMPTY;
    for (size_t i = 0; i < scene->filled; i++) { push(); }
    pushed += (scene->flags & OWNER_FROZEN) != 0; /* the victim's */
}

static void call_push(const struct scene *scene)
{
    (void)scene;
    victims_result = deque_push(&deque, (void *)pushed) ? DEQUE_TAKEN : DEQUE_EMPTY;
}

static void call_pop(const struct scene *scene)
{
    (void)scene;
    victims_job = deque_pop(&deque);
}

static void call_steal(const struct scene *scene)
{
    (void)scene;
    victims_result = deque_steal(&deque, &victims_job);
}

/* Everything that is left; each job was seen once then. */
static void finish(const struct scene *scene)
{
    void *job;
    (void)scene;
    while ((job = deque_pop(&deque)) != NULL) { have(job); }
    MUST_EQ(deque_steal(&deque, &job), DEQUE_EMPTY);
    MUST_EQ(atomic_load(&taken), pushed);
    for (uintptr_t i = 1; i <= pushed; i++) { MUST_EQ(atomic_load(&seen[i]), 1); }
    memset(&seen, 0, pushed + 1);
    atomic_store(&taken, 0);
    deque_destroy(&deque);
}

static void finish_push(const struct scene *scene)
{
    MUST_EQ(victims_result, DEQUE_TAKEN);
    finish(scene);
}

static void finish_pop(const struct scene *scene)
{
    pushed--; /* it did not push */
    if (victims_job != NULL) { have(victims_job); }
    MUST(victims_job != NULL || scene->filled <= OTHERS * SUCCESSES);
    finish(scene);
}

static void finish_steal(const struct scene *scene)
{
    MUST((victims_result == DEQUE_TAKEN) == (victims_job != NULL));
    if (victims_job != NULL) { have(victims_job); }
    finish(scene);
}

#define PUSH(...)                                                                                  \
    {                                                                                              \
        .operation = "push", .prepare = prepare, .call = call_push, .other = other,                \
        .finish = finish_push, __VA_ARGS__                                                         \
    }
#define POP(...)                                                                                   \
    {                                                                                              \
        .operation = "pop", .prepare = prepare, .call = call_pop, .other = other,                  \
        .finish = finish_pop, __VA_ARGS__                                                          \
    }
#define STEAL(...)                                                                                 \
    {                                                                                              \
        .operation = "steal", .prepare = prepare, .call = call_steal, .other = other,              \
        .finish = finish_steal, __VA_ARGS__                                                        \
    }
#define ENOUGH (OTHERS * SUCCESSES + 8)

static const struct scene scenes[] = {
    PUSH(.variant = "empty", .capacity = 16, .flags = OWNER_FROZEN | FEW),
    PUSH(.variant = "half", .capacity = 1024, .filled = ENOUGH, .flags = OWNER_FROZEN),
    PUSH(.variant = "indices wrap", .capacity = 1024, .filled = ENOUGH,
         .flags = OWNER_FROZEN | WRAPS),
    PUSH(.variant = "grows", .capacity = 16, .filled = 16, .flags = OWNER_FROZEN | FEW),
    POP(.variant = "empty", .capacity = 16, .flags = OWNER_FROZEN | FEW),
    POP(.variant = "the last one", .capacity = 16, .filled = 1, .flags = OWNER_FROZEN | FEW),
    POP(.variant = "two", .capacity = 16, .filled = 2, .flags = OWNER_FROZEN | FEW),
    POP(.variant = "half", .capacity = 1024, .filled = ENOUGH, .flags = OWNER_FROZEN),
    POP(.variant = "indices wrap", .capacity = 16, .filled = 3,
        .flags = OWNER_FROZEN | FEW | WRAPS),
    STEAL(.variant = "empty", .capacity = 1024),
    STEAL(.variant = "the last one", .capacity = 1024, .filled = 1),
    STEAL(.variant = "half", .capacity = 1024, .filled = 512),
    STEAL(.variant = "indices wrap", .capacity = 1024, .filled = 3, .flags = WRAPS),
    STEAL(.variant = "the owner grows it three times", .row = "F24", .capacity = 4, .filled = 3,
          .flags = GROWS),
};

int main(int argc, char **argv)
{
    return freezer_main(scenes, sizeof scenes / sizeof scenes[0], NONE_BLOCKS, argc, argv);
}
