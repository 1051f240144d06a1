/* pool.h: the threads of a pool and the jobs that they find.
 *
 * A slot is a worker's place: a deque. A thread that has a slot works; a thread that waits inside a
 * task's function gives its slot to a stand-in and goes on without one until its job is done.
 * Layer: 3 */
#ifndef ASYNC_RUNTIME_POOL_H
#define ASYNC_RUNTIME_POOL_H

#include "deque.h"
#include "event.h"
#include "rng.h"
#include "task.h"
#include "trace.h"

#define MAX_WORKERS 1024

struct slot {
    struct deque deque;
    unsigned     index;
    bool         taken; /* a thread has it; under the pool's mutex */
};

struct worker {
    struct async_pool *pool;
    struct slot       *slot; /* NULL: it waits for one, or its job outlives its wait */
    os_thread          thread;
    struct worker     *next;        /* in spares or finished; under the pool's mutex */
    struct worker     *next_of_all; /* of the pool's; under its mutex */
    /* futex word of a spare: 0, then 1 when it got a slot or must end */
    shared_u32 call;
    bool       quit; /* under the pool's mutex */
    struct rng rng;
    unsigned   ticks;
    /* Statistics, written by the thread alone. */
    shared_u64         steals, parks, wakes, asleep_ns;
    shared_u64         asleep_since; /* 0: it is awake */
    struct trace_lane *lane;         /* that it records into; NULL: none yet */
};

struct async_pool {
    shared_u32    refs; /* one for the client, one for each task */
    char          name[16];
    bool          readers_help;
    bool          left_alone; /* a test's: nobody looks after it, so a lost wake-up is a hang */
    unsigned      window;     /* 0: 4 * (N + 1) */
    size_t        stack_size;
    unsigned      max_threads; /* 0: N + 64 */
    struct store *store;

    os_mutex           mutex;
    unsigned           threads;  /* alive; under the mutex */
    struct worker     *spares;   /* without a slot; under the mutex */
    struct worker     *finished; /* to be joined; under the mutex */
    struct worker     *workers;  /* all that were started and not joined; under the mutex */
    struct worker     *lost;     /* in the child of a fork: those that were left behind */
    struct async_pool *next_of_all, *prev_of_all; /* all of the process; fork.c's */
    struct async_task *tasks;                     /* under the mutex */
    shared_u32         closing;                   /* 0, 1: being destroyed, 2: destroyed */
    shared_size        num_tasks;
    shared_u32         starved;  /* moves when memory ran out */
    struct event       progress; /* a run has ended while the pool is being drained */
    struct trace       trace;
    async_pool_stats   past; /* of workers that have ended; under the mutex */

    alignas(FALSE_SHARING) shared_u32 size;
    shared_u32            tracing; /* runs are recorded: the number of the start; 0: they are not */
    shared_u32            slots_made;
    SHARED(struct slot *) slots[MAX_WORKERS]; /* made on demand, kept until the pool is freed */

    alignas(FALSE_SHARING) struct queue injector; /* of struct async_task * */
    shared_i64 injected;                          /* jobs in it, or about to be taken from it */
    /* jobs for which it had no memory, linked through next_job */
    SHARED(struct async_task *) overflow;
    alignas(FALSE_SHARING) shared_u32 searching; /* workers that look for a job */
    shared_u64   search_began; /* by the last one that began; a search takes SEARCH_NS */
    struct event idle;
};

/* pool.c */
async_status pool_add(struct async_pool *pool, struct async_task **out,
                      const async_task_options *options, bool greedy);
void         pool_retain(struct async_pool *pool);
void         pool_release(struct async_pool *pool);
void     pool_starve(struct async_pool *pool); /* no memory: whoever waits in this pool learns it */
unsigned pool_window(const struct async_pool *pool);
void     pool_after_fork(struct async_pool *pool); /* in the child of a fork, by its only thread */

/* worker.c */
/* takes over one count of the task */
void pool_push(struct async_pool *pool, struct async_task *task);
/* the oldest job from outside, and its count; NULL: none */
struct async_task *pool_take_injected(struct async_pool *pool);
void               pool_wake_all(struct async_pool *pool);
/* By who has waited for the pool's work for long: a job that still lies there was left to a worker
 * that stands still, as one that searches or was woken. Wakes another; false: none, or no job. */
bool pool_look_after(struct async_pool *pool);
/* Under the mutex. SYSTEM: it refused a thread; NO_MEMORY. */
async_status pool_fill_slots(struct async_pool *pool);
async_status pool_call_worker(struct async_pool *pool, struct slot *slot);
void         pool_dismiss_spares(struct async_pool *pool);
/* The calling thread is inside a run and is about to sleep: BUSY where nobody can stand in. */
async_status worker_stand_aside(void);

#endif
