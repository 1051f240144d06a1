/* stats.c: medians, their intervals, the rank test. */
#include "stats.h"

#include <criterion/criterion.h>

#include <math.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int near(double a, double b, double by) { return fabs(a - b) <= by; }

Test(stats, median_of_odd_and_even_counts)
{
    double odd[] = {5, 1, 3}, even[] = {4, 1, 3, 2}, one[] = {7};
    cr_assert_eq(median(odd, 3), 3);
    cr_assert_eq(median(even, 4), 2.5);
    cr_assert_eq(median(one, 1), 7);
}

Test(stats, median_ignores_one_wild_value)
{
    double values[] = {10, 11, 12, 11, 1e9, 10, 11};
    cr_assert_eq(median(values, COUNT(values)), 11);
}

/* The coverage of the range of n values is 1 - 2 / 2^n. */
Test(stats, interval_of_few_values_is_their_range)
{
    double          seven[] = {7, 1, 6, 2, 5, 3, 4};
    struct interval i = median_interval(seven, 7);
    cr_assert_eq(i.middle, 4);
    cr_assert_eq(i.low, 1);
    cr_assert_eq(i.high, 7);
    cr_assert(near(i.coverage, 1 - 2.0 / 128, 1e-12));

    double five[] = {5, 4, 3, 2, 1};
    i = median_interval(five, 5);
    cr_assert(near(i.coverage, 0.9375, 1e-12));
    double one[] = {3};
    i = median_interval(one, 1);
    cr_assert_eq(i.low, 3);
    cr_assert_eq(i.coverage, 0);
}

/* A table of sign tests: of 10 values the 2nd and the 9th with 97.85 %, of 20 the 6th and the 15th
 * with 95.86 %. */
Test(stats, interval_of_many_values_leaves_out_the_outer_ones)
{
    double values[20];
    for (int i = 0; i < 10; i++) values[i] = i + 1;
    struct interval i = median_interval(values, 10);
    cr_assert_eq(i.low, 2);
    cr_assert_eq(i.high, 9);
    cr_assert(near(i.coverage, 0.978516, 1e-6));
    for (int k = 0; k < 20; k++) values[k] = k + 1;
    i = median_interval(values, 20);
    cr_assert_eq(i.low, 6);
    cr_assert_eq(i.high, 15);
    cr_assert(near(i.coverage, 0.958610, 1e-6));
}

/* What it promises: it holds the true median at least that often. */
Test(stats, interval_covers_as_often_as_it_says)
{
    uint64_t seed = 7;
    int      held = 0;
    enum { ROUNDS = 4000, VALUES = 9 };
    for (int round = 0; round < ROUNDS; round++) {
        double values[VALUES];
        for (int i = 0; i < VALUES; i++) {
            double uniform = (double)random_below(&seed, 1 << 30) / (1 << 30);
            values[i] = -log(1 - uniform); /* skewed; its median is log 2 */
        }
        struct interval i = median_interval(values, VALUES);
        held += i.low <= log(2) && log(2) <= i.high;
    }
    cr_assert_gt(held, 0.95 * ROUNDS);
    cr_assert_lt(held, 0.98 * ROUNDS); /* 1 - 2 * 10/512 = 0.961: not wider than it has to be */
}

Test(stats, quantiles_lie_between_the_values)
{
    double values[] = {0, 10, 20, 30, 40};
    cr_assert_eq(quantile(values, 5, 0), 0);
    cr_assert_eq(quantile(values, 5, 0.25), 10);
    cr_assert_eq(quantile(values, 5, 0.5), 20);
    cr_assert(near(quantile(values, 5, 0.6), 24, 1e-12));
    cr_assert_eq(quantile(values, 5, 1), 40);
}

/* Known probabilities: all of one sample below all of the other one: 2 / C(m + n, m). */
Test(stats, rank_test_is_exact_for_small_samples)
{
    double low[] = {1, 2, 3, 4}, high[] = {5, 6, 7, 8}, between[] = {2.5, 3.5, 5, 6};
    cr_assert(near(rank_test(low, 4, high, 4), 2.0 / 70, 1e-12));
    cr_assert(near(rank_test(high, 4, low, 4), 2.0 / 70, 1e-12));
    cr_assert(near(rank_test(low, 3, high, 3), 0.1, 1e-12));
    /* U = 3 of 16, from a table of Mann and Whitney: 2 * 0.1 = 0.2 */
    cr_assert(near(rank_test(low, 4, between, 4), 0.2, 1e-12));
    cr_assert_eq(rank_test(low, 4, low, 4) > 0.99, 1);
}

Test(stats, rank_test_of_large_samples_and_ties)
{
    double a[60], b[60];
    for (int i = 0; i < 60; i++) a[i] = i % 6, b[i] = i % 6 + 2;
    cr_assert_lt(rank_test(a, 60, b, 60), 1e-6);
    cr_assert_gt(rank_test(a, 60, a, 60), 0.99);
    double same[] = {3, 3, 3, 3};
    cr_assert_eq(rank_test(same, 4, same, 4), 1);
}

/* As often as its level says, and no more, where there is no difference. */
Test(stats, rank_test_keeps_its_level)
{
    uint64_t seed = 3;
    int      found = 0;
    enum { ROUNDS = 4000, VALUES = 8 };
    for (int round = 0; round < ROUNDS; round++) {
        double a[VALUES], b[VALUES];
        for (int i = 0; i < VALUES; i++) {
            a[i] = (double)random_below(&seed, 1 << 30);
            b[i] = (double)random_below(&seed, 1 << 30);
        }
        found += rank_test(a, VALUES, b, VALUES) < 0.05;
    }
    cr_assert_lt(found, 0.06 * ROUNDS);
    cr_assert_gt(found, 0.03 * ROUNDS);
}

Test(stats, holm_multiplies_by_how_many_are_left)
{
    double p[] = {0.01, 0.04, 0.03, 0.005};
    cr_assert(holm(p, 4));
    cr_assert(near(p[3], 0.02, 1e-12));
    cr_assert(near(p[0], 0.03, 1e-12));
    cr_assert(near(p[2], 0.06, 1e-12));
    cr_assert(near(p[1], 0.06, 1e-12)); /* not below the one before */
}

Test(stats, random_numbers_are_seeded_and_in_range)
{
    uint64_t a = 5, b = 5, seen = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = random_below(&a, 10);
        cr_assert_eq(x, random_below(&b, 10));
        cr_assert_lt(x, 10);
        seen |= UINT64_C(1) << x;
    }
    cr_assert_eq(seen, 1023);
}
