/* worker_shapes.c: how workers search, sleep and are woken: worker.c itself, with jobs that are no
 * tasks. A job that nobody takes while a worker sleeps leaves whoever waits for it asleep for ever,
 * which ends the execution. */
#include "context.h"
#include "model.h"
#include "pool.h"
#include "strand.h"

#define JOBS 3

/* A worker's run of a task, and the release of it: of the jobs here, if it is one. */
static enum run_result job_run(struct async_task *task, struct run_options options);
static void            job_release(struct channel *channel);

#define task_run        job_run
#define channel_release job_release
#include "worker.c"
#undef channel_release
#undef task_run

static struct async_pool pool;
static struct slot       slots[2];
static struct worker     workers[2];
static struct async_task jobs[JOBS];
static unsigned          ran[JOBS];
static shared_u32        running;     /* jobs that have begun */
static struct event      met;         /* it has grown */
static uint32_t          all_of_them; /* how many a job waits for, itself included */
static void (*body)(unsigned job);

static void wait_for(uint32_t count)
{
    while (load_acquire(&running) < count) {
        uint32_t key = event_prepare(&met);
        if (load_acquire(&running) >= count) {
            event_cancel(&met);
        } else {
            event_wait(&met, key, OS_NEVER);
        }
    }
}

static bool is_job(const struct async_task *task) { return task >= jobs && task < jobs + JOBS; }

static void job_release(struct channel *channel)
{
    if (!is_job(container_of(channel, struct async_task, out))) { channel_release(channel); }
}

static enum run_result job_run(struct async_task *task, struct run_options options)
{
    if (!is_job(task)) { return task_run(task, options); }
    unsigned job = (unsigned)(task - jobs);
    ran[job]++;
    if (body != NULL) { body(job); }
    add_acq_rel(&running, 1);
    event_notify(&met, UINT32_MAX);
    wait_for(all_of_them);
    return RUN_DONE;
}

static void start(unsigned count)
{
    model_cpus = 2;
    model_tick_ns = SEARCH_NS / 2 + 1;
    os_mutex_init(&pool.mutex);
    EXPECT(queue_init(&pool.injector, sizeof(struct async_task *)));
    for (unsigned i = 0; i < count; i++) {
        EXPECT(deque_init(&slots[i].deque, 4));
        slots[i].index = i;
        slots[i].taken = true;
        atomic_init(&pool.slots[i], &slots[i]);
        workers[i].pool = &pool;
        workers[i].slot = &slots[i];
        rng_seed(&workers[i].rng, i);
    }
    atomic_init(&pool.slots_made, count);
    atomic_init(&pool.size, count);
    pool.threads = count;
}

static void start_1(void)
{
    start(1);
    all_of_them = 1;
}
static void start_2(void)
{
    start(2);
    all_of_them = 2;
}
static void start_2_alone(void)
{
    start(2);
    all_of_them = 1;
}

static void push(unsigned job)
{
    EXPECT(exchange_acq_rel(&jobs[job].queued, 1) == 0);
    pool_push(&pool, &jobs[job]);
}

static void resize(uint32_t size)
{
    store_seq_cst(&pool.size, size);
    pool_wake_all(&pool);
}

/* A worker until the size takes its slot away. */
static void work_to_the_end(unsigned number) { run_worker(&workers[number]); }

/* What a client does when all has run. */
static void end_after(uint32_t count)
{
    wait_for(count);
    resize(0);
}

static void each_ran_once(void)
{
    for (unsigned i = 0; i < JOBS; i++) {
        EXPECT(ran[i] == (load_relaxed(&running) > i));
        EXPECT(load_relaxed(&jobs[i].queued) == 0);
    }
    EXPECT(load_relaxed(&pool.searching) == 0);
    EXPECT(load_relaxed(&pool.injected) == 0);
    EXPECT(load_relaxed(&pool.idle.waiters) == 0);
    EXPECT(pool.threads == 0);
}

/* F32: a job comes just as the worker lies down. */
static void park_races_push(unsigned thread)
{
    if (thread == 0) {
        work_to_the_end(0);
    } else {
        push(0);
        end_after(1);
    }
}

static void pushes_twice(unsigned thread)
{
    if (thread == 0) {
        work_to_the_end(0);
    } else {
        push(0);
        wait_for(1);
        push(1);
        end_after(2);
    }
}

/* Two jobs, each of which waits for the other: both workers must come. */
static void meeting(unsigned thread)
{
    if (thread < 2) {
        work_to_the_end(thread);
    } else {
        push(0);
        push(1);
        end_after(2);
    }
}

/* The second job is pushed by the first, into its worker's own deque: the other must steal it. */
static void first_pushes(unsigned job)
{
    if (job == 0) { push(1); }
}

static void start_first_pushes(void)
{
    start_2();
    body = first_pushes;
}

static void stolen(unsigned thread)
{
    if (thread < 2) {
        work_to_the_end(thread);
    } else {
        push(0);
        end_after(2);
    }
}

/* The size falls to 1 while a job is on its way: the worker that is left does it. */
static void resize_races_push(unsigned thread)
{
    if (thread < 2) {
        work_to_the_end(thread);
    } else {
        push(0);
        resize(1);
        end_after(1);
    }
}

static void resize_races_park(unsigned thread)
{
    if (thread < 2) {
        work_to_the_end(thread);
    } else {
        resize(1);
        push(0);
        end_after(1);
    }
}

/* Two clients. */
static void two_push(unsigned thread)
{
    if (thread == 0) {
        work_to_the_end(0);
    } else {
        push(thread - 1);
        if (thread == 1) { end_after(2); }
    }
}

const struct model_shape worker_shapes[] = {
    {"worker/park-races-push", 2, 0, start_1, park_races_push, each_ran_once},
    {"worker/pushes-twice", 2, 0, start_1, pushes_twice, each_ran_once},
    {"worker/meeting", 3, 0, start_2, meeting, each_ran_once},
    {"worker/stolen", 3, 0, start_first_pushes, stolen, each_ran_once},
    {"worker/resize-races-push", 3, 0, start_2_alone, resize_races_push, each_ran_once},
    {"worker/resize-races-park", 3, 0, start_2_alone, resize_races_park, each_ran_once},
    {"worker/two-push", 3, 0, start_1, two_push, each_ran_once},
    {0},
};
