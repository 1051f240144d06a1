/* compare.c: what counts as a change, and what the results say of it. */
#define _GNU_SOURCE

#include "compare.h"

#include "stats.h"
#include "words.h"

#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 9, ITEMS = 1000000 };

/* 1, 2, 4, 8 workers × chunks of 1 and 64; each run takes seconds(workers) and up to 2 % more. */
static struct results make(double factor, double (*seconds)(unsigned workers), uint64_t seed)
{
    static const unsigned workers[] = {1, 2, 4, 8};
    static const size_t   chunks[] = {1, 64};
    struct results        r = {.items = ITEMS, .cpus = 8, .threads_per_worker = 1, .seed = 1};
    cr_assert(results_init(&r, workers, 4, chunks, 2, RUNS));
    r.workload = strdup("made up");
    r.machine = strdup("none");
    r.date = strdup("today");
    r.version = strdup("0");
    for (size_t i = 0; i < 8; i++)
        for (r.points[i].count = 0; r.points[i].count < RUNS;) {
            double noise = 1 + (double)random_below(&seed, 1000) / 50000;
            r.points[i].seconds[r.points[i].count++] = factor * seconds(r.points[i].workers) *
                                                       noise;
        }
    for (; r.reference_count < RUNS; r.reference_count++) r.reference[r.reference_count] = 0.01;
    cr_assert(results_derive(&r));
    return r;
}

static double linear(unsigned workers) { return 1.0 / workers; }
static double law(unsigned n) { return (1 + 0.1 * (n - 1) + 0.005 * n * (n - 1)) / n; }

static size_t count(const struct results *a, const struct results *b, enum change change)
{
    struct comparison *list;
    size_t             all, found = 0;
    struct steadiness  machine;
    cr_assert(compare_points(a, b, &list, &all, &machine));
    cr_assert_eq(all, 8);
    for (size_t i = 0; i < all; i++) found += list[i].change == change;
    free(list);
    return found;
}

Test(compare, noise_is_no_change)
{
    for (uint64_t seed = 1; seed < 40; seed += 2) {
        struct results a = make(1, linear, seed), b = make(1, linear, seed + 1);
        cr_assert_eq(count(&a, &b, UNCHANGED), 8);
        results_free(&a);
        results_free(&b);
    }
}

Test(compare, ten_percent_are_a_change)
{
    struct results a = make(1, linear, 1), b = make(1.1, linear, 2);
    cr_assert_eq(count(&a, &b, SLOWER), 8);
    cr_assert_eq(count(&b, &a, FASTER), 8);
    results_free(&a);
    results_free(&b);
}

/* However sure, a change below 1 % is none. */
Test(compare, half_a_percent_is_no_change)
{
    struct results a = make(1, linear, 1), b = make(1.005, linear, 1);
    cr_assert_eq(count(&a, &b, UNCHANGED), 8);
    results_free(&a);
    results_free(&b);
}

/* What the machine has changed by isn't the program's. */
Test(compare, a_slower_machine_is_no_change)
{
    struct results a = make(1, linear, 1), b = make(1.1, linear, 2);
    for (size_t i = 0; i < RUNS; i++) b.reference[i] = 0.012;
    cr_assert_eq(count(&a, &b, UNCHANGED), 8);
    results_free(&a);
    results_free(&b);
}

/* Nor is a change on a machine that varies by more than that. */
Test(compare, an_unsteady_machine_hides_a_change)
{
    struct results a = make(1, linear, 1), b = make(1.1, linear, 2);
    for (size_t i = 0; i < RUNS; i++) b.reference[i] = i % 2 == 0 ? 0.0095 : 0.011;
    cr_assert_eq(count(&a, &b, UNCHANGED), 8);
    results_free(&a);
    results_free(&b);
}

Test(compare, three_runs_say_nothing)
{
    struct results a = make(1, linear, 1), b = make(2, linear, 2);
    for (size_t i = 0; i < 8; i++) a.points[i].count = 3;
    cr_assert_eq(count(&a, &b, UNKNOWN), 8);
    results_free(&a);
    results_free(&b);
}

