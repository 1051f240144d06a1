/* trace.c: the recorder.
 *
 * A lane is a ring of events (trace_ring.h) and who may write to it. A worker takes one at its
 * first event and keeps it until its thread ends. Any other thread takes one for the time of its
 * outermost run, or wait, and gives it back, so that there are as many lanes as there are threads
 * at work at a time, however many come and go.
 *
 * Lanes stay until the pool is freed, so that looking for one needs no lock; what they hold belongs
 * to one start, the lane's `generation`. Who takes an older one empties it first, under the mutex;
 * who reads passes older ones over. So a start waits for nobody, and disturbs nobody who is in the
 * middle of a run that began before it: that one writes to the end into what nobody will read.
 *
 * The mutex is for starts, stops, reads, and a lane's first event after a start. A lane's ring is
 * prepared and freed under it by who has the lane, and read under it.
 *
 * Orders
 *   Y5 take, held (acquire) <- Y6 give back, held (release): the ring, as the last holder left it.
 *   Y7 push, lanes (release) -> Y8 look, lanes (acquire): the lane.
 * Layer: 3 */
#include "trace.h"

#include "context.h"
#include "mem.h"
#include "pool.h"
#include "strand.h"
#include "trace_ring.h"

#include <stdlib.h>

#define EVENTS_DEFAULT 65536

struct trace_lane {
    struct trace_ring  ring;
    shared_u32         held;       /* by a worker, or by a thread for the time of a run */
    uint32_t           generation; /* of the start whose events are in the ring; and */
    uint64_t           since;      /* its time: changed by the holder, under the mutex */
    uint64_t           until;      /* end of the last event; this and the next: the holder's */
    uint32_t           worker;     /* index of its slot */
    uint64_t           number;     /* this and the next two never change */
    struct trace_lane *next;
    struct async_pool *pool;
    struct trace_lane *outer; /* what its holder, no worker, held before, for another pool */
};

/* A run that is being recorded; on its thread's stack. */
struct trace_run {
    struct trace_lane *lane; /* NULL: no memory */
    uint64_t           at;   /* the end of the last chunk */
    uint16_t           waited;
    /* where the end emitted last */
    const struct block *block;
    size_t              used;
};

void trace_init(struct async_pool *pool) { os_mutex_init(&pool->trace.mutex); }

void trace_free(struct async_pool *pool)
{
    struct trace_lane *lane = load_relaxed(&pool->trace.lanes); /* relaxed: no longer shared */
    while (lane != NULL) {
        struct trace_lane *next = lane->next;
        ring_free(&lane->ring);
        mem_free(lane);
        lane = next;
    }
    os_mutex_destroy(&pool->trace.mutex);
}

void trace_lock(struct async_pool *pool) { os_mutex_lock(&pool->trace.mutex); }
void trace_unlock(struct async_pool *pool) { os_mutex_unlock(&pool->trace.mutex); }

/* ---- lanes ---- */

/* Under the mutex, by its holder. False: no memory; then it counts what it is given as lost. */
static bool renew(struct trace_lane *lane)
{
    const struct trace *trace = &lane->pool->trace;
    lane->generation = trace->generation;
    lane->since = trace->since;
    return ring_prepare(&lane->ring, trace->events);
}

/* A new one, held. Under the mutex. NULL: no memory. */
static struct trace_lane *new_lane(struct async_pool *pool)
{
    struct trace      *trace = &pool->trace;
    struct trace_lane *lane = mem_zalloc(sizeof *lane, alignof(struct trace_lane));
    if (lane == NULL) { return NULL; }
    lane->next = load_relaxed(&trace->lanes); /* relaxed: under the mutex */
    lane->number = lane->next == NULL ? 0 : lane->next->number + 1;
    lane->pool = pool;
    lane->worker = ASYNC_TRACE_CLIENT;
    store_relaxed(&lane->held, 1);      /* relaxed: Y7 publishes it */
    store_release(&trace->lanes, lane); /* Y7 -> Y8 */
    return lane;
}

static void give_back(struct trace_lane *lane)
{
    lane->worker = ASYNC_TRACE_CLIENT;
    store_release(&lane->held, 0); /* Y6 -> Y5 */
}

