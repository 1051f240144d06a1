/* exception_names_task.c: F51. A C++ exception out of a task's function ends the program with a
 * message that names the task. C++ looks for a handler before it unwinds: on a thread that had none
 * it ended the program there and then, before the runtime could say whose function it was.
 *
 * What C++ does for `throw` is done here with the unwinder's own calls. Each end is that of a child
 * process. */
#include "pipeline.h"
#include "watchdog.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

/* Who throws where. */
typedef struct thrower {
    const char *title;
    unsigned    workers;
    bool        source; /* the source's function, else the task's */
    uint64_t    item;   /* at which the task's does: the second one is made by the read itself */
} thrower;

static const thrower throwers[] = {
    {"a worker, in the task's function", 1, false, 0},  {"a worker, in the source's", 1, true, 0},
    {"a reader, in the task's function", 0, false, 0},  {"a reader, in the source's", 0, true, 0},
    {"a read that makes the item itself", 0, false, 1},
};

static void throws(void)
{
    static struct _Unwind_Exception exception;
    _Unwind_Reason_Code             reason = _Unwind_RaiseException(&exception);
    /* Nobody has a handler: here C++ calls std::terminate. */
    give_up("ended where it was thrown, with reason %d", (int)reason);
}

static int each_throws(const void *in, void *out, void *context)
{
    const thrower *t = context;
    if (*(const uint64_t *)in == t->item) { throws(); }
    return each_add_one(in, out, NULL);
}

static int next_throws(void *items, size_t count, size_t *got, void *context)
{
    (void)items;
    (void)count;
    (void)got;
    (void)context;
    throws();
    return 0;
}

static void run(void *argument)
{
    thrower      *t = argument;
    uint64_t      item;
    async_pool   *pool = pool_of(t->workers);
    async_source  source = async_source_from(next_throws, NULL, sizeof item);
    async_reader *reader = TASK(pool, .name = "culprit", .each = each_throws, .context = t,
                                .source = t->source ? &source : range_of(0, 10));
    for (unsigned i = 0; i < 2; i++) {
        (void)async_reader_read(reader, &item, 1, NULL, async_forever());
    }
    give_up("the exception went nowhere");
}

int main(void)
{
    for (unsigned i = 0; i < sizeof throwers / sizeof *throwers; i++) {
        thrower   t = throwers[i];
        child_end end = child_run(run, &t, &(child_options){.seconds = 60, .capture = true});
        if (end.hung || end.signal != SIGABRT || strstr(end.said, "task \"culprit\"") == NULL) {
            fprintf(stderr, "%s: %s, exit status %d, signal %d, no word of the task:\n%s\n",
                    t.title, end.hung ? "hung" : "ended", end.code, end.signal, end.said);
            return 1;
        }
        free(end.said);
    }
    return 0;
}
