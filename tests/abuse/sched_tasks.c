/* sched_tasks.c: rows F27, F29 to F31: what tasks do exactly once, in order, and to each other.
 * F64: an observer reads all counters meanwhile. */
#include "rows.h"

#include "arena.h"
#include "observer.h"
#include "stress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ── F27 ─────────────────────────────────────────────────────────────────────────────────────── */

/* Each job is given a number and writes up to three others to the channel that it came from. */
typedef struct tree {
    uint64_t             size;
    uint64_t             seed;
    async_writer        *writer;
    atomic_uchar        *seen;
    atomic_uint_fast64_t numbered, left; /* numbers given; jobs not done yet */
    atomic_bool          odd;
} tree;

static uint64_t shuffled(uint64_t n)
{
    dice d = {n};
    return dice_next(&d);
}

static void spawn(tree *t, uint64_t count)
{
    uint64_t first = atomic_fetch_add(&t->numbered, count);
    if (first >= t->size) { return; }
    if (count > t->size - first) { count = t->size - first; }
    uint64_t children[3] = {first, first + 1, first + 2};
    size_t   written = 0;
    atomic_fetch_add(&t->left, count);
    if (async_writer_write(t->writer, children, count, &written, async_now()) != ASYNC_OK ||
        written != count) {
        atomic_store(&t->odd, true);
    }
}

static int grow_tree(const void *in, void *out, void *context)
{
    tree    *t = context;
    uint64_t id = *(const uint64_t *)in;
    *(uint64_t *)out = id;
    if (id >= t->size) {
        atomic_store(&t->odd, true);
        return 0;
    }
    atomic_fetch_add_explicit(&t->seen[id], 1, memory_order_relaxed);
    spawn(t, shuffled(id ^ t->seed) % 4);
    if (atomic_fetch_sub(&t->left, 1) == 1) { /* it has died out, or is complete */
        spawn(t, 1);
        if (atomic_load(&t->numbered) > t->size) { (void)async_writer_close(t->writer); }
    }
    return 0;
}

static void random_tree(void)
{
    static const unsigned workers[] = {0, 1, 2, 4};
    uint64_t              size = row_number(SANITIZED ? 30000 : 10000000) / 4 + 1;
    for (unsigned i = 0; i < 4; i++) {
        tree          t = {.size = size, .seed = row_seed() + i};
        async_reader *end;
        t.seen = calloc(size, sizeof *t.seen);
        channel_of(&t.writer, &end, 0, NULL);
        async_pool   *pool = pool_of(workers[i]);
        async_reader *r = TASK(pool, .input = end, .each = grow_tree, .context = &t,
                               .max_chunksize = 1);
        observer      o;
        observer_start(&o, pool, &r, 1, t.writer);
        spawn(&t, 1);
        size_t    count = 0;
        uint64_t *items = read_rest(r, &count);
        observer_stop(&o);
        ROW_EQ(count, size);
        for (uint64_t n = 0; n < size; n++) { ROW_EQ(atomic_load(&t.seen[n]), 1); }
        for (uint64_t n = 0; n < size; n++) { atomic_fetch_add(&t.seen[items[n]], 1); }
        for (uint64_t n = 0; n < size; n++) { ROW_EQ(atomic_load(&t.seen[n]), 2); }
        ROW_CHECK(!atomic_load(&t.odd));
        async_free(items);
        async_reader_release(r);
        async_reader_release(end);
        async_writer_release(t.writer);
        pool_end(pool);
        free(t.seen);
    }
}

/* ── F29 ─────────────────────────────────────────────────────────────────────────────────────── */

static void cycles(void)
{
    enum { LENGTH = 300 };
    EACH_SIZE (n) {
        probe         p = {0};
        async_pool   *pools[2] = {pool_of(n), pool_of(1)};
        async_reader *r[LENGTH];
        r[0] = TASK(pools[0], .source = range_of(0, 100), .each = each_add_one, .context = &p);
        for (unsigned i = 1; i < LENGTH; i++) {
            r[i] = TASK(pools[i / 50 % 2], .input = r[i - 1], .each = each_add_one, .context = &p);
        }
        size_t tasks[2] = {async_pool_num_tasks(pools[0]), async_pool_num_tasks(pools[1])};
        ROW_EQ(tasks[0] + tasks[1], LENGTH);
        for (unsigned i = 1; i < LENGTH; i++) {
            ROW_STATUS(async_task_add_input(async_reader_task(r[i]), r[i]), ASYNC_CYCLE);
            ROW_STATUS(async_task_add_input(async_reader_task(r[i]), r[LENGTH - 1]), ASYNC_CYCLE);
            /* no change */
            ROW_STATUS(async_task_add_input(async_reader_task(r[i]), r[i - 1]), ASYNC_OK);
            ROW_STATUS(async_task_add_input(async_reader_task(r[1]), r[i]), ASYNC_CYCLE);
        }
        ROW_EQ(atomic_load(&p.calls), 0);
        for (unsigned i = 0; i < LENGTH; i++) {
            async_task_stats stats = counts_of(r[i]);
            ROW_EQ(stats.chunks + stats.items_in + stats.asked + stats.in_flight, 0);
        }
        ROW_EQ(async_pool_num_tasks(pools[0]), tasks[0]);
        ROW_EQ(async_pool_num_tasks(pools[1]), tasks[1]);
        /* And the graph is as it was. */
        size_t count = 0;
        async_free(read_rest(r[LENGTH - 1], &count));
        ROW_EQ(count, 100);
        ROW_EQ(atomic_load(&p.items), 100 * LENGTH);
        for (unsigned i = 0; i < LENGTH; i++) { async_reader_release(r[i]); }
        ROW_EQ(async_pool_num_tasks(pools[0]) + async_pool_num_tasks(pools[1]), 0);
        pool_end(pools[0]);
        pool_end(pools[1]);
    }
}

