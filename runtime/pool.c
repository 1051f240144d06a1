/* pool.c: making, sizing and ending pools.
 *
 * Orders
 *   P1 closing (seq_cst) <-> P1 in run.c: a run that ends after it notifies who waits.
 *   P2 refs (acq_rel) <-> P2: what all holders did is over before the pool is freed.
 *   P3 starved (seq_cst) <-> P3: moved before the poke; a reader that was poked sees it.
 *   S4 size (seq_cst) -> S8 of worker.c: a worker that looks after the change acts by it; sleepers
 *      are woken after it.
 *   S4 size (seq_cst) -> Q6 of demand.c: who looks before it pushes or pokes by the old size, and
 *      set_size looks at all tasks after the change.
 * Layer: 3 */
#include "pool.h"
#include "check.h"
#include "context.h"
#include "fork.h"
#include "mem.h"
#include "os.h"
#include "strand.h"

#include <stdio.h>
#include <string.h>

/* ---- counts ---- */

void pool_retain(struct async_pool *pool)
{
    add_relaxed(&pool->refs, 1); /* relaxed: the caller has a count already */
}

void pool_release(struct async_pool *pool)
{
    /* P2 <-> P2: the last one sees what the others did */
    if (sub_acq_rel(&pool->refs, 1) != 1) { return; }
    fork_forget_pool(pool);
    while (pool->lost != NULL) {
        struct worker *worker = pool->lost;
        pool->lost = worker->next_of_all;
        mem_free(worker);
    }
    uint32_t made = load_relaxed(&pool->slots_made); /* relaxed: no longer shared */
    for (uint32_t i = 0; i < made; i++) {
        struct slot *slot = load_relaxed(&pool->slots[i]); /* relaxed: no longer shared */
        deque_destroy(&slot->deque);
        mem_free(slot);
    }
    queue_destroy(&pool->injector);
    store_drop(pool->store);
    trace_free(pool);
    os_mutex_destroy(&pool->mutex);
    mem_free(pool);
}

unsigned pool_window(const struct async_pool *pool)
{
    if (pool->window != 0) { return pool->window; }
    return 4 * (load_relaxed(&pool->size) + 1); /* relaxed: a number of chunks is chosen */
}

/* The task behind `task` in the pool's list, or the first one (NULL), with a count; gives the count
 * of `task` back. A task that is counted stays in the list, so a walk needs no memory, and meets
 * every task that is there from its beginning to its end. */
static struct async_task *next_task(struct async_pool *pool, struct async_task *task)
{
    os_mutex_lock(&pool->mutex);
    struct async_task *next = task == NULL ? pool->tasks : task->next_in_pool;
    for (; next != NULL; next = next->next_in_pool) {
        /* One whose last count is gone waits for this mutex to leave the list. */
        uint32_t refs = load_relaxed(&next->out.refs); /* relaxed: the CAS decides */
        /* relaxed: under the mutex it cannot be freed */
        while (refs != 0 && !cas_relaxed(&next->out.refs, &refs, refs + 1)) {}
        if (refs != 0) { break; }
    }
    os_mutex_unlock(&pool->mutex);
    if (task != NULL) { channel_release(&task->out); }
    return next;
}

static void look_at_all(struct async_pool *pool)
{
    for (struct async_task *t = next_task(pool, NULL); t != NULL; t = next_task(pool, t)) {
        if (load_seq_cst(&t->backlog) > 0) { task_runnable(t); } /* Q3 */
        channel_poke(&t->out);
    }
}

void pool_starve(struct async_pool *pool)
{
    add_seq_cst(&pool->starved, 1); /* P3 <-> P3 in reader.c, before the poke */
    look_at_all(pool);
}

/* ---- threads ---- */

static void add_counts(async_pool_stats *sum, const struct worker *worker)
{
    uint64_t since = load_relaxed(&worker->asleep_since); /* relaxed (all): statistics */
    sum->steals += load_relaxed(&worker->steals);
    sum->parks += load_relaxed(&worker->parks);
    sum->wakes += load_relaxed(&worker->wakes);
    sum->asleep_ns += load_relaxed(&worker->asleep_ns);
    if (since != 0) { sum->asleep_ns += os_now_ns() - since; }
}

async_status async_pool_counts(async_pool *pool, async_pool_stats *out)
{
    if (pool == NULL || out == NULL) { return ASYNC_INVALID; }
    os_mutex_lock(&pool->mutex);
    *out = pool->past;
    for (const struct worker *worker = pool->workers; worker != NULL;
         worker = worker->next_of_all) {
        add_counts(out, worker);
    }
    out->threads = pool->threads;
    os_mutex_unlock(&pool->mutex);
    return ASYNC_OK;
}

