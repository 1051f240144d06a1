/* reader.c: the read end.
 *
 * A read of a task's output asks for its count, makes the work happen (by the workers, or by itself
 * where it may help), takes the items when they are all there, and takes back what it asked for and
 * did not get when it leaves early (docs/design/demand.md).
 *
 * Waiting follows one scheme: be in the channel's list, look at everything once more, sleep. What
 * is looked at: the items, the end, `alarms` (somebody else's change, C7 in channel.c), work that
 * this thread may do.
 * Layer: 3 */
#include "reader.h"

#include "deadlock.h"
#include "direct.h"
#include "os.h"
#include "pool.h"
#include "strand.h"

#include <string.h>

#define COUNT_MAX (INT64_MAX / 4)
#define VAIN_MOST 16
#define VAIN_NS   50000

shared_bool readers_call_back;

/* ---- waiting ---- */

bool reading_begin(struct reading *reading, struct channel *channel, async_wait wait)
{
    *reading = (struct reading){.channel = channel, .task = channel->task, .wait = wait};
    reading->deadline = wait_deadline(wait);
    if (reading->task != NULL) {
        struct async_pool *pool = reading->task->pool;
        if (!load_relaxed(&reading->task->exposed)) {     /* relaxed: once set it stays */
            store_seq_cst(&reading->task->exposed, true); /* G6 */
        }
        reading->starved = load_seq_cst(&pool->starved); /* P3 */
        help_begin(&reading->helping, reading->task);
    }
    return true;
}

bool reading_late(const struct reading *reading)
{
    return reading->deadline != OS_NEVER && reading->wait.kind != ASYNC_WAIT_NOW &&
           os_now_ns() >= reading->deadline;
}

/* Does a piece of the work that this read waits for. OK: something was done, look again. TIMEOUT:
 * there is nothing for this thread to do, or the deadline forbids it. */
static async_status help(struct reading *reading, bool arm)
{
    if (reading->task == NULL || !context_may_nest() || reading_late(reading)) {
        return ASYNC_TIMEOUT;
    }
    bool deadline = reading->deadline != OS_NEVER && reading->wait.kind != ASYNC_WAIT_NOW;
    enum run_result result = help_search(&reading->helping,
                                         (struct run_options){.single = deadline, .arm = arm});
    if (result == RUN_STARVED) { return ASYNC_NO_MEMORY; }
    return result == RUN_DONE ? ASYNC_OK : ASYNC_TIMEOUT;
}

/* Told in vain, again and again: others were faster, or a thread was stopped between its put, or
 * its claim, and the count of it (U14 in queue.c). That one may be waiting for this very CPU. */
static void make_way(const struct reading *reading)
{
    shared_u32 nobody;
    uint64_t   until = os_now_ns() + VAIN_NS;
    atomic_init(&nobody, 0);
    os_futex_wait(&nobody, 0, until < reading->deadline ? until : reading->deadline);
}

static async_status sleep_recorded(const struct reading *reading, struct thread_waiter *waiter,
                                   const struct wanted *wanted, bool tried)
{
    struct async_pool *pool = reading->task == NULL ? NULL : reading->task->pool;
    /* relaxed: an event more or less */
    bool              traced = pool != NULL && unlikely(load_relaxed(&pool->tracing) != 0);
    struct trace_park park;
    if (unlikely(traced)) { trace_parks(pool, &park); }
    async_status status = wait_sleep(waiter, reading->channel, wanted, tried);
    if (unlikely(traced)) { trace_parked(pool, &park); }
    return status;
}

/* The wait is over. */
static async_status waited(struct reading *reading, async_status status)
{
    if (reading->task != NULL && status == ASYNC_OK) {
        uint32_t starved = load_seq_cst(&reading->task->pool->starved); /* P3 */
        if (starved != reading->starved) {
            reading->starved = starved;
            return ASYNC_NO_MEMORY;
        }
    }
    return status;
}

