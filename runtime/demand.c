/* demand.c: what is wanted of each task, as numbers that anybody may change.
 *
 *   asked     items that readers and consumers wait for
 *   missing   asked - ready - in flight. Above 0: something must be scheduled.
 *   backlog   scheduled and not yet claimed by a run (a part of what is in flight)
 *
 * Who makes `missing` positive takes it down to 0 or below by a CAS and adds what it took to the
 * backlog: a deficit is scheduled once. A run that made fewer items than it had claimed (a filter)
 * gives the difference back to `missing`, so demand goes on until the reader has its count.
 *
 * What a task schedules it asks of its input, so demand and not chunks travels upstream. The asked
 * number of an only input's edge never falls below what its consumer's backlog still has to draw:
 * it is raised before the backlog and lowered after it. Several inputs are asked by the draw.
 *
 * Orders
 *   Q1 missing (seq_cst) <-> Q1: who brings it above 0 sees all that was added before.
 *   Q3 backlog (seq_cst) <-> Q3: who finds it raised sees what was asked of the edges before: their
 *      `asked` is relaxed.
 *   Q4 queued, set (acq_rel) <-> Q5 in worker.c, cleared (acq_rel): who finds it set has its change
 *      seen by the worker that clears it before looking.
 *   Q7 poker, cleared (release) -> Q7, taken (acquire): the task is in nobody's list, and its link
 *      is free.
 *   Q6 size, look (seq_cst) <- S4 of pool.c: the backlog is raised (Q3) before the look, the size
 *      is set before the look at the backlogs: one of the two sees the other.
 * Layer: 3 */
#include "context.h"
#include "pool.h"
#include "strand.h"

#define WALK  32 /* producers of a chain that are asked before their consumers are announced */
#define FORKS 8  /* one above the other, of inputs that a demand is taken back from */

size_t task_chunk(const struct async_task *task)
{
    if (task->chunk != 0) { return task->chunk; }
    /* relaxed: a chunk's size is chosen, not synchronized */
    if (!load_relaxed(&task->limited)) { return SIZE_MAX; }
    return max_size(1, STREAM_BYTES / max_size(task->input_size, task->out.item_size));
}

/* Has whoever waits for the task's output look again. Where that is an edge, it is told and pokes
 * whoever waits for the next task's output, and so on, along a chain of any length: so a poke by
 * who tells an edge is put off until that one is told, and the stack does not grow. One that
 * another thread has put off is not waited for: that thread may stand still. */
static void poke(struct async_task *task)
{
    const struct context *poker = NULL;
    if (unlikely(context.telling)) {
        if (cas_acquire(&task->poker, &poker, &context)) { /* Q7 <- Q7 */
            channel_retain(&task->out);
            task->next_poked = context.poked;
            context.poked = task;
            return;
        }
        if (poker == &context) { return; } /* it is in the list */
    }
    channel_poke(&task->out);
}

void demand_poke_put_off(void)
{
    struct async_task *task;
    while ((task = context.poked) != NULL) {
        context.poked = task->next_poked;
        store_release(&task->poker, NULL); /* Q7 -> Q7 */
        channel_poke(&task->out);
        context.telling = false; /* a callback of its owner's may come, and stay */
        channel_release(&task->out);
        context.telling = true;
    }
}

void task_runnable(struct async_task *task)
{
    struct async_pool *pool = task->pool;
    if (load_seq_cst(&pool->size) != 0) {              /* Q6 <- S4 of pool.c */
        if (exchange_acq_rel(&task->queued, 1) == 0) { /* Q4 <-> Q5 */
            channel_retain(&task->out);
            pool_push(pool, task);
        }
        if (likely(!pool->readers_help && load_seq_cst(&pool->size) != 0)) { return; } /* Q6 */
    }
    poke(task); /* who waits downstream runs it */
}

void demand_ask_edge(struct edge *edge, size_t count, bool stream)
{
    add_relaxed(&edge->asked, (int64_t)count); /* relaxed: Q3 publishes it */
    if (edge->input->task != NULL) { demand_ask(edge->input->task, count, stream); }
}

/* Takes what is missing and puts it into the backlog's account; 0: nothing is to be scheduled.
 * Where unbounded readers ask for a window of chunks again and again, less than a chunk is left
 * until they do; but not `all`, of somebody who asks once, and not where the window is one chunk,
 * after which they could not ask again. */
static size_t take_missing(struct async_task *task, bool all)
{
    int64_t missing = load_seq_cst(&task->missing); /* Q1 */
    for (;;) {
        if (missing <= 0 || !task_live(task)) { return 0; }
        size_t count = (size_t)missing;
        /* relaxed (both): only the sizes depend on it */
        if (!all && load_relaxed(&task->streams) != 0 && load_relaxed(&task->limited) &&
            pool_window(task->pool) > 1) {
            size_t chunk = task_chunk(task);
            /* full chunks: more will be wanted */
            if (chunk != SIZE_MAX) { count = count / chunk * chunk; }
            if (count == 0) { return 0; }
        }
        count = max_size(count, graph_demand_min(task));
        /* Q1. LP of the scheduling */
        if (cas_seq_cst(&task->missing, &missing, missing - (int64_t)count)) { return count; }
    }
}

