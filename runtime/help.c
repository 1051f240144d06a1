/* help.c: a thread that waits for a task's output does the work itself.
 *
 * It searches upwards, depth first, from the task that it waits for: what has its input is run;
 * where input is missing, the tasks it comes from may be run. So the task nearest to the reader is
 * always run first, and nothing is made that is not needed yet.
 *
 * A search ends with the first run. The next one goes on where it stood, with the consumer of what
 * was run, so that a chain costs a step for each task and not a walk for each run; one that finds
 * nothing that way begins anew. Where it stands is the trail: the tasks that lack input, each with
 * the edge that was followed from there, and one count each (but for the first, whose reader the
 * caller has). It enters tasks only to look at their edges: nothing is held up by a trail.
 *
 * Of several inputs the search looks first at the one that it went up by the last time, then at
 * those behind it, round to it: those before it had nothing to do, and a wide fan-in would be
 * walked once for each run.
 *
 * Where tasks share inputs, each is looked at once in a search: it is marked with the search's
 * number. Another thread's search may overwrite that, and the task be looked at again.
 *
 * Orders
 *   H1 helped_at (release) -> H1 (acquire): the edge's fields, as by G1 and G2 of graph.c.
 * Layer: 3 */
#include "help.h"

#include "context.h"
#include "mem.h"
#include "pool.h"
#include "strand.h"

#include <string.h>

static shared_u64 searches;

void help_begin(struct helping *help, struct async_task *root)
{
    help->root = root;
    help->steps = help->few;
    help->room = FEW_STEPS;
    help->count = 0;
}

static void put_back(const struct helping *help, struct async_task *task)
{
    if (task != help->root) { channel_release(&task->out); }
}

static void forget(struct helping *help)
{
    while (help->count > 0) { put_back(help, help->steps[--help->count].task); }
}

void help_end(struct helping *help)
{
    forget(help);
    if (help->steps != help->few) { mem_free(help->steps); }
}

static bool push(struct helping *help, struct help_step step)
{
    if (help->count == help->room) {
        size_t            bytes;
        struct help_step *larger = NULL;
        if (size_mul(help->room, 2 * sizeof *larger, &bytes)) {
            larger = mem_zalloc(bytes, alignof(struct help_step));
        }
        if (larger == NULL) { return false; }
        memcpy(larger, help->steps, help->count * sizeof *larger);
        if (help->steps != help->few) { mem_free(help->steps); }
        help->steps = larger;
        help->room *= 2;
    }
    help->steps[help->count++] = step;
    return true;
}

/* Whether this thread may run tasks of the pool while it waits for one of them. */
static bool may_help(const struct async_pool *pool)
{
    /* relaxed: set_size wakes who waits */
    if (load_relaxed(&pool->size) == 0 || pool->readers_help) { return true; }
    return context.worker != NULL && context.worker->pool == pool;
}

/* Whether the search comes to the task for the first time; matters only behind a fork. */
static bool first_visit(struct async_task *task, uint64_t search)
{
    if (search == 0) { return true; }
    /* relaxed: a mark of this thread's */
    if (load_relaxed(&task->helped) == search) { return false; }
    store_relaxed(&task->helped, search); /* relaxed: as above */
    return true;
}

/* The edge behind this one, and the first one behind the last; NULL: `from` has come round. */
static struct edge *edge_behind(struct edge *edge, struct edge *first, const struct edge *from)
{
    struct edge *behind = load_acquire(&edge->next); /* G2 <- G1 of graph.c */
    if (behind == NULL) { behind = first; }
    return behind == from ? NULL : behind;
}

/* The task lacks input. The next task upstream of it, with a count, and `step` is on the trail;
 * NULL: there is none, and the count of the step's task is given back. step->edge: where to begin
 * (`next`: behind it). */
static struct async_task *go_up(struct helping *help, struct help_step step, bool next,
                                uint64_t *search, enum run_result *result)
{
    struct async_task *found = NULL, *head = NULL;
    if (task_enter(step.task)) {
        head = task_enter_head(step.task);
        task_leave(step.task);
    }
    if (head != NULL) {
        struct edge *first = load_acquire(&head->inputs), *edge = step.edge; /* G2 <- G1 */
        /* The edges of a task stay while it is not at its end: the same head has the same ones. */
        if (head != step.head) {
            edge = load_acquire(&head->helped_at); /* H1 <- H1 */
            if (edge == NULL) { edge = first; }
            step.from = edge;
        } else if (next) {
            edge = edge_behind(edge, first, step.from);
        }
        if (first != NULL && load_acquire(&first->next) != NULL && *search == 0) { /* G2 <- G1 */
            *search = add_relaxed(&searches, 1) + 1; /* relaxed: a number */
        }
        for (; found == NULL && edge != NULL; edge = edge_behind(edge, first, step.from)) {
            struct async_task *producer = edge->input->task;
            /* relaxed: who misses the end looks in vain */
            if (producer == NULL || load_relaxed(&edge->ended) || !first_visit(producer, *search)) {
                continue;
            }
            if (!push(help, (struct help_step){step.task, head, edge, step.from})) {
                *result = RUN_STARVED;
                break;
            }
            channel_retain(&producer->out);
            /* relaxed: only saves the store */
            if (*search != 0 && load_relaxed(&head->helped_at) != edge) {
                store_release(&head->helped_at, edge); /* H1 -> H1 */
            }
            found = producer;
        }
        task_leave(head);
    }
    if (found == NULL) { put_back(help, step.task); }
    return found;
}

/* Goes on from where the trail ends, or begins at the root. */
static enum run_result search_on(struct helping *help, struct run_options options)
{
    struct help_step step = {.task = help->root};
    uint64_t         search = 0;
    if (help->count > 0) { step = help->steps[--help->count]; }
    for (;;) {
        enum run_result result = RUN_NOTHING;
        if (may_help(step.task->pool)) { result = task_run(step.task, options); }
        if (result == RUN_DONE || result == RUN_STARVED) {
            put_back(help, step.task);
            return result;
        }
        struct async_task *above = NULL;
        /* who is at it may need more input soon */
        if (result == RUN_INPUT || result == RUN_BUSY) {
            above = go_up(help, step, false, &search, &result);
        } else {
            put_back(help, step.task); /* its workers do it, or there is nothing to do */
        }
        while (above == NULL && result != RUN_STARVED) {
            if (help->count == 0) { return RUN_NOTHING; }
            above = go_up(help, help->steps[--help->count], true, &search, &result);
        }
        if (above == NULL) { return result; }
        step = (struct help_step){.task = above};
    }
}

enum run_result help_search(struct helping *help, struct run_options options)
{
    if (options.arm) { forget(help); } /* all that waits for input is to be told of it */
    bool            anew = help->count == 0;
    enum run_result result = search_on(help, options);
    return result == RUN_NOTHING && !anew ? search_on(help, options) : result;
}