async_status reading_wait(struct reading *reading, size_t need)
{
    struct channel *channel = reading->channel;
    reading_settle(reading);
    context.deadlocked = NULL;
    if (context.task != NULL && reading->deadline == OS_NEVER && deadlock_own(channel)) {
        return ASYNC_DEADLOCK;
    }
    uint32_t     alarms = load_seq_cst(&channel->alarms); /* C7 */
    async_status status = help(reading, false);
    if (status != ASYNC_TIMEOUT) { return status; }
    if (reading->wait.kind == ASYNC_WAIT_NOW || reading_late(reading)) { return ASYNC_TIMEOUT; }
    if (unlikely(reading->vain > VAIN_MOST)) { make_way(reading); }
    struct wanted wanted = {.need = need, .alarms = alarms, .deadline_ns = reading->deadline};
    bool          tried = false;
    if (reading->vain == 0 && wait_look(channel, &wanted, &tried)) {
        reading->vain++; /* unless there is progress */
        return waited(reading, ASYNC_OK);
    }
    alarms = load_seq_cst(&channel->alarms); /* C7 */
    struct thread_waiter *waiter = &reading->waiter;
    uint64_t              place = waiter->waiter.place;
    thread_waiter_init(waiter, need);
    waiter->waiter.settles = true;
    if (place != 0) { /* told in vain: no later one gets ahead */
        waiter->waiter.place = place;
        waitlist_add_first(&channel->readers, &waiter->waiter);
    } else {
        waitlist_add(&channel->readers, &waiter->waiter);
    }
    status = help(reading, true); /* what became runnable before we were in the list */
    if (status == ASYNC_TIMEOUT && load_seq_cst(&channel->alarms) == alarms) { /* C7 */
        status = sleep_recorded(reading, waiter, &wanted, tried);
    } else if (status == ASYNC_TIMEOUT) {
        status = ASYNC_OK;
    }
    bool told = thread_waiter_told(waiter) || !waitlist_remove(&channel->readers, &waiter->waiter);
    if (told) {
        reading->vain++;
        if (status == ASYNC_TIMEOUT) { status = ASYNC_OK; } /* together with the deadline */
    }
    return waited(reading, status);
}

void reading_settle(struct reading *reading)
{
    waitlist_settle(&reading->channel->readers, &reading->waiter.waiter);
}

void reading_end(struct reading *reading)
{
    reading_settle(reading);
    if (reading->task != NULL) { help_end(&reading->helping); }
}

void reading_progress(struct reading *reading)
{
    reading->vain = 0;
    if (reading->wait.kind == ASYNC_WAIT_PER_ITEM) {
        reading->deadline = wait_deadline(reading->wait);
    }
}

/* Items that are enough for a read that still wants `rest` to go on with: a task's output is full
 * when its window is. */
static size_t enough(const struct reading *reading, size_t rest)
{
    if (reading->wait.kind == ASYNC_WAIT_PER_ITEM) { return 1; }
    if (reading->task == NULL) { return rest; }
    size_t chunk = task_chunk(reading->task), full;
    if (chunk == SIZE_MAX ||
        __builtin_mul_overflow(chunk, pool_window(reading->task->pool), &full)) {
        return rest;
    }
    return min_size(rest, max_size(full, graph_demand_min(reading->task)));
}

void reading_asked_off(struct reading *reading, size_t count)
{
    /* relaxed: a statistic */
    if (reading->task != NULL) { sub_relaxed(&reading->task->asked, (int64_t)count); }
}

bool reading_cancelled(const struct channel *channel)
{
    if (channel_status(channel) != ASYNC_CANCELLED) { return false; }
    /* relaxed: set before the status */
    return channel->task == NULL || load_relaxed(&channel->task->dropped);
}

/* ---- read ---- */

/* A read of a plain channel that takes what there is, once: one that does not wait, or of one item
 * where nobody waits for one already. False: the latter found nothing, and waits. */
