/* task.h: what a task does, where its items come from, and what can be asked of it. */
#ifndef ASYNC_TASK_H
#define ASYNC_TASK_H

#include <async/channel.h>

/* Where emit functions put their outputs; the runtime's, valid during the call. */
typedef struct async_emitter async_emitter;

/* One item in, one out. 0, or the code of its failure. */
typedef int async_each_fn(const void *in, void *out, void *context);

/* count items in, count out. On failure *done, which is 0 at entry and read only on failure, says
 * how many inputs were completed before it. */
typedef int async_batch_fn(const void *in, void *out, size_t count, size_t *done, void *context);

/* count items in, any number out, through async_emit. *done as in async_batch_fn. */
typedef int async_emit_fn(const void *in, size_t count, size_t *done, async_emitter *out,
                          void *context);

/* A source's function: puts up to count items into `items` and their number into *got (0 at entry).
 * Called by one thread at a time. Fewer than count: there are no more, it is not called again. 0,
 * or the code of its failure, which comes after the *got items. */
typedef int async_next_fn(void *items, size_t count, size_t *got, void *context);

typedef enum async_source_kind {
    ASYNC_SOURCE_NONE,
    ASYNC_SOURCE_NEXT,
    ASYNC_SOURCE_ARRAY,
    ASYNC_SOURCE_RANGE
} async_source_kind;

/* Copied by async_pool_add_task. Make it with one of the functions below. */
typedef struct async_source {
    async_source_kind kind;
    size_t            item_size;
    async_next_fn    *next;
    void             *context;
    const void       *items;
    uint64_t          first;
    uint64_t          count;
    uint64_t          reserved[2];
} async_source;

typedef enum async_order {
    ASYNC_UNORDERED, /* items as they come */
    ASYNC_ORDERED    /* outputs in the order of the inputs */
} async_order;

/* max_chunksize: chosen from the measured time per item. */
#define ASYNC_CHUNK_AUTO SIZE_MAX

/* All zero is a default, but for what a task must have: a source or an input, never both. At most
 * one of each, batch and emit; none: items pass unchanged. */
typedef struct async_task_options {
    const char         *name;   /* copied; NULL is fine */
    const async_source *source; /* an iterator task; copied */
    /* a channel task: the reader of another task or of a plain channel; retained */
    async_reader *input;
    /* bytes of one input item, checked against the input's; 0: not checked */
    size_t            input_size;
    size_t            item_size; /* bytes of one output item; 0: as the input's */
    async_each_fn    *each;
    async_batch_fn   *batch;
    async_emit_fn    *emit;
    void             *context; /* of the function, discard and release */
    async_release_fn *release; /* release(context), once, when nothing uses it any more */
    /* discard(items, count, context): outputs that nobody read */
    async_discard_fn *discard;
    size_t            min_count;     /* items scheduled at least, whenever any are; 0: not set */
    size_t            max_chunksize; /* items of one call at most; 0: not set */
    async_order       order;
    unsigned          max_parallel; /* chunks of this task at a time; 0: no limit; 1: serial */
    bool              in_place;     /* out may be the memory of in (where the sizes are equal) */
    uint64_t          reserved[4];
} async_task_options;

/* What a task has done so far. A snapshot: the fields may be of slightly different moments. */
typedef struct async_task_stats {
    uint64_t chunks;     /* calls of its function (with `each`: runs of calls) that were made */
    uint64_t items_in;   /* items it drew and passed to its function */
    uint64_t items_out;  /* items it made */
    uint64_t ready;      /* made and not taken */
    uint64_t in_flight;  /* belonging to chunks that are scheduled and not finished */
    uint64_t asked;      /* wanted by its readers and consumers, and not yet taken */
    uint64_t chunk_size; /* items of a full chunk now; 0: whatever is asked for */
    uint64_t reserved[5];
} async_task_stats;

ASYNC_EXTERN_BEGIN

/* from: items of item_size bytes that `next` makes, one caller at a time; one such struct serves
 * one task. array: count items of item_size bytes at `items`, which must stay there until the task
 * is gone (its release callback); drawn by all workers at once, and afresh in each task. range: the
 * uint64_t items first, first + 1, … (count of them, wrapping at 2^64); likewise.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none here; what is wrong is INVALID in async_pool_add_task.
 * Since: 0.1 */
