/* execute.c: a run's items on their way through the functions of its strand.
 *
 * The run is cut into granules: one chunk, or, where chunks are small, so many as fit into the
 * first-level cache. A granule passes through all stages before the next one is touched; a stage
 * calls its function once for each chunk of the granule. Between stages items lie in a scratch
 * buffer, or stay where they are when the stage works in place; the end writes into the block that
 * becomes the strand's output.
 *
 * What stops a run early (a failure, a cancel, a removal) stops it at a chunk: what was complete
 * goes on to the end, what was not begun goes to the discard callback of its producer.
 *
 * Orders
 *   X10 abort_from (acquire) <- X9 of task.c: a run that ends early for a cancel knows of it.
 * Layer: 3 */
#include "check.h"
#include "context.h"
#include "reader.h"
#include "strand.h"
#include "trace.h"

#include <string.h>

/* One pass of a stage over n items. */
struct pass {
    unsigned char *in, *out; /* the same, where it emits */
    size_t         count;
    size_t         done;   /* inputs completed */
    size_t         made;   /* outputs in `out` (emit: none) */
    bool           failed; /* at input `done`, which counts as read */
    bool           stop;   /* nothing more of this run is to start */
    size_t         chunks;
};

static bool aborted(const struct strand *strand, const struct async_task *task)
{
    /* relaxed: a chunk more or less */
    if (likely(strand->number < load_relaxed(&task->abort_from))) { return false; }
    (void)load_acquire(&task->abort_from); /* X10 <- X9 of task.c */
    return true;
}

static void fail(struct strand *strand, unsigned stage, int code, uint64_t item)
{
    async_error error;
    context_error(&error, strand->stage[stage], code, item);
    task_fail(strand->stage[stage], strand->number, &error, strand->ordered);
}

/* What a run needs of a stage for each granule, and what the stage has done in it: on one line, as
 * the items of a granule may have driven all else out of the cache. */
struct way {
    alignas(CACHE_LINE) struct async_task *task;
    async_batch_fn *batch;   /* the task's */
    unsigned char  *out;     /* where its output goes; NULL: where its input lies. Of the end: in
                                this granule */
    size_t          in_size; /* of an item, in bytes */
    size_t          out_size;
    uint64_t        done; /* inputs */
    uint64_t        chunks, made;
};
_Static_assert(sizeof(struct way) == CACHE_LINE, "one line");

/* Chunks of a stage that are to be given to its function, one call for each. */
struct calls {
    size_t left; /* that were not begun */
    size_t done; /* items of the last one, where its code is not 0 */
};

/* Whole chunks of `count` items until one fails, or the run is to end. Returns the code of the last
 * one. Out of line, so that what the loop needs stays in registers. */
static NEVER_INLINE int call_batches(const struct strand *strand, const struct way *way,
                                     const unsigned char *in, unsigned char *out, size_t count,
                                     struct calls *calls)
{
    const struct async_task *task = way->task;
    async_batch_fn          *batch = way->batch;
    void                    *its = task->out.context;
    size_t                   in_step = count * way->in_size, out_step = count * way->out_size;
    size_t                   left = calls->left;
    int                      code = 0;
    while (left > 0 && !aborted(strand, task)) {
        size_t done = 0;
        code = batch(in, out, count, &done, its);
        left--;
        if (unlikely(code != 0)) {
            calls->done = done;
            break;
        }
        in += in_step;
        out += out_step;
    }
    calls->left = left;
    return code;
}

static NEVER_INLINE int call_each(const struct strand *strand, const struct way *way,
                                  const unsigned char *in, unsigned char *out, size_t count,
                                  struct calls *calls)
{
    int code = 0;
    while (calls->left > 0 && !aborted(strand, way->task)) {
        size_t done = 0;
        code = task_call_each(way->task, in, out, count, &done);
        calls->left--;
        if (unlikely(code != 0)) {
            calls->done = done;
            break;
        }
        in += count * way->in_size;
        out += count * way->out_size;
    }
    return code;
}

static NEVER_INLINE int call_emits(struct strand *strand, const struct way *way,
                                   const unsigned char *in, size_t count, struct calls *calls)
{
    const struct async_task *task = way->task;
    int                      code = 0;
    while (calls->left > 0 && !aborted(strand, task)) {
        size_t done = 0;
        code = task->emit(in, count, &done, &strand->emitter, task->out.context);
        calls->left--;
        if (unlikely(code != 0)) {
            calls->done = done;
            break;
        }
        in += count * way->in_size;
    }
    return code;
}

