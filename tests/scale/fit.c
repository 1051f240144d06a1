/* fit.c: known laws are found again. */
#include "fit.h"
#include "stats.h"

#include <criterion/criterion.h>

#include <math.h>

enum { COUNT = 8 };
static const double counts[COUNT] = {1, 2, 3, 4, 6, 8, 12, 16};

static double law(double n, double lambda, double sigma, double kappa)
{
    return lambda * n / (1 + sigma * (n - 1) + kappa * n * (n - 1));
}

static void make(double *out, double lambda, double sigma, double kappa)
{
    for (int i = 0; i < COUNT; i++) out[i] = law(counts[i], lambda, sigma, kappa);
}

static int near(double a, double b, double part) { return fabs(a - b) <= part * fabs(b) + 1e-9; }

Test(fit, usl_finds_what_it_was_made_of)
{
    const double laws[][3] = {{1e6, 0.05, 0.001}, {3.5, 0.2, 0.01}, {1e9, 0, 0.02}, {20, 0.5, 0}};
    for (int k = 0; k < 4; k++) {
        double     x[COUNT];
        struct fit fit;
        make(x, laws[k][0], laws[k][1], laws[k][2]);
        cr_assert(fit_usl(counts, x, COUNT, &fit));
        cr_assert(near(fit.lambda, laws[k][0], 1e-6));
        cr_assert(near(fit.sigma, laws[k][1], 1e-6));
        cr_assert(near(fit.kappa, laws[k][2], 1e-6));
        cr_assert_lt(fit.residual, 1e-6);
        for (int i = 0; i < COUNT; i++) cr_assert(near(fit_at(&fit, counts[i]), x[i], 1e-6));
    }
}

Test(fit, the_peak_is_where_the_law_is_highest)
{
    double     x[COUNT];
    struct fit fit;
    make(x, 1000, 0.02, 0.0025);
    cr_assert(fit_usl(counts, x, COUNT, &fit));
    cr_assert(near(fit.peak, sqrt(0.98 / 0.0025), 1e-6));
    cr_assert_gt(fit_at(&fit, fit.peak), fit_at(&fit, fit.peak * 0.9));
    cr_assert_gt(fit_at(&fit, fit.peak), fit_at(&fit, fit.peak * 1.1));
    make(x, 1000, 0.1, 0);
    cr_assert(fit_usl(counts, x, COUNT, &fit));
    cr_assert(isinf(fit.peak) || fit.peak > 1e6);
}

Test(fit, amdahl_finds_the_serial_part)
{
    double     x[COUNT];
    struct fit fit;
    make(x, 42, 0.125, 0);
    cr_assert(fit_amdahl(counts, x, COUNT, &fit));
    cr_assert(near(fit.sigma, 0.125, 1e-6));
    cr_assert_eq(fit.kappa, 0);
    cr_assert(near(fit_at(&fit, 1e9) / fit.lambda, 8, 1e-3));
}

/* More than linear: sigma stays at 0, where the law makes sense, and isn't negative. */
Test(fit, no_negative_coefficients)
{
    double     x[COUNT];
    struct fit fit;
    for (int i = 0; i < COUNT; i++) x[i] = 10 * pow(counts[i], 1.1);
    cr_assert(fit_usl(counts, x, COUNT, &fit));
    cr_assert_eq(fit.sigma, 0);
    cr_assert_eq(fit.kappa, 0);
}

Test(fit, fewer_than_four_points_are_no_fit)
{
    double     x[COUNT];
    struct fit fit;
    make(x, 1, 0.1, 0.01);
    cr_assert_not(fit_usl(counts, x, 3, &fit));
    cr_assert_not(fit_amdahl(counts, x, 3, &fit));
    cr_assert(fit_usl(counts, x, 4, &fit));
}

/* With 3 % of noise on each run the ranges hold the truth. */
Test(fit, ranges_hold_the_truth)
{
    enum { RUNS = 11 };
    double        rows[COUNT][RUNS], middles[COUNT];
    const double *list[COUNT];
    uint64_t      seed = 11;
    for (int i = 0; i < COUNT; i++) {
        double copy[RUNS];
        for (int k = 0; k < RUNS; k++) {
            double noise = ((double)random_below(&seed, 1000) / 1000 - 0.5) * 0.06;
            copy[k] = rows[i][k] = law(counts[i], 1e6, 0.08, 0.002) * (1 + noise);
        }
        middles[i] = median(copy, RUNS);
        list[i] = rows[i];
    }
    struct fit       fit;
    struct fit_range range;
    cr_assert(fit_usl(counts, middles, COUNT, &fit));
    cr_assert(fit_usl_range(counts, list, COUNT, RUNS, 1, &range));
    cr_assert(range.sigma_low <= 0.08 && 0.08 <= range.sigma_high);
    cr_assert(range.kappa_low <= 0.002 && 0.002 <= range.kappa_high);
    cr_assert_lt(range.sigma_high - range.sigma_low, 0.06);
    cr_assert(near(fit.sigma, 0.08, 0.3));
    /* The same seed, the same range. */
    struct fit_range again;
    cr_assert(fit_usl_range(counts, list, COUNT, RUNS, 1, &again));
    cr_assert_eq(range.sigma_low, again.sigma_low);
}
