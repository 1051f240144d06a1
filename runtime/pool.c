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
#include "check.h"
#include "context.h"
#include "fork.h"
#include "mem.h"
#include "os.h"
#include "pool.h"
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
    if (sub_acq_rel(&pool->refs, 1) != 1) { return; } /* P2 <-> P2: the last one sees what the others did */
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
    os_mutex_destroy(&pool->mutex);
    mem_free(pool);
}

unsigned pool_window(const struct async_pool *pool)
{
    if (pool->window != 0) { return pool->window; }
    return 4 * (load_relaxed(&pool->size) + 1); /* relaxed: a number of chunks is chosen */
}

/* All tasks there are now, counted. False: no memory. */
static bool all_tasks(struct async_pool *pool, struct async_task ***tasks, size_t *count)
{
    os_mutex_lock(&pool->mutex);
    size_t n = 0;
    for (struct async_task *t = pool->tasks; t != NULL; t = t->next_in_pool) { n++; }
    struct async_task **found = mem_zalloc(max_size(n, 1) * sizeof *found, alignof(struct async_task *));
    *count = 0;
    if (found != NULL) {
        for (struct async_task *t = pool->tasks; t != NULL; t = t->next_in_pool) {
            /* One whose last count is gone waits for this mutex to leave the list. */
            uint32_t refs = load_relaxed(&t->out.refs); /* relaxed: the CAS decides */
            while (refs != 0 && !cas_relaxed(&t->out.refs, &refs, refs + 1)) {} /* relaxed: under the mutex it cannot be freed */
            if (refs != 0) { found[(*count)++] = t; }
        }
    }
    os_mutex_unlock(&pool->mutex);
    *tasks = found;
    return found != NULL;
}

static void release_tasks(struct async_task **tasks, size_t count)
{
    for (size_t i = 0; i < count; i++) { channel_release(&tasks[i]->out); }
    mem_free(tasks);
}

/* Looks at every task; where there is no memory for the list, at the readers' next call. */
static void look_at_all(struct async_pool *pool)
{
    struct async_task **tasks;
    size_t count;
    if (!all_tasks(pool, &tasks, &count)) { return; }
    for (size_t i = 0; i < count; i++) {
        if (load_seq_cst(&tasks[i]->backlog) > 0) { task_runnable(tasks[i]); } /* Q3 */
        channel_poke(&tasks[i]->out);
    }
    release_tasks(tasks, count);
}

void pool_starve(struct async_pool *pool)
{
    add_seq_cst(&pool->starved, 1); /* P3 <-> P3 in reader.c, before the poke */
    struct async_task *task;
    os_mutex_lock(&pool->mutex); /* no memory for a list here: pokes wait for nothing */
    for (task = pool->tasks; task != NULL; task = task->next_in_pool) {
        if (load_relaxed(&task->out.refs) != 0) { add_seq_cst(&task->out.alarms, 1); } /* relaxed: under the mutex it cannot be freed. C7 */
    }
    os_mutex_unlock(&pool->mutex);
    look_at_all(pool);
}

/* ---- threads ---- */

