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
 *
 * Orders
 *   A1 look, armed (acquire) <- A2 of graph.c: the waiter's fields are free to be set.
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
static size_t claim(struct async_task *task, size_t count)
{
    int64_t backlog = load_seq_cst(&task->backlog); /* Q3 */
    for (;;) {
        if (backlog <= 0) { return 0; }
        size_t part = min_size((size_t)backlog, count);
        if (cas_seq_cst(&task->backlog, &backlog, backlog - (int64_t)part)) { return part; } /* Q3. LP of the claim */
    }
}

/* How many of `backlog` items the next run should take: whole chunks that last about 10 to 20 µs,
 * few enough to leave some for the others, and to keep what the run holds at a time within the cache. */
size_t draw_limit(const struct strand *strand, size_t backlog, struct run_options options)
{
    const struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    size_t chunk = strand->chunk;
    if (chunk >= backlog) { return backlog; }
    if (options.single) { return chunk; }
    size_t chunks = load_relaxed(&end->run_chunks); /* relaxed: an estimate */
    size_t workers = load_relaxed(&end->pool->size); /* relaxed: a number of chunks is chosen */
    if (workers > 1) { chunks = min_size(chunks, backlog / chunk / (2 * workers) + 1); }
    if (end->emit == NULL || head->source.kind <= ASYNC_SOURCE_NEXT) { /* else it holds a granule and what it emits */
        size_t bytes = max_size(end->input_size, end->out.item_size);
        chunks = min_size(chunks, max_size(1, STREAM_BYTES / bytes / chunk));
    }
    return chunks > backlog / chunk ? backlog : chunks * chunk;
}

static void set_positions(struct strand *strand, const uint64_t *first)
{
    for (unsigned i = 0; i < strand->stages; i++) {
        uint64_t drawn = add_relaxed(&strand->stage[i]->drawn, strand->count); /* relaxed: a count */
        strand->position[i] = first != NULL ? *first : drawn;
    }
}

