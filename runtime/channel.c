/* channel.c: the queue with its room, waiters and endings: see channel.h for who may call what.
 *
 * Who changes the channel looks for waiters afterwards: a put serves the readers, a take the
 * writers, the end tells everyone. Both lists look at words that move by seq_cst operations
 * before that (W1, W2 in waitlist.c; U9 to U14 in queue.c; C5, C6 here). A take serves the readers
 * too: one that took less than it was told of leaves the rest to the next.
 *
 * Endings: the queue's own close decides what was accepted. `ended` is set before it, so that who
 * finds the queue at its end finds the reason too. Who abandons the channel closes it, and then
 * takes and discards until the queue is at its end: a slot that is published before the end is
 * found by that, one that is not is spoiled, and its writer refused. So each item that was accepted
 * is claimed once, by a reader or by who passes it to the discard callback.
 *
 * Invariants
 *   I1 bounded: taken <= claimed <= put <= reserved <= taken + capacity, but for channel_put's
 *      runs.
 *   I2 `ended` changes from OK once, and from END to CANCELLED before any reader was told of the
 *      END: who cancels discards after that, so END says that everything was read.
 *   I3 Whoever calls holds a count of the channel, by an end or by its own.
 *
 * Progress: put, take, read, end, poke: lock-free, but for the allocator and the discard callback.
 *
 * Orders
 *   C3 end, ended (acq_rel)        -> C4: the reason, and what its setter did before it.
 *   C4 look, ended (acquire)       <- C3.
 *   C5 room, taken (seq_cst)       -> C6, V2 of writer.c: before the look at who waits (W2).
 *   C6 look, taken and reserved (seq_cst) <- C5, V3 of writer.c: after the announcement (W1).
 *   C7 poke, alarms (seq_cst)      <-> C7 the waiter's own look after waitlist_add (seq_cst).
 *   C8 release, refs (acq_rel)     -> C8: what all holders did is over before the channel is freed.
 * Layer: 2 */
#include "channel.h"

#include "check.h"

static bool reader_met(void *context, size_t need)
{
    const struct channel *channel = context;
    return channel_available(channel) >= need || queue_closed(&channel->queue);
}

static bool writer_met(void *context, size_t need)
{
    const struct channel *channel = context;
    /* C6 <- C5 */
    uint64_t taken = load_seq_cst(&channel->taken), reserved = load_seq_cst(&channel->reserved);
    return (int64_t)(reserved - taken) <= (int64_t)(channel->capacity - need) ||
           queue_closed(&channel->queue);
}

bool channel_init(struct channel *channel, size_t item_size, size_t capacity, struct store *store)
{
    if (!queue_init(&channel->queue, item_size)) { return false; }
    atomic_init(&channel->refs, 3);
    atomic_init(&channel->writer.holders, 1);
    atomic_init(&channel->reader.holders, 1);
    channel->writer.magic = WRITER_MAGIC;
    channel->reader.magic = READER_MAGIC;
    channel->store = store_retain(store);
    channel->item_size = item_size;
    channel->capacity = capacity;
    waitlist_init(&channel->readers, reader_met, channel);
    waitlist_init(&channel->writers, writer_met, channel);
    channel->readers.most = capacity;
    return true;
}

void channel_retain(struct channel *channel)
{
    add_relaxed(&channel->refs, 1); /* relaxed: the caller has a count already */
}

void channel_release(struct channel *channel)
{
    if (sub_acq_rel(&channel->refs, 1) != 1) { return; } /* C8 -> C8 */
    channel_discard_all(channel);
    if (channel->release != NULL) { channel->release(channel->context); }
    queue_destroy(&channel->queue);
    store_drop(channel->store);
    channel->destroy(channel);
}

void channel_discard(struct channel *channel, void *items, size_t count)
{
    while (channel->discards_to != NULL) { channel = channel->discards_to; }
    if (channel->discard != NULL && count != 0) {
        channel->discard(items, count, channel->context);
    }
}

void channel_discard_all(struct channel *channel)
{
    struct run                run;
    alignas(16) unsigned char bounce[QUEUE_INLINE];
    size_t                    taken;
    while ((taken = queue_take(&channel->queue, SIZE_MAX, 1, &run, bounce, NULL)) != 0) {
        channel_taken(channel, taken);
        channel_discard(channel, run.items, taken);
        if (run.block != NULL) { block_release(run.block, 1); }
    }
}

enum queue_result channel_put(struct channel *channel, const struct run *run)
{
    enum queue_result result = queue_put(&channel->queue, run);
    if (likely(result == QUEUE_OK)) { waitlist_serve(&channel->readers); }
    return result;
}

size_t channel_take(struct channel *channel, size_t count, size_t unit, struct run *run,
                    void *bounce, bool *end)
{
    size_t taken = queue_take(&channel->queue, count, unit, run, bounce, end);
    if (taken != 0) { channel_taken(channel, taken); }
    return taken;
}

bool channel_set_status(struct channel *channel, async_status status)
{
    uint32_t seen = ASYNC_OK;
    /* C3 -> C4. LP of the end, or of the cancel that takes its place */
    while (!cas_acq_rel(&channel->ended, &seen, (uint32_t)status)) {
        if (seen != ASYNC_OK && (seen != ASYNC_END || status != ASYNC_CANCELLED)) { return false; }
    }
    return true;
}

async_status channel_tell_end(struct channel *channel)
{
    uint32_t seen = load_acquire(&channel->ended); /* C4 <- C3 */
    /* C3 -> C4. Fails where it is CANCELLED now, or told by another thread. */
    if (seen == ASYNC_END) { cas_acq_rel(&channel->ended, &seen, ASYNC_END | ENDED_TOLD); }
    return (async_status)(seen & ~ENDED_TOLD);
}

void channel_end(struct channel *channel, async_status status)
{
    channel_set_status(channel, status);
    STEP("channel_end: status");
    queue_close(&channel->queue);
    waitlist_tell_all(&channel->readers);
    waitlist_tell_all(&channel->writers);
}

void channel_abandon(struct channel *channel, async_status status)
{
    channel_end(channel, status);
    STEP("channel_abandon: ended");
    channel_discard_all(channel);
}

void channel_poke(struct channel *channel)
{
    add_seq_cst(&channel->alarms, 1); /* C7 */
    waitlist_tell_all(&channel->readers);
}

void channel_after_fork(struct channel *channel)
{
    /* relaxed (all): there is one thread */
    size_t items = queue_after_fork(&channel->queue);
    /* An end whose last holder was about to say so. A task's write end is nobody's. */
    bool dropped = load_relaxed(&channel->reader.holders) == 0 ||
                   (channel->task == NULL && load_relaxed(&channel->writer.holders) == 0);
    if ((dropped || load_relaxed(&channel->ended) != ASYNC_OK) && !queue_closed(&channel->queue)) {
        queue_close(&channel->queue);
    }
    if (queue_closed(&channel->queue) && load_relaxed(&channel->ended) == ASYNC_OK) {
        store_relaxed(&channel->ended, ASYNC_END);
    }
    if (channel_bounded(channel)) {
        store_relaxed(&channel->taken, load_relaxed(&channel->reserved) - items);
    }
    waitlist_after_fork(&channel->readers);
    waitlist_after_fork(&channel->writers);
    add_relaxed(&channel->alarms, 1); /* the thread that forked may be about to wait */
}