/* ── What is derived ────────────────────────────────────────────────────────────────────────── */

Test(results, speed_ups_and_the_law)
{
    struct results      r = make(1, law, 1);
    const struct point *four = results_point(&r, 1, 2);
    cr_assert_eq(r.baseline, 1);
    cr_assert(fabs(four->speedup.middle - law(1) / law(4)) < 0.05);
    cr_assert(fabs(four->efficiency.middle - four->speedup.middle / 4) < 1e-9);
    cr_assert(four->speedup.low <= four->speedup.middle &&
              four->speedup.middle <= four->speedup.high);
    cr_assert(fabs(four->throughput.middle - ITEMS / four->time.middle) <
              1e-3 * four->throughput.middle);
    const struct curve *curve = &r.curves[1];
    cr_assert(curve->fitted && curve->ranged);
    cr_assert_eq(curve->fitted_points, 4);
    cr_assert(fabs(curve->usl.sigma - 0.1) < 0.03);
    cr_assert(fabs(curve->usl.kappa - 0.005) < 0.003);
    size_t c, w;
    cr_assert(results_best(&r, &c, &w));
    cr_assert_eq(r.workers[w], 8);
    results_free(&r);
}

static char *words_of(const struct results *r)
{
    char  *text;
    size_t size;
    FILE  *out = open_memstream(&text, &size);
    words_write(out, r);
    fclose(out);
    return text;
}

/* With fewer than 4 worker counts within the CPUs there is no fit, and it is said so. */
Test(results, no_fit_of_too_few_worker_counts)
{
    struct results r = make(1, law, 1);
    r.cpus = 2;
    cr_assert(results_derive(&r));
    cr_assert_not(r.curves[0].fitted);
    cr_assert_eq(r.curves[0].fitted_points, 2);
    cr_assert(!results_point(&r, 0, 2)->within && results_point(&r, 0, 1)->within);
    char *text = words_of(&r);
    cr_assert_not_null(strstr(text, "at least 4 worker counts within the 2 CPUs, and there are 2"));
    cr_assert_null(strstr(text, "sigma"));
    free(text);
    results_free(&r);
}

Test(results, words_name_the_largest_loss)
{
    struct results r = make(1, law, 1);
    struct point  *one = results_point(&r, 0, 0), *eight = results_point(&r, 0, 3);
    results_point(&r, 1, 3)->count = 0; /* so that this one is the best */
    one->shares = (struct shares){.known = true, .functions = 1, .work = 1e-6};
    eight->shares = (struct shares){
        .known = true, .functions = 0.5, .idle = 0.4, .runtime = 0.1, .work = 1e-6};
    char *text = words_of(&r);
    cr_assert_not_null(strstr(text, "nothing to run for 40 %"), "%s", text);
    free(text);
    eight->shares = (struct shares){
        .known = true, .functions = 0.5, .idle = 0.1, .runtime = 0.4, .work = 1e-6};
    text = words_of(&r);
    cr_assert_not_null(strstr(text, "Larger chunks"), "%s", text);
    free(text);
    eight->shares = (struct shares){.known = true, .functions = 0.9, .idle = 0.1, .work = 2e-6};
    text = words_of(&r);
    cr_assert_not_null(strstr(text, "2.00 times as long for an item"), "%s", text);
    free(text);
    eight->shares = (struct shares){
        .known = true, .functions = 0.98, .runtime = 0.02, .work = 1e-6};
    text = words_of(&r);
    cr_assert_not_null(strstr(text, "something outside of the pipeline"), "%s", text);
    free(text);
    results_free(&r);
    r = make(1, linear, 1);
    text = words_of(&r);
    cr_assert_not_null(strstr(text, "the number of workers. They are busy"), "%s", text);
    free(text);
    results_free(&r);
}

/* Threads that feed the workers use CPUs, too. */
Test(results, feeders_count_as_threads)
{
    struct results r = make(1, law, 1);
    r.threads_per_worker = 2;
    cr_assert(results_derive(&r));
    cr_assert(results_point(&r, 0, 2)->within && !results_point(&r, 0, 3)->within);
    results_free(&r);
}
