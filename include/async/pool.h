/* pool.h: pools of workers, and the tasks in them.
 *
 * fork(): the child may use what its parent made. There every pool has size 0 (async_pool_set_size
 * may start workers again), and every task that had chunks queued or running is cancelled; all else
 * is as it was. Not in a discard or release callback, an allocator or a signal handler. In a child
 * that a worker made, inside a task's function, all signals are blocked, and it exits with status 0
 * when that function returns. After _Fork() and vfork() call exec or _exit only. */
#ifndef ASYNC_POOL_H
#define ASYNC_POOL_H

#include <async/task.h>

/* As many workers as CPUs that this process may use (affinity mask, cgroup quota). */
#define ASYNC_ALL_CPUS UINT32_MAX

/* Where blocks of items come from. Must be thread-safe; `allocate` gives memory aligned to
 * `alignment` (a power of two, at least 64) or NULL. */
typedef struct async_allocator {
    void *(*allocate)(size_t size, size_t alignment, void *context);
    void (*deallocate)(void *memory, size_t size, void *context);
    void *context;
} async_allocator;

typedef struct async_pool_options {
    const char *name; /* of the threads, cut to 15 bytes; NULL: "async" */
    /* waiting readers run upstream chunks instead of sleeping */
    bool                   readers_help;
    unsigned               window;      /* chunks ahead of an unbounded reader; 0: 4 * (N + 1) */
    size_t                 stack_size;  /* bytes of a worker's stack; 0: the system's default */
    unsigned               max_threads; /* 0: N + 64 */
    const async_allocator *allocator;   /* copied; NULL: aligned_alloc and free */
    uint64_t               reserved[4];
} async_pool_options;

typedef enum async_ending {
    ASYNC_DRAIN, /* what was asked for is run, as far as its input does not come from another pool
                    yet; ready items stay readable */
    ASYNC_DROP   /* nothing more starts; everything is discarded */
} async_ending;

/* What the workers of a pool have done so far, those that have ended included. A snapshot: the
 * fields may be of slightly different moments. */
typedef struct async_pool_stats {
    uint64_t threads;   /* that there are: workers, and those that stand in or stand by */
    uint64_t steals;    /* jobs that a worker took from another one's deque */
    uint64_t parks;     /* times that a worker went to sleep, as it found nothing to do */
    uint64_t asleep_ns; /* for which workers slept, added up; sleeps that last still included */
    uint64_t wakes;     /* times that one came back from there */
    uint64_t reserved[5];
} async_pool_stats;

ASYNC_EXTERN_BEGIN

/* Makes a pool of `workers` threads. 0: the thread that reads does the work. options may be NULL.
 *
 * Threads: any.
 * Progress: starts threads.
 * Errors: INVALID, NO_MEMORY, SYSTEM (a thread could not be started; *out is NULL, nothing is
 *   left).
 * Since: 0.1 */
ASYNC_API ASYNC_CHECKED async_status async_pool_create(async_pool **out, unsigned workers,
                                                       const async_pool_options *options);

/* Ends all tasks as `how` says, joins the workers and frees the pool. Readers stay valid and
 * readable. NULL is OK and does nothing.
 *
 * Threads: one, once; a second call while it runs gets CLOSED. In the child of a fork that was made
 *   meanwhile it may be called anew.
 * Progress: waits for running chunks.
 * Errors: INVALID (how), DEADLOCK (called from inside a function that this pool runs), CLOSED.
 * Since: 0.1 */
ASYNC_API async_status async_pool_destroy(async_pool *pool, async_ending how);

/* Cancels every task there is now. The pool stays usable.
 *
 * Threads: any, also from inside a task; not from a signal handler.
 * Progress: takes locks; does not wait for running chunks.
 * Errors: INVALID (NULL), CLOSED (being destroyed).
 * Since: 0.1 */
ASYNC_API async_status async_pool_cancel(async_pool *pool);

/* The number of workers. NULL: 0.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API unsigned async_pool_size(const async_pool *pool);

/* Changes the number of workers while they work: returns at once; threads that are too many end
 * after their running chunk, and at 0 waiting readers go on themselves.
 *
 * Threads: any.
 * Progress: takes a lock; starts threads.
 * Errors: INVALID (NULL; more than the option max_threads), CLOSED (being destroyed), SYSTEM (a
 *   thread could not be started: the pool keeps what it got, and async_pool_size says it),
 *   NO_MEMORY.
 * Since: 0.1 */
ASYNC_API ASYNC_CHECKED async_status async_pool_set_size(async_pool *pool, unsigned workers);

/* The number of tasks that were added and neither removed nor let go. NULL: 0.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API size_t async_pool_num_tasks(const async_pool *pool);

/* What the pool's workers have done so far.
 *
 * Threads: any.
 * Progress: takes a lock for the length of a walk over the workers.
 * Errors: INVALID (NULL).
 * Since: 0.1 */
ASYNC_API async_status async_pool_counts(async_pool *pool, async_pool_stats *out);

/* Adds a task and gives the read end of its output, held once by the caller. Nothing runs before
 * somebody reads. On failure *out is NULL, nothing is retained and release is not called.
 *
 * Threads: any, while the graph runs, also from inside a task.
 * Progress: takes a lock; allocates.
 * Errors: INVALID (NULL; no source and no input, or both; two functions; a source without its
 *   function; sizes of 0, that do not match or that overflow; a value out of its range; reserved
 *   words that are not 0), UNSUPPORTED (ASYNC_CHUNK_AUTO), NO_MEMORY, CLOSED (being destroyed).
 * Since: 0.1 */
ASYNC_API ASYNC_CHECKED async_status async_pool_add_task(async_pool *pool, async_reader **out,
                                                         const async_task_options *task);

/* Removes a task: no chunk of it starts any more, running ones finish, and its reader drains what
 * is ready, then gets END. Inputs that nobody else holds go with it. May be repeated.
 *
 * Threads: any, also from inside a task.
 * Progress: takes locks; does not wait for running chunks.
 * Errors: INVALID (NULL, a task of another pool).
 * Since: 0.1 */
ASYNC_API async_status async_pool_remove_task(async_pool *pool, async_task *task);

ASYNC_EXTERN_END

#endif
