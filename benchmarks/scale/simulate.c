/* simulate.c: see simulate.h. */
#include "simulate.h"

#include "stats.h"

#include <stdlib.h>

#define NONE UINT32_MAX

/* How long a worker looks for work before it sleeps; from then on it takes a wake-up. */
static const double search_seconds = 60e-6;

/* ── Events, in the order of their times ────────────────────────────────────────────────────── */

enum what { CHUNK_ENDS, ITEMS_COME, WORKER_LOOKS };

struct event {
    double    time;
    uint64_t  order; /* among those of one time */
    enum what what;
    uint32_t  worker, node;
};

struct heap {
    struct event *events;
    size_t        count;
};

static bool before(const struct event *a, const struct event *b)
{
    return a->time < b->time || (a->time == b->time && a->order < b->order);
}

static void heap_push(struct heap *heap, struct event event)
{
    size_t at = heap->count++;
    for (; at > 0 && before(&event, &heap->events[(at - 1) / 2]); at = (at - 1) / 2)
        heap->events[at] = heap->events[(at - 1) / 2];
    heap->events[at] = event;
}

static struct event heap_pop(struct heap *heap)
{
    struct event first = heap->events[0], last = heap->events[--heap->count];
    size_t       at = 0;
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= heap->count) break;
        if (child + 1 < heap->count && before(&heap->events[child + 1], &heap->events[child]))
            child++;
        if (!before(&heap->events[child], &last)) break;
        heap->events[at] = heap->events[child];
        at = child;
    }
    heap->events[at] = last;
    return first;
}

/* ── Lists of nodes; a node is in one of them at most ───────────────────────────────────────── */

struct list {
    uint32_t oldest, newest;
};

static const struct list empty_list = {NONE, NONE};

struct worker {
    struct list deque;
    uint32_t    at_full; /* its place in `full`; NONE: its deque is empty */
    double      idle_since;
};

struct limited {
    struct list waiting;
    unsigned    running; /* chunks that have their turn */
};

struct sim {
    const struct graph *graph;
    const struct costs *costs;
    unsigned            workers;
    uint64_t            seed, order;
    double              now;
    struct heap         heap;
    uint32_t           *older, *newer, *needs; /* of each node */
    struct list         backlog; /* ready, and on no worker's deque: in order, anybody's */
    struct list         gates;   /* ready to pass on */
    struct list         held;    /* heads beyond the window */
    struct worker      *worker;
    struct limited     *limited; /* of each stage */
    uint32_t           *full;    /* workers whose deques are not empty */
    uint32_t           *idle;    /* a stack of workers */
    size_t              full_count, idle_count;
    size_t              ready;   /* nodes in deques and backlog */
    size_t              looking; /* workers on their way to them */
    uint64_t           *there;   /* items that came, of each stage's queue */
    size_t             *taken;   /* and the first of its takers that waits */
    size_t              heads, heads_begun, done;
    double              ends, ended; /* items, or chunks, that the end takes, and has taken */
    struct simulated   *out;
};

/* Behind `after`; NONE: as the oldest. */
static void link_behind(struct sim *sim, struct list *list, uint32_t node, uint32_t after)
{
    uint32_t next = after == NONE ? list->oldest : sim->newer[after];
    sim->older[node] = after;
    sim->newer[node] = next;
    *(after == NONE ? &list->oldest : &sim->newer[after]) = node;
    *(next == NONE ? &list->newest : &sim->older[next]) = node;
}

static void append(struct sim *sim, struct list *list, uint32_t node)
{
    link_behind(sim, list, node, list->newest);
}

/* In order of their numbers: what waits for its turn mostly comes in order, so the way is short. */
static void insert(struct sim *sim, struct list *list, uint32_t node)
{
    uint32_t after = list->newest;
    while (after != NONE && after > node) after = sim->older[after];
    link_behind(sim, list, node, after);
}

static uint32_t take(struct sim *sim, struct list *list, uint32_t node)
{
    if (node == NONE) return NONE;
    uint32_t older = sim->older[node], newer = sim->newer[node];
    *(older == NONE ? &list->oldest : &sim->newer[older]) = newer;
    *(newer == NONE ? &list->newest : &sim->older[newer]) = older;
    return node;
}

/* ── What becomes ready ─────────────────────────────────────────────────────────────────────── */

static void schedule(struct sim *sim, double time, enum what what, uint32_t worker, uint32_t node)
{
    heap_push(&sim->heap, (struct event){time, sim->order++, what, worker, node});
}

/* On the worker's deque; NONE: in the backlog. */
static void put(struct sim *sim, uint32_t worker, uint32_t node)
{
    sim->ready++;
    if (worker == NONE) {
        insert(sim, &sim->backlog, node);
        return;
    }
    struct worker *w = &sim->worker[worker];
    append(sim, &w->deque, node);
    if (w->at_full != NONE) return;
    w->at_full = (uint32_t)sim->full_count;
    sim->full[sim->full_count++] = worker;
}

