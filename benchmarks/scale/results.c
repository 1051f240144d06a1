/* results.c: see results.h. */
#include "results.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

bool results_init(struct results *r, const unsigned *workers, size_t worker_count,
                  const size_t *chunks, size_t chunk_count, size_t repetitions)
{
    size_t count = worker_count * chunk_count;
    r->repetitions = repetitions;
    r->workers = calloc(worker_count, sizeof *r->workers);
    r->chunks = calloc(chunk_count, sizeof *r->chunks);
    r->points = calloc(count, sizeof *r->points);
    r->curves = calloc(chunk_count, sizeof *r->curves);
    r->reference = calloc(repetitions, sizeof *r->reference);
    if (r->workers == NULL || r->chunks == NULL || r->points == NULL || r->curves == NULL ||
        r->reference == NULL)
        return false;
    memcpy(r->workers, workers, worker_count * sizeof *workers);
    memcpy(r->chunks, chunks, chunk_count * sizeof *chunks);
    r->worker_count = worker_count;
    r->chunk_count = chunk_count;
    for (size_t c = 0; c < chunk_count; c++) {
        r->curves[c].chunk = chunks[c];
        r->curves[c].error = -1;
        for (size_t w = 0; w < worker_count; w++) {
            struct point *point = results_point(r, c, w);
            point->workers = workers[w];
            point->chunk = chunks[c];
            point->seconds = calloc(repetitions, sizeof *point->seconds);
            if (point->seconds == NULL) return false;
        }
    }
    return true;
}

void results_free(struct results *r)
{
    for (size_t i = 0; r->points != NULL && i < r->worker_count * r->chunk_count; i++)
        free(r->points[i].seconds);
    for (size_t c = 0; r->curves != NULL && c < r->chunk_count; c++)
        prediction_free(&r->curves[c].prediction);
    free(r->points);
    free(r->curves);
    free(r->workers);
    free(r->chunks);
    free(r->reference);
    free(r->workload);
    free(r->summary);
    free(r->item);
    free(r->machine);
    free(r->date);
    free(r->version);
    free(r->argument);
    *r = (struct results){0};
}

/* 1 worker, where it is in the grid; else the fewest, 0 excepted. */
static size_t baseline_of(const struct results *r)
{
    size_t best = 0;
    for (size_t w = 0; w < r->worker_count; w++) {
        if (r->workers[w] == 1) return w;
        bool fewer = r->workers[w] < r->workers[best] || r->workers[best] == 0;
        if (r->workers[w] > 0 && fewer) best = w;
    }
    return best;
}

static unsigned threads_of(unsigned workers) { return workers == 0 ? 1 : workers; }

static struct interval scaled(struct interval i, double factor)
{
    return (struct interval){i.middle * factor, i.low * factor, i.high * factor, i.coverage};
}

static void derive_point(const struct results *r, struct point *point, const struct point *base,
                         double *scratch)
{
    unsigned threads = threads_of(point->workers);
    point->within = (uint64_t)threads * r->threads_per_worker <= r->cpus ||
                    (threads == 1 && r->threads_per_worker > r->cpus);
    if (point->count == 0) return;
    memcpy(scratch, point->seconds, point->count * sizeof *scratch);
    point->time = median_interval(scratch, point->count);
    for (size_t i = 0; i < point->count; i++) scratch[i] = (double)r->items / point->seconds[i];
    point->throughput = median_interval(scratch, point->count);
    if (point->chunks > 0) point->chunk_time = point->time.middle * threads / (double)point->chunks;

    /* Of pairs out of one round: what slows the whole machine down slows both down. */
    size_t pairs = point->count < base->count ? point->count : base->count;
    if (pairs == 0) return;
    for (size_t i = 0; i < pairs; i++) scratch[i] = base->seconds[i] / point->seconds[i];
    point->speedup = median_interval(scratch, pairs);
    if (base == point) point->speedup = (struct interval){1, 1, 1, 1};
    point->efficiency = scaled(point->speedup, (double)threads_of(base->workers) / threads);
}

/* The laws, where there are enough worker counts within the CPUs. */
static bool derive_fit(const struct results *r, size_t c, struct curve *curve)
{
    size_t         n = 0, repetitions = SIZE_MAX;
    double        *workers = calloc(r->worker_count, sizeof *workers);
    double        *middles = calloc(r->worker_count, sizeof *middles);
    double        *values = calloc(r->worker_count * (r->repetitions + 1), sizeof *values);
    const double **rows = calloc(r->worker_count, sizeof *rows);
    bool           memory = workers != NULL && middles != NULL && values != NULL && rows != NULL;
    for (size_t w = 0; memory && w < r->worker_count; w++) {
        const struct point *point = results_point(r, c, w);
        if (!point->within || point->workers == 0 || point->count == 0) continue;
        double *row = values + w * (r->repetitions + 1);
        for (size_t i = 0; i < point->count; i++) row[i] = (double)r->items / point->seconds[i];
        workers[n] = point->workers;
        middles[n] = point->throughput.middle;
        rows[n++] = row;
        if (point->count < repetitions) repetitions = point->count;
    }
    curve->fitted_points = n;
    curve->fitted = n >= FIT_LEAST_POINTS && fit_amdahl(workers, middles, n, &curve->amdahl) &&
                    fit_usl(workers, middles, n, &curve->usl);
    curve->ranged = curve->fitted &&
                    fit_usl_range(workers, rows, n, repetitions, r->seed, &curve->range);
    free(workers);
    free(middles);
    free(values);
    free(rows);
    return memory;
}

static bool derive_errors(const struct results *r, size_t c, struct curve *curve)
{
    double *errors = calloc(r->worker_count, sizeof *errors);
    size_t  n = 0;
    if (errors == NULL) return false;
    for (size_t w = 0; w < r->worker_count; w++) {
        struct point *point = results_point(r, c, w);
        point->predicted = prediction_at(&curve->prediction, point->workers);
        /* Only ratios to one worker are predicted, and that one is no prediction. */
        point->compared = point->predicted > 0 && r->baseline == 1 && point->workers > 1 &&
                          point->within && point->count > 0;
        if (!point->compared) continue;
        point->error = point->predicted / point->speedup.middle - 1;
        errors[n++] = fabs(point->error);
    }
    curve->error = n > 0 ? median(errors, n) : -1;
    free(errors);
    return true;
}

bool results_derive(struct results *r)
{
    double *scratch = calloc(r->repetitions + 1, sizeof *scratch);
    if (scratch == NULL) return false;
    size_t base = baseline_of(r);
    bool   memory = true;
    r->baseline = r->workers[base];
    for (size_t c = 0; c < r->chunk_count; c++) {
        for (size_t w = 0; w < r->worker_count; w++)
            derive_point(r, results_point(r, c, w), results_point(r, c, base), scratch);
        memory = memory && derive_fit(r, c, &r->curves[c]) && derive_errors(r, c, &r->curves[c]);
    }
    free(scratch);
    return memory;
}

bool results_best(const struct results *r, size_t *chunk, size_t *workers)
{
    bool   found = false;
    double best = 0;
    for (size_t c = 0; c < r->chunk_count; c++)
        for (size_t w = 0; w < r->worker_count; w++) {
            const struct point *point = results_point(r, c, w);
            if (point->count == 0 || (found && point->throughput.middle <= best)) continue;
            best = point->throughput.middle;
            *chunk = c;
            *workers = w;
            found = true;
        }
    return found;
}