static bool take(struct trace_lane *lane)
{
    uint32_t free = 0;
    /* relaxed: the CAS decides */
    return load_relaxed(&lane->held) == 0 && cas_acquire(&lane->held, &free, 1); /* Y5 <- Y6 */
}

static struct trace_lane *find_lane(struct async_pool *pool)
{
    struct trace_lane *lane = load_acquire(&pool->trace.lanes); /* Y8 <- Y7 */
    while (lane != NULL && !take(lane)) { lane = lane->next; }
    if (lane == NULL) {
        os_mutex_lock(&pool->trace.mutex);
        lane = new_lane(pool);
        os_mutex_unlock(&pool->trace.mutex);
    }
    return lane;
}

/* The calling thread's lane in the pool; let_go must follow. NULL: no memory. */
static struct trace_lane *hold(struct async_pool *pool)
{
    struct worker     *worker = context.worker;
    struct trace_lane *lane;
    if (worker != NULL && worker->pool == pool) {
        if (worker->lane == NULL) { worker->lane = find_lane(pool); }
        lane = worker->lane;
        if (lane != NULL && worker->slot != NULL) { lane->worker = worker->slot->index; }
    } else {
        lane = context.lane;
        while (lane != NULL && lane->pool != pool) { lane = lane->outer; }
        if (lane == NULL && (lane = find_lane(pool)) != NULL) {
            lane->outer = context.lane;
            context.lane = lane;
        }
    }
    if (lane == NULL) {
        add_relaxed(&pool->trace.without, 1);                                /* relaxed: a count */
    } else if (unlikely(lane->generation != load_relaxed(&pool->tracing))) { /* relaxed: a look */
        os_mutex_lock(&pool->trace.mutex);
        if (lane->generation != pool->trace.generation) { renew(lane); }
        os_mutex_unlock(&pool->trace.mutex);
    }
    return lane;
}

/* `before`: context.lane, as it was before the hold. */
static void let_go(struct trace_lane *before)
{
    struct trace_lane *lane = context.lane;
    if (lane == before) { return; }
    context.lane = before;
    give_back(lane);
}

static void put(struct trace_lane *lane, async_trace_event *event)
{
    if (lane == NULL || event->start < lane->since) { return; }
    event->worker = lane->worker;
    lane->until = event->end;
    ring_put(&lane->ring, event);
}

void trace_worker_ends(struct worker *worker)
{
    if (worker->lane != NULL) { give_back(worker->lane); }
}

/* ---- what is recorded ---- */

/* Why the run that begins now could not begin before. */
static uint16_t take_reason(struct async_task *end)
{
    uint32_t reason = load_relaxed(&end->waited_for); /* relaxed: a reason more or less */
    if (reason != ASYNC_TRACE_NOTHING) {
        store_relaxed(&end->waited_for, ASYNC_TRACE_NOTHING); /* relaxed: as above */
    }
    return (uint16_t)reason;
}

void trace_execute(struct strand *strand)
{
    struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    struct trace_lane *outer_lane = context.lane;
    struct trace_run  *outer = context.traced, run = {.lane = hold(end->pool)};
    bool               called = head->source.kind == ASYNC_SOURCE_NEXT;
    run.waited = called ? context.draw_waited : take_reason(end);
    if (end->emit != NULL) { run.block = strand->out; }
    /* So that each pass of a stage is one chunk. */
    strand->granule = min_size(strand->granule, strand->chunk);
    context.traced = &run;
    run.at = os_now_ns();
    strand_execute(strand, UINT32_MAX);
    context.traced = outer;
    if (load_seq_cst(&end->backlog) <= 0) {                  /* Q3 of demand.c: nobody wants more */
        store_relaxed(&end->waited_for, ASYNC_TRACE_WINDOW); /* relaxed: see take_reason */
    }
    let_go(outer_lane);
}