/* Whether one more chunk of a head is within what is asked for: 4 (P + 1) chunks ahead of the end,
 * whose chunks may be larger or smaller than the heads'. */
static bool within_window(const struct sim *sim)
{
    if (!sim->graph->window || sim->ends <= 0) return true;
    double taken = sim->ended * (double)sim->heads / sim->ends;
    return (double)sim->heads_begun < taken + 4 * ((double)sim->workers + 1);
}

/* How much of the whole the end has taken with this chunk. */
static double end_of(const struct node *node) { return node->takes > 0 ? (double)node->takes : 1; }

static void begin_head(struct sim *sim, uint32_t node)
{
    sim->heads_begun++;
    put(sim, NONE, node);
}

/* Its input is there: now it wants room in the window, or its turn, or to pass on. */
static void make_ready(struct sim *sim, uint32_t worker, uint32_t node)
{
    const struct node        *n = &sim->graph->nodes[node];
    const struct graph_stage *stage = &sim->graph->stages[n->stage];
    struct limited           *limited = &sim->limited[n->stage];
    if (n->gate) {
        append(sim, &sim->gates, node);
    } else if (stage->head) {
        if (within_window(sim))
            begin_head(sim, node);
        else
            insert(sim, &sim->held, node);
    } else if (stage->at_a_time > 0 && limited->running >= stage->at_a_time) {
        insert(sim, &limited->waiting, node);
    } else {
        limited->running++;
        put(sim, worker, node);
    }
}

/* A node has got its last need, but for the time at which its items come. */
static void satisfy(struct sim *sim, uint32_t worker, uint32_t node)
{
    double comes = sim->graph->nodes[node].comes;
    if (sim->graph->feeds) comes /= sim->workers;
    if (comes > sim->now)
        schedule(sim, comes, ITEMS_COME, NONE, node);
    else
        make_ready(sim, worker, node);
}

static void pass_items(struct sim *sim, uint32_t worker, const struct node *node)
{
    size_t                    stage = node->queue - 1;
    const struct graph_queue *queue = &sim->graph->queues[stage];
    sim->there[stage] += node->gives;
    for (size_t *at = &sim->taken[stage]; *at < queue->count; ++*at) {
        if (queue->until[*at] > sim->there[stage]) break;
        uint32_t taker = queue->takers[*at];
        if (queue->until[*at] > 0 && --sim->needs[taker] == 0) satisfy(sim, worker, taker);
    }
}

static void pass_on(struct sim *sim, uint32_t worker, uint32_t node)
{
    const struct graph *graph = sim->graph;
    size_t              end = node + 1 < graph->count ? graph->nodes[node + 1].next : graph->edges;
    if (graph->nodes[node].queue > 0) pass_items(sim, worker, &graph->nodes[node]);
    /* Later ones first: the worker takes the earliest, on top. */
    for (size_t e = end; e-- > graph->nodes[node].next;)
        if (--sim->needs[graph->to[e]] == 0) satisfy(sim, worker, graph->to[e]);
}

static void release_held(struct sim *sim)
{
    while (sim->held.oldest != NONE && within_window(sim))
        begin_head(sim, take(sim, &sim->held, sim->held.oldest));
}

static void finish(struct sim *sim, uint32_t worker, uint32_t node)
{
    uint32_t                  stage = sim->graph->nodes[node].stage;
    const struct graph_stage *s = &sim->graph->stages[stage];
    struct limited           *limited = &sim->limited[stage];
    sim->done++;
    if (s->last) sim->ended += end_of(&sim->graph->nodes[node]);
    if (!s->head) limited->running--;
    if (limited->waiting.oldest != NONE) {
        limited->running++;
        put(sim, worker, take(sim, &limited->waiting, limited->waiting.oldest));
    }
    pass_on(sim, worker, node);
    while (sim->gates.oldest != NONE) {
        sim->done++;
        pass_on(sim, worker, take(sim, &sim->gates, sim->gates.oldest));
    }
    release_held(sim);
}

/* ── Workers ────────────────────────────────────────────────────────────────────────────────── */

static uint32_t take_from(struct sim *sim, uint32_t worker, bool newest)
{
    struct worker *w = &sim->worker[worker];
    uint32_t       node = take(sim, &w->deque, newest ? w->deque.newest : w->deque.oldest);
    if (node != NONE && w->deque.oldest == NONE) {
        uint32_t last = sim->full[--sim->full_count];
        sim->full[w->at_full] = last;
        sim->worker[last].at_full = w->at_full;
        w->at_full = NONE;
    }
    return node;
}

