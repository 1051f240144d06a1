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
#include "strand.h"
#include "trace.h"

#include <string.h>

#define GRANULE_BYTES 16384

/* ---- buffers ---- */

static bool passes(const struct async_task *task)
{
    return task->each == NULL && task->batch == NULL && task->emit == NULL;
}

static bool works_in_place(const struct async_task *task)
{
    return passes(task) ||
           (task->in_place && task->emit == NULL && task->input_size == task->out.item_size);
}

static bool has_callbacks(const struct async_task *head)
{
    /* relaxed: as the callbacks, set before the run */
    if (likely(!load_relaxed(&readers_call_back))) { return false; }
    const struct edge *edge = load_acquire(&head->inputs);   /* G2 <- G1 */
    for (; edge != NULL; edge = load_acquire(&edge->next)) { /* G2 <- G1 */
        if (edge->input->reader.pre != NULL || edge->input->reader.post != NULL) { return true; }
    }
    return false;
}

/* Whether the output is the input's memory, worked on in place. */
static bool inherits(const struct strand *strand)
{
    const struct async_task *head = strand->stage[strand->stages - 1];
    if (head->source.kind > ASYNC_SOURCE_NEXT || strand->called_back) { return false; }
    for (unsigned i = 0; i < strand->stages; i++) {
        if (!works_in_place(strand->stage[i])) { return false; }
    }
    return true;
}

bool strand_prepare(struct strand *strand)
{
    const struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    struct store            *store = end->out.store;
    size_t                   largest = head->input_size, bytes;
    strand->called_back = has_callbacks(head);
    if (!queue_prepare(&strand->stage[0]->out.queue)) { return false; }
    /* One for a range's items, for a first copy of what must not be written to, for each stage that
     * needs another place. */
    size_t scratches = head->source.kind > ASYNC_SOURCE_NEXT || strand->called_back ? 1 : 0;
    for (unsigned i = strand->stages; i-- > 0;) {
        largest = max_size(largest, strand->stage[i]->out.item_size);
        if (i > 0 && !works_in_place(strand->stage[i])) { scratches++; }
    }
    if (strand->stages == 1) { scratches = head->source.kind == ASYNC_SOURCE_RANGE; }
    strand->granule = strand->limit;
    if (strand->chunk < strand->limit) {
        strand->granule = max_size(1, GRANULE_BYTES / largest / strand->chunk) * strand->chunk;
        strand->granule = min_size(strand->granule, strand->limit);
    }
    if (__builtin_mul_overflow(strand->granule, largest, &bytes)) { return false; }
    for (unsigned i = 0; i < min_size(scratches, 2); i++) {
        if ((strand->scratch[i] = block_new(store, bytes)) == NULL) { return false; }
    }
    if (inherits(strand)) { return true; }
    size_t items = strand->limit;
    if (end->emit != NULL) {
        size_t expected = load_relaxed(&end->emitted); /* relaxed: an estimate */
        if (expected != 0) { items = expected + expected / 8 + 8; }
        items = min_size(items, max_size(1, STREAM_BYTES / end->out.item_size));
    }
    if (__builtin_mul_overflow(items, end->out.item_size, &bytes)) { return false; }
    return (strand->out = block_new(store, bytes)) != NULL;
}

void strand_free(struct strand *strand)
{
    for (unsigned i = 0; i < 2; i++) {
        if (strand->scratch[i] != NULL) { block_release(strand->scratch[i], 1); }
    }
    if (strand->out != NULL) { block_release(strand->out, 1); }
    if (strand->input.block != NULL) { block_release(strand->input.block, 1); }
}

void strand_discard_input(struct strand *strand, size_t from)
{
    struct async_task *head = strand->stage[strand->stages - 1];
    size_t             size = head->input_size, at = 0;
    /* What a source's function gave, where nothing else was to become of it, is an output of the
     * task. */
    if (head->source.kind == ASYNC_SOURCE_NEXT && passes(head) && from < strand->count) {
        channel_discard(&head->out, strand->input.items + from * size, strand->count - from);
    }
    for (unsigned i = 0; i < strand->origin_count; i++) {
        size_t end = at + strand->origins[i].count;
        if (from < end) {
            size_t first = max_size(from, at);
            channel_discard(strand->origins[i].channel, strand->input.items + first * size,
                            end - first);
        }
        at = end;
    }
}

/* ---- stages ---- */

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