/* The next items of an array or range source; fewer than count: its end. */
static size_t move_cursor(struct async_task *head, size_t count, uint64_t *first)
{
    uint64_t at = load_relaxed(&head->cursor); /* relaxed: the items are there since before the task was */
    for (;;) {
        size_t part = min_size(count, head->source.count - at);
        *first = at;
        if (part == 0 || cas_relaxed(&head->cursor, &at, at + part)) { return part; } /* relaxed: as above. LP */
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
    strand->planned = claim(end, want);
    if (strand->planned == 0) { return RUN_NOTHING; }
    uint64_t first;
    strand->count = move_cursor(head, strand->planned, &first);
    take_items(strand, first);
    if (strand->count < strand->planned) {
        strand->ended = true;
        strand->end_status = ASYNC_END;
    }
    set_positions(strand, &first);
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
    strand->planned = claim(end, want);
    if (strand->planned == 0) {
        block_release(block, 1);
        return RUN_NOTHING;
    }
    size_t got = 0;
    struct context before = {.task = context.task, .run = context.run};
    context.task = head;
    context.run = 0;
    context.has_message = false;
    int code;
    {
        GUARD(guard);
        strand->drawing = true;
        code = head->source.next(block->data, strand->planned, &got, head->source.context);
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
    set_positions(strand, NULL);
    return RUN_DONE;
}

/* What could be drawn from the head's inputs now. */
size_t draw_available(const struct async_task *head)
{
    size_t available = load_relaxed(&head->stashed); /* relaxed: a snapshot */
    for (const struct edge *e = load_acquire(&head->inputs); e != NULL; e = load_acquire(&e->next)) { /* G2 <- G1 */
        available += channel_available(e->input);
    }
    return available;
}

static void set_stash(struct async_task *head, size_t count)
{
    head->stash.count = count;
    store_relaxed(&head->stashed, count); /* relaxed: a snapshot for others */
    if (count == 0) {
        head->stash = (struct run){0};
        head->stash_room = 0;
        head->origin_count = 0;
    }
}

static void add_origin(struct async_task *head, struct channel *channel, size_t count)
{
    if (head->origin_count > 0 && head->origins[head->origin_count - 1].channel == channel) {
        head->origins[head->origin_count - 1].count += count;
    } else {
        head->origins[head->origin_count++] = (struct origin){channel, count};
    }
}

/* Makes the stash a block of its own with room for `total` items. */
static bool make_room(struct async_task *head, size_t total)
{
    if (head->stash.count + head->stash_room >= total) { return true; }
    size_t bytes;
    if (__builtin_mul_overflow(total, head->input_size, &bytes)) { return false; }
    struct block *block = block_new(head->out.store, bytes);
    if (block == NULL) { return false; }
    if (head->stash.count > 0) {
        memcpy(block->data, head->stash.items, head->stash.count * head->input_size);
        block_release(head->stash.block, 1);
    }
    head->stash.block = block;
    head->stash.items = block->data;
    head->stash_room = total - head->stash.count;
    return true;
}

/* What was taken when there was no memory goes into the stash, which is empty then. False: there is still none. */
static bool empty_pocket(struct async_task *head, size_t total)
{
    size_t count = head->pocketed;
    if (likely(count == 0)) { return true; }
    if (!make_room(head, max_size(total, count)) && !make_room(head, count)) { return false; }
    memcpy(head->stash.items, head->pocket, count * head->input_size);
    head->pocketed = 0;
    head->stash_room -= count;
    add_origin(head, head->pocket_of, count);
    set_stash(head, count);
    return true;
}

/* Moves items of one input into the stash, up to `total` there; a run that fits is taken as it is. False: no memory. */
static bool gather(struct async_task *head, struct edge *edge, size_t need, size_t total, size_t unit)
{
    alignas(16) unsigned char bounce[QUEUE_INLINE];
    struct channel *input = edge->input;
    if (head->stash.count == 0) {
        struct run run;
        bool end = false;
        size_t got = channel_take(input, total, unit, &run, bounce, &end);
        if (got == 0) {
            if (end) { store_relaxed(&edge->ended, true); } /* relaxed: under the turn */
            return true;
        }
        add_origin(head, input, got);
        if (run.block != NULL) {
            head->stash = run;
            head->stash_room = 0;
            set_stash(head, got);
        } else {
            /* Items that came singly: they are put together. The room is made for what is wanted;
             * without memory they wait for the next look. */
            if (!make_room(head, total) && !make_room(head, got)) {
                memcpy(head->pocket, run.items, got * head->input_size);
                head->pocketed = got;
                head->pocket_of = input;
                set_stash(head, 0);
                return false;
            }
            memcpy(head->stash.items, run.items, got * head->input_size);
            head->stash_room -= got;
            set_stash(head, got);
        }
        if (got >= need) { return true; }
    }
    while (head->stash.count < need && head->origin_count < ORIGINS) {
        if (!make_room(head, need)) { return false; }
        bool end = false;
        size_t count = head->stash.count;
        size_t got = channel_read(input, head->stash.items + count * head->input_size,
                                  min_size(need - count, head->stash_room), &end);
        if (got == 0) {
            if (end) { store_relaxed(&edge->ended, true); } /* relaxed: under the turn */
            return true;
        }
        add_origin(head, input, got);
        head->stash_room -= got;
        set_stash(head, count + got);
    }
    return true;
}

/* Asks the inputs for what the backlog still has to draw and was not asked for: after an input has
 * ended before it gave its share, or when the producer was fused with the task until now. */
static void ask_for_rest(struct async_task *end, struct async_task *head, size_t backlog)
{
    int64_t asked = (int64_t)head->stash.count;
    for (struct edge *e = load_acquire(&head->inputs); e != NULL; e = load_acquire(&e->next)) { /* G2 <- G1 */
        if (load_relaxed(&e->ended)) { continue; } /* relaxed: under the turn */
        /* relaxed: see demand.c, Q3. A plain channel gives what it has, and is asked for nothing. */
        asked += e->input->task != NULL ? load_relaxed(&e->asked) : (int64_t)min_size(channel_available(e->input), backlog);
    }
    if ((int64_t)backlog > asked) {
        bool stream = load_relaxed(&end->limited); /* relaxed: as in task_chunk */
        demand_spread(head, (size_t)((int64_t)backlog - asked), stream);
    }
}

/* Lets the end of the strand be looked at again when the input has `need` items or has ended. */
static void arm(struct edge *edge, struct async_task *end, size_t need)
{
    struct waitlist *list = &edge->input->readers;
    if (load_acquire(&edge->armed)) { /* A1 <- A2 */
        if (edge->waiter.need == need && edge->runner == end) { return; }
        edge_disarm(edge);
    }
    edge->waiter.need = need;
    edge->runner = end;
    channel_retain(&end->out);
    store_relaxed(&edge->armed, true); /* relaxed: under the turn; the list publishes it */
    waitlist_add(list, &edge->waiter);
}

/* Moves the first `count` items of the stash into the strand. */
static void take_stash(struct strand *strand, struct async_task *head, size_t count)
{
    size_t left = head->stash.count - count;
    strand->count = count;
    strand->input = (struct run){head->stash.block, head->stash.items, count};
    strand->writable = true;
    strand->origin_count = 0;
    size_t to_move = count;
    unsigned used = 0;
    for (unsigned i = 0; i < head->origin_count && to_move > 0; i++) {
        size_t part = min_size(to_move, head->origins[i].count);
        strand->origins[strand->origin_count++] = (struct origin){head->origins[i].channel, part};
        head->origins[i].count -= part;
        to_move -= part;
        if (head->origins[i].count == 0) { used = i + 1; }
    }
    if (left > 0) {
        memmove(head->origins, head->origins + used, (head->origin_count - used) * sizeof *head->origins);
        head->origin_count -= used;
        block_retain(head->stash.block, 1);
        head->stash.items += count * head->input_size;
        head->stash_room = 0; /* the block is shared with the run now */
    }
    set_stash(head, left);
}

/* Takes what one input has, as far as it is needed; learns of its end. False: no memory. */
static bool draw_edge(struct async_task *end, struct async_task *head, struct edge *edge, size_t need, size_t total)
{
    size_t before = head->stash.count, chunk = task_chunk(end);
    if (before >= need) { return true; }
    bool ok = gather(head, edge, need, total, total >= chunk ? chunk : 1);
    size_t taken = head->stash.count - before + head->pocketed;
    if (taken > 0) { demand_taken(edge, taken); }
    if (load_relaxed(&edge->ended)) { /* relaxed: under the turn */
        async_status why = channel_status(edge->input);
        if (head->end_seen == ASYNC_OK || head->end_seen == ASYNC_END) {
            head->end_seen = why;
            if (why != ASYNC_END) { task_inherit_error(head, edge->input); }
        }
    }
    return ok;
}

/* Under the turn. */
static enum run_result draw_inputs(struct strand *strand, size_t want, size_t backlog, struct run_options options)
{
    struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    size_t chunk = strand->chunk, need = end->greedy ? 1 : min_size(min_size(backlog, chunk), want);
    if (!empty_pocket(head, need)) { return RUN_STARVED; }
    ask_for_rest(end, head, backlog);
    struct edge *first = load_acquire(&head->inputs); /* G2 <- G1 */
    bool several = load_acquire(&first->next) != NULL; /* G2 <- G1 */
    size_t available = draw_available(head), total = want;
    if (end->greedy) {
        total = min_size(want, max_size(available, 1));
    } else if (available < want) {
        total = max_size(need, chunk == SIZE_MAX ? need : available / chunk * chunk);
    }
    if (total > chunk) { total -= total % chunk; }
    /* Round the inputs, beginning behind the one that was drawn last; ordered: from the first. */
    struct edge *start = head->next_edge == NULL || head->ordered ? first : head->next_edge, *e = start;
    bool all_ended = true;
    do {
        struct edge *next = load_acquire(&e->next); /* G2 <- G1 */
        bool late = !strand->called_back && (e->input->reader.pre != NULL || e->input->reader.post != NULL);
        if (!late && !load_relaxed(&e->ended)) { /* late: added just now, the next run draws it. relaxed: under the turn */
            size_t there = channel_available(e->input);
            if (there + head->stash.count >= need || several || channel_status(e->input) != ASYNC_OK ||
                there >= e->input->capacity) {
                if (!draw_edge(end, head, e, need, total)) { return RUN_STARVED; }
                if (load_relaxed(&e->ended)) { ask_for_rest(end, head, backlog); } /* relaxed: under the turn */
            }
        }
        if (!load_relaxed(&e->ended)) { all_ended = false; } /* relaxed: under the turn */
        if (head->stash.count >= need) {
            head->next_edge = next;
            break;
        }
        if (head->ordered && !load_relaxed(&e->ended)) { break; } /* relaxed: under the turn */
        e = next == NULL ? first : next;
    } while (e != start);

    bool last = all_ended && head->stash.count < need;
    bool full = head->origin_count == ORIGINS; /* inputs that took turns item by item: a shorter chunk */
    if (head->stash.count >= need || last || full) {
        size_t have = min_size(head->stash.count, want);
        strand->planned = claim(end, last ? backlog : have);
        if (strand->planned == 0) { return RUN_NOTHING; }
        take_stash(strand, head, min_size(have, strand->planned));
        if (strand->count < strand->planned) { /* a backlog that was cut meanwhile has its items: not the end yet */
            strand->ended = true;
            strand->end_status = head->end_seen;
        }
        set_positions(strand, NULL);
        return RUN_DONE;
    }
    for (e = first; options.arm && e != NULL; e = load_acquire(&e->next)) { /* G2 <- G1 */
        if (load_relaxed(&e->ended)) { continue; } /* relaxed: under the turn */
        arm(e, end, several ? 1 : need - head->stash.count);
        if (head->ordered) { break; }
    }
    return RUN_INPUT; /* input that has come meanwhile has told the edge, which makes the task runnable */
}

enum run_result strand_draw(struct strand *strand, struct run_options options)
{
    struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    size_t backlog = backlog_of(end);
    if (backlog == 0) { return RUN_NOTHING; }
    size_t want = min_size(backlog, strand->limit);
    if (head->source.kind > ASYNC_SOURCE_NEXT && !strand->ordered) { return draw_items(strand, want); }

    if (!turn_take(&head->turn)) { return RUN_NOTHING; }
    enum run_result result = RUN_NOTHING;
    backlog = backlog_of(end);
    want = min_size(backlog, strand->limit);
    if (want > 0 && (!strand->ordered || order_has_room(end))) {
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
    if (turn_give(&head->turn) && result != RUN_DONE) { task_runnable(end); }
    return result;
}

/* The task is at its end, nobody draws any more: what is left of the stash goes where it came from. */
void draw_let_go(struct async_task *task)
{
    unsigned char *items = task->stash.items;
    for (unsigned i = 0; i < task->origin_count; i++) {
        channel_discard(task->origins[i].channel, items, task->origins[i].count);
        items += task->origins[i].count * task->input_size;
    }
    if (task->pocketed > 0) { channel_discard(task->pocket_of, task->pocket, task->pocketed); }
    task->pocketed = 0;
    if (task->stash.block != NULL) { block_release(task->stash.block, 1); }
    set_stash(task, 0);
}