/* Own newest, else the backlog's first, else the oldest of a random other worker. */
static void work_on(struct sim *sim, uint32_t worker)
{
    double   begin = sim->now;
    uint32_t node = take_from(sim, worker, true);
    if (node == NONE) node = take(sim, &sim->backlog, sim->backlog.oldest);
    if (node == NONE && sim->full_count > 0) {
        node = take_from(sim, sim->full[random_below(&sim->seed, sim->full_count)], false);
        begin += sim->costs->steal;
        sim->out->steals++;
    }
    if (node == NONE) {
        sim->worker[worker].idle_since = sim->now;
        sim->idle[sim->idle_count++] = worker;
        return;
    }
    sim->ready--;
    if (sim->workers > 1) begin += sim->costs->share;
    double work = sim->graph->nodes[node].work;
    sim->out->busy += work;
    schedule(sim, begin + work, CHUNK_ENDS, worker, node);
}

/* As many as there is work for that nobody is on his way to. */
static void call_idle(struct sim *sim)
{
    while (sim->ready > sim->looking && sim->idle_count > 0) {
        uint32_t worker = sim->idle[--sim->idle_count];
        double   at = sim->now;
        if (sim->now - sim->worker[worker].idle_since > search_seconds) {
            at += sim->costs->wake;
            sim->out->wakes++;
        }
        sim->looking++;
        schedule(sim, at, WORKER_LOOKS, worker, NONE);
    }
}

static void play(struct sim *sim)
{
    const struct graph *graph = sim->graph;
    for (size_t i = 0; i < graph->count; i++)
        if (graph->nodes[i].needs == 0) satisfy(sim, NONE, (uint32_t)i);
    for (unsigned w = sim->workers; w-- > 0;) sim->idle[sim->idle_count++] = w;
    call_idle(sim);
    while (sim->done < graph->count) {
        if (sim->heap.count == 0) {
            if (sim->held.oldest == NONE) break; /* no graph: what is left needs itself */
            /* The window is too narrow for what one chunk of the end takes, or behind a filter. */
            for (unsigned w = 0; w < sim->workers && sim->held.oldest != NONE; w++)
                begin_head(sim, take(sim, &sim->held, sim->held.oldest));
            call_idle(sim);
            continue;
        }
        struct event event = heap_pop(&sim->heap);
        sim->now = event.time;
        if (event.what == ITEMS_COME) {
            make_ready(sim, NONE, event.node);
        } else {
            if (event.what == WORKER_LOOKS) sim->looking--;
            if (event.what == CHUNK_ENDS) finish(sim, event.worker, event.node);
            work_on(sim, event.worker);
        }
        call_idle(sim);
    }
    sim->out->seconds = sim->now;
}

/* ── All together ───────────────────────────────────────────────────────────────────────────── */

static bool allocate(struct sim *sim)
{
    size_t nodes = sim->graph->count + 1, workers = sim->workers;
    sim->older = calloc(nodes, sizeof *sim->older);
    sim->newer = calloc(nodes, sizeof *sim->newer);
    sim->needs = calloc(nodes, sizeof *sim->needs);
    sim->worker = calloc(workers, sizeof *sim->worker);
    sim->limited = calloc(sim->graph->stage_count + 1, sizeof *sim->limited);
    sim->there = calloc(sim->graph->stage_count + 1, sizeof *sim->there);
    sim->taken = calloc(sim->graph->stage_count + 1, sizeof *sim->taken);
    sim->full = calloc(workers, sizeof *sim->full);
    sim->idle = calloc(workers, sizeof *sim->idle);
    sim->heap.events = calloc(nodes + 2 * workers, sizeof *sim->heap.events);
    return sim->older != NULL && sim->newer != NULL && sim->needs != NULL && sim->worker != NULL &&
           sim->limited != NULL && sim->there != NULL && sim->taken != NULL && sim->full != NULL &&
           sim->idle != NULL && sim->heap.events != NULL;
}

bool simulate(const struct graph *graph, unsigned workers, const struct costs *costs, uint64_t seed,
              struct simulated *out)
{
    *out = (struct simulated){0};
    struct sim sim = {.graph = graph,
                      .costs = costs,
                      .workers = workers,
                      .seed = seed,
                      .backlog = empty_list,
                      .gates = empty_list,
                      .held = empty_list,
                      .out = out};
    bool       memory = allocate(&sim);
    if (memory) {
        for (unsigned w = 0; w < workers; w++)
            sim.worker[w] = (struct worker){.deque = empty_list, .at_full = NONE};
        for (size_t s = 0; s <= graph->stage_count; s++) sim.limited[s].waiting = empty_list;
        for (size_t i = 0; i < graph->count; i++) {
            const struct graph_stage *stage = &graph->stages[graph->nodes[i].stage];
            sim.needs[i] = graph->nodes[i].needs;
            sim.heads += stage->head && !graph->nodes[i].gate;
            if (stage->last && !graph->nodes[i].gate) sim.ends += end_of(&graph->nodes[i]);
        }
        play(&sim);
    }
    free(sim.older);
    free(sim.newer);
    free(sim.needs);
    free(sim.worker);
    free(sim.limited);
    free(sim.there);
    free(sim.taken);
    free(sim.full);
    free(sim.idle);
    free(sim.heap.events);
    return memory;
}
