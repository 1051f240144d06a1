/* draw.c: how a run gets its items.
 *
 * Array and range sources of unordered strands are drawn by all threads at once: a CAS claims from
 * the backlog, another moves the cursor. All other draws take the head's turn: a source's function
 * has one caller at a time, a run of an ordered strand gets its number together with its items, and
 * a chunk that is short of input keeps what it has in the stash until the rest comes. Who finds the
 * turn taken goes away; whoever has it makes the task runnable again.
 *
 * Order of the accounts (demand.c): items are taken, then claimed from the backlog, then counted
 * off the edge. What was taken and could not be claimed any more (a read left) stays in the stash.
 * Inputs: draw_inputs.c.
 * Layer: 3 */
#include "check.h"
#include "context.h"
#include "pool.h"
#include "strand.h"

#include <string.h>

static size_t backlog_of(const struct async_task *task)
{
    int64_t backlog = load_seq_cst(&task->backlog); /* Q3 */
    return backlog > 0 ? (size_t)backlog : 0;
}

/* Claims up to count items from the backlog. */
size_t draw_claim(struct async_task *task, size_t count)
{
    int64_t backlog = load_seq_cst(&task->backlog); /* Q3 */
    for (;;) {
        if (backlog <= 0) { return 0; }
        size_t part = min_size((size_t)backlog, count);
        /* Q3. LP of the claim */
        if (cas_seq_cst(&task->backlog, &backlog, backlog - (int64_t)part)) { return part; }
    }
}

/* How many of `backlog` items the next run should take: whole chunks that last about 24 to 72 µs,
 * few enough to leave some for the others, and to keep what the run holds at a time within the
 * cache. */
size_t draw_limit(const struct strand *strand, size_t backlog, struct run_options options)
{
    const struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    size_t                   chunk = strand->chunk;
    if (chunk >= backlog) { return backlog; }
    if (options.single) { return chunk; }
    size_t chunks = load_relaxed(&end->run_chunks); /* relaxed: an estimate */
    /* relaxed: a number of chunks is chosen */
    size_t share = load_relaxed(&end->pool->size) + (end->pool->readers_help ? 1 : 0);
    if (share > 1) {
        /* Who wants everything asks for more as it takes: each thread may hold its part of the
         * window. Smaller runs would stay small, as what is asked for is what was taken.
         * relaxed: as above */
        size_t part = load_relaxed(&end->streams) != 0 ? pool_window(end->pool) / share
                                                       : backlog / chunk / (2 * share) + 1;
        chunks = min_size(chunks, max_size(1, part));
    }
    /* else it holds a granule and what it emits */
    if (end->emit == NULL || head->source.kind <= ASYNC_SOURCE_NEXT) {
        size_t bytes = max_size(end->input_size, end->out.item_size);
        chunks = min_size(chunks, max_size(1, STREAM_BYTES / bytes / chunk));
    }
    return chunks > backlog / chunk ? backlog : chunks * chunk;
}

void draw_positions(struct strand *strand, const uint64_t *first)
{
    for (unsigned i = 0; i < strand->stages; i++) {
        /* relaxed: a count */
        uint64_t drawn = add_relaxed(&strand->stage[i]->drawn, strand->count);
        strand->position[i] = first != NULL ? *first : drawn;
    }
}

/* The next items of an array or range source; fewer than count: its end. */
static size_t move_cursor(struct async_task *head, size_t count, uint64_t *first)
{
    /* relaxed: the items are there since before the task was */
    uint64_t at = load_relaxed(&head->cursor);
    for (;;) {
        size_t part = min_size(count, head->source.count - at);
        *first = at;
        /* relaxed: as above. LP */
        if (part == 0 || cas_relaxed(&head->cursor, &at, at + part)) { return part; }
    }
}

static void take_items(struct strand *strand, uint64_t first)
{
    const struct async_source *source = &strand->stage[strand->stages - 1]->source;
    strand->writable = false;
    strand->range_first = source->first + first;
    strand->input.block = NULL;
    strand->input.items = NULL;
    if (source->kind == ASYNC_SOURCE_ARRAY) {
        /* Never written to: `writable` is false. */
        strand->input.items = (unsigned char *)(uintptr_t)source->items + first * source->item_size;
    }
    strand->input.count = strand->count;
}

static enum run_result draw_items(struct strand *strand, size_t want)
{
    struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    strand->planned = draw_claim(end, want);
    if (strand->planned == 0) { return RUN_NOTHING; }
    uint64_t first;
    strand->count = move_cursor(head, strand->planned, &first);
    take_items(strand, first);
    if (strand->count < strand->planned) {
        strand->ended = true;
        strand->end_status = ASYNC_END;
    }
    draw_positions(strand, &first);
    return RUN_DONE;
}

