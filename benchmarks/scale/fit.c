/* fit.c: see fit.h. */
#include "fit.h"

#include "stats.h"

#include <math.h>
#include <stdlib.h>

enum { TERMS = 3, RESAMPLES = 400 }; /* 1/λ, σ/λ, κ/λ */

/* Solves a (size × size, symmetric) x = b by elimination with pivots. False: singular. */
static bool solve(double a[TERMS][TERMS], double *b, size_t size)
{
    for (size_t column = 0; column < size; column++) {
        size_t best = column;
        for (size_t row = column + 1; row < size; row++)
            if (fabs(a[row][column]) > fabs(a[best][column])) best = row;
        if (fabs(a[best][column]) < 1e-300) return false;
        for (size_t k = 0; k < size; k++) {
            double swap = a[column][k];
            a[column][k] = a[best][k];
            a[best][k] = swap;
        }
        double swap = b[column];
        b[column] = b[best];
        b[best] = swap;
        for (size_t row = column + 1; row < size; row++) {
            double factor = a[row][column] / a[column][column];
            for (size_t k = column; k < size; k++) a[row][k] -= factor * a[column][k];
            b[row] -= factor * b[column];
        }
    }
    for (size_t row = size; row-- > 0;) {
        for (size_t k = row + 1; k < size; k++) b[row] -= a[row][k] * b[k];
        b[row] /= a[row][row];
    }
    return true;
}

static void terms_at(double n, double *terms)
{
    terms[0] = 1;
    terms[1] = n - 1;
    terms[2] = n * (n - 1);
}

/* Least squares with the terms of `mask` only. False where a coefficient comes out below 0. */
static bool fit_terms(const double *workers, const double *throughput, size_t count, unsigned mask,
                      struct fit *out)
{
    size_t used[TERMS] = {0}, size = 0;
    for (size_t i = 0; i < TERMS; i++)
        if (mask >> i & 1) used[size++] = i;

    double a[TERMS][TERMS] = {{0}}, b[TERMS] = {0}, unit = workers[0] / throughput[0];
    for (size_t i = 0; i < count; i++) {
        double terms[TERMS], y = workers[i] / throughput[i] / unit, weight = 1 / (y * y);
        terms_at(workers[i], terms);
        for (size_t r = 0; r < size; r++) {
            for (size_t c = 0; c < size; c++) a[r][c] += weight * terms[used[r]] * terms[used[c]];
            b[r] += weight * terms[used[r]] * y;
        }
    }
    if (!solve(a, b, size)) return false;
    double found[TERMS] = {0};
    for (size_t i = 0; i < size; i++) found[used[i]] = b[i];
    if (found[0] <= 0 || found[1] < 0 || found[2] < 0) return false;

    *out = (struct fit){.lambda = 1 / (found[0] * unit),
                        .sigma = found[1] / found[0],
                        .kappa = found[2] / found[0]};
    out->peak = out->kappa > 0 && out->sigma < 1 ? sqrt((1 - out->sigma) / out->kappa)
                : out->kappa > 0                 ? 1
                                                 : INFINITY;
    double squares = 0;
    for (size_t i = 0; i < count; i++) {
        double error = fit_at(out, workers[i]) / throughput[i] - 1;
        squares += error * error;
    }
    out->residual = sqrt(squares / (double)count);
    return true;
}

/* The best of the fits with the terms of one of the masks. */
static bool best_of(const double *workers, const double *throughput, size_t count,
                    const unsigned *masks, size_t mask_count, struct fit *out)
{
    bool found = false;
    if (count < FIT_LEAST_POINTS) return false;
    for (size_t i = 0; i < mask_count; i++) {
        struct fit fit;
        if (!fit_terms(workers, throughput, count, masks[i], &fit)) continue;
        if (!found || fit.residual < out->residual) *out = fit;
        found = true;
    }
    return found;
}

bool fit_amdahl(const double *workers, const double *throughput, size_t count, struct fit *out)
{
    static const unsigned masks[] = {3, 1};
    return best_of(workers, throughput, count, masks, 2, out);
}

bool fit_usl(const double *workers, const double *throughput, size_t count, struct fit *out)
{
    static const unsigned masks[] = {7, 3, 5, 1};
    return best_of(workers, throughput, count, masks, 4, out);
}

double fit_at(const struct fit *fit, double n)
{
    return fit->lambda * n / (1 + fit->sigma * (n - 1) + fit->kappa * n * (n - 1));
}

bool fit_usl_range(const double *workers, const double *const *repetitions, size_t count,
                   size_t repetitions_count, uint64_t seed, struct fit_range *out)
{
    double *sigmas = malloc(RESAMPLES * sizeof *sigmas),
           *kappas = malloc(RESAMPLES * sizeof *kappas);
    double *middles = malloc(count * sizeof *middles);
    double *drawn = malloc((repetitions_count + 1) * sizeof *drawn);
    size_t  good = 0;
    bool    memory = sigmas != NULL && kappas != NULL && middles != NULL && drawn != NULL;
    for (int n = 0; memory && repetitions_count > 1 && n < RESAMPLES; n++) {
        for (size_t i = 0; i < count; i++) {
            for (size_t k = 0; k < repetitions_count; k++)
                drawn[k] = repetitions[i][random_below(&seed, repetitions_count)];
            middles[i] = median(drawn, repetitions_count);
        }
        struct fit fit;
        if (!fit_usl(workers, middles, count, &fit)) continue;
        sigmas[good] = fit.sigma;
        kappas[good++] = fit.kappa;
    }
    if (good > RESAMPLES / 2) {
        (void)median(sigmas, good); /* sorts */
        (void)median(kappas, good);
        *out = (struct fit_range){quantile(sigmas, good, 0.025), quantile(sigmas, good, 0.975),
                                  quantile(kappas, good, 0.025), quantile(kappas, good, 0.975)};
    }
    free(sigmas);
    free(kappas);
    free(middles);
    free(drawn);
    return good > RESAMPLES / 2;
}
