/* graph.c: the edges between tasks.
 *
 * Edges are appended under one lock, for all pools, and read without it: by whoever is inside the
 * consumer (task_enter), which keeps its inputs. They are taken off when the consumer is finalized,
 * when nobody is inside any more.
 *
 * Orders
 *   G1 link, edge (release) -> G2 walk (acquire): the edge's fields.
 *   A2 told, armed (release) -> A1 in draw_inputs.c, look (acquire): the waiter's fields are free
 *      to be set.
 *   A3 told, pushed (seq_cst) -> A3 in draw_inputs.c, taken (seq_cst): the edge; before the look at
 *      the backlog (Q3 of demand.c): who raises it later draws, and takes what was pushed.
 *   A4 listed, set (acq_rel) <- A4 in draw_inputs.c, cleared (release): the edge is in no list.
 *   G3 version (release) -> G4 (acquire): the edge that made the sums old.
 *   G5 holders (acq_rel) <-> G5: what all holders did is over before the end is abandoned.
 *   G6 exposed, set (seq_cst) <-> G6: once and for all, by anyone; task_fused_with says why its
 *      look is relaxed.
 *   G7 wanted (acq_rel) <-> G7: the last one to go sees what the others did.
 * Layer: 3 */
#include "check.h"
#include "context.h"
#include "mem.h"
#include "os.h"
#include "pool.h"
#include "strand.h"

#include <string.h>

static os_mutex lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t walks; /* through the graph; under the lock */
/* moves when an edge is added to a task that others may read already */
static shared_u32 version = 1;

void graph_lock(void) { os_mutex_lock(&lock); }
void graph_unlock(void) { os_mutex_unlock(&lock); }

void reader_hold(struct channel *channel)
{
    add_relaxed(&channel->reader.holders, 1); /* relaxed: the caller holds the end already */
    if (channel->task != NULL) { add_relaxed(&channel->task->wanted, 1); } /* relaxed: likewise */
}

/* One holder less; `unwanted` where its wish was taken back before. */
static void drop(struct channel *channel, bool unwanted)
{
    struct async_task *task = channel->task;
    /* G7 <-> G7 */
    if (task != NULL && !unwanted && sub_acq_rel(&task->wanted, 1) == 1) { graph_unwanted(task); }
    /* G5 <-> G5: the last one sees what the others did */
    uint32_t before = sub_acq_rel(&channel->reader.holders, 1);
    CHECK(before != 0);
    if (before != 1) { return; }
    channel->reader.magic = RELEASED_MAGIC;
    channel_abandon(channel, ASYNC_END);
    channel_release(channel);
}

void reader_drop(struct channel *channel) { drop(channel, false); }

/* Under the lock: takes back what the task wants of its inputs, and what those want that nobody
 * wants any more, and so on; these are out of the count at once. The list of them, each with one
 * count more. */
static struct async_task *take_back_wishes(struct async_task *task)
{
    struct async_task *list = NULL, *last = NULL;
    for (struct async_task *at = task; at != NULL; at = at == task ? list : at->next_unwanted) {
        struct edge *edge = load_relaxed(&at->inputs);           /* relaxed: under the lock */
        for (; edge != NULL; edge = load_relaxed(&edge->next)) { /* relaxed: under the lock */
            struct async_task *producer = edge->input->task;
            if (edge->let || producer == NULL) { continue; }
            edge->let = true;
            if (sub_acq_rel(&producer->wanted, 1) != 1) { continue; } /* G7 <-> G7 */
            task_uncount(producer);
            channel_retain(&producer->out);
            producer->next_unwanted = NULL;
            if (last == NULL) {
                list = producer;
            } else {
                last->next_unwanted = producer;
            }
            last = producer;
        }
    }
    return list;
}

static void stop_all(struct async_task *list)
{
    while (list != NULL) {
        struct async_task *next = list->next_unwanted;
        task_stop(list, ASYNC_END);
        channel_release(&list->out);
        list = next;
    }
}

/* The task is taken out of the count and stopped at once, and so is everything upstream that only
 * it wanted; runs that are inside finish, and with the last one the inputs go. */
