/* outputs.c: what is written of results that have everything: 8 CPUs, fits, a prediction. */
#define _GNU_SOURCE

#include "csv.h"
#include "html.h"
#include "json.h"
#include "plots.h"
#include "simulate.h"
#include "table.h"
#include "words.h"

#include <criterion/criterion.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RUNS = 7, ITEMS = 1000 };

/* X(N) of sigma 0.08 and kappa 0.01: a peak at sqrt(0.92 / 0.01) = 9.6. */
static double seconds(unsigned n, size_t chunk)
{
    double law = (1 + 0.08 * (n - 1) + 0.01 * n * (n - 1)) / n;
    return law * (chunk == 1 ? 2 : 1);
}

static void predict(struct curve *curve)
{
    struct graph       graph;
    const struct costs costs = {.steal = 1e-6, .wake = 5e-5, .steal_measured = true};
    cr_assert(graph_new(&graph, 1));
    strcpy(graph.stages[0].name, "a <b> & \"c\"");
    for (int i = 0; i < 100; i++) cr_assert(graph_node(&graph, 0, 0.01));
    cr_assert(graph_close(&graph));
    graph.stages[0].at_a_time = 20;
    const unsigned also[] = {1, 2, 4, 8};
    cr_assert(prediction_make(&graph, &costs, 64, also, 4, 1, &curve->prediction));
    curve->prediction.recorded_workers = 1;
    curve->prediction.items = ITEMS;
    graph_free(&graph);
}

static struct results make(void)
{
    static const unsigned workers[] = {1, 2, 4, 8, 16};
    static const size_t   chunks[] = {1, 64};
    struct results        r = {.items = ITEMS, .cpus = 8, .threads_per_worker = 1, .seed = 1};
    cr_assert(results_init(&r, workers, 5, chunks, 2, RUNS));
    r.workload = strdup("made <up>");
    r.summary = strdup("a & b");
    r.item = strdup("an item");
    r.machine = strdup("none");
    r.date = strdup("today");
    r.version = strdup("0");
    for (size_t i = 0; i < 10; i++) {
        struct point *p = &r.points[i];
        p->chunks = ITEMS / p->chunk;
        p->counted = true;
        p->shares = (struct shares){
            .known = true, .functions = 0.75, .idle = 0.125, .runtime = 0.125, .work = 1e-3};
        for (; p->count < RUNS; p->count++)
            p->seconds[p->count] = seconds(p->workers, p->chunk) * (1 + 0.001 * (double)p->count);
    }
    for (; r.reference_count < RUNS; r.reference_count++) r.reference[r.reference_count] = 0.01;
    for (size_t c = 0; c < 2; c++) predict(&r.curves[c]);
    cr_assert(results_derive(&r));
    return r;
}

typedef bool writer(FILE *out, const void *results);

static char *text_of(writer *write, const struct results *r)
{
    char  *text;
    size_t size;
    FILE  *out = open_memstream(&text, &size);
    cr_assert(write(out, r));
    fclose(out);
    return text;
}

static bool words(FILE *out, const void *results)
{
    words_write(out, results);
    return true;
}

static bool table(FILE *out, const void *results)
{
    table_write(out, results);
    return true;
}

static void expect(writer *write, const struct results *r, const char *part)
{
    char *text = text_of(write, r);
    cr_assert_not_null(strstr(text, part), "no '%s' in:\n%s", part, text);
    free(text);
}

Test(outputs, words_with_fits)
{
    struct results r = make();
    cr_assert(r.curves[1].fitted);
    expect(words, &r, "Fastest: ");
    expect(words, &r, "From 1 to 8 workers, chunk 64: ");
    expect(words, &r, "Amdahl's law, chunk 64: ");
    expect(words, &r, "Universal Scalability Law, chunk 64: sigma (contention) 0.0800");
    expect(words, &r, "kappa (coherence) 0.010000");
    expect(words, &r, "fastest with 10 workers, slower beyond");
    expect(words, &r,
           "never more than 20.0 times one worker, because of stage 'a <b> & \"c\"', 20 chunks at "
           "a time");
    expect(words, &r, "Where the machine has the CPUs it differs");
    expect(words, &r, "Chunks of 1: 2.0 times slower");
    results_free(&r);
}

