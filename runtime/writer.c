/* writer.c: the write end, and the making of plain channels.
 *
 * Items are always copied: a few bytes into a slot of the queue, more into blocks, of at most
 * PIECE_BYTES each, one run and one slot a block. With a pre callback the copy is made first, and
 * the runs lie in it.
 *
 * A bounded channel is entered through `reserved`: a writer reserves as many items as it has and as
 * fit, and puts them. Who finds no room waits in
 * channel->writers for room for one, since whatever it is told of may be less when it gets there.
 *
 * Progress: a write that does not wait is lock-free (the allocator and the pre callback excepted).
 *
 * Orders
 *   V2 look, taken (acquire)          <- C5 of channel.c: room that readers made.
 *   V3 give back, reserved (seq_cst)  -> C6 of channel.c: before the look at who waits (W2).
 *   V4 release, holders (acq_rel)    -> V4: the last holder closes after all others' writes.
 * Layer: 3 */
#include "channel.h"
#include "check.h"
#include "context.h"
#include "fork.h"
#include "mem.h"
#include "wait.h"

#include <string.h>

#define PIECE_BYTES ((size_t)64 << 10)

/* --- making and holding ---------------------------------------------------------------------- */

static void plain_destroy(struct channel *channel)
{
    fork_forget_channel(channel);
    mem_free(channel);
}

static bool options_valid(const async_channel_options *options)
{
    for (size_t i = 0; i < sizeof options->reserved / sizeof options->reserved[0]; i++) {
        if (options->reserved[i] != 0) { return false; }
    }
    return true;
}

async_status async_channel_create(async_writer **writer, async_reader **reader, size_t item_size,
                                  const async_channel_options *options)
{
    static const async_channel_options none = {NULL, 0, NULL, NULL, NULL, {0}};
    if (writer != NULL) { *writer = NULL; }
    if (reader != NULL) { *reader = NULL; }
    if (options == NULL) { options = &none; }
    size_t bytes;
    if (writer == NULL || reader == NULL || item_size == 0 || !options_valid(options) ||
        !size_mul(item_size, max_size(options->capacity, 1), &bytes) || bytes > PTRDIFF_MAX) {
        return ASYNC_INVALID;
    }
    struct channel *channel = mem_zalloc(sizeof *channel, alignof(struct channel));
    if (channel == NULL) { return ASYNC_NO_MEMORY; }
    size_t capacity = options->capacity == 0 ? SIZE_MAX : options->capacity;
    if (!channel_init(channel, item_size, capacity, store_default())) {
        mem_free(channel);
        return ASYNC_NO_MEMORY;
    }
    channel->destroy = plain_destroy;
    channel->discard = options->discard;
    channel->release = options->release;
    channel->context = options->context;
    if (options->name != NULL) { strncpy(channel->name, options->name, sizeof channel->name - 1); }
    fork_mind_channel(channel);
    *writer = &channel->writer;
    *reader = &channel->reader;
    channel_release(channel); /* nobody owns it but its ends */
    return ASYNC_OK;
}

async_writer *async_writer_retain(async_writer *writer)
{
    if (writer == NULL) { return NULL; }
    end_check(writer->magic, WRITER_MAGIC);
    uint32_t before = add_relaxed(&writer->holders, 1); /* relaxed: the caller holds it already */
    CHECK(before != 0 && before != UINT32_MAX);
    return writer;
}

void async_writer_release(async_writer *writer)
{
    if (writer == NULL) { return; }
    struct channel *channel = channel_of_writer(writer);
    uint32_t        before = sub_acq_rel(&writer->holders, 1); /* V4 -> V4 */
    CHECK(before != 0);
    if (before != 1) { return; }
    writer->magic = RELEASED_MAGIC;
    channel_end(channel, ASYNC_END);
    channel_release(channel); /* of the end */
}

async_status async_writer_close(async_writer *writer)
{
    if (writer == NULL) { return ASYNC_INVALID; }
    channel_end(channel_of_writer(writer), ASYNC_END);
    return ASYNC_OK;
}

bool async_writer_closed(const async_writer *writer)
{
    return writer == NULL || queue_closed(&channel_of_writer(writer)->queue);
}