void graph_unwanted(struct async_task *task)
{
    graph_lock();
    task_uncount(task);
    struct async_task *list = take_back_wishes(task);
    graph_unlock();
    task_stop(task, ASYNC_END);
    stop_all(list);
}

uint64_t graph_new_walk(void) { return ++walks; }

/* The edge may have items: whoever draws next looks. */
void graph_list_edge(struct edge *edge)
{
    struct async_task *consumer = edge->consumer;
    if (exchange_acq_rel(&edge->listed, true)) { return; } /* A4 <- A4 */
    struct edge *first = load_relaxed(&consumer->told);    /* relaxed: compared by the CAS */
    do {
        edge->next_told = first;
        /* A3 -> A3 */
    } while (!cas_seq_cst(&consumer->told, &first, edge));
}

static void edge_told(struct waiter *waiter)
{
    struct edge       *edge = container_of(waiter, struct edge, waiter);
    struct async_task *runner = edge->runner, *consumer = edge->consumer;
    struct channel    *input = edge->input;
    bool               telling = context.telling;
    store_release(&edge->armed, false); /* A2 -> A1: from here on it may be armed anew */
    context.telling = true;
    graph_list_edge(edge);
    task_runnable(runner);
    /* It was armed for a strand that ends further down, and draws for its own output now. */
    /* Q3 of demand.c */
    if (unlikely(runner != consumer && load_seq_cst(&consumer->backlog) > 0)) {
        task_runnable(consumer);
    }
    if (!telling) { demand_poke_put_off(); }
    context.telling = false;
    channel_release(&runner->out);
    context.telling = telling;
    waitlist_serve(&input->readers); /* the task may take nothing: who is behind it looks too */
}

void edge_disarm(struct edge *edge, const struct async_task *by)
{
    if (waitlist_remove(&edge->input->readers, &edge->waiter)) {
        struct async_task *runner = edge->runner;
        store_relaxed(&edge->armed, false); /* relaxed: the caller's own until it is armed again */
        /* The end of a strand that has come apart since: it will not be told now. */
        if (unlikely(by != NULL && runner != by)) { task_runnable(runner); }
        channel_release(&runner->out);
    }
}

void graph_nudge(struct async_task *task)
{
    graph_lock();
    struct async_task *end = task->fused_consumer;
    while (end != NULL && end->fused_consumer != NULL) { end = end->fused_consumer; }
    if (end != NULL) { channel_retain(&end->out); }
    graph_unlock();
    if (end == NULL) { return; }
    task_runnable(end);
    channel_release(&end->out);
}

void graph_announce(struct async_task *head, const struct async_task *but)
{
    struct async_task *found[FUSE_MAX];
    unsigned           count = 0;
    graph_lock();
    for (struct async_task *at = head; at != NULL && count < FUSE_MAX; at = at->fused_consumer) {
        if (at == but || load_seq_cst(&at->backlog) <= 0) { continue; } /* Q3 of demand.c */
        channel_retain(&at->out);
        found[count++] = at;
    }
    graph_unlock();
    while (count-- > 0) {
        task_runnable(found[count]);
        channel_release(&found[count]->out);
    }
}

/* Under the lock: the largest min_count of the task and of all upstream of it, if it is known. */
static bool demand_min_known(const struct async_task *task, uint32_t now, size_t *largest)
{
    if (load_relaxed(&task->inputs) == NULL) { /* relaxed: under the lock */
        *largest = task->min_count;
        return true;
    }
    *largest = load_relaxed(&task->demand_min);            /* relaxed: under the lock */
    return load_relaxed(&task->demand_min_version) == now; /* relaxed: under the lock */
}

static void set_demand_min(struct async_task *task, size_t largest, uint32_t now)
{
    store_relaxed(&task->demand_min, largest);     /* relaxed: published by the version below */
    store_release(&task->demand_min_version, now); /* G3 -> G4 */
}

static void begin_visit(struct async_task *task, struct async_task *below)
{
    task->walk_next = below;
    task->walk_edge = load_relaxed(&task->inputs); /* relaxed: under the lock */
    task->walk_max = task->min_count;
}

/* The largest min_count of the task and of all upstream of it, under the lock; of those too, so
 * that each task is visited once between two changes. Depth first; the way back is in the tasks. */