Test(outputs, the_table_marks_too_many_workers)
{
    struct results r = make();
    expect(table, &r, "\n    16*     64");
    expect(table, &r, "\n* more threads at work than CPUs\n");
    results_free(&r);
}

Test(outputs, the_error_of_the_prediction_leaves_out_what_the_machine_lacks)
{
    struct results r = make();
    /* 2, 4 and 8 workers; simulated they are 2, 4 and 7.7 times as fast as one */
    double errors[3];
    for (size_t w = 1; w <= 3; w++) {
        const struct point *p = results_point(&r, 1, w);
        errors[w - 1] = fabs(p->predicted / p->speedup.middle - 1);
    }
    cr_assert(fabs(r.curves[1].error - median(errors, 3)) < 1e-12);
    cr_assert(results_point(&r, 1, 3)->compared && !results_point(&r, 1, 4)->compared);
    cr_assert_not(results_point(&r, 1, 0)->compared);
    results_free(&r);
}

Test(outputs, csv_has_a_line_for_each_point)
{
    struct results r = make();
    char          *text = text_of(csv_write, &r);
    size_t         lines = 0, commas = 0;
    for (const char *at = text; *at != '\0'; at++) {
        lines += *at == '\n';
        commas += *at == ',';
    }
    cr_assert_eq(lines, 11);
    cr_assert_eq(commas % 11, 0);
    free(text);
    free(r.workload);
    r.workload = strdup("a,\"b\"");
    expect(csv_write, &r, "\n\"a,\"\"b\"\"\",1000,1,1,7,1,");
    results_free(&r);
}

Test(outputs, html_is_escaped_and_has_every_plot)
{
    struct results r = make();
    expect(html_write, &r, "<h1>How made &lt;up&gt; scales</h1>");
    expect(html_write, &r, "a &lt;b&gt; &amp; &quot;c&quot;");
    for (size_t i = 0; i < PLOTS; i++) cr_assert(plots_has(&r, i));
    char  *text = text_of(html_write, &r);
    size_t plots = 0;
    for (const char *at = text; (at = strstr(at, "<svg ")) != NULL; at++) plots++;
    cr_assert_eq(plots, PLOTS);
    cr_assert_null(strstr(text, "nan"));
    cr_assert_null(strstr(text, "inf"));
    cr_assert_not_null(strstr(text, "USL, chunk 64"));
    free(text);
    results_free(&r);
}

/* What is read back is what was written. */
Test(outputs, json_there_and_back)
{
    struct results r = make(), back;
    char           path[] = "/tmp/async-scale-XXXXXX", message[256] = "";
    int            fd = mkstemp(path);
    FILE          *out = fdopen(fd, "w");
    cr_assert(json_write(out, &r));
    fclose(out);
    cr_assert(json_read(path, &back, message, sizeof message), "%s", message);
    cr_assert_str_eq(back.workload, r.workload);
    cr_assert_eq(back.items, ITEMS);
    cr_assert_eq(back.cpus, 8);
    for (size_t i = 0; i < 10; i++) {
        cr_assert_eq(back.points[i].workers, r.points[i].workers);
        cr_assert_eq(back.points[i].chunk, r.points[i].chunk);
        cr_assert_eq(back.points[i].count, RUNS);
        for (size_t k = 0; k < RUNS; k++)
            cr_assert(fabs(back.points[i].seconds[k] / r.points[i].seconds[k] - 1) < 1e-8);
    }
    unlink(path);
    expect(json_write, &r, "\"usl\": {");
    expect(json_write, &r, "\"limit\": \"the number of workers\"");
    results_free(&r);
    results_free(&back);
}
