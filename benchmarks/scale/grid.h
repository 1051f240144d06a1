/* grid.h: the measuring: each worker count at each chunk size, in rounds. */
#ifndef SCALE_GRID_H
#define SCALE_GRID_H

#include "progress.h"
#include "results.h"
#include "run.h"

/* Runs warm-up and timed rounds over the grid of `results`, whose points it fills in. Each
 * round has every point once, in an order of its own, so that whatever slows the machine down for a
 * while hits all alike. `message` says why a run failed. */
enum run_result grid_measure(struct results *results, const struct plan *plan,
                             struct progress *progress, char *message, size_t size);

/* One recorded run of each point, for its shares, and for the predictions of each chunk size. */
enum run_result grid_record(struct results *results, const struct plan *plan,
                            struct progress *progress, char *message, size_t size);

/* "2 workers, chunk 64", behind `what`; and the message of a run of that point that failed. Gives
 * the result back. */
void            grid_describe(char *text, size_t size, const char *what, const struct point *point);
enum run_result grid_failure(enum run_result result, const struct point *point,
                             const struct outcome *outcome, char *message, size_t size);

/* The progress bar's steps for both. */
size_t grid_steps(const struct results *results);

#endif