static size_t sum_up(struct async_task *task, uint32_t now)
{
    struct async_task *at = task;
    begin_visit(at, NULL);
    for (;;) {
        struct edge *edge = at->walk_edge;
        if (edge != NULL) {
            struct async_task *producer = edge->input->task;
            size_t             largest = 0;
            if (producer != NULL && !demand_min_known(producer, now, &largest)) {
                begin_visit(producer, at);
                at = producer;
                continue; /* the edge is met again, and the producer's is known then */
            }
            at->walk_max = max_size(at->walk_max, largest);
            at->walk_edge = load_relaxed(&edge->next); /* relaxed: under the lock */
            continue;
        }
        set_demand_min(at, at->walk_max, now);
        if (at == task) { return at->walk_max; }
        at = at->walk_next;
    }
}

size_t graph_demand_min(struct async_task *task)
{
    /* relaxed: an edge that is added at this moment may count from the next demand on */
    if (likely(load_acquire(&task->demand_min_version) == load_relaxed(&version))) { /* G4 <- G3 */
        return load_relaxed(&task->demand_min); /* relaxed: G4 acquired it */
    }
    graph_lock();
    size_t largest = sum_up(task, load_relaxed(&version)); /* relaxed: written under the lock */
    graph_unlock();
    return largest;
}

struct edge *graph_link(struct async_task *consumer, struct channel *input)
{
    struct edge *edge = mem_zalloc(sizeof *edge, alignof(struct edge));
    if (edge == NULL) { return NULL; }
    edge->waiter.told = edge_told;
    edge->input = input;
    edge->consumer = consumer;
    reader_hold(input);
    if (input->task != NULL) {
        add_relaxed(&input->task->consumers, 1); /* relaxed: under the graph lock */
        /* Of its first input only: with a further one it is not run as one with either. */
        /* relaxed: under the lock */
        if (consumer->fused && load_relaxed(&consumer->inputs) == NULL) {
            input->task->fused_consumer = consumer;
        }
        /* relaxed: under the lock */
        if (input->task->pool != consumer->pool ||
            (consumer->fused && load_relaxed(&input->task->foreign))) {
            for (struct async_task *at = consumer; at != NULL; at = at->fused_consumer) {
                /* relaxed: it decides who helps; the task is announced after it */
                store_relaxed(&at->foreign, true);
            }
        }
    }
    struct edge *last = consumer->last_input;
    consumer->last_input = edge;
    add_relaxed(&consumer->live, 1); /* relaxed: G1 publishes it */
    store_release(last == NULL ? &consumer->inputs : &last->next, edge); /* G1 -> G2 */
    graph_list_edge(edge);
    uint32_t now = load_relaxed(&version); /* relaxed: written under the same lock */
    size_t   above = 0;
    if (last == NULL && (input->task == NULL || demand_min_known(input->task, now, &above))) {
        set_demand_min(consumer, max_size(consumer->min_count, above), now);
    }
    return edge;
}

/* Whether `task` is `of` or upstream of it, under the lock. */
static bool is_upstream(const struct async_task *task, struct async_task *of)
{
    /* relaxed: under the lock */
    if (task != of && load_relaxed(&task->consumers) == 0) { return false; }
    uint64_t           walk = ++walks;
    struct async_task *list = of; /* visited, and their inputs to be looked at */
    of->visited = walk;
    of->walk_next = NULL;
    while (list != NULL) {
        const struct async_task *at = list;
        list = at->walk_next;
        if (at == task) { return true; }
        const struct edge *edge = load_relaxed(&at->inputs);     /* relaxed: under the lock */
        for (; edge != NULL; edge = load_relaxed(&edge->next)) { /* relaxed: under the lock */
            struct async_task *producer = edge->input->task;
            if (producer == NULL || producer->visited == walk) { continue; }
            producer->visited = walk;
            producer->walk_next = list;
            list = producer;
        }
    }
    return false;
}