/* Edges that would close a ring together, by as many threads at once: never all of them. */
typedef struct ring_edge {
    async_task   *task;
    async_reader *input;
    atomic_bool  *go;
    async_status  status;
    thread        thread;
} ring_edge;

static void add_edge(void *arg)
{
    ring_edge *e = arg;
    while (!atomic_load(e->go)) {}
    e->status = async_task_add_input(e->task, e->input);
}

static void cycles_in_a_race(void)
{
    uint64_t rounds = row_number(SANITIZED ? 100 : 300);
    for (uint64_t round = 0; round < rounds; round++) {
        enum { TASKS = 3 };
        async_pool   *pool = pool_of(1);
        async_reader *source[TASKS], *r[TASKS];
        ring_edge     edges[TASKS] = {{0}};
        atomic_bool   go = false;
        for (unsigned i = 0; i < TASKS; i++) {
            source[i] = TASK(pool, .source = range_of(100 * i, 100), .each = each_add_one);
            r[i] = TASK(pool, .input = source[i], .each = each_add_one);
        }
        for (unsigned i = 0; i < TASKS; i++) {
            edges[i] = (ring_edge){
                .task = async_reader_task(r[i]), .input = r[(i + 1) % TASKS], .go = &go};
            thread_start(&edges[i].thread, add_edge, &edges[i]);
        }
        atomic_store(&go, true);
        unsigned refused = 0;
        for (unsigned i = 0; i < TASKS; i++) {
            thread_join(&edges[i].thread);
            ROW_CHECK(edges[i].status == ASYNC_OK || edges[i].status == ASYNC_CYCLE);
            refused += edges[i].status == ASYNC_CYCLE;
        }
        ROW_EQ(refused, 1);
        for (unsigned i = 0; i < TASKS; i++) {
            if (edges[i].status == ASYNC_CYCLE) { /* the end of the line: all items come here */
                size_t count = 0;
                async_free(read_rest(r[(i + 1) % TASKS], &count));
                ROW_EQ(count, 100 * TASKS);
            }
        }
        for (unsigned i = 0; i < TASKS; i++) {
            async_reader_release(r[i]);
            async_reader_release(source[i]);
        }
        pool_end(pool);
    }
}

/* ── F30 ─────────────────────────────────────────────────────────────────────────────────────── */

typedef struct failing {
    uint64_t value; /* fails at this input; UINT64_MAX: never */
    int      code;
} failing;

static int fail_each(const void *in, void *out, void *context)
{
    const failing *f = context;
    *(uint64_t *)out = *(const uint64_t *)in;
    if (*(const uint64_t *)in == f->value) {
        return async_fail(f->code, "at %llu", (unsigned long long)f->value);
    }
    return 0;
}

static int fail_batch(const void *in, void *out, size_t count, size_t *done, void *context)
{
    const failing *f = context;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = ((const uint64_t *)in)[i];
        ((uint64_t *)out)[i] = value;
        if (value == f->value) {
            *done = i;
            return async_fail(f->code, "at %llu", (unsigned long long)value);
        }
    }
    return 0;
}

static int fail_emit(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    const failing *f = context;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = ((const uint64_t *)in)[i];
        if (value == f->value) {
            *done = i;
            return async_fail(f->code, "at %llu", (unsigned long long)value);
        }
        if (async_emit(out, &value, 1) != ASYNC_OK) { return 99; }
    }
    return 0;
}

