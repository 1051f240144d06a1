/* channel.h: a queue of runs with two counted ends, a capacity, waiters on both sides and a
 * final status. Plain channels and the outputs of tasks are both one of these.
 *
 * What can be read is counted by the queue itself (queue_available); it steers waiters. A bounded
 * channel also counts the room: `reserved` by writers before they put, `taken` by readers after
 * they took. What a take gets is decided by the queue alone.
 *
 * Layer: 2 */
#ifndef ASYNC_RUNTIME_CHANNEL_H
#define ASYNC_RUNTIME_CHANNEL_H

#include "check.h"
#include "queue.h"
#include "waitlist.h"

#include <string.h>

struct channel;

/* The ends are parts of the channel; their counts keep it alive. */
struct async_writer {
    shared_u32          holders; /* last one gone: channel_close */
    uint32_t            magic;   /* WRITER_MAGIC, or RELEASED_MAGIC after the last release */
    async_pre_write_fn *pre;
    void               *pre_context;
};

struct async_reader {
    /* last one gone: channel_abandon */
    shared_u32          holders;
    uint32_t            magic; /* READER_MAGIC, or RELEASED_MAGIC after the last release */
    async_pre_read_fn  *pre;
    void               *pre_context;
    async_post_read_fn *post;
    void               *post_context;
    shared_i64          pre_code; /* what a pre callback that failed returned last */
};

/* Whether any reader of the process was ever given callbacks: else no run looks for some. */
extern shared_bool readers_call_back;

struct channel {
    /* Read by everyone, written seldom. */
    /* frees its memory; all else is done by then */
    void (*destroy)(struct channel *channel);
    /* whose output this is; NULL: a plain channel. Set once, before the channel is shared */
    struct async_task *task;
    struct store      *store; /* of copies of what is written */
    size_t             item_size;
    size_t             capacity; /* items; SIZE_MAX: unbounded */
    async_discard_fn  *discard;
    async_release_fn  *release;
    void              *context; /* of discard and release */
    /* Where items go that nobody read, if not NULL: a task that passes items on hands them to its
     * input's callback. Holds one count of it. */
    struct channel *discards_to;
    /* final status: OK while open, else END, FAILED or CANCELLED; set before the queue is closed.
     * END gives way to CANCELLED until a reader was told of it: then it has ENDED_TOLD, too */
    shared_u32 ended;
    /* moves whenever all waiters are told to look up (poke, no memory, cancel) */
    shared_u32      alarms;
    char            name[64];
    struct channel *next_of_all, *prev_of_all; /* all of the process; fork.c's */

    struct async_writer writer;
    struct async_reader reader;

    struct queue    queue;
    struct waitlist readers; /* need: items, of which `capacity` are enough */
    struct waitlist writers; /* need: room */
    /* One for each end that has holders, one for each call in progress, or job, that needs it to
     * live past its own end, one for the task that owns it; at 0 `destroy` is called. */
    alignas(FALSE_SHARING) shared_u32 refs;
    /* Bounded only: items that writers have put or are about to put, and items that were taken;
     * both since the beginning. Room is capacity - (reserved - taken). Each on the line of those
     * who write it. */
    alignas(FALSE_SHARING) shared_u64 reserved;
    alignas(FALSE_SHARING) shared_u64 taken;
};

static inline bool channel_bounded(const struct channel *channel)
{
    return channel->capacity != SIZE_MAX;
}

/* Both ends held once, one count for each of them and one for the owner, in memory that is all
 * zero and aligned to FALSE_SHARING; retains the store. False: no memory, and nothing to undo. */
bool channel_init(struct channel *channel, size_t item_size, size_t capacity, struct store *store);
void channel_retain(struct channel *channel);
/* The last one discards what is left, calls release, frees the queue and then calls destroy. */
void channel_release(struct channel *channel);

/* Discards whatever is in the queue now. */
void channel_discard_all(struct channel *channel);

/* Items that could be taken: see queue_available. Lock-free. */
static inline size_t channel_available(const struct channel *channel)
{
    return queue_available(&channel->queue);
}

/* Puts a run (of a task's output; not bounded by the capacity), counts it and serves the readers.
 * Not OK: closed, or no memory; the run stays the caller's (see channel_discard). */
enum queue_result channel_put(struct channel *channel, const struct run *run);