/* Under the turn. */
static enum run_result draw_next(struct strand *strand, size_t want)
{
    struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    if (head->end_seen != ASYNC_OK) { return RUN_NOTHING; } /* the last run is on its way */
    size_t size = head->source.item_size, bytes;
    if (__builtin_mul_overflow(want, size, &bytes)) { return RUN_STARVED; }
    struct block *block = block_new(head->out.store, bytes);
    if (block == NULL) { return RUN_STARVED; }
    strand->planned = draw_claim(end, want);
    if (strand->planned == 0) {
        block_release(block, 1);
        return RUN_NOTHING;
    }
    size_t         got = 0;
    struct context before = {.task = context.task, .run = context.run};
    context.task = head;
    context.run = 0;
    context.has_message = false;
    int code;
    {
        GUARD(guard);
        strand->drawing = true;
        if (unlikely(strand->traced != 0)) {
            code = trace_next(strand, block->data, strand->planned, &got);
        } else {
            code = head->source.next(block->data, strand->planned, &got, head->source.context);
        }
        strand->drawing = false;
        guard_disarm(&guard);
    }
    bool too_many = got > strand->planned;
    if (too_many) { got = strand->planned; }
    strand->count = got;
    strand->input = (struct run){block, block->data, got};
    strand->writable = true;
    if (code != 0 || too_many) {
        uint64_t item = load_relaxed(&head->drawn) + got; /* relaxed: changed under the turn only */
        if (too_many) {
            context.has_message = false;
            async_fail(code, "the source gave more items than it was asked for");
        }
        context_error(&strand->end_error, head, code, item);
        strand->ended = true;
        strand->end_status = ASYNC_FAILED;
    } else if (got < strand->planned) {
        strand->ended = true;
        strand->end_status = ASYNC_END;
    }
    head->end_seen = strand->end_status;
    context.task = before.task;
    context.run = before.run;
    draw_positions(strand, NULL);
    return RUN_DONE;
}

/* A strand comes apart where somebody reads from its middle, and then two ends draw by the same
 * head, while runs of the whole strand are still under way. Who finds the turn taken relies on its
 * holder, which looks again for its own end; who finds the head's edge armed relies on being told,
 * as the end that it was armed for is. So a run of the whole strand announces the tasks that may be
 * ends now, where somebody came by while it had the turn; and where it drew nothing, its own end,
 * whose next run will have another head. It sees that the strand has come apart: the other end took
 * the turn, or left its mark, after that. */
static bool come_apart(const struct strand *strand)
{
    for (unsigned i = 1; i < strand->stages; i++) {
        if (load_seq_cst(&strand->stage[i]->exposed)) { return true; } /* G6 of graph.c */
    }
    return false;
}

static void announce_middle(struct strand *strand)
{
    for (unsigned i = 1; i < strand->stages; i++) {
        struct async_task *task = strand->stage[i];
        /* G6, Q3 of demand.c */
        if (load_seq_cst(&task->exposed) && load_seq_cst(&task->backlog) > 0) {
            task_runnable(task);
        }
    }
}

NEVER_INLINE enum run_result strand_draw(struct strand *strand, struct run_options options)
{
    struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    size_t             backlog = backlog_of(end);
    if (backlog == 0) { return RUN_NOTHING; }
    size_t want = min_size(backlog, strand->limit);
    if (head->source.kind > ASYNC_SOURCE_NEXT && !strand->ordered) {
        return draw_items(strand, want);
    }

    if (!turn_take(&head->turn)) {
        store_relaxed(&end->waited_for, ASYNC_TRACE_TURN); /* relaxed: a statistic */
        if (unlikely(come_apart(strand))) { task_runnable(end); }
        return RUN_BUSY;
    }
    enum run_result result = RUN_NOTHING;
    backlog = backlog_of(end);
    want = min_size(backlog, strand->limit);
    if (want > 0 && strand->ordered && !order_has_room(end)) {
        store_relaxed(&end->waited_for, ASYNC_TRACE_WINDOW); /* relaxed: a statistic */
        result = RUN_BUSY;
    } else if (want > 0) {
        if (head->source.kind == ASYNC_SOURCE_NEXT) {
            result = draw_next(strand, want);
        } else if (head->source.kind == ASYNC_SOURCE_NONE) {
            result = draw_inputs(strand, want, backlog, options);
        } else {
            result = draw_items(strand, want);
        }
        if (result == RUN_DONE && strand->ordered) {
            strand->number = add_relaxed(&end->sequence, 1); /* relaxed: under the turn */
            strand->numbered = true;
        }
    }
    bool again = turn_give(&head->turn);
    if (again) { announce_middle(strand); }
    if (result != RUN_DONE && (again || come_apart(strand))) { task_runnable(end); }
    return result;
}
