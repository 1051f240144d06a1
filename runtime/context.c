/* context.c: see context.h.
 * Layer: 3 */
#include "context.h"

#include "check.h"
#include "pool.h"
#include "strand.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unwind.h>

THREAD_LOCAL struct context context;

bool context_inside(const struct async_pool *pool)
{
    if (context.task == NULL) { return false; }
    if (pool == NULL || context.task->pool == pool) { return true; }
    if (context.worker != NULL && context.worker->pool == pool) { return true; }
    for (const struct inside *at = context.inside; at != NULL; at = at->outer) {
        if (at->function != NULL && at->function->pool == pool) { return true; }
    }
    return false;
}

void context_error(struct async_error *error, const struct async_task *task, int code,
                   uint64_t item)
{
    memset(error, 0, sizeof *error);
    error->status = ASYNC_FAILED;
    error->code = code;
    error->item = item;
    snprintf(error->task, sizeof error->task, "%s", task == NULL ? "" : task->out.name);
    if (context.has_message && context.code == code) {
        memcpy(error->message, context.message, sizeof error->message);
    } else {
        snprintf(error->message, sizeof error->message, "%s", async_status_text(ASYNC_FAILED));
    }
    context.has_message = false;
}

_Noreturn void guard_panic(void)
{
    if (context.task == NULL) {
        panic("an exception, pthread_exit or thread cancellation left a callback or a sink");
    }
    panic("an exception, pthread_exit or thread cancellation left a function of task \"%s\"",
          context.task->out.name);
}

/* The personality routine (Itanium C++ ABI, Exception Handling, 2.5) of CLAIM_EXCEPTIONS; named in
 * assembly. */
_Unwind_Reason_Code async_claim_exceptions(int version, _Unwind_Action actions,
                                           _Unwind_Exception_Class   kind,
                                           struct _Unwind_Exception *exception,
                                           struct _Unwind_Context   *frame);
__attribute__((used, visibility("hidden"))) _Unwind_Reason_Code
async_claim_exceptions(int version, _Unwind_Action actions, _Unwind_Exception_Class kind,
                       struct _Unwind_Exception *exception, struct _Unwind_Context *frame)
{
    (void)version;
    (void)kind;
    (void)exception;
    (void)frame;
    return (actions & _UA_SEARCH_PHASE) != 0 ? _URC_HANDLER_FOUND : _URC_CONTINUE_UNWIND;
}

/* The stack grows down on every machine this is for: a frame inside the guard's lies below it. */
void guard_check(const struct guard *guard)
{
    if (context.guard != NULL && guard->frame >= context.guard->frame) {
        panic("a longjmp left a function of task \"%s\"",
              context.task == NULL ? "" : context.task->out.name);
    }
}

bool async_stopping(void)
{
    const struct async_task *task = context.task;
    if (task == NULL) { return false; }
    /* nobody can read what the run makes */
    if (queue_closed(&context.inside->strand->stage[0]->out.queue)) { return true; }
    /* relaxed (both): a hint, which comes a moment later at worst. What a removed task makes is
     * kept. */
    return context.run >= load_relaxed(&task->abort_from) && load_relaxed(&task->stop) != ASYNC_END;
}

int async_fail(int code, const char *format, ...)
{
    if (context.task == NULL || format == NULL) { return code; }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(context.message, sizeof context.message, format, arguments);
    va_end(arguments);
    context.code = code;
    context.has_message = true;
    return code;
}