/* Appends a channel to an array that grows; it gets a count. */
static bool collect_one(struct channel *channel, struct channel ***found, size_t *count)
{
    if ((*count & (*count - 1)) == 0) { /* a power of two: full */
        size_t           room = *count == 0 ? 1 : *count * 2;
        struct channel **larger = mem_zalloc(room * sizeof(struct channel *),
                                             alignof(struct channel *));
        if (larger == NULL) { return false; }
        if (*count > 0) { memcpy(larger, *found, *count * sizeof **found); }
        mem_free(*found);
        *found = larger;
    }
    channel_retain(channel);
    (*found)[(*count)++] = channel;
    return true;
}

bool graph_collect(struct channel *channel, struct channel ***found, size_t *count)
{
    *found = NULL;
    *count = 0;
    graph_lock();
    uint64_t walk = ++walks;
    bool     ok = collect_one(channel, found, count);
    for (size_t i = 0; ok && i < *count; i++) {
        const struct async_task *task = (*found)[i]->task;
        /* relaxed: under the lock */
        const struct edge *edge = task == NULL ? NULL : load_relaxed(&task->inputs);
        /* relaxed: as above */
        for (; ok && edge != NULL; edge = load_relaxed(&edge->next)) {
            struct async_task *producer = edge->input->task;
            if (producer != NULL) {
                if (producer->visited == walk) { continue; }
                producer->visited = walk;
            }
            ok = collect_one(edge->input, found, count);
        }
    }
    graph_unlock();
    return ok;
}

/* Takes all inputs off. Nobody is inside the task any more, and nobody will be. */
void graph_let_go(struct async_task *task)
{
    graph_lock();
    struct async_task *unwanted = take_back_wishes(task);
    struct edge       *edge = load_relaxed(&task->inputs); /* relaxed: under the lock */
    store_relaxed(&task->inputs, NULL);                    /* relaxed: under the lock */
    task->last_input = NULL;
    if (edge != NULL && edge->input->task != NULL && edge->input->task->fused_consumer == task) {
        edge->input->task->fused_consumer = NULL;
    }
    graph_unlock();
    stop_all(unwanted);
    while (edge != NULL) {
        struct edge *next = load_relaxed(&edge->next); /* relaxed: no longer shared */
        edge_disarm(edge, NULL);
        int64_t asked = load_relaxed(&edge->asked); /* relaxed: no longer shared */
        if (asked > 0 && edge->input->task != NULL) {
            demand_withdraw(edge->input->task, (size_t)asked);
        }
        /* relaxed: a count */
        if (edge->input->task != NULL) { sub_relaxed(&edge->input->task->consumers, 1); }
        drop(edge->input, edge->let);
        mem_free(edge);
        edge = next;
    }
}

async_status async_task_add_input(async_task *task, async_reader *input)
{
    if (task == NULL || input == NULL || task->source.kind != ASYNC_SOURCE_NONE) {
        return ASYNC_INVALID;
    }
    struct channel *channel = channel_of_reader(input);
    if (channel->item_size != task->input_size) { return ASYNC_INVALID; }
    if (!task_enter(task)) { return ASYNC_CLOSED; }
    async_status status = ASYNC_OK;
    bool         added = false;
    graph_lock();
    const struct edge *edge = NULL;
    /* relaxed: under the lock */
    if (channel->task == NULL || load_relaxed(&channel->task->consumers) > 0) {
        edge = load_relaxed(&task->inputs); /* relaxed: under the lock */
        /* relaxed: as above */
        while (edge != NULL && edge->input != channel) { edge = load_relaxed(&edge->next); }
    }
    if (edge == NULL) {
        if (channel->task != NULL && is_upstream(task, channel->task)) {
            status = ASYNC_CYCLE;
        } else {
            /* A task with two inputs draws them itself, and its producers put their output into
             * channels. */
            struct edge *first = load_relaxed(&task->inputs); /* relaxed: under the lock */
            /* G6: once and for all */
            if (first->input->task != NULL) { store_seq_cst(&first->input->task->exposed, true); }
            if (channel->task != NULL) { store_seq_cst(&channel->task->exposed, true); } /* G6 */
            if (graph_link(task, channel) == NULL) {
                status = ASYNC_NO_MEMORY;
            } else {
                /* G3 -> G4; relaxed: written under the lock */
                store_release(&version, load_relaxed(&version) + 1);
                added = true;
            }
        }
    }
    graph_unlock();
    if (added) { task_runnable(task); }
    task_leave(task);
    return status;
}