static void reap(struct async_pool *pool)
{
    os_mutex_lock(&pool->mutex);
    struct worker *worker = pool->finished;
    pool->finished = NULL;
    for (struct worker *done = worker; done != NULL; done = done->next) {
        struct worker **link = &pool->workers;
        while (*link != done) { link = &(*link)->next_of_all; }
        *link = done->next_of_all;
        add_counts(&pool->past, done);
    }
    os_mutex_unlock(&pool->mutex);
    while (worker != NULL) {
        struct worker *next = worker->next;
        os_thread_join(worker->thread);
        mem_free(worker);
        worker = next;
    }
}

/* All threads end after their running chunk; waits for them. */
static void stop_threads(struct async_pool *pool)
{
    store_seq_cst(&pool->size, 0); /* S4 -> S8, Q6 */
    os_mutex_lock(&pool->mutex);
    pool_dismiss_spares(pool);
    os_mutex_unlock(&pool->mutex);
    for (;;) {
        pool_wake_all(pool);
        uint32_t key = event_prepare(&pool->progress);
        os_mutex_lock(&pool->mutex);
        pool_dismiss_spares(pool);
        unsigned left = pool->threads;
        os_mutex_unlock(&pool->mutex);
        if (left == 0) {
            event_cancel(&pool->progress);
            break;
        }
        event_wait(&pool->progress, key, os_now_ns() + 10000000);
    }
    reap(pool);
}

/* ---- create, size ---- */

static bool options_valid(const async_pool_options *o)
{
    if (o == NULL) { return true; }
    for (size_t i = 0; i < 4; i++) {
        if (o->reserved[i] != 0) { return false; }
    }
    if (o->allocator != NULL &&
        (o->allocator->allocate == NULL || o->allocator->deallocate == NULL)) {
        return false;
    }
    return o->stack_size <= SIZE_MAX / 2 && o->window <= INT32_MAX;
}

async_status async_pool_create(async_pool **out, unsigned workers,
                               const async_pool_options *options)
{
    if (out == NULL) { return ASYNC_INVALID; }
    *out = NULL;
    if (workers == ASYNC_ALL_CPUS) { workers = os_cpu_count(); }
    if (workers > MAX_WORKERS || !options_valid(options)) { return ASYNC_INVALID; }
    async_pool_options o = {0};
    if (options != NULL) { o = *options; }
    if (o.max_threads != 0 && o.max_threads < workers) { return ASYNC_INVALID; }
    struct async_pool *pool = mem_zalloc(sizeof *pool, alignof(struct async_pool));
    if (pool == NULL) { return ASYNC_NO_MEMORY; }
    pool->store = o.allocator == NULL ? store_default() : store_create(o.allocator);
    if (pool->store == NULL || !queue_init(&pool->injector, sizeof(struct async_task *))) {
        if (pool->store != NULL) { store_drop(pool->store); }
        mem_free(pool);
        return ASYNC_NO_MEMORY;
    }
    os_mutex_init(&pool->mutex);
    trace_init(pool);
    store_relaxed(&pool->refs, 1); /* relaxed: not shared yet */
    snprintf(pool->name, sizeof pool->name, "%s", o.name == NULL ? "async" : o.name);
    pool->readers_help = o.readers_help;
    pool->window = o.window;
    pool->stack_size = o.stack_size;
    pool->max_threads = o.max_threads;
    fork_mind_pool(pool);
    if (workers > 0) {
        async_status status = async_pool_set_size(pool, workers);
        if (status != ASYNC_OK) {
            stop_threads(pool);
            pool_release(pool);
            return status;
        }
    }
    *out = pool;
    return ASYNC_OK;
}

async_status async_pool_set_size(async_pool *pool, unsigned workers)
{
    if (pool == NULL) { return ASYNC_INVALID; }
    if (workers == ASYNC_ALL_CPUS) { workers = os_cpu_count(); }
    if (workers > MAX_WORKERS || (pool->max_threads != 0 && workers > pool->max_threads)) {
        return ASYNC_INVALID;
    }
    os_mutex_lock(&pool->mutex);
    if (load_seq_cst(&pool->closing) != 0) { /* P1 */
        os_mutex_unlock(&pool->mutex);
        return ASYNC_CLOSED;
    }
    store_seq_cst(&pool->size, workers); /* S4 -> S8, Q6 */
    async_status status = pool_fill_slots(pool);
    if (status != ASYNC_OK) {
        uint32_t kept = 0;
        while (kept < workers) {
            struct slot *slot = load_relaxed(&pool->slots[kept]); /* relaxed: under the mutex */
            if (slot == NULL || !slot->taken) { break; }
            kept++;
        }
        store_seq_cst(&pool->size, kept); /* S4 -> S8, Q6 */
    }
    os_mutex_unlock(&pool->mutex);
    pool_wake_all(pool);
    look_at_all(pool);
    reap(pool);
    return status;
}

