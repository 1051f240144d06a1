/* fork.c: the child of a fork() can go on with what its parent has made.
 *
 * The child has one thread, a copy of the one that forked; all others stopped where they were, at
 * any instruction (the kernel copies all memory at one moment in the order of each thread's
 * writes). What they held is not given back by anybody. So:
 *
 *   - Locks: all of the runtime's are taken before the fork, and released in the parent and in
 *     the child. What they guard is whole in both.
 *   - Lock-free words stay usable, as if threads had been stopped for good; but the counts that
 *     such a thread had still to correct would stay wrong, turns that it had would stay taken, and
 *     its waiters lie on a stack that is no more. The child puts these right, one thing after the
 *     other, while it is alone: channel_after_fork, pool_after_fork, and below for tasks.
 *   - A task for which anything was under way (asked for and not finished) is cancelled: chunks
 *     that threads had begun will not be finished. Nothing is freed and none of the user's
 *     functions called for that here: the task is left as one that has stopped and was left by its
 *     last run, and whoever touches it next (a read, its release, the pool's end) carries out its
 *     end, discards included.
 *   - Other tasks lose what threads that are gone had asked for: that is, all.
 *   - Every pool has size 0 and no thread. A worker that forked inside a function ends with it.
 *
 * To know all of them, channels (the outputs of tasks among them) and pools are in two lists, from
 * their making to their end: cold paths, one lock.
 *
 * Lost to the child (memory and callbacks, not more): what a thread had taken and not yet passed on
 * (items of a running chunk; a block; a thread's free lists), the counts that calls in progress
 * held, a task whose end another thread was carrying out.
 *
 * Order of the locks: the lists', that of deadlock.c, the graph's, the pools' (as in the list), the
 * errors'. No thread waits for one of them while it has a later one, but the fork. The handlers are
 * installed when the library is loaded, so that those of the program, installed later, run outside
 * of them: a lock of the program's that is held over calls of the library is taken before ours.
 *
 * The handler in the child may allocate (a thread's hazard record): glibc has put malloc in order
 * by then. _Fork() and vfork() run no handlers: after them only exec will do.
 * Layer: 3 */
#include "fork.h"

#include "context.h"
#include "deadlock.h"
#include "os.h"
#include "pool.h"
#include "strand.h"

#include <stdio.h>

static os_mutex           lock = PTHREAD_MUTEX_INITIALIZER;
static struct channel    *channels; /* both under the lock */
static struct async_pool *pools;

/* ---- the lists ---- */

void fork_mind_channel(struct channel *channel)
{
    os_mutex_lock(&lock);
    channel->prev_of_all = NULL;
    channel->next_of_all = channels;
    if (channels != NULL) { channels->prev_of_all = channel; }
    channels = channel;
    os_mutex_unlock(&lock);
}

void fork_forget_channel(struct channel *channel)
{
    os_mutex_lock(&lock);
    struct channel *next = channel->next_of_all, *prev = channel->prev_of_all;
    if (next != NULL) { next->prev_of_all = prev; }
    if (prev != NULL) {
        prev->next_of_all = next;
    } else {
        channels = next;
    }
    os_mutex_unlock(&lock);
}

void fork_mind_pool(struct async_pool *pool)
{
    os_mutex_lock(&lock);
    pool->prev_of_all = NULL;
    pool->next_of_all = pools;
    if (pools != NULL) { pools->prev_of_all = pool; }
    pools = pool;
    os_mutex_unlock(&lock);
}

void fork_forget_pool(struct async_pool *pool)
{
    os_mutex_lock(&lock);
    struct async_pool *next = pool->next_of_all, *prev = pool->prev_of_all;
    if (next != NULL) { next->prev_of_all = prev; }
    if (prev != NULL) {
        prev->next_of_all = next;
    } else {
        pools = next;
    }
    os_mutex_unlock(&lock);
}

/* ---- tasks in the child; all relaxed: there is one thread ---- */

/* How often this thread has entered the task; *drawing: whether it has its draw turn. */
static uint32_t own_entries(const struct async_task *task, bool *drawing)
{
    uint32_t entries = 0;
    *drawing = false;
    for (const struct inside *at = context.inside; at != NULL; at = at->outer) {
        for (unsigned i = 0; i < at->strand->stages; i++) {
            entries += at->strand->stage[i] == task;
        }
        if (at->strand->drawing && at->strand->stage[at->strand->stages - 1] == task) {
            *drawing = true;
        }
    }
    return entries;
}

