/* task.c: a task's life, from the check of its options to its end.
 *
 * `running` counts the runs (and walks) inside, with two bits: STOPPED, nobody enters any more, and
 * FINAL, set once by whoever finds the count at 0 with STOPPED: that thread finalizes.
 *
 * Orders
 *   X1 stop (seq_cst) -> X2 looks at it (acquire): the error that was set before.
 *   X3 running, left (acq_rel) or stopped (seq_cst) -> X4 final (acq_rel): what all runs did is
 *      visible to the finalizer.
 *   X6 gone (release) -> X7 for_each's look (acquire): the sink is not called any more.
 *   X3 running, left (acq_rel) or stopped (seq_cst) -> X5 enter (acquire): what earlier runs left
 *      behind.
 *   X9 abort_from (release) -> X10 of execute.c, a run that ends early for it (acquire): `dropped`,
 *      so that whoever finalizes after that run does not say END.
 *   X8 counted (acq_rel) <-> X8: one of those who end the task takes it out of the count.
 * Layer: 3 */
#include "check.h"
#include "context.h"
#include "direct.h"
#include "fork.h"
#include "mem.h"
#include "os.h"
#include "pool.h"
#include "strand.h"

#include <stdio.h>
#include <string.h>

static os_mutex error_lock = PTHREAD_MUTEX_INITIALIZER; /* errors are rare: one for all */

/* ---- entering, leaving, the end ---- */

static void finalize(struct async_task *task);

void task_finalize_if_last(struct async_task *task)
{
    uint32_t seen = TASK_STOPPED;
    /* X4 <- X3. LP of the end */
    if (cas_acq_rel(&task->running, &seen, TASK_STOPPED | TASK_FINAL)) { finalize(task); }
}

struct async_task *task_enter_head(struct async_task *task)
{
    struct async_task *at = task, *producer;
    if (!task_enter(at)) { return NULL; }
    for (unsigned depth = 1; depth < FUSE_MAX && (producer = task_fused_with(at)) != NULL;
         depth++) {
        bool inside = task_enter(producer);
        task_leave(at);
        if (!inside) { return NULL; }
        at = producer;
    }
    return at;
}

void task_abort_from(struct async_task *task, uint64_t run)
{
    uint64_t seen = load_relaxed(&task->abort_from); /* relaxed: the CAS decides */
    /* X9 -> X10 */
    while (run < seen && !cas_release(&task->abort_from, &seen, run)) {}
}

void task_stop(struct async_task *task, async_status why)
{
    uint32_t seen = load_acquire(&task->stop); /* X2 <- X1 */
    while (seen == ASYNC_OK || (seen == ASYNC_END && why != ASYNC_END)) {
        /* X1 -> X2. LP of the stop */
        if (cas_seq_cst(&task->stop, &seen, (uint32_t)why)) { break; }
    }
    uint32_t before = or_seq_cst(&task->running, TASK_STOPPED); /* X3 -> X4 */
    bool     first = (before & TASK_STOPPED) == 0;
    if (first) { graph_nudge(task); }
    if ((before & ~TASK_STOPPED) == 0) { task_finalize_if_last(task); }
}

void task_errors_lock(void) { os_mutex_lock(&error_lock); }
void task_errors_unlock(void) { os_mutex_unlock(&error_lock); }

static void copy_error(async_error *to, const async_error *from)
{
    os_mutex_lock(&error_lock);
    *to = *from;
    os_mutex_unlock(&error_lock);
}

void task_fail(struct async_task *task, uint64_t run, const async_error *error, bool ordered)
{
    os_mutex_lock(&error_lock);
    bool first = task->error.status == ASYNC_OK;
    if (first || (ordered && run < task->error_run)) {
        task->error = *error;
        task->out_error = *error;
        task->error_run = run;
    }
    os_mutex_unlock(&error_lock);
    task_abort_from(task, ordered ? run + 1 : 0);
    task_stop(task, ASYNC_FAILED);
}