/* As channel_put for items that are copied: count * item_size = bytes <= QUEUE_INLINE. */
ALWAYS_INLINE enum queue_result channel_put_inline(struct channel *channel, const void *items,
                                                   size_t count, size_t bytes)
{
    enum queue_result result;
    if (likely(bytes == sizeof(uint64_t) && count == 1)) {
        uint64_t word;
        memcpy(&word, items, sizeof word);
        result = queue_put_word(&channel->queue, word);
    } else {
        result = queue_put_inline(&channel->queue, items, count);
    }
    if (likely(result == QUEUE_OK)) { waitlist_serve(&channel->readers); }
    return result;
}

/* `count` items have been claimed. */
ALWAYS_INLINE void channel_taken(struct channel *channel, size_t count)
{
    if (unlikely(channel_bounded(channel))) {
        add_seq_cst(&channel->taken, count); /* C5 -> C6 */
        STEP("channel_take: counted");
        waitlist_serve(&channel->writers);
    }
    /* who was told together with the caller may go on with less */
    waitlist_serve(&channel->readers);
}

/* Takes as queue_take does, counts it and serves the writers (and the readers, where there is
 * more). */
size_t channel_take(struct channel *channel, size_t count, size_t unit, struct run *run,
                    void *bounce, bool *end);

/* Takes up to count items by copy; returns how many. *end, where they are fewer: as queue_take's.
 * */
ALWAYS_INLINE size_t channel_read(struct channel *channel, void *items, size_t count, bool *end)
{
    size_t taken = likely(count == 1 && channel->item_size == sizeof(uint64_t))
                       ? queue_read_word(&channel->queue, items, end)
                       : queue_read(&channel->queue, items, count, end);
    if (likely(taken != 0)) { channel_taken(channel, taken); }
    return taken;
}

/* Sets the final status, closes the queue and tells all waiters on both sides. */
void channel_end(struct channel *channel, async_status status);
/* The first part of that; false: it has another one, which stays. */
bool channel_set_status(struct channel *channel, async_status status);

/* The last reader is gone: ends the channel with `status`, which nobody will read, and discards all
 * that was accepted: what is put at the same time is either refused or among it. May be repeated.
 * */
void channel_abandon(struct channel *channel, async_status status);

/* Passes items to the discard callback, if there is one. */
void channel_discard(struct channel *channel, void *items, size_t count);

/* Tells all waiting readers to look up, met or not: something else has changed. A reader that is
 * being added just now may be missed, and sees `alarms` moved if it looks after waitlist_add. */
void channel_poke(struct channel *channel);

/* Debug builds look at what a caller passes for an end. It may lie in memory that was freed: a
 * mistake that is found mostly, not surely. */
enum { WRITER_MAGIC = 0x77726974, READER_MAGIC = 0x72656164, RELEASED_MAGIC = 0x64656164 };

static inline void end_check(uint32_t magic, uint32_t wanted)
{
#ifdef ASYNC_DEBUG
    if (unlikely(magic != wanted)) {
        panic("%s was passed for a %s",
              magic == RELEASED_MAGIC ? "a released end" : "something else",
              wanted == WRITER_MAGIC ? "writer" : "reader");
    }
#else
    (void)magic;
    (void)wanted;
#endif
}

/* In the child of a fork, by its only thread: nobody waits any more, and what calls of threads that
 * are gone have left half done is taken back or completed. Each task that waits here is to be added
 * again (waitlist_add_after_fork). */
void channel_after_fork(struct channel *channel);

static inline struct channel *channel_of_reader(const async_reader *reader)
{
    end_check(reader->magic, READER_MAGIC);
    return container_of(reader, struct channel, reader);
}
static inline struct channel *channel_of_writer(const async_writer *writer)
{
    end_check(writer->magic, WRITER_MAGIC);
    return container_of(writer, struct channel, writer);
}

#define ENDED_TOLD (UINT32_C(1) << 31)

/* The final status; OK while it is open. */
static inline async_status channel_status(const struct channel *channel)
{
    return (async_status)(load_acquire(&channel->ended) & ~ENDED_TOLD); /* C4 <- C3 */
}

/* The status of a read that found the queue at its end, END, FAILED or CANCELLED: it stays so. */
async_status channel_tell_end(struct channel *channel);

#endif
