/* run.c: one run of chunks, from the claim to the publication.
 *
 * A run enters every task of its strand before it draws, and leaves them when its output is out: a
 * task is finalized when it has stopped and nobody is inside any more.
 *
 * Orders
 *   L1 active, entered or looked at (seq_cst) <-> L2 active, left (seq_cst): where max_parallel is
 *      set, a run that is let in sees what the one that made room for it did.
 *   L3 refused (seq_cst) <-> L1 active (seq_cst): who is refused marks it and looks whether there
 *      is room now, who leaves makes room and looks for the mark: one of the two sees the other.
 * Layer: 3 */
#include "context.h"
#include "os.h"
#include "pool.h"
#include "strand.h"

#define RUN_NS_LOW     24000 /* a run that lasts less takes twice as many chunks next time */
#define RUN_NS_HIGH    72000
#define RUN_ALONE      4 /* times as long where there is nobody to share with */
#define RUN_CHUNKS_MAX (1u << 20)
#define MEASURE_EVERY  8 /* runs, once the size has settled */

/* ---- outputs ---- */

static void put(struct async_task *task, struct run *run)
{
    enum queue_result result = channel_put(&task->out, run);
    /* What was made is not lost: memory must come back. Only where others took the segment that was
     * prepared. */
    for (; unlikely(result == QUEUE_NO_MEMORY); result = channel_put(&task->out, run)) {
        pool_starve(task->pool);
        os_sleep_ns(1000000);
    }
    if (likely(result == QUEUE_OK)) { return; }
    channel_discard(&task->out, run->items, run->count);
    block_release(run->block, 1);
}

void pieces_publish(struct async_task *task, struct pieces *pieces)
{
    if (pieces->first.block != NULL) { put(task, &pieces->first); }
    for (struct block *block = pieces->more, *next; block != NULL; block = next) {
        next = block->next;
        struct run run = {block, block->data, block->used};
        if (block->used > 0) {
            put(task, &run);
        } else {
            block_release(block, 1);
        }
    }
    *pieces = (struct pieces){0};
}

void pieces_discard(struct async_task *task, struct pieces *pieces)
{
    if (pieces->first.block != NULL) {
        channel_discard(&task->out, pieces->first.items, pieces->first.count);
        block_release(pieces->first.block, 1);
    }
    for (struct block *block = pieces->more, *next; block != NULL; block = next) {
        next = block->next;
        if (block->used > 0) { channel_discard(&task->out, block->data, block->used); }
        block_release(block, 1);
    }
    *pieces = (struct pieces){0};
}

/* ---- a run ---- */

/* Enters the task and all that it is fused with. False: it has stopped. */
static bool enter_strand(struct strand *strand, struct async_task *end)
{
    if (!task_enter(end)) { return false; }
    strand->stage[0] = end;
    strand->stages = 1;
    strand->ordered = end->ordered;
    struct async_task *at = end, *producer;
    while (strand->stages < FUSE_MAX && (producer = task_fused_with(at)) != NULL) {
        if (!task_enter(producer)) {
            /* It has stopped, and its output will tell: from now on `at` draws from there. */
            store_seq_cst(&producer->exposed, true); /* G6: once and for all */
            break;
        }
        at = producer;
        strand->stage[strand->stages++] = at;
        strand->ordered = strand->ordered || at->ordered;
    }
    return true;
}

static void leave_strand(struct strand *strand)
{
    /* The head last: a stage that is finalized lets go of the one above it. */
    for (unsigned i = 0; i < strand->stages; i++) { task_leave(strand->stage[i]); }
}

/* The head got fewer items than it asked for, so every stage did. */
static void stop_strand(struct strand *strand)
{
    struct async_task *head = strand->stage[strand->stages - 1];
    if (strand->end_status == ASYNC_FAILED && head->source.kind == ASYNC_SOURCE_NEXT) {
        task_fail(head, strand->number, &strand->end_error, true);
    }
    for (unsigned i = strand->stages; i-- > 0;) {
        struct async_task *task = strand->stage[i];
        if (strand->end_status != ASYNC_END && i + 1 < strand->stages) {
            task_inherit_error(task, &strand->stage[i + 1]->out);
        }
        task_stop(task, strand->end_status);
    }
}