static bool pull_now(struct channel *channel, unsigned char *items, size_t count, size_t *got,
                     async_wait wait, async_status *status)
{
    /* relaxed: a look; where others wait the long way may find enough for this one, too */
    if (wait.kind != ASYNC_WAIT_NOW && (count != 1 || load_relaxed(&channel->readers.count) != 0)) {
        return false;
    }
    bool end = false;
    *got = 0;
    if (unlikely(reading_cancelled(channel))) {
        *status = ASYNC_CANCELLED;
        return true;
    }
    *got = channel_read(channel, items, count, &end);
    *status = *got == count ? ASYNC_OK : end ? channel_tell_end(channel) : ASYNC_TIMEOUT;
    return *status != ASYNC_TIMEOUT || wait.kind == ASYNC_WAIT_NOW;
}

/* What this thread makes itself for the read, if anything. Not the first time, after which nobody
 * takes the task for a part of another's strand. */
static size_t pull_directly(struct channel *channel, unsigned char *items, size_t count,
                            async_wait wait)
{
    struct async_task *task = channel->task;
    if (count > task->direct || !load_relaxed(&task->exposed) || /* relaxed: once set it stays */
        (wait.kind != ASYNC_WAIT_FOREVER && wait.kind != ASYNC_WAIT_NOW) ||
        channel_status(channel) != ASYNC_OK) {
        return 0;
    }
    CLAIM_EXCEPTIONS(); /* not in direct_read, whose guard has a personality routine of its own */
    return direct_read(task, items, count);
}

/* Reads count items, of which the first `done` are there. */
static NEVER_INLINE async_status pull_waiting(struct channel *channel, unsigned char *items,
                                              size_t done, size_t count, size_t *got,
                                              async_wait wait)
{
    struct reading reading;
    async_status   status = ASYNC_OK;
    reading_begin(&reading, channel, wait);
    if (reading.task != NULL) { demand_ask(reading.task, count - done, false); }
    bool last_look = false;
    while (done < count) {
        size_t rest = count - done;
        bool   end = false;
        if (reading_cancelled(channel)) {
            status = ASYNC_CANCELLED;
            break;
        }
        if (last_look || channel_status(channel) != ASYNC_OK ||
            channel_available(channel) >= enough(&reading, rest) ||
            (reading.task == NULL && channel_available(channel) >= channel->capacity)) {
            /* With a deadline not more than there is: those who write may keep up for long. */
            size_t most = reading.deadline == OS_NEVER
                              ? rest
                              : min_size(rest, max_size(1, channel_available(channel)));
            size_t part = channel_read(channel, items + done * channel->item_size, most, &end);
            done += part;
            reading_asked_off(&reading, part);
            if (done == count) {
                status = ASYNC_OK;
                break;
            }
            if (end) {
                status = channel_tell_end(channel);
                break;
            }
            if (part > 0) { reading_progress(&reading); }
        }
        if (last_look) { break; }
        status = reading_wait(&reading, enough(&reading, count - done));
        last_look = status != ASYNC_OK; /* what there is is taken along */
    }
    reading_settle(&reading);
    /* At N = 0 what was scheduled together with it (min_count) is this thread's to do. */
    /* relaxed: a look */
    while (done == count && reading.task != NULL && load_relaxed(&reading.task->pool->size) == 0 &&
           load_seq_cst(&reading.task->backlog) > 0 && /* Q3 */
           help(&reading, false) == ASYNC_OK) {}
    reading_end(&reading);
    *got = done;
    if (done < count && reading.task != NULL) { demand_withdraw(reading.task, count - done); }
    return done == count ? ASYNC_OK : status;
}

/* Reads count items, without callbacks. */
ALWAYS_INLINE async_status pull(struct channel *channel, unsigned char *items, size_t count,
                                size_t *got, async_wait wait)
{
    size_t       done = 0;
    async_status status = ASYNC_OK;
    if (channel->task == NULL) {
        if (pull_now(channel, items, count, got, wait, &status)) { return status; }
    } else if (likely((done = pull_directly(channel, items, count, wait)) == count)) {
        *got = count;
        return ASYNC_OK;
    }
    return pull_waiting(channel, items, done, count, got, wait);
}

