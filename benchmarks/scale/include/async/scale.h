/* scale.h: a pipeline of your own in the laboratory async-scale.
 *
 * A plug-in is a shared object that exports one function, async_scale_workload, which builds the
 * pipeline anew for each run:
 *
 *   cc -std=c11 -shared -fPIC mine.c $(pkg-config --cflags --libs async) -o mine.so
 *   async-scale ./mine.so
 *
 * It is called by one thread at a time, and not while another pipeline of it runs. */
#ifndef ASYNC_SCALE_H
#define ASYNC_SCALE_H

#include <async/async.h>

/* Of this interface; grows when it changes. */
#define ASYNC_SCALE_VERSION 1

/* What a run is to be. Valid during the call. */
typedef struct async_scale_build {
    uint32_t    version;  /* ASYNC_SCALE_VERSION of the program */
    unsigned    workers;  /* of the pool */
    async_pool *pool;     /* where the tasks go */
    uint64_t    items;    /* how many items to take in; --items */
    size_t      chunk;    /* max_chunksize for the tasks; --chunks */
    uint64_t    seed;     /* of whatever is random; --seed */
    const char *argument; /* --argument; NULL: not given */

    /* async_pool_add_task and async_task_add_input, in place of which they are to be used: so the
     * laboratory learns names, edges and limits of the stages. */
    async_status (*add_task)(const struct async_scale_build *build, async_reader **out,
                             const async_task_options *task);
    async_status (*add_input)(const struct async_scale_build *build, async_task *task,
                              async_reader *input);

    void    *laboratory; /* the program's */
    uint64_t reserved[4];
} async_scale_build;

/* What was built. All zero at entry. */
typedef struct async_scale_pipeline {
    uint32_t      version; /* ASYNC_SCALE_VERSION, as this header has it */
    async_reader *reader;  /* of the last task; the laboratory's from then on */

    /* Called right before the reading, and the clock, begin; NULL is fine. 0, or a code that makes
     * the run fail. */
    int (*start)(void *context);

    /* Gets all the items, as in async_reader_for_each; NULL: they are counted only. */
    async_sink_fn *sink;

    /* Whether the run did what it should; `items` came out at the end. 0, or a code (async_fail
     * gives no message here: put one into `message`, of `size` bytes). NULL: not checked. */
    int (*check)(uint64_t items, char *message, size_t size, void *context);

    /* Called once, when nothing uses the context again: after the run, or when the function
     * failed after it had set it. NULL is fine. */
    async_release_fn *release;
    void             *context;
    uint64_t          reserved[4];
} async_scale_pipeline;

/* The one function of a plug-in, which the plug-in defines: adds the tasks and fills in *out.
 * Readers of tasks that are inputs of others may be released before it returns.
 *
 * Threads: called by one at a time, while no pipeline of the plug-in runs.
 * Progress: the plug-in's; the clock doesn't run.
 * Errors: 0, or a code that ends the program with a message.
 * Since: 0.1 */
typedef int async_scale_workload_fn(const async_scale_build *build, async_scale_pipeline *out);

ASYNC_EXTERN_BEGIN
__attribute__((visibility("default"))) int async_scale_workload(const async_scale_build *build,
                                                                async_scale_pipeline    *out);
ASYNC_EXTERN_END

#endif