void task_inherit_error(struct async_task *task, const struct channel *from)
{
    if (from->task == NULL) {
        if (channel_status(from) != ASYNC_CANCELLED) { return; }
        os_mutex_lock(&error_lock);
        if (task->error.status == ASYNC_OK && task->out_error.status == ASYNC_OK) {
            task->out_error = (async_error){.status = ASYNC_CANCELLED,
                                            .message = "a channel upstream was cancelled"};
        }
        os_mutex_unlock(&error_lock);
        return;
    }
    os_mutex_lock(&error_lock);
    if (task->error.status == ASYNC_OK && task->out_error.status == ASYNC_OK &&
        from->task->out_error.status != ASYNC_OK) {
        task->out_error = from->task->out_error;
    }
    os_mutex_unlock(&error_lock);
}

/* The tasks whose end this thread has still to carry out: a chain that falls apart is a loop here,
 * not a recursion. */
static THREAD_LOCAL struct async_task *dying;
static THREAD_LOCAL bool               burying;

static void bury(struct async_task *task)
{
    async_status why = (async_status)load_acquire(&task->stop); /* X2 <- X1 */
    draw_let_go(task);
    order_destroy(task);
    /* relaxed: X4 acquired it, from who set it or a run that saw it or what came of it (X10) */
    if (load_relaxed(&task->dropped)) {
        channel_discard_all(&task->out);
        /* at its end before the cancelling thread came to stop it */
        if (why == ASYNC_END) { why = ASYNC_CANCELLED; }
    }
    graph_let_go(task); /* before anybody learns of the end: what is seen then is final */
    store_release(&task->gone, true); /* X6 -> X7 */
    channel_end(&task->out, why);
    channel_release(&task->out);
}

static void finalize(struct async_task *task)
{
    task->next_dead = dying;
    dying = task;
    if (burying) { return; }
    burying = true;
    while (dying != NULL) {
        struct async_task *next = dying;
        dying = next->next_dead;
        bury(next);
    }
    burying = false;
}

void task_uncount(struct async_task *task)
{
    /* X8 <-> X8. relaxed: a count */
    if (exchange_acq_rel(&task->counted, 0) != 0) { sub_relaxed(&task->pool->num_tasks, 1); }
}

void task_cancel(struct async_task *task)
{
    async_error error = {.status = ASYNC_CANCELLED};
    snprintf(error.task, sizeof error.task, "%s", task->out.name);
    snprintf(error.message, sizeof error.message, "%s", async_status_text(ASYNC_CANCELLED));
    channel_retain(&task->out);
    os_mutex_lock(&error_lock);
    if (task->error.status == ASYNC_OK && task_live(task)) {
        task->error = task->out_error = error;
    }
    os_mutex_unlock(&error_lock);
    store_relaxed(&task->dropped, true); /* relaxed: X1 and X3 publish it */
    STEP("task_cancel: dropped");
    task_abort_from(task, 0);
    task_stop(task, ASYNC_CANCELLED);
    /* It may have ended before, with items that nobody has read. */
    os_mutex_lock(&error_lock);
    if (channel_set_status(&task->out, ASYNC_CANCELLED) && task->error.status == ASYNC_OK &&
        task->out_error.status == ASYNC_OK) {
        task->error = task->out_error = error;
    }
    os_mutex_unlock(&error_lock);
    /* who waits learns it now; running chunks have their results dropped */
    channel_end(&task->out, ASYNC_CANCELLED);
    channel_discard_all(&task->out);
    channel_release(&task->out);
}

static void task_destroy(struct channel *channel)
{
    struct async_task *task = container_of(channel, struct async_task, out);
    struct async_pool *pool = task->pool;
    if (task->listed) {
        os_mutex_lock(&pool->mutex);
        if (task->prev_in_pool != NULL) {
            task->prev_in_pool->next_in_pool = task->next_in_pool;
        } else {
            pool->tasks = task->next_in_pool;
        }
        if (task->next_in_pool != NULL) { task->next_in_pool->prev_in_pool = task->prev_in_pool; }
        os_mutex_unlock(&pool->mutex);
    }
    if (channel->discards_to != NULL) { channel_release(channel->discards_to); }
    fork_forget_channel(channel);
    mem_free(task);
    pool_release(pool);
}

/* ---- making one ---- */

static bool all_zero(const uint64_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i] != 0) { return false; }
    }
    return true;
}