static bool arguments_valid(const struct channel *channel, const void *items, size_t count,
                            async_wait wait)
{
    size_t bytes;
    return wait_valid(wait) && (items != NULL || count == 0) && count <= COUNT_MAX &&
           !__builtin_mul_overflow(count, channel->item_size, &bytes);
}

NEVER_INLINE async_status reader_before(async_reader *reader, size_t count)
{
    if (reader->pre == NULL) { return ASYNC_OK; }
    GUARD(guard);
    int code = reader->pre(count, reader->pre_context);
    guard_disarm(&guard);
    if (code == 0) { return ASYNC_OK; }
    /* relaxed: for whoever asks for the error after this call */
    store_relaxed(&reader->pre_code, code);
    return ASYNC_FAILED;
}

NEVER_INLINE size_t reader_after(async_reader *reader, void *items, size_t count)
{
    size_t kept = count;
    if (reader->post == NULL || count == 0) { return count; }
    GUARD(guard);
    reader->post(items, &kept, reader->post_context);
    guard_disarm(&guard);
    return min_size(kept, count);
}

/* The same where it has callbacks. A post callback that drops items does not end the stream: the
 * rest is asked for again. */
static NEVER_INLINE async_status pull_called_back(struct channel *channel, unsigned char *items,
                                                  size_t count, size_t *got, async_wait wait)
{
    async_reader *reader = &channel->reader;
    async_status  status = reader_before(reader, count);
    size_t        done = 0;
    while (status == ASYNC_OK && done < count) {
        size_t part = 0;
        status = pull(channel, items + done * channel->item_size, count - done, &part, wait);
        done += reader_after(reader, items + done * channel->item_size, part);
    }
    *got = done;
    return status;
}

async_status async_reader_read(async_reader *reader, void *items, size_t count, size_t *got,
                               async_wait wait)
{
    if (got != NULL) { *got = 0; }
    if (reader == NULL || !arguments_valid(channel_of_reader(reader), items, count, wait)) {
        return ASYNC_INVALID;
    }
    if (count == 0) { return ASYNC_OK; }
    struct channel *channel = channel_of_reader(reader);
    size_t          done = 0;
    async_status    status = likely(reader->pre == NULL && reader->post == NULL)
                                 ? pull(channel, items, count, &done, wait)
                                 : pull_called_back(channel, items, count, &done, wait);
    if (got != NULL) { *got = done; }
    return status;
}

/* ---- borrow ---- */

/* A run of up to count items, with a count of its block; items that lie singly come into `few`. */
static async_status take_run(struct reading *reading, size_t count, struct run *run,
                             struct block *few)
{
    struct channel *channel = reading->channel;
    bool            last_look = false;
    for (;;) {
        bool end = false;
        if (reading_cancelled(channel)) { return ASYNC_CANCELLED; }
        size_t got = channel_take(channel, count, 1, run, few->data, &end);
        if (got > 0) {
            reading_asked_off(reading, got);
            if (run->block == NULL) {
                *run = (struct run){few, few->data, got};
                block_retain(few, 1);
            }
            return ASYNC_OK;
        }
        if (end) { return channel_tell_end(channel); }
        if (last_look) { return ASYNC_TIMEOUT; }
        async_status status = reading_wait(reading, 1);
        if (status != ASYNC_OK && status != ASYNC_TIMEOUT) { return status; }
        last_look = status == ASYNC_TIMEOUT;
    }
}