ALWAYS_INLINE int call_chunks(struct strand *strand, const struct way *way, const unsigned char *in,
                              unsigned char *out, size_t count, struct calls *calls)
{
    return way->batch != NULL        ? call_batches(strand, way, in, out, count, calls)
           : way->task->each != NULL ? call_each(strand, way, in, out, count, calls)
                                     : call_emits(strand, way, in, count, calls);
}

/* How items are cut into chunks. The same for all stages, mostly. */
struct cut {
    size_t count;        /* items */
    size_t chunk, whole; /* whole chunks of so many items */
    size_t rest;         /* items of one more */
};

static struct cut cut_into(size_t count, size_t chunk)
{
    if (chunk >= count) { return (struct cut){count, count, count > 0, 0}; }
    size_t whole = chunk == 1 ? count : count / chunk;
    return (struct cut){count, chunk, whole, count - whole * chunk};
}

/* What became of a pass whose whole chunks were given to the function; the call for the rest. */
static NEVER_INLINE void pass_end(struct strand *strand, const struct way *way, unsigned stage,
                                  const struct cut *cut, int code, struct calls *calls,
                                  struct pass *pass)
{
    size_t failed = cut->chunk;
    pass->chunks = cut->whole - calls->left;
    pass->done = pass->chunks * cut->chunk;
    if (cut->rest > 0 && code == 0 && calls->left == 0) {
        calls->left = 1;
        code = call_chunks(strand, way, pass->in + pass->done * way->in_size,
                           pass->out + pass->done * way->out_size, cut->rest, calls);
        pass->chunks += 1 - calls->left;
        pass->done += (1 - calls->left) * cut->rest;
        failed = cut->rest;
    }
    if (unlikely(code != 0)) {
        pass->done -= failed - min_size(calls->done, failed - 1);
        fail(strand, stage, code, strand->position[stage] + way->done + pass->done);
        pass->failed = true;
    }
    pass->stop = pass->done < pass->count;
    pass->made = pass->done;
}

static void pass_chunks(struct strand *strand, const struct way *way, unsigned stage,
                        struct pass *pass)
{
    struct cut   cut = cut_into(pass->count, strand->chunk);
    struct calls calls = {.left = cut.whole};
    int          code = call_chunks(strand, way, pass->in, pass->out, cut.chunk, &calls);
    pass_end(strand, way, stage, &cut, code, &calls, pass);
}

/* The chunks of a head whose input's reader has callbacks: each sees the callbacks first, and may
 * shrink. */
static void pass_called_back(struct strand *strand, const struct way *way, struct pass *pass,
                             size_t offset)
{
    unsigned           stage = strand->stages - 1;
    struct async_task *task = strand->stage[stage];
    struct pass        whole = *pass;
    while (whole.done < whole.count && !whole.stop) {
        if (aborted(strand, task)) {
            whole.stop = true;
            break;
        }
        size_t count = min_size(strand->chunk, whole.count - whole.done);
        /* The callbacks of the input that the chunk's first item came from. */
        size_t   at = offset + whole.done;
        unsigned o = 0;
        while (o + 1 < strand->origin_count && at >= strand->origins[o].count) {
            at -= strand->origins[o++].count;
        }
        count = min_size(count, strand->origins[o].count - at); /* of one reader alone */
        struct async_reader *reader = &strand->origins[o].channel->reader;
        unsigned char       *items = strand->input.items + (offset + whole.done) * task->input_size;
        bool asks = reader->pre != NULL && !task->hidden; /* for_each has called it, once */
        int  code = asks ? reader->pre(count, reader->pre_context) : 0;
        if (code != 0) {
            fail(strand, stage, code, strand->position[stage] + way->done + whole.done);
            whole.stop = true; /* none of the chunk's items was read */
            break;
        }
        size_t      kept = reader_after(reader, items, count);
        struct pass chunk = {.in = items, .out = whole.out, .count = kept};
        if (task->emit == NULL) { chunk.out += whole.made * task->out.item_size; }
        if (task_passes(task)) {
            memcpy(chunk.out, chunk.in, kept * task->out.item_size);
            chunk.done = chunk.made = kept;
        } else {
            struct way behind = *way;
            behind.done += whole.done;
            pass_chunks(strand, &behind, stage, &chunk);
        }
        whole.chunks += chunk.chunks;
        whole.made += chunk.made;
        whole.stop = chunk.stop;
        whole.failed = chunk.failed;
        size_t failed = chunk.failed ? 1 : 0, read = chunk.done + failed;
        if (chunk.stop && kept < count) {
            /* What the callback left over lies together; in the places behind it there are no items
             * any more. */
            channel_discard(strand->origins[o].channel, items + read * task->input_size,
                            kept - read);
            whole.done += count - failed;
        } else {
            whole.done += chunk.stop ? chunk.done : count;
        }
    }
    *pass = whole;
}

