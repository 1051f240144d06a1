/* draw_inputs.c: how a run gets its items from the inputs of its head, under the draw turn.
 *
 * A chunk that is short of input keeps what it has in the stash until the rest comes; the edges
 * that may bring it are armed: the waitlists of their inputs tell them. With one input that is all.
 * With several, a draw looks only at those that may have items (`ready`); each edge that is not at
 * its end is in that list, in `told`, from which draws take it over, or armed. A task that takes
 * its inputs one after the other needs no list: it draws the first that has not ended.
 *
 * Orders
 *   A1 look, armed (acquire) <- A2 of graph.c: the waiter's fields are free to be set.
 *   A3 taken, told (seq_cst) <- A3 of graph.c: the edges.
 *   A4 cleared, listed (release) -> A4 of graph.c: the edge is in no list.
 *   A5 waits (seq_cst) <-> A5 waits and backlog (seq_cst), here, in demand.c and in run.c: who arms
 *      sees that the backlog was cut, or who cuts it sees that the edge is armed.
 * Layer: 3 */
#include "context.h"
#include "pool.h"
#include "strand.h"

#include <string.h>

/* What could be drawn from the head's inputs now. */
size_t draw_available(const struct async_task *head)
{
    size_t available = load_relaxed(&head->stashed); /* relaxed: a snapshot */
    /* G2 <- G1 */
    for (const struct edge *e = load_acquire(&head->inputs); e != NULL;
         e = load_acquire(&e->next)) {
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

/* What was taken when there was no memory goes into the stash, which is empty then. False: there is
 * still none. */
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

/* Moves items of one input into the stash, up to `total` there; a run that fits is taken as it is.
 * False: no memory. */
static bool gather(struct async_task *head, struct edge *edge, size_t need, size_t total,
                   size_t unit)
{
    alignas(16) unsigned char bounce[QUEUE_INLINE];
    struct channel           *input = edge->input;
    if (head->stash.count == 0) {
        struct run run;
        bool       end = false;
        size_t     got = channel_take(input, total, unit, &run, bounce, &end);
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
        bool   end = false;
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

/* What the backlog still has to draw and no input was asked for. Of one input that is nothing, but
 * when its producer was fused with the task until now. */
size_t draw_unasked(const struct async_task *head, size_t backlog)
{
    /* relaxed: under the turn, or a look */
    int64_t unasked = (int64_t)backlog - (int64_t)load_relaxed(&head->stashed);
    bool    tasks = false;
    /* G2 <- G1 */
    for (struct edge *e = load_acquire(&head->inputs); e != NULL; e = load_acquire(&e->next)) {
        if (load_relaxed(&e->ended)) { continue; } /* relaxed: under the turn, or a look */
        if (e->input->task != NULL) {
            tasks = true;
            unasked -= load_relaxed(&e->asked); /* relaxed: see demand.c, Q3 */
            if (head->ordered) { break; }       /* one after the other */
        } else if (head->ordered) {
            return 0;
        } else {
            /* it gives what it has, and is asked for nothing */
            unasked -= (int64_t)min_size(channel_available(e->input), backlog);
        }
    }
    return tasks && unasked > 0 ? (size_t)unasked : 0;
}

/* ---- asking several inputs: all under the turn ---- */

static void make_askable(struct async_task *head, struct edge *edge)
{
    edge->next_asked = NULL;
    if (head->askable == NULL) {
        head->askable = edge;
    } else {
        head->last_askable->next_asked = edge;
    }
    head->last_askable = edge;
}

static void meet(struct async_task *head, struct edge *edge)
{
    if (edge->met || load_relaxed(&edge->ended)) { return; } /* relaxed: under the turn */
    edge->met = true;
    if (edge->input->task == NULL) {
        head->plain++;
        return;
    }
    /* relaxed: under the turn. What was taken back while it was the only one is in no sum. */
    if (head->askables == 0 && head->asked_edges == 0) { store_relaxed(&head->taken_back, 0); }
    head->askables++;
    /* relaxed: of the time when it was the only one */
    head->asked_edges += load_relaxed(&edge->asked);
    make_askable(head, edge);
}

/* What was asked of it and has not come will not come. */
static void leave(struct async_task *head, struct edge *edge)
{
    if (!edge->met) { return; }
    if (edge->input->task == NULL) {
        head->plain--;
        return;
    }
    int64_t asked = load_relaxed(&edge->asked); /* relaxed (both): as in demand.c, demand_taken */
    while (!cas_relaxed(&edge->asked, &asked, 0)) {}
    head->askables--;
    head->asked_edges -= asked;
}

/* Each gives its share. */
static void spread(struct async_task *head, size_t count, bool stream)
{
    size_t share = count / head->askables, rest = count % head->askables;
    head->asked_edges += (int64_t)count;
    for (size_t left = head->askables; left > 0 && count > 0;) {
        struct edge *edge = head->askable;
        head->askable = edge->next_asked;
        if (load_relaxed(&edge->ended)) { continue; } /* relaxed: under the turn */
        make_askable(head, edge);                     /* the next ones are asked first next time */
        size_t part = min_size(count, share + (rest > 0 ? 1 : 0));
        if (rest > 0) { rest--; }
        left--;
        count -= part;
        demand_ask_edge(edge, part, stream);
    }
}

static void ask_several(const struct async_task *end, struct async_task *head, size_t backlog)
{
    bool stream = load_relaxed(&end->limited); /* relaxed: as in task_chunk */
    if (head->ordered) {
        struct edge *edge = head->current; /* or the last, which has ended */
        /* relaxed (both): under the turn; see demand.c, Q3 */
        if (edge->input->task == NULL || load_relaxed(&edge->ended)) { return; }
        int64_t rest = (int64_t)backlog - (int64_t)head->stash.count - load_relaxed(&edge->asked);
        if (rest > 0) { demand_ask_edge(edge, (size_t)rest, stream); }
        return;
    }
    if (head->askables == 0) { return; }
    /* relaxed (here and below): as the counts of the edges */
    if (load_relaxed(&head->taken_back) != 0) {
        int64_t back = load_relaxed(&head->taken_back);
        sub_relaxed(&head->taken_back, back);
        head->asked_edges -= back;
    }
    int64_t unasked = (int64_t)backlog - (int64_t)head->stash.count - head->asked_edges;
    if (unasked > 0 && head->plain > 0) { unasked = (int64_t)draw_unasked(head, backlog); }
    if (unasked > 0) { spread(head, (size_t)unasked, stream); }
}

/* Lets the end of the strand be looked at again when the input has `need` items or has ended. */
static void arm(struct edge *edge, struct async_task *end, size_t need)
{
    struct waitlist *list = &edge->input->readers;
    if (load_acquire(&edge->armed)) { /* A1 <- A2 */
        if (edge->waiter.need == need && edge->runner == end) { return; }
        edge_disarm(edge, end);
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
    size_t   to_move = count;
    unsigned used = 0;
    for (unsigned i = 0; i < head->origin_count && to_move > 0; i++) {
        size_t part = min_size(to_move, head->origins[i].count);
        strand->origins[strand->origin_count++] = (struct origin){head->origins[i].channel, part};
        head->origins[i].count -= part;
        to_move -= part;
        if (head->origins[i].count == 0) { used = i + 1; }
    }
    if (left > 0) {
        memmove(head->origins, head->origins + used,
                (head->origin_count - used) * sizeof *head->origins);
        head->origin_count -= used;
        block_retain(head->stash.block, 1);
        head->stash.items += count * head->input_size;
        head->stash_room = 0; /* the block is shared with the run now */
    }
    set_stash(head, left);
}

/* Takes what one input has, as far as it is needed; learns of its end. False: no memory. */
static bool draw_edge(struct async_task *end, struct async_task *head, struct edge *edge,
                      size_t need, size_t total)
{
    size_t before = head->stash.count, chunk = task_chunk(end);
    if (before >= need) { return true; }
    bool   ok = gather(head, edge, need, total, total >= chunk ? chunk : 1);
    size_t taken = head->stash.count - before + head->pocketed;
    if (taken > 0) {
        size_t asked = demand_taken(edge, taken);
        if (edge->met && edge->input->task != NULL) { head->asked_edges -= (int64_t)asked; }
    }
    if (load_relaxed(&edge->ended)) { /* relaxed: under the turn */
        sub_relaxed(&head->live, 1);  /* relaxed: under the turn */
        leave(head, edge);
        async_status why = channel_tell_end(edge->input);
        if (head->end_seen == ASYNC_OK || head->end_seen == ASYNC_END) {
            head->end_seen = why;
            if (why != ASYNC_END) { task_inherit_error(head, edge->input); }
        }
    }
    return ok;
}

/* The stash has what is needed, or the inputs have ended: the strand gets it. */
static enum run_result draw_stash(struct strand *strand, size_t want, size_t backlog, bool last)
{
    struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    size_t             have = min_size(head->stash.count, want);
    strand->planned = draw_claim(end, last ? backlog : have);
    if (strand->planned == 0) { return RUN_NOTHING; }
    take_stash(strand, head, min_size(have, strand->planned));
    /* a backlog that was cut meanwhile has its items: not the end yet */
    if (strand->count < strand->planned) {
        strand->ended = true;
        strand->end_status = head->end_seen;
    }
    draw_positions(strand, NULL);
    return RUN_DONE;
}

/* An input whose callbacks were set after the strand was prepared: the next run draws it. */
static bool is_late(const struct strand *strand, const struct edge *edge)
{
    return !strand->called_back &&
           (edge->input->reader.pre != NULL || edge->input->reader.post != NULL);
}

static enum run_result draw_one(struct strand *strand, struct edge *edge, size_t want, size_t need,
                                size_t backlog, struct run_options options)
{
    struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    struct channel    *input = edge->input;
    size_t             chunk = strand->chunk, there = channel_available(input),
           available = there + head->stash.count, total = want;
    if (end->greedy) {
        total = min_size(want, max_size(available, 1));
    } else if (available < want) {
        total = max_size(need, chunk == SIZE_MAX ? need : available / chunk * chunk);
    }
    if (total > chunk) { total -= total % chunk; }
    if (!is_late(strand, edge) && !load_relaxed(&edge->ended) && /* relaxed: under the turn */
        (available >= need || channel_status(input) != ASYNC_OK || there >= input->capacity) &&
        !draw_edge(end, head, edge, need, total)) {
        return RUN_STARVED;
    }
    bool ended = load_relaxed(&edge->ended); /* relaxed: under the turn */
    if (head->stash.count >= need || ended) {
        /* relaxed: as above */
        if (unlikely(load_relaxed(&edge->armed))) { edge_disarm(edge, end); }
        return draw_stash(strand, want, backlog, head->stash.count < need);
    }
    if (options.arm) {
        arm(edge, end, need - head->stash.count);
        store_seq_cst(&end->waits, true); /* A5 <-> A5 */
        /* A5: cut meanwhile */
        if (load_seq_cst(&end->backlog) <= 0) { edge_disarm(edge, end); }
    }
    /* input that has come meanwhile has told the edge, which makes the task runnable */
    return RUN_INPUT;
}

/* ---- several inputs ---- */

static void make_ready(struct async_task *head, struct edge *edge)
{
    edge->next_told = NULL;
    if (head->ready == NULL) {
        head->ready = edge;
    } else {
        head->last_ready->next_told = edge;
    }
    head->last_ready = edge;
}

/* What was told since the last draw is ready, the oldest first. */
static void take_told(struct async_task *head)
{
    /* relaxed: who pushes makes the task runnable after it */
    if (load_relaxed(&head->told) == NULL) { return; }
    /* A3 <- A3 of graph.c */
    struct edge *newest = exchange_seq_cst(&head->told, NULL), *oldest = NULL;
    while (newest != NULL) {
        struct edge *edge = newest;
        newest = edge->next_told;
        edge->next_told = oldest;
        oldest = edge;
    }
    while (oldest != NULL) {
        struct edge *edge = oldest;
        oldest = edge->next_told;
        meet(head, edge);
        make_ready(head, edge);
    }
}

/* Those that may have items take turns; one that has none, or no more, waits to be told. */
static bool draw_as_they_come(struct strand *strand, size_t want, size_t need)
{
    struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    take_told(head);
    while (head->ready != NULL && head->stash.count < need && head->origin_count < ORIGINS) {
        struct edge *edge = head->ready;
        bool ok = true, ended = load_relaxed(&edge->ended); /* relaxed: under the turn, as below */
        head->ready = edge->next_told;
        if (!ended && !is_late(strand, edge)) {
            ok = draw_edge(end, head, edge, need, want);
            ended = load_relaxed(&edge->ended); /* relaxed */
        }
        if (!ended && (!ok || head->stash.count >= need || head->origin_count == ORIGINS)) {
            make_ready(head, edge); /* it may have more */
        } else {
            store_release(&edge->listed, false); /* A4 -> A4 of graph.c */
            if (!ended) { arm(edge, end, 1); }
        }
        if (!ok) { return false; }
    }
    return true;
}

/* The first that has not ended is drawn until it has. */
static bool draw_in_turn(struct strand *strand, size_t want, size_t need)
{
    struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    /* G2 <- G1 */
    struct edge *edge = head->current != NULL ? head->current : load_acquire(&head->inputs);
    head->current = edge;
    while (head->stash.count < need && head->origin_count < ORIGINS) {
        bool ended = load_relaxed(&edge->ended); /* relaxed: under the turn, as below */
        if (!ended) {
            if (!is_late(strand, edge) && !draw_edge(end, head, edge, need, want)) { return false; }
            ended = load_relaxed(&edge->ended); /* relaxed */
        }
        if (!ended) {
            if (head->stash.count < need && head->origin_count < ORIGINS) { arm(edge, end, 1); }
            break;
        }
        struct edge *next = load_acquire(&edge->next); /* G2 <- G1 */
        if (next == NULL) { break; }
        head->current = edge = next;
    }
    return true;
}

static enum run_result draw_several(struct strand *strand, size_t want, size_t need, size_t backlog)
{
    struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    size_t             total = want > strand->chunk ? want - want % strand->chunk : want;
    bool               ok = head->ordered ? draw_in_turn(strand, total, need)
                                          : draw_as_they_come(strand, total, need);
    if (!ok) { return RUN_STARVED; }
    ask_several(end, head, backlog); /* now that what there was has been taken, for the rest */
    /* relaxed: under the turn */
    bool last = load_relaxed(&head->live) == 0 && head->stash.count < need;
    /* Inputs that took turns item by item make a shorter chunk. */
    if (head->stash.count < need && !last && head->origin_count < ORIGINS) { return RUN_INPUT; }
    return draw_stash(strand, want, backlog, last);
}

enum run_result draw_inputs(struct strand *strand, size_t want, size_t backlog,
                            struct run_options options)
{
    struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    size_t             need = end->greedy ? 1 : min_size(min_size(backlog, strand->chunk), want);
    if (!empty_pocket(head, need)) { return RUN_STARVED; }
    struct edge *first = load_acquire(&head->inputs); /* G2 <- G1 */
    /* G2 <- G1 */
    if (unlikely(load_acquire(&first->next) != NULL)) {
        return draw_several(strand, want, need, backlog);
    }
    size_t unasked = draw_unasked(head, backlog);
    /* relaxed: as in task_chunk */
    if (unlikely(unasked > 0)) { demand_ask_edge(first, unasked, load_relaxed(&end->limited)); }
    return draw_one(strand, first, want, need, backlog, options);
}

void draw_forget(struct async_task *end)
{
    if (!task_enter(end)) { return; }
    struct async_task *head = task_enter_head(end);
    task_leave(end);
    if (head == NULL) { return; }
    if (turn_take(&head->turn)) {
        struct edge *edge = load_acquire(&head->inputs);      /* G2 <- G1 */
        bool         idle = load_seq_cst(&end->backlog) <= 0; /* A5 <-> A5 */
        if (idle) {
            store_seq_cst(&end->waits, false); /* A5 */
            /* Of several inputs an edge waits for one item, and passes the word on. */
            /* relaxed: under the turn. G2 */
            if (edge != NULL && load_acquire(&edge->next) == NULL && load_relaxed(&edge->armed) &&
                edge->runner == end) {
                edge_disarm(edge, end);
            }
        }
        if (turn_give(&head->turn)) {
            task_runnable(end);
            graph_announce(head, end);
        } else if (!idle) {
            task_runnable(end);
        }
    }
    task_leave(head);
}

/* The task is at its end, nobody draws any more: what is left of the stash goes where it came
 * from. */
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