static void one_failure(dice *d, uint64_t round)
{
    enum { STAGES = 4 };
    unsigned n = (unsigned)PICK(d, 0, 1, 2, 4), length = 1 + roll(d, STAGES), bad = roll(d, length);
    uint64_t items = 1 + roll(d, 3000), value = roll(d, (unsigned)items);
    bool     ordered = roll(d, 2) == 0;
    arena    a = {0};
    async_pool_options options = {.readers_help = one_in(d, 3)};
    async_pool        *pool = arena_pool(&a, n, &options);
    failing            fine = {UINT64_MAX, 0}, broken = {value, 1 + (int)(round % 100)};
    async_reader      *r[STAGES] = {NULL};
    char               names[STAGES][8];
    for (unsigned i = 0; i < length; i++) {
        snprintf(names[i], sizeof names[i], "stage%u", i);
        async_task_options o = {
            .name = names[i],
            .context = i == bad ? &broken : &fine,
            .max_chunksize = PICK(d, 0, 1, 3, 64, 1000),
            .min_count = one_in(d, 4) ? roll(d, 2000) : 0,
            .order = ordered ? ASYNC_ORDERED : ASYNC_UNORDERED,
        };
        unsigned kind = roll(d, 3);
        o.each = kind == 0 ? fail_each : NULL;
        o.batch = kind == 1 ? fail_batch : NULL;
        o.emit = kind == 2 ? fail_emit : NULL;
        if (i == 0) {
            o.source = range_of(0, items);
        } else {
            o.input = r[i - 1];
        }
        r[i] = task_of(pool, &o);
    }
    observer o;
    observer_start(&o, pool, r, length, NULL);
    void        *got = NULL;
    size_t       count = 0;
    async_status status = async_reader_read_all(r[length - 1], &got, &count, async_forever());
    if (status != ASYNC_FAILED) {
        row_failed(
            __FILE__, __LINE__,
            "%s with %zu of %llu items: N = %u, item %llu fails in stage %u of %u%s, round %llu",
            async_status_name(status), count, (unsigned long long)items, n,
            (unsigned long long)value, bad, length, ordered ? ", ordered" : "",
            (unsigned long long)round);
    }
    async_error error;
    ROW_STATUS(async_reader_error(r[length - 1], &error), ASYNC_OK);
    ROW_STATUS(error.status, ASYNC_FAILED);
    ROW_EQ(error.code, broken.code);
    ROW_CHECK(strcmp(error.task, names[bad]) == 0);
    ROW_CHECK(strncmp(error.message, "at ", 3) == 0 &&
              strtoull(error.message + 3, NULL, 10) == value);
    for (unsigned i = 0; i < length; i++) { /* upstream did not fail, downstream not by itself */
        ROW_STATUS(async_task_error(async_reader_task(r[i]), &error), ASYNC_OK);
        ROW_CHECK((error.status == ASYNC_FAILED) == (i == bad) || i > bad);
        if (i < bad) { ROW_STATUS(error.status, ASYNC_OK); }
    }
    const uint64_t *values = got;
    if (ordered || n == 0) {
        ROW_EQ(count, value);
        for (size_t i = 0; i < count; i++) { ROW_EQ(values[i], i); }
    } else {
        ledger l;
        ledger_make(&l, items);
        ledger_add(&l, values, count);
        ROW_EQ(ledger_count(&l, 0, items, 1), count);
        ROW_EQ(ledger_count(&l, value, value + 1, 0), 1);
        ledger_free(&l);
    }
    uint64_t item;
    size_t   more = 1;
    ROW_STATUS(async_reader_read(r[length - 1], &item, 1, &more, async_forever()), ASYNC_FAILED);
    ROW_EQ(more, 0);
    observer_stop(&o);
    async_free(got);
    for (unsigned i = 0; i < length; i++) { async_reader_release(r[i]); }
    ROW_EQ(async_pool_num_tasks(pool), 0);
    pool_end(pool);
    ROW_EQ(atomic_load(&a.blocks), 0);
    ROW_EQ(atomic_load(&a.wrong), 0);
}

static void failures(void)
{
    dice     d = {row_seed()};
    uint64_t rounds = row_number(THREAD_SANITIZED ? 100 : SANITIZED ? 300 : 1500);
    for (uint64_t round = 0; round < rounds; round++) { one_failure(&d, round); }
}

/* ── F31 ─────────────────────────────────────────────────────────────────────────────────────── */

#define TOYS 16

/* A function that adds, reads and removes tasks of its own pool, those that others added too. */
typedef struct toys {
    async_pool             *pool;
    _Atomic(async_reader *) shelf[TOYS];
    uint64_t                seed;
    atomic_uint             wrong;
    atomic_bool             ending; /* the pool's end may have begun */
    _Atomic(async_reader *) self;   /* its own task's; removes it at item `last` */
    uint64_t                last;
} toys;