/* Calls of a stage's function, one for each chunk. */
struct calls {
    const unsigned char *in;
    size_t               in_step; /* bytes of a chunk */
    unsigned char       *out;
    size_t               out_step;
    size_t               left; /* chunks that were not begun */
    size_t               done; /* items of the last one, where its code is not 0 */
};

/* Whole chunks of `count` items until one fails, or the run is to end. Returns the code of the last
 * one. Out of line, so that what the loop needs stays in registers. */
static NEVER_INLINE int call_batches(const struct strand *strand, const struct async_task *task,
                                     struct calls *calls, size_t count)
{
    async_batch_fn      *batch = task->batch;
    void                *its = task->out.context;
    const unsigned char *in = calls->in;
    unsigned char       *out = calls->out;
    size_t               left = calls->left;
    int                  code = 0;
    while (left > 0 && !aborted(strand, task)) {
        size_t done = 0;
        code = batch(in, out, count, &done, its);
        left--;
        if (unlikely(code != 0)) {
            calls->done = done;
            break;
        }
        in += calls->in_step;
        out += calls->out_step;
    }
    calls->in = in;
    calls->out = out;
    calls->left = left;
    return code;
}

static NEVER_INLINE int call_each(const struct strand *strand, const struct async_task *task,
                                  struct calls *calls, size_t count)
{
    int code = 0;
    while (calls->left > 0 && !aborted(strand, task)) {
        size_t done = 0;
        code = task_call_each(task, calls->in, calls->out, count, &done);
        calls->left--;
        if (unlikely(code != 0)) {
            calls->done = done;
            break;
        }
        calls->in += calls->in_step;
        calls->out += calls->out_step;
    }
    return code;
}

static NEVER_INLINE int call_emits(struct strand *strand, const struct async_task *task,
                                   struct calls *calls, size_t count)
{
    int code = 0;
    while (calls->left > 0 && !aborted(strand, task)) {
        size_t done = 0;
        code = task->emit(calls->in, count, &done, &strand->emitter, task->out.context);
        calls->left--;
        if (unlikely(code != 0)) {
            calls->done = done;
            break;
        }
        calls->in += calls->in_step;
    }
    return code;
}

ALWAYS_INLINE int call_chunks(struct strand *strand, const struct async_task *task,
                              struct calls *calls, size_t count)
{
    calls->in_step = count * task->input_size;
    calls->out_step = count * task->out.item_size;
    return task->batch != NULL  ? call_batches(strand, task, calls, count)
           : task->each != NULL ? call_each(strand, task, calls, count)
                                : call_emits(strand, task, calls, count);
}

ALWAYS_INLINE void pass_chunks(struct strand *strand, unsigned stage, struct pass *pass)
{
    struct async_task *task = strand->stage[stage];
    size_t             chunk = min_size(strand->chunk, pass->count), whole = chunk > 0, rest = 0;
    if (chunk < pass->count) {
        whole = chunk == 1 ? pass->count : pass->count / chunk;
        rest = pass->count - whole * chunk;
    }
    struct calls calls = {.in = pass->in, .out = pass->out, .left = whole};
    int          code = call_chunks(strand, task, &calls, chunk);
    pass->chunks = whole - calls.left;
    pass->done = pass->chunks * chunk;
    size_t failed = chunk;
    if (rest > 0 && code == 0 && calls.left == 0) {
        calls.left = 1;
        code = call_chunks(strand, task, &calls, rest);
        pass->chunks += 1 - calls.left;
        pass->done += (1 - calls.left) * rest;
        failed = rest;
    }
    if (unlikely(code != 0)) {
        pass->done -= failed - min_size(calls.done, failed - 1);
        fail(strand, stage, code, strand->position[stage] + pass->done);
        pass->failed = true;
    }
    pass->stop = pass->done < pass->count;
    pass->made = pass->done;
}

/* The chunks of a head whose input's reader has callbacks: each sees the callbacks first, and may
 * shrink. */
