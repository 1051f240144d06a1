/* deadlock.c: finds waits that can never end, and says what waits for what.
 *
 * Three kinds are found at once, from what the waiting thread alone knows:
 *   - own: a function waits for the output of its own task, or of one whose function waits further
 *     out on the same stack. Other chunks of that task might bring the items, if they don't do the
 *     same; whether one of them runs is chance, so it is refused always.
 *   - size 0: a function of a pool without workers has run all that it could, and lacks something.
 *   - alone: the thread is the only one of the process.
 *
 * Two are searched for, by a thread that sleeps in a function with no deadline, before it sleeps
 * and then in growing intervals, as what makes a deadlock complete may be something that ends
 * elsewhere:
 *   - cycle: functions that sleep in other threads, each waiting for the next one's task, lead back
 *     to this one. It is refused like `own`.
 *   - chain: the task that it waits for is stuck. A task is stuck when every run inside it belongs
 *     to a thread that sleeps in a function for a task that is stuck, and no further run can start:
 *     nothing is scheduled, or max_parallel or the draw turn are with those runs, or the input is
 *     missing and all its tasks are stuck. Tasks that are being looked at count as stuck: what is
 *     found is the largest set that nothing leads out of.
 *
 * Whatever a client may do (write to a plain channel, read something else) leads out, but for a
 * cancel; so does a wait with a deadline. Where that leaves a doubt the thread sleeps, and the
 * time-out rules.
 *
 * Why the search can be believed: the list's lock keeps the sleepers asleep or at least from
 * leaving the list, the graph's lock the edges. What else is looked at moves by the steps of
 * threads that are neither; every step that could make a stuck task go on is a run of it, and a run
 * changes `drawn` or `chunks`, or is still inside. Two searches with the same sums and the same
 * answer therefore saw one state.
 *
 * Locks: the list's, then the graph's.
 * Layer: 3 */
#include "deadlock.h"

#include "os.h"
#include "pool.h"
#include "strand.h"

#include <stdio.h>
#include <string.h>

static os_mutex        lock = PTHREAD_MUTEX_INITIALIZER;
static struct blocked *sleepers; /* under the lock */

void deadlock_lock(void) { os_mutex_lock(&lock); }
void deadlock_unlock(void) { os_mutex_unlock(&lock); }
void deadlock_after_fork(void) { sleepers = NULL; }

/* ---- the report ---- */

/* A message that grows until it is full. */
struct report {
    char   text[sizeof(((async_error *)0)->message)];
    size_t used;
};

static void add(struct report *report, const char *format, const char *name)
{
    int length = snprintf(report->text + report->used, sizeof report->text - report->used, format,
                          name);
    if (length > 0) {
        report->used = min_size(report->used + (size_t)length, sizeof report->text - 1);
    }
}

static void add_channel(struct report *report, const struct channel *channel, bool room)
{
    add(report, room ? " waits for room in" : " waits for", "");
    add(report, channel->task != NULL ? " task \"%s\"" : " channel \"%s\"", channel->name);
}

/* The functions that wait on this stack, the outermost first. */
static void add_stack(struct report *report, const struct inside *inside,
                      const struct async_task *inner)
{
    const struct async_task *outer = NULL;
    for (; inside != NULL && outer == NULL; inside = inside->outer) {
        if (inside->function != NULL && inside->function != inner) {
            add_stack(report, inside->outer, outer = inside->function);
        }
    }
    add(report, outer == NULL ? "task \"%s\"" : " waits for task \"%s\"", inner->out.name);
}

/* Where the thread's function, or its client, finds it. */
static void publish(const struct report *report, const struct channel *channel)
{
    context.deadlocked = channel;
    memcpy(context.chain, report->text, sizeof context.chain);
    if (context.task == NULL) { return; }
    memcpy(context.message, report->text, sizeof context.message);
    context.code = ASYNC_DEADLOCK;
    context.has_message = true;
}

void deadlock_no_workers(const struct channel *channel, bool room)
{
    struct report report = {.used = 0};
    add_stack(&report, context.inside, context.task);
    add_channel(&report, channel, room);
    add(&report, ", which only this thread could serve: the pool has no workers%s", "");
    publish(&report, channel);
}

void deadlock_alone(const struct channel *channel, bool room)
{
    struct report report = {.used = 0};
    add(&report, "the only thread of the process%s", "");
    add_channel(&report, channel, room);
    publish(&report, channel);
}

