/* stream.c: readers that want everything, in bounded memory.
 *
 * Such a reader keeps a window of chunks asked for: what it takes it asks for again, in full chunks
 * (`streams` in the task makes the scheduler keep to them), so that ready and in flight together
 * stay within the window.
 *
 * for_each is a task of its own, hidden and serial, whose function is the sink and which takes
 * whatever is there: the worker that has the items warm runs it, nobody waits for it. It gives out
 * nothing, so the demand rule of emit tasks keeps it asking. Where there is no pool to run it, the
 * calling thread does.
 * Layer: 3 */
#include "check.h"
#include "context.h"
#include "os.h"
#include "pool.h"
#include "reader.h"
#include "strand.h"

#include <stdlib.h>
#include <string.h>

/* Items of the window of an unbounded reader of this channel. */
static size_t window_items(const struct channel *channel, size_t *chunk)
{
    *chunk = max_size(1, STREAM_BYTES / channel->item_size);
    if (channel->task == NULL) { return *chunk; }
    if (channel->task->chunk != 0) {
        *chunk = channel->task->chunk;
    } else {
        *chunk = max_size(1,
                          STREAM_BYTES / max_size(channel->item_size, channel->task->input_size));
    }
    size_t items;
    if (__builtin_mul_overflow(*chunk, pool_window(channel->task->pool), &items) ||
        items > INT64_MAX / 4) {
        return *chunk;
    }
    return items;
}

static void stream_begin(struct async_task *task)
{
    if (task != NULL) { add_relaxed(&task->streams, 1); } /* relaxed: only the sizes depend on it */
}

static void stream_end(struct async_task *task, size_t asked)
{
    if (task == NULL) { return; }
    sub_relaxed(&task->streams, 1); /* relaxed: only the sizes depend on it */
    if (asked > 0) { demand_withdraw(task, asked); }
    demand_schedule(task); /* what others asked for is no longer rounded to chunks */
}

/* ---- read_all ---- */

struct array {
    unsigned char *items;
    size_t         count, room, item_size;
};

static bool array_reserve(struct array *array, size_t more)
{
    size_t wanted, bytes;
    if (__builtin_add_overflow(array->count, more, &wanted)) { return false; }
    if (wanted <= array->room) { return true; }
    size_t room = max_size(wanted, array->room + array->room / 2);
    if (__builtin_mul_overflow(room, array->item_size, &bytes)) { return false; }
    unsigned char *larger = realloc(array->items, bytes);
    if (larger == NULL) { return false; }
    array->items = larger;
    array->room = room;
    return true;
}

static async_status pull_all(struct channel *channel, async_reader *reader, struct array *array,
                             async_wait wait)
{
    struct reading reading;
    reading_begin(&reading, channel, wait);
    struct async_task *task = reading.task;
    size_t             chunk, window = window_items(channel, &chunk), asked = 0;
    bool               last_look = false;
    async_status       status = ASYNC_OK;
    stream_begin(task);
    for (;;) {
        size_t available = channel_available(channel);
        bool   end = false;
        if (reading_cancelled(channel)) {
            status = ASYNC_CANCELLED;
            break;
        }
        size_t part = max_size(1, available);
        if (!array_reserve(array, part)) {
            status = ASYNC_NO_MEMORY;
            break;
        }
        unsigned char *to = array->items + array->count * array->item_size;
        part = channel_read(channel, to, part, &end);
        reading_settle(&reading);
        if (part > 0) {
            size_t taken = min_size(part, asked);
            asked -= taken;
            reading_asked_off(&reading, taken);
            /* What was ready before it was asked for is not ready any more. */
            if (task != NULL && part > taken) { demand_unready(task, part - taken); }
            array->count += reader_after(reader, to, part);
            if (wait.kind == ASYNC_WAIT_UNTIL && reading_late(&reading)) {
                status = ASYNC_TIMEOUT;
                break;
            }
            reading_progress(&reading);
            continue;
        }
        if (end) {
            status = channel_tell_end(channel);
            break;
        }
        if (last_look) { break; }
        if (task != NULL && asked < window) {
            size_t more = (window - asked) / chunk * chunk;
            if (more > 0) {
                asked += more;
                demand_ask(task, more, true);
            }
        }
        /* What is short of a chunk may not be scheduled before more is asked for. */
        size_t sure = asked < chunk ? 1 : asked - (chunk - 1);
        size_t need = wait.kind == ASYNC_WAIT_PER_ITEM ? 1
                      : task == NULL                   ? window
                                                       : max_size(1, min_size(window / 2, sure));
        status = reading_wait(&reading, need);
        last_look = status != ASYNC_OK;
    }
    reading_end(&reading);
    stream_end(task, asked);
    return status == ASYNC_END ? ASYNC_OK : status;
}

async_status async_reader_read_all(async_reader *reader, void **items, size_t *count,
                                   async_wait wait)
{
    if (items != NULL) { *items = NULL; }
    if (count != NULL) { *count = 0; }
    if (reader == NULL || items == NULL || count == NULL || !wait_valid(wait)) {
        return ASYNC_INVALID;
    }
    async_status status = reader_before(reader, SIZE_MAX);
    if (status != ASYNC_OK) { return status; }
    struct channel *channel = channel_of_reader(reader);
    struct array    array = {.item_size = channel->item_size};
    status = pull_all(channel, reader, &array, wait);
    if (array.count == 0) {
        free(array.items);
        array.items = NULL;
    }
    *items = array.items;
    *count = array.count;
    return status;
}