/* A task that was scheduled, and the head of its strand; both entered, which keeps the inputs. */
struct scheduled {
    struct async_task *task, *head;
};

static void announce(struct scheduled *scheduled, unsigned count)
{
    while (count-- > 0) {
        task_runnable(scheduled[count].task);
        if (scheduled[count].head != NULL) { task_leave(scheduled[count].head); }
        task_leave(scheduled[count].task);
    }
}

/* Asks the input of the head for count items; its producer is the caller's to schedule. Several
 * inputs are asked by the draw, for what they have not given: so a demand walks along a chain, and
 * never forks. */
static struct async_task *ask_inputs(struct async_task *head, size_t count, bool stream)
{
    struct edge *edge = load_acquire(&head->inputs);                        /* G2 <- G1 */
    if (edge == NULL || load_acquire(&edge->next) != NULL) { return NULL; } /* G2 <- G1 */
    add_relaxed(&edge->asked, (int64_t)count); /* relaxed: Q3 publishes it */
    struct async_task *producer = edge->input->task;
    if (producer != NULL) {
        add_relaxed(&producer->asked, (int64_t)count);   /* relaxed: a statistic */
        store_relaxed(&producer->limited, stream);       /* relaxed: as in task_chunk */
        add_seq_cst(&producer->missing, (int64_t)count); /* Q1 */
    }
    return producer;
}

/* `all`: also what is less than a chunk. */
static void schedule(struct async_task *task, bool all)
{
    struct scheduled scheduled[WALK];
    unsigned         walked = 0;
    while (task != NULL && load_seq_cst(&task->missing) > 0 && task_enter(task)) { /* Q1 */
        size_t count = take_missing(task, all);
        if (count == 0) {
            task_leave(task);
            break;
        }
        /* A head that has stopped is asked for nothing; the run that finds it so ends the task. */
        struct async_task *head = task_enter_head(task), *next = NULL;
        if (head != NULL && head->source.kind == ASYNC_SOURCE_NONE) {
            bool stream = load_relaxed(&task->limited); /* relaxed: as in task_chunk */
            next = ask_inputs(head, count, stream);
            all = !stream;
        }
        add_seq_cst(&task->backlog, (int64_t)count); /* Q3 */
        /* a long chain: the later ones are announced first, and look again when input comes */
        if (walked == WALK) {
            announce(scheduled, walked - 1);
            scheduled[0] = scheduled[walked - 1];
            walked = 1;
        }
        scheduled[walked++] = (struct scheduled){task, head};
        task = next;
    }
    announce(scheduled, walked); /* producers first */
}

void demand_schedule(struct async_task *task) { schedule(task, false); }

void demand_ask(struct async_task *task, size_t count, bool stream)
{
    add_relaxed(&task->asked, (int64_t)count); /* relaxed: a statistic */
    /* relaxed: as in task_chunk */
    if (load_relaxed(&task->limited) != stream) { store_relaxed(&task->limited, stream); }
    add_seq_cst(&task->missing, (int64_t)count); /* Q1 */
    schedule(task, !stream);
}

void demand_unready(struct async_task *task, size_t count)
{
    add_seq_cst(&task->missing, (int64_t)count); /* Q1 */
    demand_schedule(task);
}

size_t demand_taken(struct edge *edge, size_t count)
{
    /* relaxed (all): under the draw turn, after the backlog */
    int64_t asked = load_relaxed(&edge->asked);
    size_t  part;
    do {
        part = min_size(count, (size_t)asked);
    } while (!cas_relaxed(&edge->asked, &asked, asked - (int64_t)part));
    struct async_task *producer = edge->input->task;
    if (producer == NULL) { return part; }
    sub_relaxed(&producer->asked, (int64_t)part); /* relaxed: a statistic */
    if (part < count) { demand_unready(producer, count - part); }
    return part;
}

/* What a withdrawal leaves: chunks that have their input. Of a source, a chunk for each worker,
 * those that run included; of other inputs, what is there. */
struct kept {
    size_t backlog, surplus;
};

static struct kept kept_by_withdrawal(struct async_task *task, const struct async_task *head)
{
    unsigned workers = load_relaxed(&task->pool->size); /* relaxed: a number of chunks is chosen */
    if (workers == 0) { return (struct kept){0, 0}; }
    if (head->source.kind == ASYNC_SOURCE_NONE) { return (struct kept){draw_available(head), 0}; }
    size_t chunk = task_chunk(task), surplus;
    if (__builtin_mul_overflow(chunk, workers, &surplus) || surplus > INT64_MAX / 2) {
        surplus = INT64_MAX / 2;
    }
    return (struct kept){0, surplus};
}