/* ---- on one stack ---- */

static bool waits_on_stack(const struct inside *inside, const struct async_task *function,
                           const struct async_task *task)
{
    if (function == task) { return true; }
    for (; inside != NULL; inside = inside->outer) {
        if (inside->function == task) { return true; }
    }
    return false;
}

bool deadlock_own(const struct channel *channel)
{
    if (channel->task == NULL || !waits_on_stack(context.inside, context.task, channel->task)) {
        return false;
    }
    struct report report = {.used = 0};
    add_stack(&report, context.inside, context.task);
    add_channel(&report, channel, false);
    publish(&report, channel);
    return true;
}

/* ---- the search, under both locks ---- */

#define TASKS_MAX 256 /* in one search; one that comes to more gives up */

/* All that must hold, with no recursion: the thread may have little stack left. */
static struct search {
    const struct blocked *self;
    unsigned              count;
    struct {
        struct async_task    *task;
        const struct blocked *by; /* the sleeper that waits for it; NULL: a task, or the first */
        unsigned              from;
    } tasks[TASKS_MAX]; /* those whose turn comes */
    uint64_t      walk;
    uint64_t      sum; /* of counters that every run of the tasks that were visited would move */
    struct report chain;
} search; /* under the lock */

static void begin(const struct blocked *self)
{
    search.self = self;
    search.count = 0;
    search.sum = 0;
    search.walk = graph_new_walk();
    search.chain = (struct report){.used = 0};
}

/* False: too many. */
static bool add_task(struct async_task *task, const struct blocked *by, unsigned from)
{
    if (task->visited == search.walk) { return true; }
    if (search.count == TASKS_MAX) { return false; }
    task->visited = search.walk;
    search.tasks[search.count].task = task;
    search.tasks[search.count].by = by;
    search.tasks[search.count++].from = from;
    return true;
}

static bool sleeps_for_a_task(const struct blocked *sleeper)
{
    return !sleeper->room && sleeper->channel->task != NULL && !thread_waiter_told(sleeper->waiter);
}

/* A cycle of functions that wait for each other's tasks, through threads that sleep. */
static bool find_cycle(void)
{
    add_task(search.self->channel->task, search.self, 0);
    for (unsigned at = 0; at < search.count; at++) {
        const struct async_task *task = search.tasks[at].task;
        if (waits_on_stack(search.self->inside, search.self->function, task)) {
            for (unsigned link = at;; link = search.tasks[link].from) { /* from the end back */
                add(&search.chain, "task \"%s\"", search.tasks[link].by->function->out.name);
                add_channel(&search.chain, search.tasks[link].by->channel, false);
                if (link == 0) { return true; }
                add(&search.chain, "; %s", "");
            }
        }
        for (const struct blocked *sleeper = sleepers; sleeper != NULL; sleeper = sleeper->next) {
            if (sleeper == search.self || !sleeps_for_a_task(sleeper)) { continue; }
            if (waits_on_stack(sleeper->inside, sleeper->function, task) &&
                !add_task(sleeper->channel->task, sleeper, at)) {
                return false;
            }
        }
    }
    return false;
}

static uint32_t entries_of(const struct blocked *sleeper, const struct async_task *task)
{
    uint32_t entries = 0;
    for (const struct inside *at = sleeper->inside; at != NULL; at = at->outer) {
        for (unsigned i = 0; i < at->strand->stages; i++) {
            entries += at->strand->stage[i] == task;
        }
    }
    return entries;
}

/* A thread that is not about to be woken, if the task that it waits for is stuck. */
static bool sleeps_on(const struct blocked *sleeper)
{
    const struct channel *channel = sleeper->channel;
    if (!sleeps_for_a_task(sleeper) || channel_status(channel) != ASYNC_OK) { return false; }
    if (channel_available(channel) >= sleeper->waiter->waiter.need) { return false; }
    if (channel->task->visited != search.walk) {
        add(&search.chain, search.chain.used > 0 ? "; task \"%s\"" : "task \"%s\"",
            sleeper->function->out.name);
        add_channel(&search.chain, channel, false);
    }
    return add_task(channel->task, sleeper, 0);
}

/* The task that draws for it. The look is as in task_fused_with, but from outside: the lock keeps
 * the edges. */
