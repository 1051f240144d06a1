/* worker.c: how workers find jobs, sleep, and stand in for each other.
 *
 * A job is a task that may have something to run. A worker takes the newest of its own deque, else
 * the oldest from outside (the injector), else the oldest of a random other worker; then it looks
 * for a while, then it sleeps. Now and then the injector goes first, so that a worker that always
 * has jobs of its own serves the others too.
 *
 * Waking: who pushes a job wakes one sleeper, unless somebody is searching already, and has not
 * been for longer than a search takes (it stands still then); a searcher that
 * found a job wakes the next one if there is more. So there are as many workers awake as there is
 * work for, and one wake-up at a time.
 *
 * Orders
 *   Q5 queued, cleared (acq_rel) <-> Q4 in demand.c.
 *   S1 push, fence (seq_cst) <-> E1 of event.c: the job is seen in the last look before sleeping,
 *      or the pusher sees the sleeper.
 *   S1 push, fence (seq_cst) <-> S2 searching (seq_cst): a searcher that the pusher sees and that
 *      finds nothing has this look still before it: it is uncounted before the announcement (E1).
 *   S1 push, fence (seq_cst) <-> S9 found, fence (seq_cst): the last searcher, which found a job,
 *      sees what was pushed while it was counted, or the pusher sees that nobody searches and wakes
 *      a sleeper. It takes its job while it is counted, never between two searches.
 *   S10 overflow, put (release) -> S11 overflow, taken (acq_rel): the task's next_job.
 *   S7 fill, slots and slots_made (release) -> S3 walk (acquire): the slot and its deque.
 *   S6 call, futex word (release) -> S5 sleep (acquire): the slot it got, or that it must end.
 *   S8 size, look (seq_cst) <- S4 of pool.c: who sleeps after a change has seen it.
 * Layer: 3 */
#include "check.h"
#include "context.h"
#include "help.h"
#include "mem.h"
#include "os.h"
#include "pool.h"

#include <string.h>

#define SEARCH_NS  60000 /* as long as a wake-up costs */
#define FAIR_EVERY 61    /* jobs of its own, then one from outside */
#define STARVED_NS 1000000

/* ---- jobs ---- */

/* Whether somebody searches who can be relied on. A thread that has been counted for longer than a
 * search takes stands still (preempted, or stopped for good): what it would find must not wait for
 * it. */
static bool searched(const struct async_pool *pool)
{
    if (load_relaxed(&pool->searching) == 0) { return false; } /* relaxed: S1 */
    /* relaxed: too old a time wakes one too many; the one of a later search that has ended is too
     * old soon */
    return (int64_t)(os_now_ns() - load_relaxed(&pool->search_began)) < SEARCH_NS;
}

/* A task has one job at a time, so a list of jobs needs no memory. */
static void overflow(struct async_pool *pool, struct async_task *task)
{
    struct async_task *first = load_relaxed(&pool->overflow); /* relaxed: compared by the CAS */
    do {
        task->next_job = first;
        /* S10 -> S11 */
    } while (!cas_release(&pool->overflow, &first, task));
}

/* The first of the list; the others are put back, one after the other. */
static struct async_task *take_overflow(struct async_pool *pool)
{
    struct async_task *first = exchange_acq_rel(&pool->overflow, NULL); /* S11 <- S10 */
    struct async_task *rest = first != NULL ? first->next_job : NULL;
    while (rest != NULL) {
        struct async_task *next = rest->next_job;
        overflow(pool, rest);
        rest = next;
    }
    return first;
}

void pool_push(struct async_pool *pool, struct async_task *task)
{
    struct worker *worker = context.worker;
    if (worker == NULL || worker->pool != pool || worker->slot == NULL ||
        !deque_push(&worker->slot->deque, task)) {
        if (unlikely(queue_put_inline(&pool->injector, &task, 1) != QUEUE_OK)) {
            overflow(pool, task);
        }
        add_relaxed(&pool->injected, 1); /* relaxed: S1 orders it before the look */
    }
    STEP("pool_push: pushed");
    fence_seq_cst(); /* S1 <-> E1, S2, S9 */
    STEP("pool_push: fenced");
    if (load_relaxed(&pool->idle.waiters) != 0 && !searched(pool)) { /* relaxed: S1 */
        STEP("pool_push: waking");
        event_notify(&pool->idle, 1);
    }
}