async_status async_reader_borrow(async_reader *reader, async_view *view, size_t count,
                                 async_wait wait)
{
    if (view != NULL) { *view = (async_view){0}; }
    if (reader == NULL || view == NULL || !wait_valid(wait) || count > COUNT_MAX) {
        return ASYNC_INVALID;
    }
    if (reader->post != NULL) { return ASYNC_UNSUPPORTED; }
    if (count == 0) { return ASYNC_OK; }
    async_status status = reader_before(reader, count);
    if (status != ASYNC_OK) { return status; }
    struct reading reading;
    struct run     run = {0};
    /* Before anything is taken: what was taken could not be put back. */
    struct block *few = block_new(channel_of_reader(reader)->store, QUEUE_INLINE);
    if (few == NULL) { return ASYNC_NO_MEMORY; }
    reading_begin(&reading, channel_of_reader(reader), wait);
    if (reading.task != NULL) { demand_ask(reading.task, count, false); }
    status = take_run(&reading, count, &run, few);
    reading_end(&reading);
    block_release(few, 1);
    if (reading.task != NULL && run.count < count) {
        demand_withdraw(reading.task, count - run.count);
    }
    if (status == ASYNC_OK) {
        view->items = run.items;
        view->count = run.count;
        view->owner = run.block;
    }
    return status;
}

async_status async_view_return(async_view *view)
{
    if (view == NULL) { return ASYNC_INVALID; }
    if (view->owner != NULL) { block_release(view->owner, 1); }
    *view = (async_view){0};
    return ASYNC_OK;
}

/* ---- the end as an object ---- */

size_t async_reader_ready(const async_reader *reader)
{
    return reader == NULL ? 0 : channel_available(channel_of_reader(reader));
}

async_task *async_reader_task(const async_reader *reader)
{
    return reader == NULL ? NULL : channel_of_reader(reader)->task;
}

async_pool *async_reader_pool(const async_reader *reader)
{
    async_task *task = async_reader_task(reader);
    if (task == NULL || load_seq_cst(&task->pool->closing) == 2) { return NULL; } /* P1 */
    return task->pool;
}

async_reader *async_reader_retain(async_reader *reader)
{
    if (reader != NULL) { reader_hold(channel_of_reader(reader)); }
    return reader;
}

void async_reader_release(async_reader *reader)
{
    if (reader != NULL) { reader_drop(channel_of_reader(reader)); }
}

async_status async_reader_cancel(async_reader *reader)
{
    if (reader == NULL) { return ASYNC_INVALID; }
    struct channel  *channel = channel_of_reader(reader);
    struct channel **channels;
    size_t           count;
    bool             all = graph_collect(channel, &channels, &count);
    for (size_t i = 0; i < count; i++) {
        if (channels[i]->task != NULL) {
            task_cancel(channels[i]->task);
        } else {
            channel_end(channels[i], ASYNC_CANCELLED);
            channel_discard_all(channels[i]);
        }
        channel_release(channels[i]);
    }
    mem_free(channels);
    return all ? ASYNC_OK : ASYNC_NO_MEMORY;
}

/* A consumer that was fused with the reader's task calls these for its chunks: it takes its items
 * from the channel from now on. */
static void expose(async_reader *reader)
{
    struct async_task *task = channel_of_reader(reader)->task;
    store_relaxed(&readers_call_back, true);                   /* relaxed: as the callback itself */
    if (task != NULL) { store_seq_cst(&task->exposed, true); } /* G6: once and for all */
}

async_status async_reader_set_pre(async_reader *reader, async_pre_read_fn *function,
                                  void *context_of, async_pre_read_fn **old, void **old_context)
{
    if (reader == NULL) { return ASYNC_INVALID; }
    end_check(reader->magic, READER_MAGIC);
    if (old != NULL) { *old = reader->pre; }
    if (old_context != NULL) { *old_context = reader->pre_context; }
    reader->pre = function;
    reader->pre_context = context_of;
    expose(reader);
    return ASYNC_OK;
}

async_status async_reader_set_post(async_reader *reader, async_post_read_fn *function,
                                   void *context_of, async_post_read_fn **old, void **old_context)
{
    if (reader == NULL) { return ASYNC_INVALID; }
    end_check(reader->magic, READER_MAGIC);
    if (old != NULL) { *old = reader->post; }
    if (old_context != NULL) { *old_context = reader->post_context; }
    reader->post = function;
    reader->post_context = context_of;
    expose(reader);
    return ASYNC_OK;
}
