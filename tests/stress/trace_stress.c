/* trace_stress.c [seconds] [threads] [seed]: the recorder is started, stopped and read while
 * everything runs.
 *
 * Each round makes two pools and a chain through them, which `threads` threads read in pieces to
 * its end while workers come and go; two more threads start the recorders with rings of all sizes,
 * stop and read them. Every event must be one that can be: whole, of a task that there is, with
 * positions within its stream, behind the one before it in its lane or around it. Where the
 * recorder stayed on and nothing was lost, the events cover the streams once. */
#include "stress.h"

#include <stdlib.h>

enum { TASKS = 4, POOLS = 2, EVENTS = 512 };

typedef struct round {
    async_pool   *pools[POOLS];
    async_reader *readers[TASKS];
    uint64_t      numbers[TASKS]; /* of the tasks */
    uint64_t      items, began;
    atomic_bool   done;
    bool          steady; /* recorders are only read */
} round;

static round r;

/* What the events of one pool covered. */
typedef struct sum {
    uint64_t in[TASKS], out[TASKS], drawn, lost;
} sum;

typedef struct tracer {
    thread            thread;
    dice              dice;
    sum               sums[POOLS];
    async_trace_event events[EVENTS];
} tracer;

static int copy_all(const void *in, void *out, size_t count, size_t *done, void *context)
{
    (void)done;
    (void)context;
    for (size_t i = 0; i < count; i++) { ((uint64_t *)out)[i] = ((const uint64_t *)in)[i]; }
    return 0;
}

static int twice_each(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    (void)context;
    for (*done = 0; *done < count; ++*done) {
        uint64_t item = ((const uint64_t *)in)[*done], pair[2] = {item, item};
        MUST_STATUS(async_emit(out, pair, 2), ASYNC_OK);
    }
    return 0;
}

static void make(dice *d)
{
    static numbers source;
    source = (numbers){.end = r.items};
    r.began = now_ns();
    for (unsigned i = 0; i < POOLS; i++) { r.pools[i] = pool_of(roll(d, 4)); }
    for (unsigned i = 0; i < TASKS; i++) {
        async_task_options options = {
            .name = "recorded",
            .source = i == 0 ? from_numbers(&source) : NULL,
            .input = i == 0 ? NULL : r.readers[i - 1],
            .batch = i == TASKS - 1 ? NULL : copy_all,
            .emit = i == TASKS - 1 ? twice_each : NULL,
            .max_chunksize = PICK(d, 1, 7, 7, 64),
            .max_parallel = one_in(d, 3) ? 1 + roll(d, 2) : 0,
            .order = one_in(d, 3) ? ASYNC_ORDERED : ASYNC_UNORDERED,
        };
        r.readers[i] = task_of(r.pools[i < 2 ? 0 : 1], &options);
        r.numbers[i] = async_task_number(async_reader_task(r.readers[i]));
        MUST(i == 0 || r.numbers[i] > r.numbers[i - 1]);
    }
}

static void check_chunk(const async_trace_event *e, sum *s)
{
    unsigned task = 0;
    while (task < TASKS && r.numbers[task] != e->task) { task++; }
    if (task == TASKS) { /* the sink of a for_each: after all of them */
        MUST(e->task > r.numbers[TASKS - 1] && e->kind == ASYNC_TRACE_CHUNK);
        MUST(e->items_in > 0 && e->items_out == 0);
        return;
    }
    MUST(e->sequence + e->items_in <= r.items);
    if (e->kind == ASYNC_TRACE_DRAW) {
        MUST(task == 0 && e->items_in == 0 && e->sequence + e->items_out <= r.items);
        s->drawn += e->items_out;
        return;
    }
    MUST(e->items_in > 0);
    MUST_EQ(e->items_out, task == TASKS - 1 ? 2 * e->items_in : e->items_in);
    s->in[task] += e->items_in;
    s->out[task] += e->items_out;
}

static void check(const async_trace_event *events, size_t count, sum *s)
{
    uint64_t now = now_ns();
    for (size_t i = 0; i < count; i++) {
        const async_trace_event *e = &events[i];
        MUST(e->start >= r.began && e->start <= e->end && e->end <= now);
        MUST(i == 0 || e->start >= e[-1].start);
        MUST(e->worker < 4 || e->worker == ASYNC_TRACE_CLIENT);
        MUST(e->waited_for <= ASYNC_TRACE_WINDOW && e->reserved == 0 && e->lane < 1000);
        for (size_t j = i; j-- > 0;) { /* the one before in its lane */
            if (events[j].lane == e->lane) {
                MUST(e->start >= events[j].end || e->end <= events[j].end);
                break;
            }
        }
        switch (e->kind) {
        case ASYNC_TRACE_CHUNK:
        case ASYNC_TRACE_DRAW:
            check_chunk(e, s);
            break;
        case ASYNC_TRACE_STEAL:
            MUST(e->task == 0 && e->start == e->end && e->sequence < 4 && e->sequence != e->worker);
            break;
        default:
            MUST(e->task == 0 && e->kind == ASYNC_TRACE_PARK && e->sequence == 0);
        }
    }
}

static size_t read_some(tracer *t, unsigned pool, size_t count)
{
    size_t   got = 0;
    uint64_t lost = 0;
    MUST_STATUS(async_trace_read(r.pools[pool], t->events, count, &got, &lost), ASYNC_OK);
    MUST(got <= count);
    check(t->events, got, &t->sums[pool]);
    t->sums[pool].lost = lost;
    return got;
}

