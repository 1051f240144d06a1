/* help.h: a thread that waits for a task's output does the work itself.
 * Layer: 3 */
#ifndef ASYNC_RUNTIME_HELP_H
#define ASYNC_RUNTIME_HELP_H

#include "task.h"

#define FEW_STEPS 4

/* A task that lacks input, and the edge that was followed from there. */
struct help_step {
    struct async_task *task;
    struct async_task *head; /* that draws for it, and has the edge; compared only */
    struct edge       *edge; /* these may be followed by who is inside the head */
    struct edge       *from; /* the first that was looked at; the rest follow, round to it */
};

/* One thread's search for something to run, from look to look. */
struct helping {
    struct async_task *root;  /* what it waits for; the caller keeps it */
    struct help_step  *steps; /* `few`, or memory of its own */
    size_t             count, room;
    struct help_step   few[FEW_STEPS];
};

void help_begin(struct helping *help, struct async_task *root); /* allocates nothing */
void help_end(struct helping *help);

/* Runs one run of the root or of something upstream of it, as far as this thread may. */
enum run_result help_search(struct helping *help, struct run_options options);

#endif
