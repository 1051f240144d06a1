/* stats.c: see stats.h. */
#include "stats.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double quantile(const double *sorted, size_t count, double part)
{
    double at = part * (double)(count - 1);
    size_t below = (size_t)at;
    if (below + 1 >= count) return sorted[count - 1];
    return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, ascending);
    return quantile(values, count, 0.5);
}

/* P(at most `k` of `n` values lie below the median). */
static double binomial_half(size_t k, size_t n)
{
    double sum = 0, all = (double)n;
    for (size_t i = 0; i <= k; i++) {
        double picked = (double)i;
        sum += exp(lgamma(all + 1) - lgamma(picked + 1) - lgamma(all - picked + 1) - all * log(2));
    }
    return sum;
}

struct interval median_interval(double *values, size_t count)
{
    struct interval result = {.middle = median(values, count)};
    /* Leave out as many values on each side as the coverage permits. */
    size_t out = 0;
    while (2 * (out + 1) < count && 1 - 2 * binomial_half(out + 1, count) >= 0.95) out++;
    result.low = values[out];
    result.high = values[count - 1 - out];
    result.coverage = count < 2 ? 0 : 1 - 2 * binomial_half(out, count);
    return result;
}

/* ── Two samples ────────────────────────────────────────────────────────────────────────────── */

/* The number of ways to get each U, for samples of m and n: ways[u], u = 0 … m * n. A value more in
 * the first sample is either above all of the second, or the second has one that is above. */
static double exact_at_most(size_t u, size_t m, size_t n)
{
    size_t  most = m * n;
    double *ways = calloc((m + 1) * (most + 1), sizeof *ways);
    if (ways == NULL) return 1;
    /* After the j-th value of the second sample, ways[i][u] counts the orders of i and j values. */
    double *at = ways;
    for (size_t i = 0; i <= m; i++) at[i * (most + 1)] = 1;
    for (size_t j = 1; j <= n; j++)
        for (size_t i = 1; i <= m; i++)
            for (size_t k = most + 1; k-- > 0;) {
                /* Either the largest is of the second (i values lie below it), or of the first. */
                double second = k >= i ? at[i * (most + 1) + k - i] : 0;
                double first = at[(i - 1) * (most + 1) + k];
                at[i * (most + 1) + k] = second + first;
            }
    double all = 0, below = 0;
    for (size_t k = 0; k <= most; k++) {
        all += at[m * (most + 1) + k];
        if (k <= u) below += at[m * (most + 1) + k];
    }
    free(ways);
    return below / all;
}

struct ranked {
    double value;
    bool   first;
};

static int by_value(const void *a, const void *b)
{
    double x = ((const struct ranked *)a)->value, y = ((const struct ranked *)b)->value;
    return (x > y) - (x < y);
}

double rank_test(const double *a, size_t m, const double *b, size_t n)
{
    size_t         count = m + n;
    struct ranked *all = malloc(count * sizeof *all);
    if (m == 0 || n == 0 || all == NULL) {
        free(all);
        return 1;
    }
    for (size_t i = 0; i < m; i++) all[i] = (struct ranked){a[i], true};
    for (size_t i = 0; i < n; i++) all[m + i] = (struct ranked){b[i], false};
    qsort(all, count, sizeof *all, by_value);

    double ranks = 0, ties = 0; /* of the first sample; the sum of t³ − t over groups of ties */
    for (size_t i = 0; i < count;) {
        size_t end = i;
        while (end < count && all[end].value == all[i].value) end++;
        double tied = (double)(end - i);
        ties += tied * tied * tied - tied;
        for (size_t k = i; k < end; k++)
            if (all[k].first) ranks += (double)(i + end + 1) / 2;
        i = end;
    }
    free(all);

    double first = (double)m, second = (double)n, total = first + second;
    double u = ranks - first * (first + 1) / 2;
    double lower = fmin(u, first * second - u), result;
    if (ties == 0 && count <= 40) {
        result = 2 * exact_at_most((size_t)lower, m, n);
    } else {
        double variance = first * second / 12 * (total + 1 - ties / (total * (total - 1)));
        if (variance <= 0) return 1;
        double z = fmax(0, first * second / 2 - lower - 0.5) / sqrt(variance);
        result = erfc(z / sqrt(2));
    }
    return result < 1 ? result : 1;
}

bool holm(double *probabilities, size_t count)
{
    double *sorted = malloc((count + 1) * sizeof *sorted);
    double *corrected = malloc((count + 1) * sizeof *corrected);
    bool    done = sorted != NULL && corrected != NULL;
    if (done) {
        memcpy(sorted, probabilities, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, ascending);
        double least = 0;
        for (size_t i = 0; i < count; i++)
            corrected[i] = least = fmax(least, fmin(1, sorted[i] * (double)(count - i)));
        for (size_t i = 0; i < count; i++)
            for (size_t k = 0; k < count; k++)
                if (sorted[k] == probabilities[i]) {
                    probabilities[i] = corrected[k];
                    break;
                }
    }
    free(sorted);
    free(corrected);
    return done;
}

uint64_t random_below(uint64_t *seed, uint64_t bound)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15U;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    z ^= z >> 31;
    return (uint64_t)(((unsigned __int128)z * bound) >> 64);
}