ASYNC_API async_source async_source_from(async_next_fn *next, void *context, size_t item_size);
ASYNC_API async_source async_source_array(const void *items, size_t count, size_t item_size);
ASYNC_API async_source async_source_range(uint64_t first, uint64_t count);

/* Gives a task one more input, of the same item size, and retains it: unordered, items come as
 * they come; ordered, one input after the other. The same input again is OK and no change.
 *
 * Threads: any, while the graph runs.
 * Progress: takes a lock.
 * Errors: INVALID (NULL, a task with a source, another item size), CYCLE (the input is the task's
 *   own output or downstream of it), CLOSED (the task is done), NO_MEMORY.
 * Since: 0.1 */
ASYNC_API ASYNC_CHECKED async_status async_task_add_input(async_task *task, async_reader *input);

/* Whether the task has ended: its inputs did, it failed, was cancelled or removed. NULL: true.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API bool async_task_done(const async_task *task);

/* The task's own error, as a copy; its status is ASYNC_OK where there is none.
 *
 * Threads: any.
 * Progress: takes a lock for the length of a copy.
 * Errors: INVALID (NULL).
 * Since: 0.1 */
ASYNC_API async_status async_task_error(const async_task *task, async_error *out);

/* What the task has done so far.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: INVALID (NULL).
 * Since: 0.1 */
ASYNC_API async_status async_task_counts(const async_task *task, async_task_stats *out);

/* Cancels the task: no chunk of it starts any more, running ones finish and their results are
 * dropped, ready items are discarded, its readers get CANCELLED; those that had END or FAILED
 * before keep that. May be repeated.
 *
 * Threads: any, also from inside a task or a callback; not from a signal handler.
 * Progress: takes locks; does not wait for running chunks.
 * Errors: INVALID (NULL).
 * Since: 0.1 */
ASYNC_API async_status async_task_cancel(async_task *task);

/* Inside a task's function: whether nobody wants its results any more (cancelled, its last reader
 * gone, failed elsewhere; what a removed task has begun is kept). Outside: false.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API bool async_stopping(void);

/* Inside a task's, source's or sink's function: keeps a message for the error that `return code`
 * makes, and gives the code back: `return async_fail(7, "line %zu: no comma", n);`. Outside it
 * only gives the code back. Messages are cut to the size of async_error.message.
 *
 * Threads: any.
 * Progress: vsnprintf's.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API int async_fail(int code, const char *format, ...) ASYNC_PRINTF(2, 3);

/* Inside an emit function: appends n items, copied from `items`, to the chunk's outputs.
 *
 * Threads: the one the emitter was given to.
 * Progress: allocates when the output block is full.
 * Errors: INVALID (NULL), NO_MEMORY (none of the n items was taken: return a code of your own).
 * Since: 0.1 */
ASYNC_API async_status async_emit(async_emitter *out, const void *items, size_t n);

ASYNC_EXTERN_END

/* ASYNC_EACH(power, uint64_t, in, uint64_t, out) { *out = *in * *in; return 0; }
 * defines `power` as a static async_batch_fn whose loop inlines the body: written for one item, as
 * fast as a hand-made batch. `context` can be used in the body. */
#define ASYNC_EACH(name, in_type, in, out_type, out)                                               \
    static inline int name##_item(const in_type *in, out_type *out, void *context);                \
    static int name(const void *async_in, void *async_out, size_t async_count, size_t *async_done, \
                    void *context)                                                                 \
    {                                                                                              \
        const in_type *from = (const in_type *)async_in;                                           \
        out_type      *to = (out_type *)async_out;                                                 \
        for (size_t i = 0; i < async_count; i++) {                                                 \
            int code = name##_item(from + i, to + i, context);                                     \
            if (__builtin_expect(code != 0, 0)) {                                                  \
                *async_done = i;                                                                   \
                return code;                                                                       \
            }                                                                                      \
        }                                                                                          \
        return 0;                                                                                  \
    }                                                                                              \
    static inline int name##_item(const in_type *in, out_type *out,                                \
                                  __attribute__((unused)) void *context)

#endif