/* NULL: the pool is coming to its end, which does not wait for the functions of removed tasks. */
static async_reader *toy_of(toys *t, const async_task_options *options)
{
    async_reader *toy = NULL;
    async_status  status = async_pool_add_task(t->pool, &toy, options);
    if (status != ASYNC_OK && !(status == ASYNC_CLOSED && atomic_load(&t->ending))) {
        atomic_fetch_add(&t->wrong, 1);
    }
    return toy;
}

static int play(const void *in, void *out, void *context)
{
    toys    *t = context;
    uint64_t id = *(const uint64_t *)in, item;
    dice     d = {id ^ t->seed};
    *(uint64_t *)out = id;
    async_reader *toy = NULL;
    switch (roll(&d, 4)) {
    case 0: /* a new one, perhaps with an input of the same age */
    {
        async_source       source = async_source_range(id, 50);
        async_task_options options = {.source = &source, .each = each_add_one, .max_chunksize = 3};
        toy = toy_of(t, &options);
        if (toy != NULL && one_in(&d, 2)) {
            options = (async_task_options){.input = toy, .each = each_add_one};
            async_reader *next = toy_of(t, &options);
            async_reader_release(toy);
            toy = next;
        }
    } break;
    case 1:
        toy = atomic_exchange(&t->shelf[roll(&d, TOYS)], NULL);
        if (toy != NULL) {
            size_t       got = 0;
            async_status status = async_reader_read(toy, &item, 1, &got, async_forever());
            if (!(status == ASYNC_OK && got == 1) && status != ASYNC_END) {
                atomic_fetch_add(&t->wrong, 1);
            }
        }
        break;
    case 2:
        toy = atomic_exchange(&t->shelf[roll(&d, TOYS)], NULL);
        if (toy != NULL && async_pool_remove_task(t->pool, async_reader_task(toy)) != ASYNC_OK) {
            atomic_fetch_add(&t->wrong, 1);
        }
        break;
    default:
        toy = atomic_exchange(&t->shelf[roll(&d, TOYS)], NULL);
        if (toy != NULL && one_in(&d, 2)) {
            async_reader_release(toy);
            toy = NULL;
        }
    }
    if (toy != NULL) {
        toy = atomic_exchange(&t->shelf[roll(&d, TOYS)], toy);
        async_reader_release(toy); /* NULL is fine */
    }
    return 0;
}

static int play_and_leave(const void *in, void *out, void *context)
{
    toys    *t = context;
    uint64_t id = *(const uint64_t *)in;
    (void)play(in, out, context);
    if (id == t->last) {
        async_reader *self = atomic_load(&t->self);
        if (async_pool_remove_task(t->pool, async_reader_task(self)) != ASYNC_OK) {
            atomic_fetch_add(&t->wrong, 1);
        }
    }
    return 0;
}

static void playing(void)
{
    uint64_t items = row_number(SANITIZED ? 2000 : 20000);
    EACH_SIZE (n) {
        bool          removes_itself = n % 2 == 0;
        toys          t = {.pool = pool_of(n),
                           .seed = row_seed() + n,
                           .last = removes_itself ? items / 2 : UINT64_MAX};
        async_reader *a = TASK(t.pool, .source = range_of(0, items), .each = play, .context = &t,
                               .max_chunksize = 2);
        async_reader *r = TASK(t.pool, .input = a, .each = play_and_leave, .context = &t,
                               .max_chunksize = 5);
        atomic_store(&t.self, r);
        observer      o;
        async_reader *observed[2] = {a, r};
        observer_start(&o, t.pool, observed, 2, NULL);
        size_t    count = 0;
        uint64_t *got = read_rest(r, &count);
        ledger    l;
        ledger_make(&l, items);
        ledger_add(&l, got, count);
        ROW_EQ(ledger_count(&l, 0, items, 1), count);
        if (!removes_itself) {
            ROW_EQ(count, items);
        } else {
            ROW_CHECK(count < items && ledger_count(&l, items / 2, items / 2 + 1, 1) == 1);
        }
        ledger_free(&l);
        async_free(got);
        observer_stop(&o);
        async_reader_release(r);
        async_reader_release(a);
        /* Functions of a removed task may run yet: the pool first. Readers outlive it. */
        atomic_store(&t.ending, true);
        pool_end(t.pool);
        ROW_EQ(atomic_load(&t.wrong), 0);
        for (unsigned i = 0; i < TOYS; i++) { async_reader_release(atomic_load(&t.shelf[i])); }
    }
}

static const row rows[] = {
    {"F27", "a random tree of jobs that make jobs: each number once", random_tree, 120},
    {"F29", "cycles, self edges and edges given twice: nothing runs, nothing changes", cycles, 0},
    {"F29 race", "edges that close a ring only together, at once", cycles_in_a_race, 0},
    {"F30", "a task that fails, anywhere: rows X1 to X6, nothing leaked", failures, 120},
    {"F31", "functions that add, read and remove tasks of their own pool", playing, 120},
};
ROWS(rows)