static void reap(struct async_pool *pool)
{
    os_mutex_lock(&pool->mutex);
    struct worker *worker = pool->finished;
    pool->finished = NULL;
    for (struct worker *done = worker; done != NULL; done = done->next) {
        struct worker **link = &pool->workers;
        while (*link != done) { link = &(*link)->next_of_all; }
        *link = done->next_of_all;
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
    if (o->allocator != NULL && (o->allocator->allocate == NULL || o->allocator->deallocate == NULL)) { return false; }
    return o->stack_size <= SIZE_MAX / 2 && o->window <= INT32_MAX;
}

async_status async_pool_create(async_pool **out, unsigned workers, const async_pool_options *options)
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
    if (workers > MAX_WORKERS) { return ASYNC_INVALID; }
    async_status status = ASYNC_OK;
    os_mutex_lock(&pool->mutex);
    if (load_seq_cst(&pool->closing) != 0) { /* P1 */
        os_mutex_unlock(&pool->mutex);
        return ASYNC_CLOSED;
    }
    store_seq_cst(&pool->size, workers); /* S4 -> S8, Q6 */
    if (!pool_fill_slots(pool)) {
        uint32_t kept = 0;
        while (kept < workers) {
            struct slot *slot = load_relaxed(&pool->slots[kept]); /* relaxed: under the mutex */
            if (slot == NULL || !slot->taken) { break; }
            kept++;
        }
        store_seq_cst(&pool->size, kept); /* S4 -> S8, Q6 */
        status = ASYNC_SYSTEM;
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
async_status pool_add(struct async_pool *pool, struct async_task **out, const async_task_options *options, bool greedy)
{
    struct async_task *task;
    async_status status = task_create(&task, pool, options, greedy);
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

async_status async_pool_add_task(async_pool *pool, async_reader **out, const async_task_options *options)
{
    if (out == NULL) { return ASYNC_INVALID; }
    *out = NULL;
    if (pool == NULL) { return ASYNC_INVALID; }
    struct async_task *task;
    async_status status = pool_add(pool, &task, options, false);
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
    struct async_task **tasks;
    size_t count;
    if (!all_tasks(pool, &tasks, &count)) { return ASYNC_NO_MEMORY; }
    for (size_t i = 0; i < count; i++) { task_cancel(tasks[i]); }
    release_tasks(tasks, count);
    return ASYNC_OK;
}

/* ---- the end ---- */

static _Thread_local struct async_pool *destroying; /* by this thread */

/* Runs what was asked for, as far as it has its input, with the workers. */
static void drain(struct async_pool *pool)
{
    for (;;) {
        uint32_t key = event_prepare(&pool->progress);
        struct async_task **tasks;
        size_t count;
        bool more = false, inside = false;
        if (!all_tasks(pool, &tasks, &count)) {
            event_cancel(&pool->progress);
            return;
        }
        for (size_t i = 0; i < count; i++) {
            struct run_options options = {.arm = true};
            if (task_run(tasks[i], options) == RUN_DONE) { more = true; }
            if ((load_acquire(&tasks[i]->running) & ~(TASK_STOPPED | TASK_FINAL)) != 0) { inside = true; } /* X5 <- X3 */
        }
        release_tasks(tasks, count);
        if (more || !inside) {
            event_cancel(&pool->progress);
            if (!more) { return; }
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
    bool first = cas_seq_cst(&pool->closing, &open, 1); /* P1 */
    os_mutex_unlock(&pool->mutex);
    if (!first) { return ASYNC_CLOSED; }
    struct async_pool *outer = destroying;
    destroying = pool;
    if (how == ASYNC_DRAIN) { drain(pool); }
    struct async_task **tasks;
    size_t count;
    unsigned looks = 0;
    while (!all_tasks(pool, &tasks, &count)) { os_pause(&looks); } /* no memory: it must come back */
    for (size_t i = 0; i < count; i++) {
        task_uncount(tasks[i]);
        if (how == ASYNC_DRAIN) {
            task_stop(tasks[i], ASYNC_END);
        } else {
            task_cancel(tasks[i]);
        }
    }
    stop_threads(pool);
    /* Readers that help may still be inside. */
    for (bool inside = true; inside;) {
        uint32_t key = event_prepare(&pool->progress);
        inside = false;
        for (size_t i = 0; i < count; i++) {
            uint32_t running = load_acquire(&tasks[i]->running); /* X5 <- X3 */
            if ((running & ~(TASK_STOPPED | TASK_FINAL)) != 0) { inside = true; }
        }
        if (inside) {
            event_wait(&pool->progress, key, os_now_ns() + 10000000);
        } else {
            event_cancel(&pool->progress);
        }
    }
    release_tasks(tasks, count);
    /* Jobs that nobody will do any more. */
    struct run run;
    alignas(16) unsigned char bounce[QUEUE_INLINE];
    while (queue_take(&pool->injector, 1, 1, &run, bounce, NULL) != 0) {
        channel_release(&(*(struct async_task **)(void *)bounce)->out);
    }
    for (uint32_t i = 0; i < load_relaxed(&pool->slots_made); i++) { /* relaxed: nobody adds one any more */
        struct async_task *left; /* by workers that a fork has taken away; others have emptied theirs */
        while ((left = deque_pop(&load_relaxed(&pool->slots[i])->deque)) != NULL) { channel_release(&left->out); } /* relaxed: as above */
    }
    destroying = outer;
    store_seq_cst(&pool->closing, 2); /* P1 */
    pool_release(pool);
    return ASYNC_OK;
}

/* ---- the child of a fork ---- */

/* Every worker but the one that forked, if it was one, is gone, and so is whoever was changing the
 * pool without its mutex. Jobs stay where they are, with the counts of their tasks: who works here later
 * finds them, or the end does. */
void pool_after_fork(struct async_pool *pool)
{
    /* relaxed (all): there is one thread */
    store_relaxed(&pool->size, 0);
    store_relaxed(&pool->searching, 0);
    store_relaxed(&pool->injected, (int64_t)queue_after_fork(&pool->injector));
    pool->idle = pool->progress = (struct event){0};
    for (uint32_t i = 0; i < load_relaxed(&pool->slots_made); i++) {
        struct slot *slot = load_relaxed(&pool->slots[i]);
        deque_after_fork(&slot->deque);
        slot->taken = false;
    }
    pool->threads = 0;
    pool->spares = pool->finished = NULL;
    struct worker *worker = pool->workers;
    pool->workers = NULL;
    while (worker != NULL) {
        struct worker *next = worker->next_of_all, **to = worker == context.worker ? &pool->workers : &pool->lost;
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
    if (load_relaxed(&pool->closing) == 1 && pool != destroying) { store_relaxed(&pool->closing, 0); }
}