/* A stage that has failed, was cancelled or removed ends all behind it. */
static void stop_behind(struct strand *strand)
{
    for (unsigned i = strand->stages; i-- > 1;) {
        async_status       why = (async_status)load_acquire(&strand->stage[i]->stop); /* X2 <- X1 */
        struct async_task *behind = strand->stage[i - 1];
        if (why == ASYNC_OK || why == ASYNC_END) { continue; }
        /* One that ends already, as another run met the end, has this run's failure behind it all
         * the same. */
        async_status known = (async_status)load_acquire(&behind->stop); /* X2 <- X1 */
        if (known != ASYNC_OK && known != ASYNC_END) { continue; }
        task_inherit_error(behind, &strand->stage[i]->out);
        task_stop(behind, why);
    }
}

/* The task's own count of runs: with one for each thread a task that takes turns with another one
 * might never be timed. */
static bool to_be_timed(struct async_task *end)
{
    uint32_t runs = load_relaxed(&end->runs) + 1; /* relaxed (all): one more or less */
    store_relaxed(&end->runs, runs);
    return load_relaxed(&end->run_chunks) < 16 || runs % MEASURE_EVERY == 0;
}

static void adapt(struct async_task *end, const struct strand *strand, uint64_t ns)
{
    if (strand->chunk == SIZE_MAX || strand->count == 0) { return; }
    uint32_t chunks = load_relaxed(&end->run_chunks); /* relaxed: an estimate */
    /* relaxed: an estimate */
    bool alone = load_relaxed(&end->pool->size) <= 1 && !end->pool->readers_help;
    if (alone) { ns /= RUN_ALONE; }
    size_t done = (strand->count + strand->chunk - 1) / strand->chunk;
    if (ns > RUN_NS_HIGH) {
        uint64_t fits = done * ((RUN_NS_LOW + RUN_NS_HIGH) / 2) / ns;
        store_relaxed(&end->run_chunks, (uint32_t)max_size(1, fits)); /* relaxed: an estimate */
    } else if (ns < RUN_NS_LOW && done >= chunks && chunks < RUN_CHUNKS_MAX) {
        store_relaxed(&end->run_chunks, chunks * 2); /* relaxed: an estimate */
    }
}

static void account(struct strand *strand)
{
    struct async_task *end = strand->stage[0];
    if (strand->produced != strand->planned) {
        add_seq_cst(&end->missing, (int64_t)strand->planned - (int64_t)strand->produced); /* Q1 */
        if (strand->produced < strand->planned) {
            demand_schedule(end);
        } else {
            demand_trim(end);
        }
    }
}

/* Whether the one input has nothing, so that a draw would be in vain. Who looks before it arms, and
 * runs what is upstream first, mostly finds that. */
static bool starves(const struct strand *strand)
{
    const struct async_task *head = strand->stage[strand->stages - 1];
    const struct edge       *edge = load_acquire(&head->inputs);             /* G2 <- G1 */
    if (edge == NULL || load_acquire(&edge->next) != NULL) { return false; } /* G2 <- G1 */
    /* relaxed: a look */
    return load_relaxed(&head->stashed) == 0 && channel_available(edge->input) == 0 &&
           channel_status(edge->input) == ASYNC_OK;
}

