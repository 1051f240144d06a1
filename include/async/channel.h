/* channel.h: channels and their two ends.
 *
 * A channel is a first-in first-out queue of items of one fixed size. Any number of threads write
 * and read it; each item goes to exactly one reader. The output of a task is a channel too, whose
 * write end belongs to the task: reading it is what makes the task run.
 *
 * An end is shared and counted: whoever retains it holds it as well. The last release of a write
 * end closes the channel; the last release of a read end ends it for the writers.
 *
 * An item is accepted when the write that carries it has counted it in *written. What was accepted
 * is read exactly once or passed to the discard callback exactly once. */
#ifndef ASYNC_CHANNEL_H
#define ASYNC_CHANNEL_H

#include <async/export.h>
#include <async/status.h>
#include <async/wait.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct async_pool   async_pool;
typedef struct async_task   async_task;
typedef struct async_reader async_reader;
typedef struct async_writer async_writer;

/* Called with items that were accepted and that nobody will read; owns what they point to. May be
 * called from any thread, in the middle of any call; must not fail and must not wait. */
typedef void async_discard_fn(void *items, size_t count, void *context);

/* Called once, when nothing will use the context again. */
typedef void async_release_fn(void *context);

/* Called by the reading thread with the number of items asked for, before anything is scheduled or
 * taken. 0, or a code of its own that makes the read fail with FAILED. */
typedef int async_pre_read_fn(size_t count, void *context);

/* Called with `*count` items that were read; may change them in place and lower *count (the first
 * *count items stay, the others are dropped: what they own is the callback's). Not raise it. */
typedef void async_post_read_fn(void *items, size_t *count, void *context);

/* Called with a private copy of the items before they are written; may change them in place. 0, or
 * a code of its own that makes the write fail with FAILED and write nothing. */
typedef int async_pre_write_fn(void *items, size_t count, void *context);

/* for_each's function: `items` are valid during the call. */
typedef enum async_sink_result { ASYNC_CONTINUE = 0, ASYNC_STOP = -0x7fff } async_sink_result;
/* Returns ASYNC_CONTINUE (0) to go on, ASYNC_STOP to end the loop with OK, or a code of its own
 * that ends it with FAILED. */
typedef int async_sink_fn(const void *items, size_t count, void *context);

typedef struct async_channel_options {
    const char       *name;     /* copied; NULL is fine */
    size_t            capacity; /* items; 0: unbounded */
    async_discard_fn *discard;  /* for items that nobody read */
    async_release_fn *release;  /* release(context), once, when the channel is gone */
    void             *context;  /* of discard and release */
    uint64_t          reserved[4];
} async_channel_options;

/* A run of items that was taken from a channel without a copy. Read-only. */
typedef struct async_view {
    const void *items; /* count items of the channel's item size, one after the other */
    size_t      count;
    void       *owner; /* the runtime's */
    uint64_t    reserved[2];
} async_view;

ASYNC_EXTERN_BEGIN

/* Makes a channel of items of item_size bytes and gives its two ends, each held once by the
 * caller. options may be NULL. On failure both ends are NULL and release is not called.
 *
 * Threads: any.
 * Progress: allocates.
 * Errors: INVALID (NULL, item_size 0, a reserved word that is not 0, sizes that overflow),
 *   NO_MEMORY.
 * Since: 0.1 */
ASYNC_API ASYNC_CHECKED async_status async_channel_create(async_writer **writer,
                                                          async_reader **reader, size_t item_size,
                                                          const async_channel_options *options);

/* Writes count items, waiting for room as `wait` says. *written (may be NULL) is how many were
 * accepted, whatever the status: the first *written of them, in their order. A write of 0 items is
 * OK and does nothing.
 *
 * Threads: any number at once.
 * Progress: with async_now() lock-free, else blocking while the channel is full.
 * Errors: TIMEOUT (the wait is over; also for a full channel and async_now()), CLOSED, FAILED (the
 *   pre callback), INVALID, NO_MEMORY, DEADLOCK (with no deadline: at N = 0 inside a task, where
 *   only this thread could make room, or in the only thread of the process), BUSY (inside a task:
 *   no thread left to stand in).
 * Since: 0.1 */
ASYNC_API async_status async_writer_write(async_writer *writer, const void *items, size_t count,
                                          size_t *written, async_wait wait);

/* Closes the channel: no more writes. What was accepted stays readable. May be repeated.
 *
 * Threads: any number at once, with writes too.
 * Progress: lock-free.
 * Errors: INVALID (NULL).
 * Since: 0.1 */
ASYNC_API async_status async_writer_close(async_writer *writer);

/* Whether the channel takes no more writes (closed, or its last reader is gone). NULL: true.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API bool async_writer_closed(const async_writer *writer);

/* Retain: one more holder of this end; gives it back. Release: one holder less; the last one
 * closes the channel. NULL is fine.
 *
 * Threads: any; the caller must hold the end.
 * Progress: lock-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API async_writer *async_writer_retain(async_writer *writer);
ASYNC_API void          async_writer_release(async_writer *writer);

/* Sets the callback that sees items before they are written; NULL uninstalls. *old and
 * *old_context (may be NULL) get what was there before (NULL the first time).
 *
 * Threads: not while another thread uses this end.
 * Progress: wait-free.
 * Errors: INVALID (NULL writer).
 * Since: 0.1 */
ASYNC_API async_status async_writer_set_pre(async_writer *writer, async_pre_write_fn *function,
                                            void *context, async_pre_write_fn **old,
                                            void **old_context);