unsigned async_pool_size(const async_pool *pool)
{
    return pool == NULL ? 0 : load_seq_cst(&pool->size); /* S4 */
}

size_t async_pool_num_tasks(const async_pool *pool)
{
    return pool == NULL ? 0 : load_relaxed(&pool->num_tasks); /* relaxed: a count */
}

/* ---- tasks ---- */

/* Makes a task of the pool's; `hidden` ones are not counted. */
async_status pool_add(struct async_pool *pool, struct async_task **out,
                      const async_task_options *options, bool greedy)
{
    struct async_task *task;
    async_status       status = task_create(&task, pool, options, greedy);
    if (status != ASYNC_OK) { return status; }
    task->hidden = greedy;
    os_mutex_lock(&pool->mutex);
    bool closing = load_seq_cst(&pool->closing) != 0; /* P1 */
    if (!closing) {
        task->listed = true;
        task->next_in_pool = pool->tasks;
        if (pool->tasks != NULL) { pool->tasks->prev_in_pool = task; }
        pool->tasks = task;
        if (!greedy) {
            store_relaxed(&task->counted, 1); /* relaxed: under the mutex */
            add_relaxed(&pool->num_tasks, 1); /* relaxed: a count */
        }
    }
    os_mutex_unlock(&pool->mutex);
    if (closing) {
        task->out.release = NULL; /* what was passed stays with the caller */
        reader_drop(&task->out);
        return ASYNC_CLOSED;
    }
    *out = task;
    return ASYNC_OK;
}

async_status async_pool_add_task(async_pool *pool, async_reader **out,
                                 const async_task_options *options)
{
    if (out == NULL) { return ASYNC_INVALID; }
    *out = NULL;
    if (pool == NULL) { return ASYNC_INVALID; }
    struct async_task *task;
    async_status       status = pool_add(pool, &task, options, false);
    if (status == ASYNC_OK) { *out = &task->out.reader; }
    return status;
}

async_status async_pool_remove_task(async_pool *pool, async_task *task)
{
    if (pool == NULL || task == NULL || task->pool != pool) { return ASYNC_INVALID; }
    task_abort_from(task, 0); /* chunks that have not begun do not begin */
    graph_unwanted(task);
    return ASYNC_OK;
}

async_status async_pool_cancel(async_pool *pool)
{
    if (pool == NULL) { return ASYNC_INVALID; }
    if (load_seq_cst(&pool->closing) != 0) { return ASYNC_CLOSED; } /* P1 */
    for (struct async_task *t = next_task(pool, NULL); t != NULL; t = next_task(pool, t)) {
        task_cancel(t);
    }
    return ASYNC_OK;
}

/* ---- the end ---- */

static THREAD_LOCAL struct async_pool *destroying; /* by this thread */

static bool task_inside(const struct async_task *task)
{
    return (load_acquire(&task->running) & ~(TASK_STOPPED | TASK_FINAL)) != 0; /* X5 <- X3 */
}

/* What a run changes that has done something: while this stays and nobody is inside, none has come
 * by unseen. */
struct state {
    uint64_t drawn;
    int64_t  backlog;
    size_t   live;
    bool     inside;
};

static struct state state_of(struct async_pool *pool)
{
    struct state state = {0};
    for (struct async_task *t = next_task(pool, NULL); t != NULL; t = next_task(pool, t)) {
        if (task_inside(t)) { state.inside = true; }
        /* relaxed: a run that is over has been acquired by X5 */
        state.drawn += load_relaxed(&t->drawn);
        state.backlog += load_seq_cst(&t->backlog); /* Q3 */
        state.live += task_live(t);
    }
    return state;
}

static bool at_rest(const struct state *before, const struct state *after)
{
    return !before->inside && !after->inside && before->drawn == after->drawn &&
           before->backlog == after->backlog && before->live == after->live;
}

/* Runs what was asked for, as far as it has its input, with the workers. A task that lacks input
 * may get it, after it was looked at, from a run that is over before its own task is looked at:
 * hence the states. They don't show a run that does nothing, for want of memory, say; but one that
 * keeps this thread from a task has it look again. */
