/* grid.c: see grid.h. */
#include "grid.h"

#include "clock.h"
#include "workloads/kernels.h"

#include <stdio.h>
#include <stdlib.h>

/* The fixed loop of each round, some milliseconds: independent multiplications and reads all over a
 * table, so that it feels what others do to this core, its caches and its clock. */
enum { REFERENCE_STEPS = 400000, REFERENCE_LANES = 8, REFERENCE_TABLE = 1 << 15 };

size_t grid_steps(const struct results *r)
{
    return r->worker_count * r->chunk_count * (r->warm_ups + r->repetitions + 1) +
           (r->predicted > 0 ? 3 * r->chunk_count : 0); /* grid_record.c */
}

static double reference(const uint64_t *table)
{
    uint64_t lanes[REFERENCE_LANES];
    double   started = clock_seconds();
    for (uint64_t k = 0; k < REFERENCE_LANES; k++) lanes[k] = k;
    for (int i = 0; i < REFERENCE_STEPS; i++)
        for (int k = 0; k < REFERENCE_LANES; k++)
            lanes[k] = lanes[k] * 6364136223846793005U + table[lanes[k] >> 49];
    uint64_t result = 0;
    for (int k = 0; k < REFERENCE_LANES; k++) result ^= lanes[k];
    __asm__ volatile("" : : "r"(result)); /* it is used: nothing of the loop is left out */
    return clock_seconds() - started;
}

static void shuffle(size_t *order, size_t count, uint64_t *seed)
{
    for (size_t i = count; i > 1; i--) {
        size_t k = (size_t)random_below(seed, i), swap = order[i - 1];
        order[i - 1] = order[k];
        order[k] = swap;
    }
}

void grid_describe(char *text, size_t size, const char *what, const struct point *point)
{
    snprintf(text, size, "%s%u worker%s, chunk %zu", what, point->workers,
             point->workers == 1 ? "" : "s", point->chunk);
}

enum run_result grid_failure(enum run_result result, const struct point *point,
                             const struct outcome *outcome, char *message, size_t size)
{
    if (result == RUN_FAILED)
        snprintf(message, size, "%u worker%s, chunk %zu: %s", point->workers,
                 point->workers == 1 ? "" : "s", point->chunk, outcome->message);
    return result;
}

/* ── Timed ──────────────────────────────────────────────────────────────────────────────────── */

struct counters {
    double   *steals, *parks; /* of each point and round */
    uint64_t *table;          /* the reference's */
};

static enum run_result measure_point(const struct plan *plan, struct point *point, bool counts,
                                     double *steals, double *parks, char *message, size_t size)
{
    struct plan one = *plan;
    one.workers = point->workers;
    one.chunk = point->chunk;
    struct outcome  outcome;
    enum run_result result = run_once(&one, NULL, &outcome);
    if (result != RUN_DONE) return grid_failure(result, point, &outcome, message, size);
    if (!counts) return RUN_DONE;
    point->chunks = outcome.chunks;
    point->counted = outcome.counted;
    steals[point->count] = (double)outcome.steals;
    parks[point->count] = (double)outcome.parks;
    point->seconds[point->count++] = outcome.seconds;
    return RUN_DONE;
}

static enum run_result measure_rounds(struct results *r, const struct plan *plan,
                                      struct counters *counters, size_t *order,
                                      struct progress *progress, char *message, size_t size)
{
    size_t   points = r->worker_count * r->chunk_count;
    uint64_t seed = r->seed;
    for (size_t i = 0; i < points; i++) order[i] = i;
    for (size_t round = 0; round < r->warm_ups + r->repetitions; round++) {
        bool counts = round >= r->warm_ups;
        if (counts) r->reference[r->reference_count++] = reference(counters->table);
        shuffle(order, points, &seed);
        for (size_t i = 0; i < points; i++) {
            struct point *point = &r->points[order[i]];
            char          what[64], text[128];
            if (counts)
                snprintf(what, sizeof what, "round %zu of %zu: ", round - r->warm_ups + 1,
                         r->repetitions);
            else
                snprintf(what, sizeof what, "warm-up: ");
            grid_describe(text, sizeof text, what, point);
            progress_step(progress, text);
            size_t          at = order[i] * r->repetitions;
            enum run_result result = measure_point(plan, point, counts, counters->steals + at,
                                                   counters->parks + at, message, size);
            if (result != RUN_DONE) return result;
        }
    }
    return RUN_DONE;
}

enum run_result grid_measure(struct results *r, const struct plan *plan, struct progress *progress,
                             char *message, size_t size)
{
    size_t          points = r->worker_count * r->chunk_count;
    struct counters counters = {calloc(points * r->repetitions, sizeof *counters.steals),
                                calloc(points * r->repetitions, sizeof *counters.parks),
                                calloc(REFERENCE_TABLE, sizeof *counters.table)};
    size_t         *order = calloc(points, sizeof *order);
    enum run_result result = RUN_FAILED;
    for (size_t i = 0; counters.table != NULL && i < REFERENCE_TABLE; i++)
        counters.table[i] = random_at(r->seed, i);
    if (counters.steals == NULL || counters.parks == NULL || counters.table == NULL ||
        order == NULL)
        snprintf(message, size, "out of memory");
    else
        result = measure_rounds(r, plan, &counters, order, progress, message, size);
    for (size_t i = 0; result != RUN_FAILED && i < points; i++) {
        struct point *point = &r->points[i];
        if (point->count == 0) continue;
        size_t at = i * r->repetitions;
        point->steals = (uint64_t)(median(counters.steals + at, point->count) + 0.5);
        point->parks = (uint64_t)(median(counters.parks + at, point->count) + 0.5);
    }
    free(counters.steals);
    free(counters.parks);
    free(counters.table);
    free(order);
    return result;
}
