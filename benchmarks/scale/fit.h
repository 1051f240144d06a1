/* fit.h: two laws of scaling, fitted to measured throughputs.
 *
 * The Universal Scalability Law (Gunther): X(N) = λN / (1 + σ(N − 1) + κN(N − 1)). σ is the part
 * of the work that is serial or contended for, κ what keeping each two workers coherent costs.
 * Amdahl's law is the one with κ = 0. λ is the throughput of one worker.
 *
 * N / X(N) is linear in 1/λ, σ/λ and κ/λ, so the fit is one of linear least squares, with
 * relative weights; σ and κ are kept at 0 or above. */
#ifndef SCALE_FIT_H
#define SCALE_FIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FIT_LEAST_POINTS = 4 };

struct fit {
    double lambda; /* items a second */
    double sigma, kappa;
    double peak;     /* workers at which it is fastest; INFINITY: kappa is 0 */
    double residual; /* root of the mean squared relative error */
};

/* Of `count` throughputs at so many workers each. False: fewer than 4 points, or no fit of
 * them makes sense. */
bool fit_amdahl(const double *workers, const double *throughput, size_t count, struct fit *out);
bool fit_usl(const double *workers, const double *throughput, size_t count, struct fit *out);

/* What a fit says about N workers: items a second. */
double fit_at(const struct fit *fit, double workers);

/* 95 % of what a fit of resampled repetitions gives. */
struct fit_range {
    double sigma_low, sigma_high, kappa_low, kappa_high;
};

/* repetitions[i][k], k < repetitions_count: the throughputs whose median is point i. */
bool fit_usl_range(const double *workers, const double *const *repetitions, size_t count,
                   size_t repetitions_count, uint64_t seed, struct fit_range *out);

#endif