static void pass_called_back(struct strand *strand, struct pass *pass, size_t offset)
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
        struct async_reader *reader = &strand->origins[o].channel->reader;
        unsigned char       *items = strand->input.items + (offset + whole.done) * task->input_size;
        int code = reader->pre == NULL ? 0 : reader->pre(count, reader->pre_context);
        if (code != 0) {
            fail(strand, stage, code, strand->position[stage] + whole.done);
            whole.stop = true; /* none of the chunk's items was read */
            break;
        }
        size_t kept = count;
        if (reader->post != NULL) {
            reader->post(items, &kept, reader->post_context);
            kept = min_size(kept, count);
        }
        struct pass chunk = {.in = items, .out = whole.out, .count = kept};
        if (task->emit == NULL) { chunk.out += whole.made * task->out.item_size; }
        if (passes(task)) {
            memcpy(chunk.out, chunk.in, kept * task->out.item_size);
            chunk.done = chunk.made = kept;
        } else {
            strand->position[stage] += whole.done;
            pass_chunks(strand, stage, &chunk);
            strand->position[stage] -= whole.done;
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

/* What is the same for all granules of a run. */
struct route {
    /* where a stage puts its output; NULL: where its input lies. Of the end: in this granule */
    unsigned char *out[FUSE_MAX];
    uint32_t special;     /* a bit for each stage whose chunks are not just given to its function */
    bool     called_back; /* the head's chunks see the callbacks of the input's reader */
    uint64_t chunks[FUSE_MAX], made[FUSE_MAX];
};
_Static_assert(FUSE_MAX <= 32, "a bit for each stage");

static void route_plan(struct strand *strand, struct route *route, uint32_t special)
{
    bool     range = strand->input.items == NULL, writable = strand->writable || range;
    unsigned flip = range ? 1 : 0;
    route->called_back = strand->origin_count > 0 && strand->called_back;
    route->special = special | (route->called_back ? 1u << (strand->stages - 1) : 0);
    for (unsigned i = strand->stages; i-- > 0;) {
        const struct async_task *task = strand->stage[i];
        bool called_back = route->called_back && i + 1 == strand->stages, calls = !passes(task);
        if (!calls) { route->special |= 1u << i; }
        route->out[i] = NULL;
        if (i > 0 && (called_back || (calls && !(works_in_place(task) && writable)))) {
            unsigned scratch = flip++ & 1;
            if (strand->scratch[scratch] == NULL) { scratch ^= 1; }
            route->out[i] = strand->scratch[scratch]->data;
            writable = true;
        }
        route->chunks[i] = route->made[i] = 0;
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
    if (route->called_back && stage + 1 == strand->stages) {
        pass_called_back(strand, pass, offset);
    } else if (passes(strand->stage[stage])) {
        pass_on(strand, stage, pass);
    } else {
        pass_chunks(strand, stage, pass);
    }
    size_t read = pass->done + (pass->failed ? 1 : 0);
    if (strand->traced != 0 && read > 0) {
        trace_chunk(strand, stage, strand->position[stage], read, pass->made);
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
    struct async_task *head = strand->stage[strand->stages - 1], *end = strand->stage[0];
    unsigned char     *at;
    if (end->emit == NULL) {
        unsigned char *to = strand->out == NULL ? strand->input.items : strand->out->data;
        route->out[0] = to + strand->produced * end->out.item_size;
    }
    if (strand->input.items == NULL) {
        at = strand->scratch[0]->data;
        fill_range(at, strand->range_first + offset, count);
    } else {
        at = strand->input.items + offset * head->input_size;
    }
    size_t read = count;
    for (unsigned i = strand->stages; i-- > 0;) {
        struct async_task *task = strand->stage[i];
        unsigned char     *out = route->out[i] != NULL ? route->out[i] : at;
        struct pass        pass = {.in = at, .out = out, .count = count};
        context.task = task;
        if (likely((route->special >> i & 1) == 0)) {
            pass_chunks(strand, i, &pass);
        } else {
            pass_specially(strand, route, i, &pass, offset);
        }
        strand->position[i] += pass.done;
        route->chunks[i] += pass.chunks;
        route->made[i] += pass.made;
        /* relaxed: cancelled while its chunk ran: what the chunk made is dropped */
        if (unlikely(pass.stop || load_relaxed(&task->dropped))) {
            *stop = true;
            if (i + 1 == strand->stages) { read = pass.done + (pass.failed ? 1 : 0); }
            stop_pass(strand, i, &pass);
        }
        at = out;
        count = pass.made;
        if (count == 0) { break; }
    }
    if (end->emit == NULL) { strand->produced += count; }
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
        route.made[0] = total;
        size_t expected = load_relaxed(&end->emitted); /* relaxed (both): an estimate */
        if (total != expected) {
            store_relaxed(&end->emitted, max_size(total, expected - expected / 8));
        }
    }
    for (unsigned i = 0; i < strand->stages; i++) {
        add_relaxed(&strand->stage[i]->chunks, route.chunks[i]); /* relaxed: a statistic */
        add_relaxed(&strand->stage[i]->made, route.made[i]);     /* relaxed: a statistic */
    }
}