/* Outputs since the last look: a block that was left for the next one was filled. */
static size_t emitted(struct trace_run *run, const struct strand *strand)
{
    const struct async_emitter *emitter = &strand->emitter;
    size_t                      made = 0;
    while (run->block != emitter->block) {
        bool first = run->block == strand->out;
        made += (first ? strand->produced : run->block->used) - run->used;
        run->block = first ? strand->pieces.more : run->block->next;
        run->used = 0;
    }
    size_t used = emitter->holds - emitter->room;
    made += used - run->used;
    run->used = used;
    return made;
}

void trace_chunk(const struct strand *strand, unsigned stage, uint64_t sequence, size_t read,
                 size_t made)
{
    const struct async_task *task = strand->stage[stage];
    struct trace_run        *run = context.traced;
    if (task->emit != NULL) { made = emitted(run, strand); }
    async_trace_event event = {.start = run->at,
                               .end = os_now_ns(),
                               .task = task->number,
                               .sequence = sequence,
                               .items_in = read,
                               .items_out = made,
                               .kind = ASYNC_TRACE_CHUNK,
                               .waited_for = run->waited};
    put(run->lane, &event);
    run->at = event.end;
    run->waited = ASYNC_TRACE_NOTHING;
}

int trace_next(const struct strand *strand, void *items, size_t count, size_t *got)
{
    struct async_task *head = strand->stage[strand->stages - 1];
    struct trace_lane *outer_lane = context.lane, *lane = hold(head->pool);
    async_trace_event  event = {.start = os_now_ns(),
                                .task = head->number,
                                .sequence = load_relaxed(&head->drawn), /* relaxed: its turn */
                                .kind = ASYNC_TRACE_DRAW,
                                .waited_for = take_reason(strand->stage[0])};
    int                code = head->source.next(items, count, got, head->source.context);
    event.end = os_now_ns();
    event.items_out = min_size(*got, count);
    put(lane, &event);
    let_go(outer_lane);
    context.draw_waited = event.waited_for; /* others may have come and gone since */
    return code;
}

void trace_stolen(struct worker *worker, unsigned victim)
{
    async_trace_event event = {.start = os_now_ns(), .sequence = victim, .kind = ASYNC_TRACE_STEAL};
    event.end = event.start;
    put(hold(worker->pool), &event); /* a worker keeps its lane */
}

void trace_parks(struct async_pool *pool, struct trace_park *park)
{
    park->outer = context.lane;
    hold(pool); /* others that wait meanwhile record elsewhere */
    park->since = os_now_ns();
}

void trace_parked(struct async_pool *pool, const struct trace_park *park)
{
    struct trace_lane *lane = hold(pool);
    async_trace_event  event = {.start = park->since, .end = os_now_ns(), .kind = ASYNC_TRACE_PARK};
    if (lane != NULL) {
        /* The recording has begun meanwhile; and the lane may have been another thread's. */
        if (event.start < lane->since) { event.start = lane->since; }
        if (event.start < lane->until) { event.start = lane->until; }
    }
    put(lane, &event);
    let_go(park->outer);
}

/* ---- start, stop, read ---- */

/* Empties the lanes that nobody holds, and makes so many that each worker and one thread more find
 * one; those that are held empty themselves. Under the mutex. */
static bool make_lanes(struct async_pool *pool)
{
    size_t wanted = (size_t)load_relaxed(&pool->size) + 1; /* relaxed: others make theirs */
    bool   ok = true;
    /* relaxed: under the mutex */
    for (struct trace_lane *lane = load_relaxed(&pool->trace.lanes); ok && lane != NULL;
         lane = lane->next) {
        if (take(lane)) {
            ok = renew(lane);
            give_back(lane);
        }
        if (wanted > 0) { wanted--; }
    }
    for (; ok && wanted > 0; wanted--) {
        struct trace_lane *lane = new_lane(pool);
        ok = lane != NULL && renew(lane);
        if (lane != NULL) { give_back(lane); }
    }
    return ok;
}

static void free_rings(struct async_pool *pool)
{
    /* relaxed: under the mutex */
    for (struct trace_lane *lane = load_relaxed(&pool->trace.lanes); lane != NULL;
         lane = lane->next) {
        if (!take(lane)) { continue; }
        ring_free(&lane->ring);
        give_back(lane);
    }
}