/* Reads exactly count items into `items`, waiting as `wait` says, and making the tasks upstream
 * work for just what is missing. OK comes with exactly count items and with nothing else;
 * otherwise *got of them (may be NULL) are valid and the status says why there are no more. A read
 * of 0 items is OK and does nothing.
 *
 * Threads: any number at once; the longest-waiting is served first.
 * Progress: of a plain channel with async_now() lock-free; else blocking.
 * Errors: END, FAILED, CANCELLED (these three are sticky), TIMEOUT (also with async_now()),
 *   NO_MEMORY (may be repeated, nothing is lost), INVALID, DEADLOCK (with no deadline: a wait that
 *   could never end, in a function for its own task's output, in functions for each other's, at N =
 *   0 for what only this thread could make, or in the only thread of the process;
 *   async_reader_error then tells this thread what waits for what), BUSY (inside a task: no thread
 *   left to stand in).
 * Since: 0.1 */
ASYNC_API async_status async_reader_read(async_reader *reader, void *items, size_t count,
                                         size_t *got, async_wait wait);

/* Reads until the end. *items is an array of *count items, for async_free; NULL where there are
 * none. On failure too it holds what there was. OK: the end was reached.
 *
 * Threads: as async_reader_read.
 * Progress: as async_reader_read; allocates.
 * Errors: FAILED, CANCELLED, TIMEOUT, NO_MEMORY, INVALID, DEADLOCK, BUSY.
 * Since: 0.1 */
ASYNC_API async_status async_reader_read_all(async_reader *reader, void **items, size_t *count,
                                             async_wait wait);

/* Frees what read_all gave. NULL is fine.
 *
 * Threads: any.
 * Progress: the allocator's.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API void async_free(void *items);

/* Streams all items through `sink` in bounded memory, in runs of whatever size is at hand, until
 * the end. The sink is a serial stage: it is called by one thread at a time, a worker or the
 * calling thread, and has seen all its items when the call returns. A pre callback is called once,
 * before all.
 *
 * Threads: any; several at once share the items.
 * Progress: blocking.
 * Errors: as read_all; FAILED also when the sink returned a code of its own (the reader's upstream
 *   is left as it is, and may be read on); OK when it returned ASYNC_STOP.
 * Since: 0.1 */
ASYNC_API async_status async_reader_for_each(async_reader *reader, async_sink_fn *sink,
                                             void *context, async_wait wait);

/* Takes up to count items without a copy, as one run; waits until there is at least one, or, at
 * best, count of them (a task without a chunk size has memory for all of them at once). The items
 * stay valid until the view is returned, whatever happens to the channel, the task and the pool. A
 * shorter run than count comes with OK.
 *
 * Threads: as async_reader_read.
 * Progress: as async_reader_read.
 * Errors: as async_reader_read; a read end with a post callback is UNSUPPORTED.
 * Since: 0.1 */
ASYNC_API async_status async_reader_borrow(async_reader *reader, async_view *view, size_t count,
                                           async_wait wait);

/* Gives a borrowed view back and zeroes it. A zeroed view is fine.
 *
 * Threads: any; one view by one thread.
 * Progress: lock-free.
 * Errors: INVALID (NULL).
 * Since: 0.1 */
ASYNC_API async_status async_view_return(async_view *view);

/* How many items could be read at once without any work: a snapshot. NULL: 0.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API size_t async_reader_ready(const async_reader *reader);

/* The first error anywhere upstream, as a copy; its status is ASYNC_OK where there is none. Where
 * there is none and the calling thread's last wait was for this reader and got DEADLOCK: that, and
 * the chain of waits in the message.
 *
 * Threads: any.
 * Progress: takes a lock for the length of a copy.
 * Errors: INVALID (NULL).
 * Since: 0.1 */
ASYNC_API async_status async_reader_error(const async_reader *reader, async_error *out);

/* Cancels everything upstream of this reader, and wakes whoever waits on it.
 *
 * Threads: any, also from inside a task or a callback; not from a signal handler.
 * Progress: takes locks; does not wait for running chunks.
 * Errors: INVALID (NULL), NO_MEMORY (for the list of all that is upstream: a part of it, this
 *   reader's own task first, is cancelled; call it again).
 * Since: 0.1 */
ASYNC_API async_status async_reader_cancel(async_reader *reader);

/* The task whose output this is, borrowed: valid while the reader is held. NULL for a plain
 * channel.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API async_task *async_reader_task(const async_reader *reader);

/* The pool of that task; NULL for a plain channel, or once the pool is destroyed.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API async_pool *async_reader_pool(const async_reader *reader);

/* Retain: one more holder of this end; gives it back. Release: one holder less. When the last
 * holder is gone, unread items are discarded, writers get CLOSED, and a task whose output nobody
 * holds is removed, and so are its inputs that nobody else holds. NULL is fine.
 *
 * Threads: any; the caller must hold the end.
 * Progress: of a plain channel lock-free; of a task's takes locks.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API async_reader *async_reader_retain(async_reader *reader);
ASYNC_API void          async_reader_release(async_reader *reader);

/* Sets the callback before, or after, the items are read; NULL uninstalls. *old and *old_context
 * (may be NULL) get what was there before (NULL the first time). On a reader that is another task's
 * input they run in the thread that runs a chunk of that task, once a chunk, before its function.
 *
 * Threads: not while another thread uses this end.
 * Progress: takes a lock.
 * Errors: INVALID (NULL reader).
 * Since: 0.1 */
ASYNC_API async_status async_reader_set_pre(async_reader *reader, async_pre_read_fn *function,
                                            void *context, async_pre_read_fn **old,
                                            void **old_context);
ASYNC_API async_status async_reader_set_post(async_reader *reader, async_post_read_fn *function,
                                             void *context, async_post_read_fn **old,
                                             void **old_context);

ASYNC_EXTERN_END

#endif
