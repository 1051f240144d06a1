/* direct.c: a read that makes its items itself.
 *
 * With no workers, a read of a task for which nothing is ready and nothing scheduled makes one
 * chunk of just what it wants (K1), and takes it. Where that needs nobody's turn (items of an array
 * or a range, one output for each, no order and no limit), nothing has to be scheduled or handed
 * over either: the thread moves the source's cursor, calls the function on memory of its own stack
 * (items are promised a boundary that the caller's memory need not have), and copies.
 *
 * It is a run like any other to the rest of the runtime: it is inside its task (X3 to X5 of
 * task.c), in the frames that a fork and the search for deadlocks look at, and the end of a pool is
 * told when it is over (P1).
 * Whatever is not plain goes the long way: the source's end, a deadline, demand of others, minimum
 * counts above the read's, what is recorded.
 * Layer: 3 */
#include "direct.h"

#include "check.h"
#include "context.h"
#include "deadlock.h"
#include "pool.h"
#include "strand.h"

#include <string.h>

#define DIRECT_BYTES 256 /* of inputs and of outputs, at most */

size_t direct_most(const struct async_task *task)
{
    bool suits = task->source.kind > ASYNC_SOURCE_NEXT && task->emit == NULL && !task->ordered &&
                 task->max_parallel == 0;
    size_t most = suits ? DIRECT_BYTES / max_size(task->input_size, task->out.item_size) : 0;
    return task->chunk != 0 ? min_size(most, task->chunk) : most;
}

/* Nothing is ready or scheduled (asked - missing is that), and this thread is the one that works.
 */
static bool idle(const struct async_task *task, size_t count)
{
    const struct async_pool *pool = task->pool;
    /* relaxed (all): looks; what comes meanwhile is made by a run beside this one */
    return load_relaxed(&pool->size) == 0 && count >= task->min_count &&
           load_relaxed(&task->missing) == 0 && load_relaxed(&task->backlog) == 0 &&
           load_relaxed(&task->streams) == 0 && load_relaxed(&task->asked) == 0 &&
           load_relaxed(&pool->closing) == 0 && load_relaxed(&pool->tracing) == 0 &&
           context_may_nest() && (likely(context.inside == NULL) || !deadlock_own(&task->out));
}

/* Whole or not at all: the end is found by a run. */
static bool move_cursor(struct async_task *task, size_t count, uint64_t *first)
{
    /* relaxed (both): the items are there since before the task was */
    uint64_t at = load_relaxed(&task->cursor);
    do {
        if (unlikely(task->source.count - at < count)) { return false; }
    } while (unlikely(!cas_relaxed(&task->cursor, &at, at + count))); /* LP */
    *first = at;
    return true;
}

static int call(const struct async_task *task, const unsigned char *in, unsigned char *out,
                size_t count, size_t *done)
{
    if (task->batch != NULL) { return task->batch(in, out, count, done, task->out.context); }
    if (task->each != NULL) { return task_call_each(task, in, out, count, done); }
    memcpy(out, in, count * task->out.item_size);
    return 0;
}

/* Where functions find and leave items: at a boundary that they may rely on. */
struct place {
    alignas(CACHE_LINE) unsigned char bytes[DIRECT_BYTES];
};

static const unsigned char *input(const struct async_task *task, uint64_t first, size_t count,
                                  struct place *place)
{
    const struct async_source *source = &task->source;
    if (source->kind == ASYNC_SOURCE_ARRAY) {
        return (const unsigned char *)source->items + first * source->item_size;
    }
    uint64_t *items = (uint64_t *)(void *)place->bytes;
    items[0] = source->first + first;
    for (size_t i = 1; i < count; i++) { items[i] = items[0] + i; }
    return place->bytes;
}

/* What was done before the failure counts; the failing item was read. */
static NEVER_INLINE void fail(struct async_task *task, int code, uint64_t item)
{
    async_error error;
    context_error(&error, task, code, item);
    task_fail(task, 0, &error, false);
}

/* relaxed (all): statistics. A single item, one chunk by itself, is one count. */
static void account(struct async_task *task, size_t done, bool failed)
{
    if (likely(done == 1 && !failed)) {
        add_relaxed(&task->singles, 1);
        return;
    }
    add_relaxed(&task->chunks, 1);
    add_relaxed(&task->drawn, done);
    add_relaxed(&task->made, done);
}

static NEVER_INLINE void drained(struct async_pool *pool)
{
    event_notify(&pool->progress, UINT32_MAX);
    pool_release(pool);
}

NEVER_INLINE size_t direct_read(struct async_task *task, unsigned char *items, size_t count)
{
    if (!idle(task, count)) { return 0; }
    if (unlikely(!task_enter(task))) { return 0; }
    uint64_t first;
    size_t   done = 0;
    if (likely(move_cursor(task, count, &first))) {
        struct strand strand;
        strand.stage[0] = task;
        strand.stages = 1;
        strand.drawing = false;
        struct inside inside = {
            .outer = context.inside, .strand = &strand, .function = context.task};
        struct place         from, to;
        uint64_t             outer_run = context.run;
        const unsigned char *in = input(task, first, count, &from);
        bool           reuse = task->in_place && task_works_in_place(task) && in == from.bytes;
        unsigned char *out = reuse ? from.bytes : to.bytes;
        context.inside = &inside;
        context.task = task;
        context.run = 0;
        context.nesting++;
        int code;
        {
            GUARD(guard);
            code = call(task, in, out, count, &done);
            guard_disarm(&guard);
        }
        context.nesting--;
        context.task = inside.function;
        context.run = outer_run;
        context.inside = inside.outer;
        if (unlikely(code != 0)) {
            done = min_size(done, count - 1);
            add_relaxed(&task->drawn, count - done); /* relaxed: a statistic */
            fail(task, code, first + done);
        } else {
            done = count;
        }
        account(task, done, code != 0);
        /* relaxed: cancelled meanwhile: a moment later does as well */
        if (unlikely(load_relaxed(&task->dropped))) {
            channel_discard(&task->out, out, done);
            done = 0;
        }
        size_t bytes = done * task->out.item_size;
        if (likely(bytes == sizeof(uint64_t))) {
            memcpy(items, out, sizeof(uint64_t));
        } else {
            memcpy(items, out, bytes);
        }
    }
    struct async_pool *pool = task->pool;
    bool closing = unlikely(load_seq_cst(&pool->closing) != 0); /* P1 <-> pool.c, destroy */
    if (closing) { pool_retain(pool); }
    task_leave(task);
    if (closing) { drained(pool); }
    return done;
}
