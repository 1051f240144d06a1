/* sched_deque.c: rows F23 to F26 and F61: the deque under thieves. */
#include "rows.h"

#include "deque.h"
#include "pipeline.h"

/* F26: who finds a deque empty, from its own side or another, is told so; and it is still whole. */
static void steal_from_own(void)
{
    struct deque deque;
    void *job = NULL;
    ROW_CHECK(deque_init(&deque, 2));
    ROW_EQ(deque_steal(&deque, &job), DEQUE_EMPTY);
    ROW_CHECK(deque_push(&deque, &deque));
    ROW_EQ(deque_steal(&deque, &job), DEQUE_TAKEN);
    ROW_CHECK(job == &deque);
    ROW_EQ(deque_steal(&deque, &job), DEQUE_EMPTY);
    ROW_CHECK(deque_pop(&deque) == NULL);
    deque_destroy(&deque);
}

static const row rows[] = {
    { "F26", "a thief in its own deque finds it empty", steal_from_own, 0 },
};
ROWS(rows)
