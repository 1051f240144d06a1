/* shares.c: see shares.h. */
#include "shares.h"

#include "clock.h"
#include "stats.h"

#include <async/async.h>

#include <stdlib.h>

/* Between two functions: longer than this isn't the runtime's work but a lack of it. */
static const uint64_t idle_ns = 5000;

static bool is_function(const async_trace_event *event)
{
    return event->kind == ASYNC_TRACE_CHUNK || event->kind == ASYNC_TRACE_DRAW;
}

/* The worker's place in a list; `workers`: not one of them. */
static size_t place_of(const async_trace_event *event, unsigned workers)
{
    if (workers == 0) return event->worker == ASYNC_TRACE_CLIENT ? 0 : 1;
    return event->worker < workers ? event->worker : workers;
}

struct watch {
    uint64_t until; /* looked at so far */
    uint64_t functions, idle, parked;
    uint64_t calls;
};

static uint64_t after(uint64_t later, uint64_t earlier)
{
    return later > earlier ? later - earlier : 0;
}

static void pass_gap(struct watch *watch, uint64_t to)
{
    uint64_t gap = after(to, watch->until);
    if (gap > idle_ns) watch->idle += gap;
    if (to > watch->until) watch->until = to;
}

static void pass_event(struct watch *watch, const async_trace_event *event)
{
    if (!is_function(event) && event->kind != ASYNC_TRACE_PARK) return;
    pass_gap(watch, event->start);
    uint64_t length = after(event->end, watch->until);
    if (event->kind == ASYNC_TRACE_PARK) {
        watch->idle += length;
        watch->parked += length;
    } else {
        watch->functions += length;
        watch->calls++;
    }
    if (event->end > watch->until) watch->until = event->end;
}

struct shares shares_of(const async_trace_event *events, size_t count, bool lost, unsigned workers,
                        uint64_t items)
{
    struct shares shares = {.known = false};
    size_t        threads = workers == 0 ? 1 : workers;
    struct watch *watches = calloc(threads, sizeof *watches);
    uint64_t      begin = UINT64_MAX, latest = 0, end = 0, functions = 0, calls = 0;
    for (size_t i = 0; watches != NULL && i < count; i++) {
        size_t place = place_of(&events[i], workers);
        if (is_function(&events[i]) && events[i].end > end) end = events[i].end;
        if (is_function(&events[i])) functions += events[i].end - events[i].start;
        if (is_function(&events[i]) && events[i].start < begin) begin = events[i].start;
        if (place >= threads || watches[place].until != 0) continue;
        watches[place].until = events[i].start;
        if (events[i].start > latest) latest = events[i].start;
    }
    if (lost) begin = latest;
    if (watches != NULL && end > begin) {
        double all = (double)(end - begin) * (double)threads;
        for (size_t w = 0; w < threads; w++) watches[w] = (struct watch){.until = begin};
        for (size_t i = 0; i < count; i++) {
            size_t place = place_of(&events[i], workers);
            if (place >= threads || events[i].end <= begin || events[i].start >= end) continue;
            async_trace_event event = events[i];
            if (event.end > end) event.end = end;
            pass_event(&watches[place], &event);
        }
        for (size_t w = 0; w < threads; w++) {
            pass_gap(&watches[w], end);
            shares.functions += (double)watches[w].functions / all;
            shares.idle += (double)watches[w].idle / all;
            shares.parked += (double)watches[w].parked / all;
            calls += watches[w].calls;
        }
        shares.runtime = 1 - shares.functions - shares.idle;
        if (shares.runtime < 0) shares.runtime = 0;
        if (calls > 0) shares.between = shares.runtime * all * 1e-9 / (double)calls;
        if (!lost && items > 0) shares.work = (double)functions * 1e-9 / (double)items;
        shares.known = true;
    }
    free(watches);
    return shares;
}

/* ── What moving work costs ─────────────────────────────────────────────────────────────────── */

void costs_measure(struct costs *costs, const async_trace_event *events, size_t count)
{
    enum { MOST = 4096, AHEAD = 256 };
    double *found = calloc(MOST, sizeof *found);
    size_t  n = 0;
    for (size_t i = 0; found != NULL && i < count && n < MOST; i++) {
        if (events[i].kind != ASYNC_TRACE_STEAL) continue;
        for (size_t k = i + 1; k < count && k < i + AHEAD; k++) {
            if (events[k].worker != events[i].worker) continue;
            /* A look at a task with nothing to claim: no chunk came of it. */
            if (is_function(&events[k]) && events[k].start - events[i].start < 20000)
                found[n++] = (double)(events[k].start - events[i].start) * 1e-9;
            break;
        }
    }
    if (n >= 5) {
        costs->steal = median(found, n);
        costs->steal_measured = true;
    }
    free(found);
}

/* Seconds of reading one item from a pool whose worker sleeps; 0: it didn't work. */
static double ask_sleeper(async_reader *reader)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    uint64_t              item;
    nanosleep(&pause, NULL);
    double started = clock_seconds();
    if (async_reader_read(reader, &item, 1, NULL, async_within_ms(1000)) != ASYNC_OK) return 0;
    return clock_seconds() - started;
}

struct costs costs_default(void)
{
    enum { ROUNDS = 15 };
    struct costs  costs = {.steal = 0.5e-6, .wake = 50e-6};
    double        found[ROUNDS];
    size_t        n = 0;
    async_pool   *pool;
    async_reader *reader = NULL;
    if (async_pool_create(&pool, 1, NULL) != ASYNC_OK) return costs;
    async_source             source = async_source_range(0, ROUNDS + 1);
    const async_task_options task = {.source = &source};
    if (async_pool_add_task(pool, &reader, &task) == ASYNC_OK)
        for (int i = 0; i < ROUNDS; i++) {
            double seconds = ask_sleeper(reader);
            if (seconds > 0) found[n++] = seconds;
        }
    async_reader_release(reader);
    (void)async_pool_destroy(pool, ASYNC_DROP);
    if (n == ROUNDS) {
        costs.wake = median(found, n) / 2;
        costs.wake_measured = true;
    }
    return costs;
}