static void trace(void *argument)
{
    tracer *t = argument;
    while (!atomic_load(&r.done)) {
        unsigned         pool = roll(&t->dice, POOLS);
        async_pool_stats stats;
        if (!r.steady && one_in(&t->dice, 6)) {
            size_t events = PICK(&t->dice, 0, 1, 2, 50, 3000);
            MUST_STATUS(async_trace_start(r.pools[pool], events), ASYNC_OK);
        } else if (!r.steady && one_in(&t->dice, 10)) {
            MUST_STATUS(async_trace_stop(r.pools[pool]), ASYNC_OK);
        } else if (one_in(&t->dice, 10)) {
            MUST_STATUS(async_pool_counts(r.pools[pool], &stats), ASYNC_OK);
            MUST(stats.threads <= 4 + 4 + 1);
        } else if (read_some(t, pool, PICK(&t->dice, EVENTS, 0, 1, 10)) == 0) {
            sleep_us(roll(&t->dice, 300));
        }
    }
}

static int sink(const void *items, size_t count, void *context)
{
    (void)items;
    *(uint64_t *)context += count;
    stress_moves(count);
    return one_in(&(dice){now_ns()}, 10) ? ASYNC_STOP : ASYNC_CONTINUE;
}

typedef struct client {
    thread   thread;
    dice     dice;
    uint64_t got;
} client;

static void read_items(void *argument)
{
    client      *c = argument;
    async_status status = ASYNC_OK;
    while (status == ASYNC_OK || status == ASYNC_TIMEOUT) {
        uint64_t items[300];
        size_t   got = 0;
        if (one_in(&c->dice, 30)) {
            status = async_reader_for_each(r.readers[TASKS - 1], sink, &c->got, async_forever());
            if (status == ASYNC_OK) { continue; } /* a read says whether it was the end */
        }
        status = async_reader_read(r.readers[TASKS - 1], items, 1 + roll(&c->dice, 300), &got,
                                   any_wait(&c->dice, 6));
        c->got += got;
        stress_moves(got);
    }
    MUST_STATUS(status, ASYNC_END);
}

static void change_size(void *argument)
{
    dice *d = argument;
    while (!atomic_load(&r.done)) {
        MUST_STATUS(async_pool_set_size(r.pools[roll(d, POOLS)], roll(d, 5)), ASYNC_OK);
        sleep_us(roll(d, 2000));
    }
}

static void play(stress *s)
{
    dice          d = {s->seed};
    client        clients[STRESS_THREADS_MAX];
    static tracer tracers[2];
    thread        resizer;
    uint64_t      got = 0;
    r = (round){.items = 100 + roll(&d, 20000)};
    r.steady = one_in(&d, 3);
    make(&d);
    bool resizes = one_in(&d, 2);
    stress_note("%llu items, %s recorder%s", (unsigned long long)r.items,
                r.steady ? "a steady" : "an unsteady", resizes ? ", resized" : "");
    for (unsigned i = 0; i < POOLS && r.steady; i++) {
        MUST_STATUS(async_trace_start(r.pools[i], 0), ASYNC_OK);
    }
    for (unsigned i = 0; i < 2; i++) {
        tracers[i] = (tracer){.dice = {s->seed + 100 + i}};
        thread_start(&tracers[i].thread, trace, &tracers[i]);
    }
    dice resizing = {s->seed + 200};
    if (resizes) { thread_start(&resizer, change_size, &resizing); }
    for (unsigned i = 0; i < s->threads; i++) {
        clients[i] = (client){.dice = {s->seed + 300 + i}};
        thread_start(&clients[i].thread, read_items, &clients[i]);
    }
    for (unsigned i = 0; i < s->threads; i++) {
        pthread_join(clients[i].thread.id, NULL);
        got += clients[i].got;
    }
    atomic_store(&r.done, true);
    for (unsigned i = 0; i < 2; i++) { pthread_join(tracers[i].thread.id, NULL); }
    if (resizes) { pthread_join(resizer.id, NULL); }
    MUST_EQ(got, 2 * r.items);
    for (unsigned i = 0; i < POOLS; i++) {
        MUST_STATUS(async_trace_stop(r.pools[i]), ASYNC_OK);
        while (read_some(&tracers[0], i, EVENTS) > 0) {}
    }
    sum all = {0};
    for (unsigned i = 0; i < 2 * POOLS; i++) {
        const sum *part = &tracers[i / POOLS].sums[i % POOLS];
        for (unsigned t = 0; t < TASKS; t++) {
            all.in[t] += part->in[t];
            all.out[t] += part->out[t];
        }
        all.drawn += part->drawn;
        all.lost += part->lost;
    }
    if (r.steady && all.lost == 0) {
        MUST_EQ(all.drawn, r.items);
        for (unsigned t = 0; t < TASKS; t++) { MUST_EQ(all.in[t], r.items); }
        MUST_EQ(all.out[TASKS - 1], 2 * r.items);
    }
    for (unsigned i = 0; i < TASKS; i++) { async_reader_release(r.readers[i]); }
    for (unsigned i = 0; i < POOLS; i++) {
        MUST_STATUS(async_pool_destroy(r.pools[i], ASYNC_DRAIN), ASYNC_OK);
    }
}

int main(int argc, char **argv)
{
    stress s;
    stress_start(&s, "trace_stress", 4, argc, argv);
    while (stress_next(&s)) { play(&s); }
    stress_end(&s);
    return 0;
}