struct async_task *pool_take_injected(struct async_pool *pool)
{
    struct run                run;
    alignas(16) unsigned char bounce[QUEUE_INLINE];
    struct async_task        *task = NULL;
    if (queue_take(&pool->injector, 1, 1, &run, bounce, NULL) != 0) {
        memcpy(&task, bounce, sizeof task);
        /* relaxed: only saves the exchange */
    } else if (unlikely(load_relaxed(&pool->overflow) != NULL)) {
        task = take_overflow(pool);
    }
    /* relaxed: too high a count is a useless look */
    if (task != NULL) { sub_relaxed(&pool->injected, 1); }
    return task;
}

/* One more in a count that this thread alone writes. */
static void count(shared_u64 *counter, uint64_t more)
{
    store_relaxed(counter, load_relaxed(counter) + more); /* relaxed (both): a statistic */
}

static void stole(struct worker *worker, const struct slot *victim)
{
    count(&worker->steals, 1);
    /* relaxed: an event more or less */
    if (unlikely(load_relaxed(&worker->pool->tracing) != 0)) {
        trace_stolen(worker, victim->index);
    }
}

static struct async_task *steal(struct async_pool *pool, struct worker *worker)
{
    uint32_t made = load_acquire(&pool->slots_made); /* S3 <- S7 */
    if (made == 0) { return NULL; }
    uint32_t at = rng_below(&worker->rng, made);
    for (uint32_t i = 0; i < made; i++, at = at + 1 == made ? 0 : at + 1) {
        struct slot *victim = load_acquire(&pool->slots[at]); /* S3 <- S7 */
        if (victim == worker->slot) { continue; }
        void             *job;
        enum deque_result result;
        while ((result = deque_steal(&victim->deque, &job)) == DEQUE_LOST) {}
        if (result == DEQUE_TAKEN) {
            stole(worker, victim);
            return job;
        }
    }
    return NULL;
}

static bool work_visible(struct async_pool *pool)
{
    if (load_relaxed(&pool->injected) > 0) { return true; } /* relaxed: after S1 */
    uint32_t made = load_acquire(&pool->slots_made);        /* S3 <- S7 */
    for (uint32_t i = 0; i < made; i++) {
        if (deque_size(&load_acquire(&pool->slots[i])->deque) != 0) { return true; } /* S3 */
    }
    return false;
}

static bool retired(const struct worker *worker)
{
    /* S8 <- S4 of pool.c */
    return worker->slot == NULL || worker->slot->index >= load_seq_cst(&worker->pool->size);
}

/* Looks for a while. */
static struct async_task *search(struct async_pool *pool, struct worker *worker)
{
    unsigned cpus = os_cpus_shared();
    bool     crowded = load_relaxed(&pool->size) >= cpus; /* relaxed: a way of waiting is chosen */
    struct async_task *task = NULL;
    uint64_t           start = os_now_ns();
    /* Those that are counted and stand still pass nothing on. relaxed: where they do go on, a
     * useless wake-up */
    uint32_t still = searched(pool) ? 0 : load_relaxed(&pool->searching);
    store_relaxed(&pool->search_began, start); /* relaxed: see searched */
    add_seq_cst(&pool->searching, 1);          /* S2 */
    STEP("search: counted");
    do {
        if ((task = pool_take_injected(pool)) != NULL || (task = steal(pool, worker)) != NULL) {
            break;
        }
        if (crowded) { os_yield(); }
        /* Looks at the deques seldom, as that costs their owners; what comes from outside is seen
         * at once. relaxed: a look */
        for (int i = 0; i < 32 && load_relaxed(&pool->injected) <= 0; i++) { cpu_relax(); }
    } while (cpus > 1 && !retired(worker) && os_now_ns() - start < SEARCH_NS);
    bool last = sub_seq_cst(&pool->searching, 1) <= 1 + still; /* S2 */
    STEP("search: left");
    if (task != NULL && last) { fence_seq_cst(); } /* S9 <-> S1 */
    /* relaxed: event_notify looks again */
    if (task != NULL && last && load_relaxed(&pool->idle.waiters) != 0 && work_visible(pool)) {
        event_notify(&pool->idle, 1);
    }
    return task;
}