static void cancel(struct async_task *task, uint32_t entries)
{
    if (load_relaxed(&task->stop) != ASYNC_FAILED) { /* relaxed: see above */
        async_error error = {.status = ASYNC_CANCELLED,
                             .message = "the process was forked while the task had work to do"};
        snprintf(error.task, sizeof error.task, "%s", task->out.name);
        if (task->error.status == ASYNC_OK) { task->error = task->out_error = error; }
        store_relaxed(&task->stop, ASYNC_CANCELLED); /* relaxed: see above */
    }
    store_relaxed(&task->dropped, true); /* relaxed (here to the end): see above */
    store_relaxed(&task->abort_from, 0);
    store_relaxed(&task->running, TASK_STOPPED | entries);
    store_relaxed(&task->backlog, 0);
    if (load_relaxed(&task->out.ended) == ASYNC_OK) {
        store_relaxed(&task->out.ended, load_relaxed(&task->stop));
    }
}

static void restore(struct async_task *task)
{
    uint32_t running = load_relaxed(&task->running); /* relaxed (all): see above */
    if ((running & TASK_FINAL) != 0) {
        if (load_relaxed(&task->gone)) { return; }
        /* Another thread was carrying out its end: its readers learn of the end at least. */
        if (load_relaxed(&task->out.ended) == ASYNC_OK) {
            store_relaxed(&task->out.ended, load_relaxed(&task->stop));
        }
        store_relaxed(&task->gone, true);
        queue_close(&task->out.queue);
        return;
    }
    bool     drawing;
    uint32_t entries = own_entries(task, &drawing);
    bool     busy = (running & ~TASK_STOPPED) != 0 || load_relaxed(&task->backlog) > 0 ||
                load_relaxed(&task->missing) > 0 || load_relaxed(&task->queued) != 0 ||
                load_relaxed(&task->streams) != 0;
    if (load_relaxed(&task->turn) != TURN_FREE &&
        !drawing) { /* what its holder was at is nobody's now */
        task->stash = (struct run){0};
        task->stash_room = 0;
        task->origin_count = 0;
        store_relaxed(&task->stashed, 0);
        store_relaxed(&task->turn, TURN_FREE);
    }
    if (busy) { cancel(task, entries); }
    store_relaxed(&task->streams, 0);
    store_relaxed(&task->asked, 0);
    /* Whoever asks a cancelled one for anything finds it so, and carries out its end. */
    store_relaxed(&task->missing, busy ? 0 : -(int64_t)channel_available(&task->out));
    store_relaxed(&task->told, NULL);
    if (load_relaxed(&task->poker) != &context) { store_relaxed(&task->poker, NULL); }
    store_relaxed(&task->taken_back, 0);
    task->ready = task->last_ready = task->askable = task->last_askable = NULL;
    task->askables = task->plain = 0;
    task->asked_edges = 0;
    for (struct edge *edge = load_relaxed(&task->inputs); edge != NULL;
         edge = load_relaxed(&edge->next)) {
        store_relaxed(&edge->asked, 0);
        store_relaxed(&edge->listed, false);
        edge->met = false; /* the next draw meets them all anew */
        if (load_relaxed(&edge->armed)) {
            waitlist_add_after_fork(&edge->input->readers, &edge->waiter);
        }
        graph_list_edge(edge);
    }
}

/* ---- the handlers ---- */

static void before(void)
{
    os_mutex_lock(&lock);
    deadlock_lock();
    graph_lock();
    for (struct async_pool *pool = pools; pool != NULL; pool = pool->next_of_all) {
        os_mutex_lock(&pool->mutex);
        trace_lock(pool);
    }
    task_errors_lock();
}

static void unlock_all(void)
{
    task_errors_unlock();
    for (struct async_pool *pool = pools; pool != NULL; pool = pool->next_of_all) {
        trace_unlock(pool);
        os_mutex_unlock(&pool->mutex);
    }
    graph_unlock();
    deadlock_unlock();
    os_mutex_unlock(&lock);
}

/* A channel without a count is being freed by a thread that is gone, or by this one. */
static bool alive(const struct channel *channel)
{
    return load_relaxed(&channel->refs) != 0; /* relaxed: there is one thread */
}

static void in_child(void)
{
    for (struct channel *at = channels; at != NULL; at = at->next_of_all) {
        if (alive(at)) { channel_after_fork(at); }
    }
    for (struct channel *at = channels; at != NULL; at = at->next_of_all) {
        if (alive(at) && at->task != NULL) { restore(at->task); }
    }
    for (struct async_pool *pool = pools; pool != NULL; pool = pool->next_of_all) {
        pool_after_fork(pool);
    }
    deadlock_after_fork();
    context.worker = NULL; /* from here on a thread like any other */
    unlock_all();
}

/* When the library is loaded: see above. */
__attribute__((constructor)) static void install(void) { os_at_fork(before, unlock_all, in_child); }
