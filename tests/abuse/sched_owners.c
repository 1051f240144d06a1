/* sched_owners.c: row F61: two threads that take themselves for a deque's owner. The deque is
 * compiled here once more, as a debug build has it. */
#ifndef ASYNC_DEBUG
#define ASYNC_DEBUG 1
#endif
#include "../../runtime/deque.c"

#include "pipeline.h"
#include "rows.h"
#include "steps.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct deque deque;

static void pop_it(void *arg)
{
    (void)arg;
    (void)deque_pop(&deque);
}

/* One stands inside its pop, the other comes. */
static void second_owner(void *arg)
{
    static thread first;
    static int    job;
    step_role(STEP_NEVER);
    ROW_CHECK(deque_init(&deque, 2));
    ROW_CHECK(deque_push(&deque, &job));
    step_order(0, "deque_pop: claimed");
    thread_start(&first, pop_it, NULL);
    ROW_CHECK(step_await(0));
    if (arg != NULL) {
        (void)deque_push(&deque, &job);
    } else {
        (void)deque_pop(&deque);
    }
    exit(5);
}

static void two_owners(void)
{
    static int  any;
    void *const arguments[] = {NULL, &any};
    for (unsigned i = 0; i < 2; i++) {
        child_end end = child_run(second_owner, arguments[i],
                                  &(child_options){.seconds = 30, .capture = true});
        ROW_CHECK(!end.hung && end.signal == SIGABRT && strstr(end.said, "owners") != NULL);
        free(end.said);
    }
}

static const row rows[] = {
    {"F61", "a second owner of a deque: a debug build aborts", two_owners, 0},
};
ROWS(rows)