static void sleep_until_called(struct async_pool *pool, struct worker *worker, uint32_t key)
{
    uint64_t since = os_now_ns();
    store_relaxed(&worker->asleep_since, since); /* relaxed (both): statistics */
    count(&worker->parks, 1);
    event_wait(&pool->idle, key, OS_NEVER);
    store_relaxed(&worker->asleep_since, 0);
    count(&worker->wakes, 1);
    count(&worker->asleep_ns, os_now_ns() - since);
    /* relaxed: an event more or less */
    if (unlikely(load_relaxed(&pool->tracing) != 0)) {
        trace_parked(pool, &(struct trace_park){context.lane, since});
    }
}

/* NULL: the worker has to leave its slot. A worker that was counted as searching takes its job in
 * search and nowhere else: whoever pushed meanwhile relies on it to pass the search on. */
static struct async_task *find_job(struct async_pool *pool, struct worker *worker)
{
    if (retired(worker)) { return NULL; }
    struct async_task *task = NULL;
    if (++worker->ticks % FAIR_EVERY == 0) { task = pool_take_injected(pool); }
    if (task != NULL || (task = deque_pop(&worker->slot->deque)) != NULL) { return task; }
    if ((task = pool_take_injected(pool)) != NULL || (task = steal(pool, worker)) != NULL) {
        return task;
    }
    while ((task = search(pool, worker)) == NULL) {
        uint32_t key = event_prepare(&pool->idle); /* S1 */
        if (retired(worker) || work_visible(pool)) {
            event_cancel(&pool->idle);
        } else {
            STEP("find_job: looked");
            sleep_until_called(pool, worker, key);
        }
        if (retired(worker)) { return NULL; }
    }
    return task;
}

static enum run_result work_upstream(struct async_task *task, struct run_options options)
{
    enum run_result result = RUN_INPUT;
    struct helping  help;
    help_begin(&help, task);
    while (result == RUN_INPUT) {
        enum run_result above = help_search(&help, options);
        if (above == RUN_STARVED) { result = RUN_STARVED; }
        if (above != RUN_DONE) { break; }
        result = task_run(task, options);
    }
    help_end(&help);
    return result;
}

/* Gives the job's count back. */
static void work(struct async_pool *pool, struct async_task *task)
{
    exchange_acq_rel(&task->queued, 0); /* Q5 <-> Q4 */
    struct run_options options = {.arm = true};
    enum run_result    result = task_run(task, options);
    /* What a pool of size 0 upstream owes is this thread's to do. relaxed: see graph_link */
    if (result == RUN_INPUT && load_relaxed(&task->foreign)) {
        result = work_upstream(task, options);
    }
    if (unlikely(result == RUN_STARVED)) {
        pool_starve(pool);
        os_sleep_ns(STARVED_NS);
        task_runnable(task);
    }
    channel_release(&task->out);
}

/* ---- slots and threads ---- */

/* The jobs of a slot that is given up go to the others; where there are none, whoever reads next
 * finds the work by itself. */
static void empty_slot(struct slot *slot)
{
    struct async_task *task;
    while ((task = deque_pop(&slot->deque)) != NULL) {
        exchange_acq_rel(&task->queued, 0); /* Q5 <-> Q4 */
        task_runnable(task);
        channel_release(&task->out);
    }
}

static void run_worker(void *argument)
{
    struct worker     *worker = argument;
    struct async_pool *pool = worker->pool;
    context.worker = worker;
    context.stack_end = os_stack_end();
    for (;;) {
        struct async_task *task;
        while (worker->slot != NULL && (task = find_job(pool, worker)) != NULL) {
            work(pool, task);
        }
        struct slot *left = worker->slot;
        if (left != NULL) {
            worker->slot = NULL; /* what is pushed from here on goes to the injector */
            empty_slot(left);
            /* A job that was left to this worker as the one that searches, or that was woken. */
            if (work_visible(pool)) { event_notify(&pool->idle, 1); }
        }
        os_mutex_lock(&pool->mutex);
        if (left != NULL) {
            left->taken = false;
            pool_fill_slots(pool); /* the size may have grown again */
        }
        /* A thread more than the slots is kept to stand in; the others end. */
        /* relaxed: under the mutex */
        bool keep = !worker->quit && left == NULL &&
                    pool->threads <= load_relaxed(&pool->size) + 1 && pool->spares == NULL;
        if (!keep) {
            worker->next = pool->finished;
            pool->finished = worker;
            pool->threads--;
            os_mutex_unlock(&pool->mutex);
            break;
        }
        store_relaxed(&worker->call, 0); /* relaxed: under the mutex */
        worker->next = pool->spares;
        pool->spares = worker;
        os_mutex_unlock(&pool->mutex);
        /* S5 <- S6 */
        while (load_acquire(&worker->call) == 0) { os_futex_wait(&worker->call, 0, OS_NEVER); }
        if (worker->quit) {
            os_mutex_lock(&pool->mutex);
            worker->next = pool->finished;
            pool->finished = worker;
            pool->threads--;
            os_mutex_unlock(&pool->mutex);
            break;
        }
    }
    trace_worker_ends(worker);
    context.worker = NULL;
    event_notify(&pool->progress, UINT32_MAX);
}