enum run_result task_run(struct async_task *end, struct run_options options)
{
    CLAIM_EXCEPTIONS();
    int64_t backlog = load_seq_cst(&end->backlog); /* Q3 */
    if (backlog <= 0) {
        /* A5 <-> A5 of draw_inputs.c */
        if (unlikely(load_seq_cst(&end->waits))) { draw_forget(end); }
        return RUN_NOTHING;
    }
    struct strand strand;
    strand.number = strand.produced = strand.count = strand.planned = 0;
    strand.stages = 0;
    strand.ended = strand.numbered = strand.cut = strand.drawing = false;
    strand.traced = load_relaxed(&end->pool->tracing); /* relaxed: a run more or less */
    strand.end_status = ASYNC_OK;
    strand.origin_count = 0;
    strand.input = (struct run){0};
    strand.out = strand.scratch[0] = strand.scratch[1] = NULL;
    strand.pieces = (struct pieces){0};
    if (!enter_strand(&strand, end)) { return RUN_NOTHING; }
    enum run_result result = RUN_NOTHING;
    bool            limited = end->max_parallel != 0;
    if (limited && add_seq_cst(&end->active, 1) >= end->max_parallel) { /* L1 <-> L2 */
        sub_seq_cst(&end->active, 1);                                   /* L2 */
        /* Whoever is inside sees the mark when it leaves; if it has left already, we see that. */
        store_seq_cst(&end->refused, 1);                   /* L3 <-> L1 */
        store_relaxed(&end->waited_for, ASYNC_TRACE_TURN); /* relaxed: a statistic */
        if (load_seq_cst(&end->active) < end->max_parallel) { task_runnable(end); } /* L1 */
        leave_strand(&strand);
        return RUN_BUSY;
    }
    struct inside inside = {.outer = context.inside, .strand = &strand, .function = context.task};
    context.inside = &inside;
    strand.chunk = task_chunk(end);
    strand.limit = draw_limit(&strand, (size_t)backlog, options);
    if (!options.arm && starves(&strand)) {
        result = RUN_INPUT;
    } else if (!strand_prepare(&strand)) {
        result = RUN_STARVED;
    } else {
        result = strand_draw(&strand, options);
    }
    if (result == RUN_DONE) {
        /* Q3: for the others */
        if (load_seq_cst(&end->backlog) > 0 && !limited) { task_runnable(end); }
        /* a start since then does not want it. relaxed: a run more or less */
        if (unlikely(strand.traced != 0) && strand.traced != load_relaxed(&end->pool->tracing)) {
            strand.traced = 0;
        }
        bool     measure = to_be_timed(end);
        uint64_t start = measure ? os_now_ns() : 0;
        if (strand.count > 0) {
            if (unlikely(strand.traced != 0)) {
                trace_execute(&strand);
            } else {
                strand_execute(&strand, 0);
            }
        }
        if (measure) { adapt(end, &strand, os_now_ns() - start); }
        stop_behind(&strand); /* first: what failed in the run that met the end is behind no END */
        if (strand.ended) { stop_strand(&strand); }
        /* before the items can be taken: a read that finds them gone asks for no more than is
         * missing */
        account(&strand);
        if (strand.ordered && end->order != NULL && strand.numbered) {
            strand.pieces.cut = strand.cut;
            order_put(end, strand.number, &strand.pieces);
        } else if (load_relaxed(&end->dropped)) { /* relaxed: a moment later does as well */
            pieces_discard(end, &strand.pieces);
        } else {
            pieces_publish(end, &strand.pieces);
        }
    } else if (result == RUN_INPUT) {
        store_relaxed(&end->waited_for, ASYNC_TRACE_INPUT); /* relaxed: a statistic */
    }
    strand_free(&strand);
    if (limited) {
        sub_seq_cst(&end->active, 1); /* L2 <-> L1 */
        /* L3 */
        bool refused = load_seq_cst(&end->refused) != 0 && exchange_seq_cst(&end->refused, 0) != 0;
        /* Q3 */
        if (refused || (result == RUN_DONE && load_seq_cst(&end->backlog) > 0)) {
            task_runnable(end);
        }
    }
    struct async_pool *pool = end->pool;
    bool closing = unlikely(load_seq_cst(&pool->closing) != 0); /* P1 <-> pool.c, destroy */
    if (closing) { pool_retain(pool); }
    context.inside = inside.outer;
    leave_strand(&strand);
    if (closing) {
        event_notify(&pool->progress, UINT32_MAX);
        pool_release(pool);
    }
    return result;
}