/* What a stage was given by the one before it and did not read goes back there; what the head did
 * not read is the caller's to discard. */
static void discard_rest(struct strand *strand, unsigned stage, unsigned char *items, size_t from,
                         size_t count)
{
    if (from >= count || stage + 1 == strand->stages) { return; }
    struct async_task *producer = strand->stage[stage + 1];
    channel_discard(&producer->out, items + from * producer->out.item_size, count - from);
}

/* Out of line: how fast so short a loop is depends on where it lies. */
__attribute__((noinline)) static void fill_range(unsigned char *to, uint64_t first, size_t count)
{
    uint64_t *items = (uint64_t *)(void *)to;
    for (size_t i = 0; i < count; i++) { items[i] = first + i; }
}

struct route {
    struct way way[FUSE_MAX];
    uint32_t   special; /* a bit for each stage whose chunks are not just given to its function */
    bool       called_back; /* the head's chunks see the callbacks of the input's reader */
};
_Static_assert(FUSE_MAX <= 32, "a bit for each stage");

static void route_plan(struct strand *strand, struct route *route, uint32_t special)
{
    bool     range = strand->input.items == NULL, writable = strand->writable || range;
    unsigned flip = range ? 1 : 0;
    route->called_back = strand->origin_count > 0 && strand->called_back;
    route->special = special | (route->called_back ? 1u << (strand->stages - 1) : 0);
    for (unsigned i = strand->stages; i-- > 0;) {
        struct async_task *task = strand->stage[i];
        struct way        *way = &route->way[i];
        bool               called_back = route->called_back && i + 1 == strand->stages,
             calls = !task_passes(task);
        if (!calls) { route->special |= 1u << i; }
        way->task = task;
        way->batch = task->batch;
        way->in_size = task->input_size;
        /* what an emit function puts out has its own place */
        way->out_size = task->emit == NULL ? task->out.item_size : 0;
        way->out = NULL;
        if (i > 0 && (called_back || (calls && !(task_works_in_place(task) && writable)))) {
            unsigned scratch = flip++ & 1;
            if (strand->scratch[scratch] == NULL) { scratch ^= 1; }
            way->out = strand->scratch[scratch]->data;
            writable = true;
        }
        way->done = way->chunks = way->made = 0;
    }
}

static void pass_on(struct strand *strand, unsigned stage, struct pass *pass)
{
    struct async_task *task = strand->stage[stage];
    if (aborted(strand, task)) {
        pass->stop = true;
        return;
    }
    if (pass->out != pass->in) { memcpy(pass->out, pass->in, pass->count * task->out.item_size); }
    pass->done = pass->made = pass->count;
    pass->chunks = strand->chunk >= pass->count ? 1
                                                : (pass->count + strand->chunk - 1) / strand->chunk;
}

/* The head's chunks where their reader has callbacks, stages without a function, and all of a run
 * that is recorded. */
static NEVER_INLINE void pass_specially(struct strand *strand, const struct route *route,
                                        unsigned stage, struct pass *pass, size_t offset)
{
    const struct way *way = &route->way[stage];
    if (route->called_back && stage + 1 == strand->stages) {
        pass_called_back(strand, way, pass, offset);
    } else if (task_passes(strand->stage[stage])) {
        pass_on(strand, stage, pass);
    } else {
        pass_chunks(strand, way, stage, pass);
    }
    size_t read = pass->done + (pass->failed ? 1 : 0);
    if (strand->traced != 0 && read > 0) {
        trace_chunk(strand, stage, strand->position[stage] + way->done, read, pass->made);
    }
}

/* The stage has stopped in the pass. */
static NEVER_INLINE void stop_pass(struct strand *strand, unsigned stage, struct pass *pass)
{
    struct async_task *task = strand->stage[stage];
    pass->stop = true;
    discard_rest(strand, stage, pass->in, pass->done + (pass->failed ? 1 : 0), pass->count);
    /* relaxed: a moment later does as well */
    if (load_relaxed(&task->dropped) && task->emit == NULL) {
        channel_discard(&task->out, pass->out, pass->made);
        pass->made = 0;
    }
}

/* Passes one granule through all stages. Returns how many of its items the head has read; *stop:
 * the last granule. */
