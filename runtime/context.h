/* context.h: what a thread is doing: which worker it is, which function of the user's it is in.
 * Layer: 3 */
#ifndef ASYNC_RUNTIME_CONTEXT_H
#define ASYNC_RUNTIME_CONTEXT_H

#include "task.h"

#define NESTING_MAX 16 /* runs on one stack */

struct worker;

struct guard;

struct trace_lane;
struct trace_run;

/* What the calling thread has entered (task_enter) while it runs functions of the user's: a frame
 * of task_run each. */
struct inside {
    struct inside     *outer;
    struct strand     *strand;
    struct async_task *function; /* whose function has called what led here; NULL: none */
};

struct context {
    struct worker     *worker;      /* NULL: a client's thread */
    struct inside     *inside;      /* the innermost; NULL: none */
    struct async_task *task;        /* whose function is running; NULL: none */
    uint64_t           run;         /* number of its run */
    unsigned           nesting;     /* runs on this stack */
    struct guard      *guard;       /* debug builds: the innermost that is armed */
    uintptr_t          stack_end;   /* its lowest address; 0: not known, a client's */
    unsigned           looks_off;   /* waits before which it does not look (wait.c) */
    unsigned           vain_looks;  /* looks in vain, one after the other */
    uint16_t           draw_waited; /* async_trace_wait of the last draw that was recorded */
    struct trace_run  *traced;      /* the innermost run that is recorded (trace.c) */
    struct trace_lane *lane;        /* that it holds, being no worker of the lane's pool */
    bool               telling;     /* an edge: pokes are put off (demand.c) */
    struct async_task *poked;       /* those that were */
    int                code;        /* of the message */
    bool               has_message;
    char               message[sizeof(((async_error *)0)->message)];
    /* compared only: the last wait of this thread was for it, and refused */
    const struct channel *deadlocked;
    char                  chain[sizeof(((async_error *)0)->message)]; /* why */
};

extern THREAD_LOCAL struct context context;

/* What a function of the user's, and the runtime below it, may need of a stack. */
#define STACK_SPARE ((uintptr_t)24 << 10)

/* Whether one more run may lie on this stack. */
static inline bool context_may_nest(void)
{
    if (context.nesting == 0) { return true; }
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    return context.nesting < NESTING_MAX &&
           (context.stack_end == 0 || here - context.stack_end >= STACK_SPARE);
}

/* Whether the calling thread is inside a run of a task of this pool (NULL: of any). */
bool context_inside(const struct async_pool *pool);

/* The error that a function's code makes, with the message of async_fail if there is one. */
void context_error(struct async_error *error, const struct async_task *task, int code,
                   uint64_t item);

/* Stands around every call of the user's functions, sinks and callbacks (but discard and release):
 * an exception or pthread_exit that would pass through the runtime ends the program with a message
 * that names the task.
 * An exception for which nobody above has a handler would end the program first, where it is thrown
 * and with no name: CLAIM_EXCEPTIONS, in a function that calls those with guards, says that there
 * is one. It is never asked for more: the guard comes first. A function has one personality
 * routine, so one that claims has no guard itself, and one with a guard is not inlined into it.
 * A longjmp passes it by unseen; a debug build finds out when the thread calls such a function
 * again from where the guard's frame is gone. */
struct guard {
    bool          armed;
    const void   *frame; /* both for debug builds */
    struct guard *outer;
};
_Noreturn void guard_panic(void) __attribute__((cold));
void           guard_check(const struct guard *guard);

static inline void guard_left(const struct guard *guard)
{
    if (unlikely(guard->armed)) { guard_panic(); }
}

#define GUARD(name)                                                                                \
    struct guard name                                                                              \
        __attribute__((cleanup(guard_left))) = {true, __builtin_frame_address(0), NULL};           \
    guard_enter(&name)

#if (defined(__x86_64__) || defined(__aarch64__) || defined(__riscv)) && !defined(ASYNC_MODEL)
#define CLAIM_EXCEPTIONS() __asm__ volatile(".cfi_personality 0x1b, async_claim_exceptions")
#else
#define CLAIM_EXCEPTIONS() ((void)0)
#endif

static inline void guard_enter(struct guard *guard)
{
#ifdef ASYNC_DEBUG
    guard_check(guard);
    guard->outer = context.guard;
    context.guard = guard;
#else
    (void)guard;
#endif
}

static inline void guard_disarm(struct guard *guard)
{
#ifdef ASYNC_DEBUG
    context.guard = guard->outer;
#endif
    guard->armed = false;
}

#endif
