/* stats.h: medians and what is known about them, without assuming anything about the noise. */
#ifndef SCALE_STATS_H
#define SCALE_STATS_H

#include <stddef.h>
#include <stdint.h>

/* A median, and an interval between two of the values that holds the true one with at least
 * `coverage`: binomial order statistics. */
struct interval {
    double middle, low, high;
    double coverage; /* 0.95 or more; less where there are too few values (5: 0.9375); 1 value: 0 */
};

/* Sorts `values`. count at least 1. */
double          median(double *values, size_t count);
struct interval median_interval(double *values, size_t count);

/* The value below which a part of them lies, interpolated; the values must be sorted. */
double quantile(const double *sorted, size_t count, double part);

/* The probability that two samples of one population differ in rank at least as these do: the
 * two-sided test of Mann, Whitney and Wilcoxon; exact for small samples without ties, else
 * with the normal approximation, corrected for ties. */
double rank_test(const double *a, size_t a_count, const double *b, size_t b_count);

/* Holm's correction of `count` probabilities in place: what each one has to be to be compared
 * with one level for all together. False: no memory, nothing was changed. */
_Bool holm(double *probabilities, size_t count);

/* A seeded random number below `bound`, with its state in *seed. */
uint64_t random_below(uint64_t *seed, uint64_t bound);

#endif