async_status async_writer_set_pre(async_writer *writer, async_pre_write_fn *function,
                                  void *context_of, async_pre_write_fn **old, void **old_context)
{
    if (writer == NULL) { return ASYNC_INVALID; }
    end_check(writer->magic, WRITER_MAGIC);
    if (old != NULL) { *old = writer->pre; }
    if (old_context != NULL) { *old_context = writer->pre_context; }
    writer->pre = function;
    writer->pre_context = function != NULL ? context_of : NULL;
    return ASYNC_OK;
}

void async_free(void *items) { mem_free(items); }

/* --- writing --------------------------------------------------------------------------------- */

/* What one call writes. */
struct writing {
    struct channel      *channel;
    const unsigned char *items; /* those that are not yet accepted */
    size_t               left;
    size_t               accepted;
    /* the copy that a pre callback has seen; NULL: items are still to be copied */
    struct block *block;
};

/* Room for up to `count` items, now the caller's. 0: the channel is full. */
static size_t reserve(struct channel *channel, size_t count)
{
    uint64_t reserved = load_relaxed(&channel->reserved); /* relaxed: the CAS decides */
    for (;;) {
        /* reserved >= taken at any time; an older `taken` only makes the room smaller, and with a
         * newer one than `reserved` the CAS fails */
        uint64_t taken = load_acquire(&channel->taken); /* V2 <- C5 */
        uint64_t used = reserved - taken;
        if ((int64_t)used < 0) { used = 0; }
        if (used >= channel->capacity) {
            uint64_t again = load_seq_cst(&channel->reserved); /* C6 <- C5, V3 */
            if (again == reserved) { return 0; }               /* LP: full */
            reserved = again;
            continue;
        }
        size_t room = min_size(count, channel->capacity - (size_t)used);
        /* relaxed: it only hands out room; what is put there is published by the queue */
        if (cas_relaxed(&channel->reserved, &reserved, reserved + room)) { return room; }
    }
}

static void give_back(struct channel *channel, size_t room)
{
    sub_seq_cst(&channel->reserved, room); /* V3 -> C6 */
    waitlist_serve(&channel->writers);
}

/* Puts up to `count` of the items, one run. 0 and why, if none. */
static size_t put_piece(struct writing *writing, size_t count, enum queue_result *result)
{
    struct channel *channel = writing->channel;
    size_t          size = channel->item_size;
    if (likely(count <= QUEUE_INLINE && count * size <= QUEUE_INLINE)) {
        *result = channel_put_inline(channel, writing->items, count, count * size);
        return *result == QUEUE_OK ? count : 0;
    }
    struct run run;
    if (size < PIECE_BYTES) {
        count = min_size(count, PIECE_BYTES / size);
    } else {
        count = 1;
    }
    run.count = count;
    if (writing->block != NULL) {
        run.block = writing->block;
        run.items = writing->block->data + (writing->items - writing->block->data);
        block_retain(run.block, 1);
    } else {
        run.block = block_new(channel->store, count * size);
        if (unlikely(run.block == NULL)) {
            *result = QUEUE_NO_MEMORY;
            return 0;
        }
        run.items = run.block->data;
        memcpy(run.items, writing->items, count * size);
    }
    *result = channel_put(channel, &run);
    if (likely(*result == QUEUE_OK)) { return count; }
    block_release(run.block, 1);
    return 0;
}

/* Writes for as long as there is room. OK: all of it; TIMEOUT: the channel is full, and was open
 * when it was found to be. */
static async_status write_now(struct writing *writing)
{
    struct channel *channel = writing->channel;
    bool            bounded = channel_bounded(channel);
    while (writing->left > 0) {
        size_t room = bounded ? reserve(channel, writing->left) : writing->left;
        if (room == 0) { return queue_closed(&channel->queue) ? ASYNC_CLOSED : ASYNC_TIMEOUT; }
        while (room > 0) {
            enum queue_result result;
            size_t            count = put_piece(writing, room, &result);
            if (unlikely(count == 0)) {
                if (bounded) { give_back(channel, room); }
                return result == QUEUE_CLOSED ? ASYNC_CLOSED : ASYNC_NO_MEMORY;
            }
            room -= count;
            writing->left -= count;
            writing->accepted += count;
            writing->items += count * channel->item_size;
        }
    }
    return ASYNC_OK;
}