static size_t pass_granule(struct strand *strand, struct route *route, size_t offset, size_t count,
                           bool *stop)
{
    struct way    *end = &route->way[0];
    unsigned char *at;
    bool           emits = end->out_size == 0;
    if (!emits) {
        unsigned char *to = strand->out == NULL ? strand->input.items : strand->out->data;
        end->out = to + strand->produced * end->out_size;
    }
    if (strand->input.items == NULL) {
        at = strand->scratch[0]->data;
        fill_range(at, strand->range_first + offset, count);
    } else {
        at = strand->input.items + offset * route->way[strand->stages - 1].in_size;
    }
    size_t     read = count;
    struct cut cut = cut_into(count, strand->chunk);
    for (unsigned i = strand->stages; i-- > 0;) {
        struct way    *way = &route->way[i];
        unsigned char *out = way->out != NULL ? way->out : at;
        struct calls   calls = {0};
        int            code = 0;
        bool           plain = likely((route->special >> i & 1) == 0);
        context.task = way->task;
        if (plain) {
            if (unlikely(count != cut.count)) { cut = cut_into(count, strand->chunk); }
            calls.left = cut.whole;
            code = call_chunks(strand, way, at, out, cut.chunk, &calls);
            /* relaxed: as below */
            if (likely(code == 0 && calls.left == 0 && cut.rest == 0 &&
                       !load_relaxed(&way->task->dropped))) {
                way->done += count;
                way->chunks += cut.whole;
                way->made += count;
                at = out;
                continue;
            }
        }
        struct pass pass = {.in = at, .out = out, .count = count};
        if (plain) {
            pass_end(strand, way, i, &cut, code, &calls, &pass);
        } else {
            pass_specially(strand, route, i, &pass, offset);
        }
        way->done += pass.done;
        way->chunks += pass.chunks;
        way->made += pass.made;
        /* relaxed: cancelled while its chunk ran: what the chunk made is dropped */
        if (unlikely(pass.stop || load_relaxed(&way->task->dropped))) {
            *stop = true;
            if (i + 1 == strand->stages) { read = pass.done + (pass.failed ? 1 : 0); }
            stop_pass(strand, i, &pass);
        }
        at = out;
        count = pass.made;
        if (count == 0) { break; }
    }
    if (!emits) { strand->produced += count; }
    return read;
}

NEVER_INLINE void strand_execute(struct strand *strand, uint32_t special)
{
    struct async_task *end = strand->stage[0];
    struct async_task *outer_task = context.task;
    uint64_t           outer_run = context.run;
    struct route       route;
    route_plan(strand, &route, special);
    if (end->emit != NULL) {
        strand->emitter.strand = strand;
        strand->emitter.item_size = end->out.item_size;
        emit_into(&strand->emitter, strand->out, 0);
    }
    bool stop = false;
    context.run = strand->number;
    context.nesting++;
    GUARD(guard);
    for (size_t offset = 0; offset < strand->count && !stop;) {
        size_t count = min_size(strand->granule, strand->count - offset);
        size_t read = pass_granule(strand, &route, offset, count, &stop);
        offset += stop ? read : count;
        if (stop) { strand_discard_input(strand, offset); }
    }
    strand->cut = stop;
    guard_disarm(&guard);
    context.nesting--;
    context.task = outer_task;
    context.run = outer_run;

    if (end->emit != NULL) { emit_settle(strand); }
    /* The output: the out block, or the input's. */
    size_t total = strand->produced;
    if (strand->produced > 0) {
        if (strand->out != NULL) {
            strand->pieces.first = (struct run){strand->out, strand->out->data, strand->produced};
            strand->out = NULL;
        } else {
            strand->pieces.first = (struct run){strand->input.block, strand->input.items,
                                                strand->produced};
            strand->input.block = NULL;
        }
    }
    for (struct block *block = strand->pieces.more; block != NULL; block = block->next) {
        total += block->used;
    }
    strand->produced = total;
    if (end->emit != NULL) {
        route.way[0].made = total;
        size_t expected = load_relaxed(&end->emitted); /* relaxed (both): an estimate */
        if (total != expected) {
            store_relaxed(&end->emitted, max_size(total, expected - expected / 8));
        }
    }
    for (unsigned i = 0; i < strand->stages; i++) {
        /* relaxed (both): statistics */
        add_relaxed(&strand->stage[i]->chunks, route.way[i].chunks);
        add_relaxed(&strand->stage[i]->made, route.way[i].made);
    }
}