static const struct async_task *head_of(const struct async_task *task)
{
    for (unsigned depth = 1; depth < FUSE_MAX && task->fused; depth++) {
        const struct edge       *edge = load_relaxed(&task->inputs); /* relaxed: under the lock */
        const struct async_task *producer = edge == NULL ? NULL : edge->input->task;
        if (producer == NULL || load_relaxed(&producer->exposed)) {
            break;
        } /* relaxed: as in task_fused_with */
        task = producer;
    }
    return task;
}

/* Whether no work for it can be begun, if the tasks that it takes its items from are stuck. */
static bool starts_nothing(struct async_task *task)
{
    int64_t backlog = load_seq_cst(&task->backlog); /* Q3 of demand.c */
    if (load_seq_cst(&task->missing) > 0 && load_relaxed(&task->streams) == 0) {
        return false;
    } /* relaxed: a look. Q1 */
    if (backlog <= 0) { return true; }
    if (task->max_parallel != 0 && load_seq_cst(&task->active) >= task->max_parallel) {
        return true;
    } /* L1 of run.c */
    const struct async_task *head = head_of(task);
    if (load_relaxed(&head->turn) != TURN_FREE) {
        return true;
    } /* relaxed: with a sleeper, or the sums move */
    const struct edge *edge = load_relaxed(&head->inputs); /* relaxed: under the lock */
    if (edge == NULL) { return false; } /* a source; or it has let go and will tell */
    /* a draw is to come that asks the inputs */
    if (draw_unasked(head, (size_t)backlog) > 0) { return false; }
    if (draw_available(head) >= (task->greedy ? 1 : min_size((size_t)backlog, task_chunk(task)))) {
        return false;
    }
    for (; edge != NULL; edge = load_relaxed(&edge->next)) { /* relaxed: under the lock */
        if (load_relaxed(&edge->ended)) { continue; }        /* relaxed: a look */
        struct async_task *producer = edge->input->task;
        if (producer == NULL || channel_status(edge->input) != ASYNC_OK) { return false; }
        if (producer->visited != search.walk) {
            add(&search.chain, "; task \"%s\" takes its items", task->out.name);
            add(&search.chain, " from task \"%s\"", producer->out.name);
        }
        if (!add_task(producer, NULL, 0)) { return false; }
    }
    return true;
}

static bool stuck(struct async_task *task)
{
    uint32_t running = load_acquire(&task->running); /* X5 <- X3 of task.c */
    if ((running & TASK_FINAL) != 0) { return false; }
    search.sum += load_relaxed(&task->drawn) + load_relaxed(&task->chunks) +
                  load_relaxed(&task->made) + load_relaxed(&task->singles); /* relaxed: compared */
    uint32_t inside = 0, entered = running & ~TASK_STOPPED;
    if (entered == 0 && (running & TASK_STOPPED) != 0) { return false; } /* it is about to end */
    for (const struct blocked *sleeper = sleepers; sleeper != NULL && inside < entered;
         sleeper = sleeper->next) {
        uint32_t entries = entries_of(sleeper, task);
        inside += entries;
        if (entries > 0 && !sleeps_on(sleeper)) { return false; }
    }
    if (inside != entered) { return false; } /* somebody works in it */
    return !task_live(task) || starts_nothing(task);
}

static bool all_stuck(void)
{
    if (!sleeps_on(search.self)) { return false; }
    for (unsigned at = 0; at < search.count; at++) {
        if (!stuck(search.tasks[at].task)) { return false; }
    }
    return true;
}

bool deadlock_proved(struct blocked *blocked)
{
    if (blocked->room || blocked->channel->task == NULL) { return false; }
    os_mutex_lock(&lock);
    graph_lock();
    begin(blocked);
    bool proved = find_cycle();
    if (!proved) {
        begin(blocked);
        proved = all_stuck();
        uint64_t sum = search.sum;
        if (proved) {
            begin(blocked);
            proved = all_stuck() && search.sum == sum;
        }
    }
    graph_unlock();
    if (proved) { publish(&search.chain, blocked->channel); }
    os_mutex_unlock(&lock);
    return proved;
}

void deadlock_sleeps(struct blocked *blocked)
{
    os_mutex_lock(&lock);
    blocked->next = sleepers;
    sleepers = blocked;
    os_mutex_unlock(&lock);
}

void deadlock_awake(struct blocked *blocked)
{
    os_mutex_lock(&lock);
    struct blocked **link = &sleepers;
    while (*link != NULL && *link != blocked) { link = &(*link)->next; }
    if (*link != NULL) { *link = blocked->next; }
    os_mutex_unlock(&lock);
}