/* Takes up to `count` items that are not wanted any more out of the backlog, as far as they are
 * surplus; returns how many, and what was asked of the inputs for them is the caller's to
 * withdraw. */
static size_t cut_backlog(struct async_task *task, struct kept kept, size_t unit)
{
    int64_t backlog = load_seq_cst(&task->backlog); /* Q3 */
    for (;;) {
        int64_t surplus = -load_seq_cst(&task->missing) - (int64_t)kept.surplus; /* Q1 */
        if (surplus <= 0 || backlog <= 0 || (size_t)backlog <= kept.backlog) { return 0; }
        size_t cut = min_size((size_t)backlog - kept.backlog, (size_t)surplus) / unit * unit;
        if (cut == 0) { return 0; }
        if (cas_seq_cst(&task->backlog, &backlog, backlog - (int64_t)cut)) { /* Q3. LP of the cut */
            add_seq_cst(&task->missing, (int64_t)cut);                       /* Q1 */
            return cut;
        }
    }
}

/* Up to count of what was asked of the edge and has not come: how many. The input may end
 * meanwhile, and what was asked of it be asked of the others. */
static size_t take_back(struct edge *edge, size_t count)
{
    int64_t asked = load_relaxed(&edge->asked); /* relaxed (all): as in demand_taken */
    size_t  part;
    do {
        part = asked > 0 ? min_size(count, (size_t)asked) : 0;
        if (part == 0) { return 0; }
    } while (!cas_relaxed(&edge->asked, &asked, asked - (int64_t)part));
    add_relaxed(&edge->consumer->taken_back, (int64_t)part);
    return part;
}

static void withdraw(struct async_task *task, size_t count, unsigned forks);

/* Takes back what was asked of the head's inputs for `*count` items; the producer of the last of
 * them, with *count, is the caller's to go on with; the others' are withdrawn here, but not behind
 * too many forks. */
static struct async_task *withdraw_from_inputs(struct async_task *head, size_t *count,
                                               unsigned forks)
{
    struct async_task *next = NULL;
    size_t             left = *count;
    *count = 0;
    /* G2 <- G1 */
    for (struct edge *edge = load_acquire(&head->inputs); edge != NULL && left > 0;
         edge = load_acquire(&edge->next)) {
        if (next != NULL && forks == 0) { break; }
        size_t part = take_back(edge, left);
        if (part == 0) { continue; }
        if (next != NULL) { withdraw(next, *count, forks - 1); }
        left -= part;
        next = edge->input->task;
        *count = part;
    }
    return next;
}

/* A loop along the chain; where inputs fork, a frame each, up to `forks`: what was asked further up
 * will be made, and be there for the next demand. `held` keeps the inputs of the task above the one
 * that is looked at. */
static void withdraw(struct async_task *task, size_t count, unsigned forks)
{
    struct async_task *held = NULL;
    while (task != NULL && count > 0) {
        sub_relaxed(&task->asked, (int64_t)count);   /* relaxed: a statistic */
        sub_seq_cst(&task->missing, (int64_t)count); /* Q1 */
        if (!task_enter(task)) { break; }
        struct async_task *head = task_enter_head(task), *next = NULL;
        if (held != NULL) { task_leave(held); }
        held = head;
        size_t cut = head == NULL ? 0 : cut_backlog(task, kept_by_withdrawal(task, head), 1);
        count = cut;
        if (cut > 0 && head->source.kind == ASYNC_SOURCE_NONE) {
            next = withdraw_from_inputs(head, &count, forks);
        }
        if (cut > 0) {
            demand_schedule(task);
            task_runnable(task); /* a chunk that was cut may have all its input now */
            if (load_seq_cst(&task->waits)) { draw_forget(task); } /* A5 <-> A5 */
        }
        task_leave(task);
        task = next;
    }
    if (held != NULL) { task_leave(held); }
}

void demand_withdraw(struct async_task *task, size_t count) { withdraw(task, count, FORKS); }

void demand_trim(struct async_task *task)
{
    if (load_relaxed(&task->streams) == 0) { return; } /* relaxed: only the amount depends on it */
    size_t chunk = task_chunk(task);
    if (chunk == SIZE_MAX || !task_enter(task)) { return; }
    struct async_task *head = task_enter_head(task);
    if (head != NULL) {
        size_t cut = cut_backlog(task, (struct kept){0, graph_demand_min(task)}, chunk);
        if (cut > 0 && head->source.kind == ASYNC_SOURCE_NONE) {
            struct async_task *next = withdraw_from_inputs(head, &cut, FORKS);
            if (next != NULL) { demand_withdraw(next, cut); }
        }
        if (cut > 0 && load_seq_cst(&task->waits)) { /* A5 <-> A5 */
            task_runnable(task);
            draw_forget(task);
        }
        task_leave(head);
    }
    task_leave(task);
}
