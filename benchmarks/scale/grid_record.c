/* grid_record.c: the recorded runs. See grid.h. */
#include "graph.h"
#include "grid.h"
#include "record.h"
#include "shares.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A recorded run has at most about this many events: their graph is replayed for each number of
 * workers. */
enum { RECORD_EVENTS = 150000, RECORD_LEAST_RING = 4096 };

/* For a prediction, so that what disturbs one of them is no part of it. */
enum { ONE_WORKER_RUNS = 3 };

struct survey {
    struct results    *results;
    const struct plan *plan;
    struct progress   *progress;
    struct costs       costs;
    char              *message;
    size_t             size;
};

/* So many items that a run of them gives at most RECORD_EVENTS events: whole chunks. */
static uint64_t recorded_items(const struct results *r, const struct point *point)
{
    double events = 2 * (double)point->chunks + 64; /* a source's draws and the sink's calls, too */
    if (events <= RECORD_EVENTS) return r->items;
    uint64_t items = (uint64_t)((double)r->items * RECORD_EVENTS / events);
    items -= items % point->chunk;
    return items < point->chunk ? point->chunk : items;
}

static enum run_result record(const struct survey *survey, const struct plan *plan,
                              const struct point *point, unsigned workers,
                              struct recording *recording)
{
    struct plan one = *plan;
    one.workers = workers;
    one.chunk = point->chunk;
    size_t threads = workers == 0 ? 1 : workers;
    recording->room = 2 * RECORD_EVENTS / threads;
    if (recording->room < RECORD_LEAST_RING) recording->room = RECORD_LEAST_RING;
    char text[128];
    grid_describe(text, sizeof text, "recording: ", point);
    progress_step(survey->progress, text);
    struct outcome  outcome;
    enum run_result result = run_once(&one, recording, &outcome);
    recording->seconds = outcome.seconds;
    return grid_failure(result, point, &outcome, survey->message, survey->size);
}

/* What one worker took for so many items, when nothing was recorded; 0: it wasn't measured. */
static double measured_seconds(const struct results *r, size_t c, uint64_t items)
{
    double seconds = 0;
    for (size_t w = 0; w < r->worker_count; w++) {
        const struct point *point = results_point(r, c, w);
        if (point->workers != 1 || point->count == 0) continue;
        double *copy = calloc(point->count, sizeof *copy);
        if (copy == NULL) return 0;
        memcpy(copy, point->seconds, point->count * sizeof *copy);
        seconds = median(copy, point->count) * (double)items / (double)r->items;
        free(copy);
    }
    return seconds;
}

static enum run_result out_of_memory(const struct survey *survey)
{
    snprintf(survey->message, survey->size, "out of memory");
    return RUN_FAILED;
}

/* What more than one worker costs at this chunk size: from the run of the fewest of them. */
static struct costs costs_at(const struct survey *survey, const struct plan *plan, size_t c,
                             const struct recording *one)
{
    struct costs  costs = survey->costs;
    struct shares alone = shares_of(one->events, one->count, one->lost > 0, 1, plan->items);
    for (size_t w = 0; alone.known && w < survey->results->worker_count; w++) {
        const struct point *point = results_point(survey->results, c, w);
        bool within = point->workers * survey->results->threads_per_worker <= survey->results->cpus;
        if (point->workers < 2 || !within || !point->shares.known) continue;
        double more = point->shares.between - alone.between;
        costs.share = more > 0 ? more : 0;
        costs.share_workers = point->workers;
        break;
    }
    return costs;
}

/* What the recorded runs at one worker say about more of them. `one` are ONE_WORKER_RUNS runs. */
static enum run_result predict(const struct survey *survey, const struct plan *plan, size_t c,
                               const struct recording *one)
{
    struct results    *r = survey->results;
    struct prediction *prediction = &r->curves[c].prediction;
    struct graph       graphs[ONE_WORKER_RUNS] = {{0}};
    double             seconds[ONE_WORKER_RUNS];
    bool               done = true;
    for (int i = 0; done && i < ONE_WORKER_RUNS; i++) {
        const struct stages *stages = &one[i].stages;
        done = graph_make(&graphs[i], one[i].events, one[i].count, stages->list, stages->count);
        seconds[i] = one[i].seconds;
    }
    struct graph *graph = &graphs[0];
    done = done && graph_steady(graph, graphs + 1, ONE_WORKER_RUNS - 1);
    if (done && graph->count > 0) {
        graph->feeds = plan->workload->feeds;
        graph_calibrate(graph, median(seconds, ONE_WORKER_RUNS),
                        measured_seconds(r, c, plan->items));
        const struct costs costs = costs_at(survey, plan, c, one);
        done = prediction_make(graph, &costs, r->predicted, r->workers, r->worker_count, r->seed,
                               prediction);
        prediction->recorded_workers = 1;
        prediction->items = plan->items;
    }
    for (int i = 0; i < ONE_WORKER_RUNS; i++) graph_free(&graphs[i]);
    return done ? RUN_DONE : out_of_memory(survey);
}

/* Every worker count at one chunk size. */
static enum run_result record_workers(struct survey *survey, const struct plan *plan, size_t c)
{
    struct results *r = survey->results;
    enum run_result result = RUN_DONE;
    for (size_t w = 0; result == RUN_DONE && w < r->worker_count; w++) {
        struct point    *point = results_point(r, c, w);
        struct recording recording = {0};
        result = record(survey, plan, point, point->workers, &recording);
        if (result == RUN_DONE) {
            point->shares = shares_of(recording.events, recording.count, recording.lost > 0,
                                      point->workers, plan->items);
            if (point->workers > 1)
                costs_measure(&survey->costs, recording.events, recording.count);
        }
        record_free(&recording);
    }
    if (result != RUN_DONE || r->predicted == 0) return result;
    struct recording one[ONE_WORKER_RUNS] = {{0}};
    for (int i = 0; result == RUN_DONE && i < ONE_WORKER_RUNS; i++)
        result = record(survey, plan, results_point(r, c, 0), 1, &one[i]);
    if (result == RUN_DONE) result = predict(survey, plan, c, one);
    for (int i = 0; i < ONE_WORKER_RUNS; i++) record_free(&one[i]);
    return result;
}

enum run_result grid_record(struct results *r, const struct plan *plan, struct progress *progress,
                            char *message, size_t size)
{
    struct survey   survey = {.results = r,
                              .plan = plan,
                              .progress = progress,
                              .costs = costs_default(),
                              .message = message,
                              .size = size};
    enum run_result result = RUN_DONE;
    for (size_t c = 0; result == RUN_DONE && c < r->chunk_count; c++) {
        struct plan fewer = *plan;
        fewer.items = recorded_items(r, results_point(r, c, 0));
        bool other = fewer.items != plan->items;
        if (other && !plan->workload->prepare(fewer.items, plan->seed, &fewer.data))
            return out_of_memory(&survey);
        result = record_workers(&survey, &fewer, c);
        if (other) plan->workload->discard(fewer.data);
    }
    return result;
}