static bool source_valid(const async_source *source)
{
    if (source->item_size == 0 || !all_zero(source->reserved, 2)) { return false; }
    size_t bytes;
    switch (source->kind) {
    case ASYNC_SOURCE_NEXT:
        return source->next != NULL;
    case ASYNC_SOURCE_ARRAY:
        return (source->items != NULL || source->count == 0) &&
               size_mul(source->count, source->item_size, &bytes);
    case ASYNC_SOURCE_RANGE:
        return source->item_size == sizeof(uint64_t);
    case ASYNC_SOURCE_NONE:
        break;
    }
    return false;
}

static async_status check_options(const async_task_options *o)
{
    if (o == NULL || !all_zero(o->reserved, 4)) { return ASYNC_INVALID; }
    if ((o->source == NULL) == (o->input == NULL)) { return ASYNC_INVALID; }
    if ((o->each != NULL) + (o->batch != NULL) + (o->emit != NULL) > 1) { return ASYNC_INVALID; }
    if (o->source != NULL && !source_valid(o->source)) { return ASYNC_INVALID; }
    if (o->order != ASYNC_UNORDERED && o->order != ASYNC_ORDERED) { return ASYNC_INVALID; }
    size_t in = o->source != NULL ? o->source->item_size : channel_of_reader(o->input)->item_size;
    if (o->input_size != 0 && o->input_size != in) { return ASYNC_INVALID; }
    size_t out = o->item_size != 0 ? o->item_size : in, bytes;
    if (o->each == NULL && o->batch == NULL && o->emit == NULL && out != in) {
        return ASYNC_INVALID;
    }
    if (o->max_chunksize == ASYNC_CHUNK_AUTO) { return ASYNC_UNSUPPORTED; }
    if (o->min_count > INT64_MAX / 4 || o->max_chunksize > INT64_MAX / 4 || in > INT64_MAX / 4 ||
        out > INT64_MAX / 4) {
        return ASYNC_INVALID;
    }
    if (!size_mul(o->min_count, max_size(in, out), &bytes) ||
        !size_mul(o->max_chunksize, max_size(in, out), &bytes)) {
        return ASYNC_INVALID;
    }
    return ASYNC_OK;
}

/* Whether the task and the one it takes its items from are to be executed as one. */
static bool fuses(const struct async_task *task, const struct channel *input)
{
    const struct async_task *producer = input->task;
    return producer != NULL && producer->pool == task->pool && producer->chunk == task->chunk &&
           producer->max_parallel == 0 && task->max_parallel == 0 && !task->greedy &&
           producer->emit == NULL && producer->depth < FUSE_MAX;
}

static shared_u64 tasks_made; /* of the process */

async_status task_create(struct async_task **out, struct async_pool *pool,
                         const async_task_options *o, bool greedy)
{
    async_status status = check_options(o);
    if (status != ASYNC_OK) { return status; }
    struct async_task *task = mem_zalloc(sizeof *task, alignof(struct async_task));
    if (task == NULL) { return ASYNC_NO_MEMORY; }
    struct channel *input = o->input == NULL ? NULL : channel_of_reader(o->input);
    task->pool = pool;
    task->each = o->each;
    task->batch = o->batch;
    task->emit = o->emit;
    if (o->source != NULL) { task->source = *o->source; }
    task->input_size = o->source != NULL ? o->source->item_size : input->item_size;
    task->chunk = o->max_chunksize;
    task->min_count = o->min_count;
    task->max_parallel = o->max_parallel;
    task->ordered = o->order == ASYNC_ORDERED;
    task->in_place = o->in_place;
    task->greedy = greedy;
    task->depth = 1;
    store_relaxed(&task->abort_from, UINT64_MAX); /* relaxed: not shared yet */
    store_relaxed(&task->run_chunks, 1);          /* relaxed: not shared yet */
    size_t size = o->item_size != 0 ? o->item_size : task->input_size;
    if (task->ordered && (task->order = order_create()) == NULL) {
        mem_free(task);
        return ASYNC_NO_MEMORY;
    }
    if (!channel_init(&task->out, size, SIZE_MAX, pool->store)) {
        mem_free(task->order);
        mem_free(task);
        return ASYNC_NO_MEMORY;
    }
    store_relaxed(&task->wanted, 1); /* relaxed: not shared yet */
    task->out.task = task;
    task->out.destroy = task_destroy;
    task->out.discard = o->discard;
    task->out.context = o->context;
    task->direct = direct_most(task);
    if (o->name != NULL) { snprintf(task->out.name, sizeof task->out.name, "%s", o->name); }
    pool_retain(pool);
    fork_mind_channel(&task->out);
    channel_release(&task->out); /* the write end is nobody's but the task's */
    if (input != NULL) {
        graph_lock();
        task->fused = fuses(task, input);
        if (task->fused) { task->depth = input->task->depth + 1; }
        /* A second consumer: both take their items from the channel. */
        /* relaxed: under the lock */
        if (input->task != NULL && load_relaxed(&input->task->consumers) > 0) {
            store_seq_cst(&input->task->exposed, true); /* G6: once and for all */
        }
        bool linked = graph_link(task, input) != NULL;
        graph_unlock();
        if (!linked) {
            order_destroy(task);
            channel_release(&task->out);
            channel_release(&task->out);
            return ASYNC_NO_MEMORY;
        }
        if (o->each == NULL && o->batch == NULL && o->emit == NULL && o->discard == NULL) {
            channel_retain(input);
            task->out.discards_to = input;
        }
    }
    task->out.release = o->release;                 /* from here on it will be called */
    task->number = add_relaxed(&tasks_made, 1) + 1; /* relaxed: a number */
    *out = task;
    return ASYNC_OK;
}