/* ---- for_each ---- */

struct sink {
    async_sink_fn *function;
    void          *context;
    int            code; /* what the sink said last */
};

/* The sink as an emit function that gives out nothing. */
static int call_sink(const void *in, size_t count, size_t *done, async_emitter *out,
                     void *context_of)
{
    (void)out;
    struct sink *sink = context_of;
    sink->code = sink->function(in, count, sink->context);
    *done = count; /* it has seen them all, whatever it says */
    return sink->code;
}

static async_status sink_status(const struct sink *sink, async_status status)
{
    if (sink->code == ASYNC_STOP) { return ASYNC_OK; }
    if (sink->code != 0) { return ASYNC_FAILED; }
    return status == ASYNC_END ? ASYNC_OK : status;
}

/* In the calling thread: what is ready, and what plain writers write. */
static async_status for_each_here(async_reader *reader, struct sink *sink, async_wait wait)
{
    struct channel *channel = channel_of_reader(reader);
    struct reading  reading;
    reading_begin(&reading, channel, wait);
    alignas(16) unsigned char bounce[QUEUE_INLINE];
    async_status              status = ASYNC_OK;
    bool                      last_look = false;
    while (sink->code == 0) {
        struct run run;
        bool       end = false;
        if (reading_cancelled(channel)) {
            status = ASYNC_CANCELLED;
            break;
        }
        size_t got = channel_take(channel, max_size(1, STREAM_BYTES / channel->item_size), 1, &run,
                                  bounce, &end);
        reading_settle(&reading);
        if (got == 0) {
            if (end) {
                status = channel_tell_end(channel);
                break;
            }
            if (last_look) { break; }
            status = reading_wait(&reading, 1);
            last_look = status != ASYNC_OK;
            continue;
        }
        size_t kept = reader_after(reader, run.items, got);
        if (kept > 0) {
            GUARD(guard);
            sink->code = sink->function(run.items, kept, sink->context);
            guard_disarm(&guard);
        }
        if (run.block != NULL) { block_release(run.block, 1); }
        if (wait.kind == ASYNC_WAIT_UNTIL && reading_late(&reading)) {
            status = ASYNC_TIMEOUT;
            break;
        }
        reading_progress(&reading);
    }
    reading_end(&reading);
    return sink_status(sink, status);
}

/* Waits until the sink's task has ended; on a time-out ends it first. */
static async_status wait_for_sink(struct async_task *task, async_wait wait)
{
    struct reading reading;
    reading_begin(&reading, &task->out, wait);
    uint64_t     seen = 0;
    async_status given_up = ASYNC_OK;
    while (!load_acquire(&task->gone)) {      /* X7 <- X6 */
        if (queue_closed(&task->out.queue)) { /* cancelled: its running chunk is waited for */
            os_sleep_ns(50000);
            continue;
        }
        async_status status = reading_wait(&reading, 1);
        if (status == ASYNC_OK) { continue; }
        uint64_t drawn = load_relaxed(&task->drawn); /* relaxed: whether there was progress */
        if (status == ASYNC_TIMEOUT && wait.kind == ASYNC_WAIT_PER_ITEM && drawn != seen) {
            seen = drawn;
            reading_progress(&reading);
            continue;
        }
        /* nobody can stand in: the sink's call is waited for all the same */
        if (given_up != ASYNC_OK) {
            os_sleep_ns(50000);
            continue;
        }
        given_up = status;
        task_stop(task, ASYNC_END);
        reading.wait = async_forever();
        reading.deadline = OS_NEVER;
    }
    reading_end(&reading);
    return given_up;
}

async_status async_reader_for_each(async_reader *reader, async_sink_fn *function, void *context_of,
                                   async_wait wait)
{
    if (reader == NULL || function == NULL || !wait_valid(wait)) { return ASYNC_INVALID; }
    struct sink        sink = {function, context_of, 0};
    struct channel    *channel = channel_of_reader(reader);
    struct async_task *producer = channel->task, *task;
    async_status       status = reader_before(reader, SIZE_MAX);
    if (status != ASYNC_OK) { return status; }
    /* P1 */
    if (producer == NULL || load_seq_cst(&producer->pool->closing) != 0 || !task_live(producer)) {
        return for_each_here(reader, &sink, wait);
    }
    async_task_options options = {.name = channel->name,
                                  .input = reader,
                                  .item_size = 1,
                                  .emit = call_sink,
                                  .context = &sink,
                                  .max_parallel = 1};
    status = pool_add(producer->pool, &task, &options, true);
    if (status == ASYNC_CLOSED) { return for_each_here(reader, &sink, wait); }
    if (status != ASYNC_OK) { return status; }
    /* relaxed: once set it stays. G6 */
    if (!load_relaxed(&producer->exposed)) { store_seq_cst(&producer->exposed, true); }
    size_t chunk, window = window_items(channel, &chunk);
    stream_begin(producer);
    demand_ask(task, window, true);
    async_status given_up = wait_for_sink(task, wait);
    /* X2 <- X1 */
    status = given_up != ASYNC_OK ? given_up : (async_status)load_acquire(&task->stop);
    reader_drop(&task->out);
    stream_end(producer, 0);
    return sink_status(&sink, status);
}
