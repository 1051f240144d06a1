/* compare.h: what changed from one measurement to another, beyond noise.
 *
 * Each point that both have is compared by a rank test of its runs' times; the probabilities are
 * corrected for how many points there are (Holm), and 5 % counts as a change. A change must also
 * be larger than 1 %, and than what the machine itself has changed by and varied by: a fixed loop
 * that is timed in each round. */
#ifndef SCALE_COMPARE_H
#define SCALE_COMPARE_H

#include "results.h"

#include <stdio.h>

enum change { UNCHANGED, FASTER, SLOWER, UNKNOWN };

struct comparison {
    const struct point *before, *after;
    double              ratio; /* of throughputs: after / before */
    double              probability, corrected;
    enum change         change;
};

/* How fast the machine was: the fixed loop. */
struct steadiness {
    double ratio; /* of its medians, after / before */
    double noise; /* a change in throughput up to this part may be the machine's */
};

/* *list, for free: the points that both have. False: no memory. */
bool compare_points(const struct results *before, const struct results *after,
                    struct comparison **list, size_t *count, struct steadiness *machine);

/* Prints it. 0: nothing became slower; 1: something did; 2: they can't be compared. */
int compare_files(const char *before, const char *after, FILE *out, FILE *errors);

#endif