/* ---- what can be asked ---- */

bool async_task_done(const async_task *task) { return task == NULL || !task_live(task); }

async_status async_task_error(const async_task *task, async_error *out)
{
    if (task == NULL || out == NULL) { return ASYNC_INVALID; }
    copy_error(out, &task->error);
    return ASYNC_OK;
}

async_status async_reader_error(const async_reader *reader, async_error *out)
{
    if (reader == NULL || out == NULL) { return ASYNC_INVALID; }
    const struct channel *channel = channel_of_reader(reader);
    *out = (async_error){.status = ASYNC_OK};
    if (channel->task == NULL) {
        async_status status = channel_status(channel);
        if (status == ASYNC_CANCELLED) {
            *out = (async_error){.status = status, .message = "cancelled"};
        }
    } else {
        copy_error(out, &channel->task->out_error);
    }
    /* Inside the function that was refused also where another one's refusal has failed the task
     * meanwhile. */
    if (context.deadlocked == channel && (out->status == ASYNC_OK || context.task != NULL)) {
        *out = (async_error){.status = ASYNC_DEADLOCK};
        snprintf(out->message, sizeof out->message, "%s", context.chain);
    }
    int64_t code = load_relaxed(&reader->pre_code); /* relaxed: of a read that has returned */
    if (out->status == ASYNC_OK && code != 0) {
        *out = (async_error){.status = ASYNC_FAILED,
                             .code = (int)code,
                             .message = "the reader's pre callback failed"};
    }
    return ASYNC_OK;
}

async_status async_task_counts(const async_task *task, async_task_stats *out)
{
    if (task == NULL || out == NULL) { return ASYNC_INVALID; }
    memset(out, 0, sizeof *out);
    /* relaxed (all): statistics */
    uint64_t singles = load_relaxed(&task->singles);
    out->chunks = load_relaxed(&task->chunks) + singles;
    out->items_in = load_relaxed(&task->drawn) + singles;
    out->items_out = load_relaxed(&task->made) + singles;
    out->ready = channel_available(&task->out);
    int64_t asked = load_relaxed(&task->asked);     /* relaxed */
    int64_t missing = load_relaxed(&task->missing); /* relaxed */
    out->asked = asked > 0 ? (uint64_t)asked : 0;
    int64_t in_flight = asked - missing - (int64_t)out->ready;
    out->in_flight = in_flight > 0 ? (uint64_t)in_flight : 0;
    size_t chunk = task_chunk(task);
    out->chunk_size = chunk == SIZE_MAX ? 0 : chunk;
    return ASYNC_OK;
}

async_status async_task_cancel(async_task *task)
{
    if (task == NULL) { return ASYNC_INVALID; }
    task_cancel(task);
    return ASYNC_OK;
}