static void drain(struct async_pool *pool)
{
    for (;;) {
        struct state before = state_of(pool);
        uint32_t     key = event_prepare(&pool->progress);
        STEP("drain: begins a look");
        bool more = false, busy = false, starved = false;
        for (struct async_task *t = next_task(pool, NULL); t != NULL; t = next_task(pool, t)) {
            enum run_result result = task_run(t, (struct run_options){.arm = true});
            if (result == RUN_DONE) { more = true; }
            if (result == RUN_BUSY) { busy = true; }
            if (result == RUN_STARVED) { starved = true; }
        }
        STEP("drain: looked");
        struct state after = state_of(pool);
        if (starved) { /* what was asked for is run: memory must come back */
            event_cancel(&pool->progress);
            os_sleep_ns(1000000);
        } else if (more || !after.inside) {
            event_cancel(&pool->progress);
            if (!more && !busy && at_rest(&before, &after)) { return; }
        } else {
            event_wait(&pool->progress, key, os_now_ns() + 10000000);
        }
    }
}

async_status async_pool_destroy(async_pool *pool, async_ending how)
{
    if (how != ASYNC_DRAIN && how != ASYNC_DROP) { return ASYNC_INVALID; }
    if (pool == NULL) { return ASYNC_OK; }
    if (context_inside(pool)) { return ASYNC_DEADLOCK; }
    os_mutex_lock(&pool->mutex);
    uint32_t open = 0;
    bool     first = cas_seq_cst(&pool->closing, &open, 1); /* P1 */
    os_mutex_unlock(&pool->mutex);
    if (!first) { return ASYNC_CLOSED; }
    struct async_pool *outer = destroying;
    destroying = pool;
    if (how == ASYNC_DRAIN) { drain(pool); }
    for (struct async_task *t = next_task(pool, NULL); t != NULL; t = next_task(pool, t)) {
        task_uncount(t);
        if (how == ASYNC_DRAIN) {
            task_stop(t, ASYNC_END);
        } else {
            task_cancel(t);
        }
    }
    stop_threads(pool);
    /* Readers that help may still be inside. */
    for (bool inside = true; inside;) {
        uint32_t key = event_prepare(&pool->progress);
        inside = false;
        for (struct async_task *t = next_task(pool, NULL); t != NULL; t = next_task(pool, t)) {
            if (task_inside(t)) { inside = true; }
        }
        if (inside) {
            event_wait(&pool->progress, key, os_now_ns() + 10000000);
        } else {
            event_cancel(&pool->progress);
        }
    }
    /* Jobs that nobody will do any more. */
    struct async_task *task;
    while ((task = pool_take_injected(pool)) != NULL) { channel_release(&task->out); }
    /* relaxed: nobody adds one any more */
    for (uint32_t i = 0; i < load_relaxed(&pool->slots_made); i++) {
        /* by workers that a fork has taken away; others have emptied theirs */
        struct async_task *left;
        /* relaxed: as above */
        while ((left = deque_pop(&load_relaxed(&pool->slots[i])->deque)) != NULL) {
            channel_release(&left->out);
        }
    }
    destroying = outer;
    store_seq_cst(&pool->closing, 2); /* P1 */
    pool_release(pool);
    return ASYNC_OK;
}

/* ---- the child of a fork ---- */

/* Every worker but the one that forked, if it was one, is gone, and so is whoever was changing the
 * pool without its mutex. Jobs stay where they are, with the counts of their tasks: who works here
 * later finds them, or the end does. */
void pool_after_fork(struct async_pool *pool)
{
    /* relaxed (all): there is one thread */
    store_relaxed(&pool->size, 0);
    store_relaxed(&pool->searching, 0);
    int64_t injected = (int64_t)queue_after_fork(&pool->injector);
    for (struct async_task *t = load_relaxed(&pool->overflow); t != NULL; t = t->next_job) {
        injected++;
    }
    store_relaxed(&pool->injected, injected);
    pool->idle = pool->progress = (struct event){0};
    for (uint32_t i = 0; i < load_relaxed(&pool->slots_made); i++) {
        struct slot *slot = load_relaxed(&pool->slots[i]);
        deque_after_fork(&slot->deque);
        slot->taken = false;
    }
    trace_after_fork(pool);
    pool->threads = 0;
    pool->spares = pool->finished = NULL;
    struct worker *worker = pool->workers;
    pool->workers = NULL;
    while (worker != NULL) {
        struct worker *next = worker->next_of_all,
                      **to = worker == context.worker ? &pool->workers : &pool->lost;
        if (to == &pool->lost) { add_counts(&pool->past, worker); }
        worker->next_of_all = *to;
        *to = worker;
        worker = next;
    }
    if (pool->workers != NULL) { /* this thread: it ends with its job, without a slot */
        pool->threads = 1;
        context.worker->slot = NULL;
        context.worker->quit = true;
    }
    /* A destroy that another thread had begun is not going on; it may be begun again. */
    if (load_relaxed(&pool->closing) == 1 && pool != destroying) {
        store_relaxed(&pool->closing, 0);
    }
}