static void call_spare(struct worker *worker)
{
    store_release(&worker->call, 1); /* S6 -> S5 */
    os_futex_wake(&worker->call, 1);
}

async_status pool_call_worker(struct async_pool *pool, struct slot *slot)
{
    struct worker *worker = pool->spares;
    if (worker != NULL) {
        pool->spares = worker->next;
        worker->slot = slot;
        call_spare(worker);
        return ASYNC_OK;
    }
    worker = mem_zalloc(sizeof *worker, alignof(struct worker));
    if (worker == NULL) { return ASYNC_NO_MEMORY; }
    worker->pool = pool;
    worker->slot = slot;
    rng_seed(&worker->rng, (uint64_t)(uintptr_t)worker ^ os_now_ns());
    if (!os_thread_start(&worker->thread, run_worker, worker, pool->stack_size, pool->name)) {
        mem_free(worker);
        return ASYNC_SYSTEM;
    }
    worker->next_of_all = pool->workers;
    pool->workers = worker;
    pool->threads++;
    return ASYNC_OK;
}

async_status pool_fill_slots(struct async_pool *pool)
{
    uint32_t size = load_relaxed(&pool->size); /* relaxed: under the mutex */
    for (uint32_t i = 0; i < size; i++) {
        struct slot *slot = load_relaxed(&pool->slots[i]); /* relaxed: under the mutex */
        if (slot == NULL) {
            slot = mem_zalloc(sizeof *slot, alignof(struct slot));
            if (slot == NULL) { return ASYNC_NO_MEMORY; }
            if (!deque_init(&slot->deque, 256)) {
                mem_free(slot);
                return ASYNC_NO_MEMORY;
            }
            slot->index = i;
            store_release(&pool->slots[i], slot);    /* S7 -> S3 */
            store_release(&pool->slots_made, i + 1); /* S7 -> S3 */
        }
        if (!slot->taken) {
            async_status status = pool_call_worker(pool, slot);
            if (status != ASYNC_OK) { return status; }
            slot->taken = true;
        }
    }
    return ASYNC_OK;
}

void pool_dismiss_spares(struct async_pool *pool)
{
    while (pool->spares != NULL) {
        struct worker *worker = pool->spares;
        pool->spares = worker->next;
        worker->quit = true;
        call_spare(worker);
    }
}

async_status worker_stand_aside(void)
{
    struct worker     *worker = context.worker;
    struct async_pool *pool = worker->pool;
    if (worker->slot == NULL) { return ASYNC_OK; }
    async_status status = ASYNC_OK;
    os_mutex_lock(&pool->mutex);
    struct slot *slot = worker->slot;
    unsigned     size = load_relaxed(&pool->size); /* relaxed: under the mutex */
    unsigned     most = pool->max_threads != 0 ? pool->max_threads : size + 64;
    if (slot->index >= size) {
        os_mutex_unlock(&pool->mutex);
        worker->slot = NULL;
        empty_slot(slot);
        os_mutex_lock(&pool->mutex);
        slot->taken = false;
        pool_fill_slots(pool);
    } else if ((pool->spares == NULL && pool->threads >= most) ||
               pool_call_worker(pool, slot) != ASYNC_OK) {
        status = ASYNC_BUSY;
    } else {
        worker->slot = NULL;
    }
    os_mutex_unlock(&pool->mutex);
    return status;
}

bool pool_look_after(struct async_pool *pool)
{
    if (pool->left_alone) { return false; }
    /* relaxed: a look; event_notify has another one */
    if (load_relaxed(&pool->idle.waiters) == 0 || !work_visible(pool)) { return false; }
    return event_notify(&pool->idle, 1);
}

void pool_wake_all(struct async_pool *pool) { event_notify(&pool->idle, UINT32_MAX); }
