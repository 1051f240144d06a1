/* context.h: what a thread is doing: which worker it is, which function of the user's it is in.
 * Layer: 3 */
#ifndef ASYNC_RUNTIME_CONTEXT_H
#define ASYNC_RUNTIME_CONTEXT_H

#include "task.h"

struct worker;

struct context {
    struct worker     *worker;  /* NULL: a client's thread */
    struct async_task *task;    /* whose function is running; NULL: none */
    uint64_t           run;     /* number of its run */
    unsigned           nesting; /* runs on this stack */
    unsigned           runs;    /* so far: the clock is not read for each */
    int                code;    /* of the message */
    bool               has_message;
    char               message[sizeof(((async_error *)0)->message)];
};

extern THREAD_LOCAL struct context context;

/* Whether the calling thread is inside a run of a task of this pool (NULL: of any). */
bool context_inside(const struct async_pool *pool);

/* The error that a function's code makes, with the message of async_fail if there is one. */
void context_error(struct async_error *error, const struct async_task *task, int code, uint64_t item);

/* Stands around every call of the user's functions: an exception or pthread_exit that would pass
 * through the runtime ends the program with a message that names the task. */
struct guard {
    bool armed;
};
void guard_left(struct guard *guard);
#define GUARD(name) struct guard name __attribute__((cleanup(guard_left))) = {true}

#endif