/* The channel was full: waits for room and goes on. */
static async_status write_waiting(struct writing *writing, async_wait wait)
{
    struct channel *channel = writing->channel;
    struct wanted   wanted = {.room = true, .need = 1, .deadline_ns = wait_deadline(wait)};
    bool            vain = false;
    async_status    status;
    channel_retain(channel); /* another thread may release the end that the caller writes through */
    do {
        struct thread_waiter waiter;
        size_t               before = writing->accepted;
        async_status         slept = ASYNC_OK;
        bool                 tried = false;
        wanted.alarms = load_relaxed(&channel->alarms); /* relaxed: they are the readers' */
        if (vain || !wait_look(channel, &wanted, &tried)) {
            thread_waiter_init(&waiter, 1);
            waitlist_add(&channel->writers, &waiter.waiter);
            slept = wait_sleep(&waiter, channel, &wanted, tried);
            if (slept != ASYNC_OK) { waitlist_remove(&channel->writers, &waiter.waiter); }
        }
        status = queue_closed(&channel->queue) ? ASYNC_CLOSED : write_now(writing);
        vain = writing->accepted == before;
        if (!vain && wait.kind == ASYNC_WAIT_PER_ITEM) {
            wanted.deadline_ns = wait_deadline(wait);
        } else if (status == ASYNC_TIMEOUT && slept != ASYNC_OK) {
            status = slept;
            break;
        } else if (status == ASYNC_TIMEOUT && wanted.deadline_ns != OS_NEVER &&
                   os_now_ns() >= wanted.deadline_ns) {
            break; /* others were faster, each time that it was told */
        }
    } while (status == ASYNC_TIMEOUT);
    waitlist_serve(&channel->writers); /* who leaves may have been told of more room than it took */
    channel_release(channel);
    return status;
}

static async_status write_all(struct writing *writing, async_wait wait)
{
    async_status status = write_now(writing);
    if (likely(status != ASYNC_TIMEOUT) || wait.kind == ASYNC_WAIT_NOW) { return status; }
    return write_waiting(writing, wait);
}

static bool pre_agrees(const struct async_writer *writer, void *items, size_t count)
{
    GUARD(guard);
    int code = writer->pre(items, count, writer->pre_context);
    guard_disarm(&guard);
    return code == 0;
}

/* Lets the pre callback see a copy, and writes that. */
static async_status write_through_pre(struct writing *writing, async_wait wait)
{
    struct channel            *channel = writing->channel;
    const struct async_writer *writer = &channel->writer;
    alignas(16) unsigned char  few[QUEUE_INLINE];
    size_t                     count = writing->left, bytes = count * channel->item_size;
    unsigned char             *copy = few;
    if (queue_closed(&channel->queue)) { return ASYNC_CLOSED; }
    if (bytes > sizeof few) {
        writing->block = block_new(channel->store, bytes);
        if (writing->block == NULL) { return ASYNC_NO_MEMORY; }
        copy = writing->block->data;
    }
    memcpy(copy, writing->items, bytes);
    writing->items = copy;
    async_status status = ASYNC_FAILED;
    if (pre_agrees(writer, copy, count)) { status = write_all(writing, wait); }
    if (writing->block != NULL) { block_release(writing->block, 1); }
    return status;
}

static NEVER_INLINE async_status write_general(struct channel *channel, const void *items,
                                               size_t count, size_t *written, async_wait wait)
{
    struct writing writing = {channel, items, count, 0, NULL};
    async_status   status = channel->writer.pre == NULL ? write_all(&writing, wait)
                                                        : write_through_pre(&writing, wait);
    *written = writing.accepted;
    return status;
}

async_status async_writer_write(async_writer *writer, const void *items, size_t count,
                                size_t *written, async_wait wait)
{
    size_t unused, bytes;
    if (unlikely(written == NULL)) { written = &unused; }
    *written = 0;
    if (unlikely(writer == NULL || !wait_valid(wait))) { return ASYNC_INVALID; }
    if (unlikely(count == 0)) { return ASYNC_OK; }
    struct channel *channel = channel_of_writer(writer);
    if (unlikely(items == NULL || !size_mul(count, channel->item_size, &bytes) ||
                 bytes > PTRDIFF_MAX)) {
        return ASYNC_INVALID;
    }
    if (likely(bytes <= QUEUE_INLINE && !channel_bounded(channel) && writer->pre == NULL)) {
        enum queue_result result = channel_put_inline(channel, items, count, bytes);
        if (unlikely(result != QUEUE_OK)) {
            return result == QUEUE_CLOSED ? ASYNC_CLOSED : ASYNC_NO_MEMORY;
        }
        *written = count;
        return ASYNC_OK;
    }
    return write_general(channel, items, count, written, wait);
}