async_status async_trace_start(async_pool *pool, size_t events)
{
    size_t bytes;
    if (events == 0) { events = EVENTS_DEFAULT; }
    if (pool == NULL || events == SIZE_MAX ||
        !size_mul(events + 1, sizeof(struct trace_slot), &bytes)) {
        return ASYNC_INVALID;
    }
    if (load_seq_cst(&pool->closing) != 0) { return ASYNC_CLOSED; } /* P1 of pool.c */
    struct trace *trace = &pool->trace;
    os_mutex_lock(&trace->mutex);
    if (++trace->generation == 0) { trace->generation = 1; }
    trace->events = events;
    trace->since = os_now_ns();
    trace->next = NULL;
    store_relaxed(&trace->without, 0); /* relaxed: a count */
    bool ok = make_lanes(pool);
    if (!ok) { free_rings(pool); }
    /* relaxed: a run more or less; who finds its lane of an older generation takes the mutex */
    store_relaxed(&pool->tracing, ok ? trace->generation : 0);
    os_mutex_unlock(&trace->mutex);
    return ok ? ASYNC_OK : ASYNC_NO_MEMORY;
}

async_status async_trace_stop(async_pool *pool)
{
    if (pool == NULL) { return ASYNC_INVALID; }
    os_mutex_lock(&pool->trace.mutex);
    store_relaxed(&pool->tracing, 0); /* relaxed: a run more or less */
    os_mutex_unlock(&pool->trace.mutex);
    return ASYNC_OK;
}

/* What encloses others stands before them. */
static int by_start(const void *left, const void *right)
{
    const async_trace_event *a = left, *b = right;
    if (a->start != b->start) { return a->start < b->start ? -1 : 1; }
    return a->end == b->end ? 0 : a->end > b->end ? -1 : 1;
}

async_status async_trace_read(async_pool *pool, async_trace_event *events, size_t count,
                              size_t *got, uint64_t *lost)
{
    if (got != NULL) { *got = 0; }
    if (lost != NULL) { *lost = 0; }
    if (pool == NULL || got == NULL || (events == NULL && count > 0)) { return ASYNC_INVALID; }
    struct trace *trace = &pool->trace;
    size_t        all = 0;
    os_mutex_lock(&trace->mutex);
    uint64_t           gone = load_relaxed(&trace->without); /* relaxed: a count */
    struct trace_lane *newest = load_relaxed(&trace->lanes), /* relaxed: under the mutex */
        *first = trace->next != NULL ? trace->next : newest, *lane = first;
    for (bool more = lane != NULL; more; more = lane != first) {
        if (lane->generation == trace->generation) {
            size_t part = ring_take(&lane->ring, events + all, count - all);
            for (size_t i = 0; i < part; i++) { events[all + i].lane = lane->number; }
            all += part;
            if (part > 0) { trace->next = lane; } /* it may have more */
            gone += ring_lost(&lane->ring);
        }
        lane = lane->next != NULL ? lane->next : newest;
    }
    os_mutex_unlock(&trace->mutex);
    if (all > 1) { qsort(events, all, sizeof *events, by_start); }
    *got = all;
    if (lost != NULL) { *lost = gone; }
    return ASYNC_OK;
}

uint64_t async_task_number(const async_task *task) { return task == NULL ? 0 : task->number; }

/* ---- the child of a fork ---- */

static bool is_own(const struct trace_lane *lane)
{
    if (context.worker != NULL && context.worker->lane == lane) { return true; }
    const struct trace_lane *held = context.lane;
    while (held != NULL && held != lane) { held = held->outer; }
    return held != NULL;
}

/* Lanes of threads that are gone are free again. A thread that was writing an event has not counted
 * it, so what can be read is whole. */
void trace_after_fork(struct async_pool *pool)
{
    store_relaxed(&pool->tracing, 0); /* relaxed (all): there is one thread */
    for (struct trace_lane *lane = load_relaxed(&pool->trace.lanes); lane != NULL;
         lane = lane->next) {
        if (!is_own(lane)) { store_relaxed(&lane->held, 0); }
    }
}
