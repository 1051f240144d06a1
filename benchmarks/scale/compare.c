/* compare.c: see compare.h. */
#include "compare.h"

#include "format.h"
#include "json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double level = 0.05, least_change = 0.01;

/* Fewer than 4 runs on each side can't differ at that level, whatever they are. */
enum { LEAST_RUNS = 4 };

static const struct point *find(const struct results *r, const struct point *like)
{
    for (size_t i = 0; i < r->worker_count * r->chunk_count; i++)
        if (r->points[i].workers == like->workers && r->points[i].chunk == like->chunk)
            return r->points[i].count > 0 ? &r->points[i] : NULL;
    return NULL;
}

/* Half of them lie within this part of the median. */
static double spread(const double *sorted, size_t count)
{
    double middle = quantile(sorted, count, 0.5);
    return (quantile(sorted, count, 0.75) - quantile(sorted, count, 0.25)) / middle;
}

static struct steadiness compare_machines(const struct results *before, const struct results *after)
{
    struct steadiness machine = {.ratio = 1, .noise = least_change};
    double           *a = calloc(before->reference_count + 1, sizeof *a);
    double           *b = calloc(after->reference_count + 1, sizeof *b);
    if (a != NULL && b != NULL && before->reference_count > 0 && after->reference_count > 0) {
        memcpy(a, before->reference, before->reference_count * sizeof *a);
        memcpy(b, after->reference, after->reference_count * sizeof *b);
        machine.ratio = median(a, before->reference_count) / median(b, after->reference_count);
        double varied = fmax(spread(a, before->reference_count), spread(b, after->reference_count));
        machine.noise = fmax(machine.noise, fmax(fabs(machine.ratio - 1), varied));
    }
    free(a);
    free(b);
    return machine;
}

static void judge(struct comparison *c, double noise)
{
    if (c->before->count < LEAST_RUNS || c->after->count < LEAST_RUNS)
        c->change = UNKNOWN;
    else if (c->corrected >= level || fabs(c->ratio - 1) <= noise)
        c->change = UNCHANGED;
    else
        c->change = c->ratio > 1 ? FASTER : SLOWER;
}

bool compare_points(const struct results *before, const struct results *after,
                    struct comparison **list, size_t *count, struct steadiness *machine)
{
    size_t points = before->worker_count * before->chunk_count;
    *count = 0;
    *machine = compare_machines(before, after);
    *list = calloc(points + 1, sizeof **list);
    double *probabilities = calloc(points + 1, sizeof *probabilities);
    if (*list == NULL || probabilities == NULL) {
        free(*list);
        free(probabilities);
        *list = NULL;
        return false;
    }
    for (size_t i = 0; i < points; i++) {
        const struct point *a = &before->points[i], *b = find(after, a);
        if (a->count == 0 || b == NULL) continue;
        double p = rank_test(a->seconds, a->count, b->seconds, b->count);
        probabilities[*count] = p;
        (*list)[(*count)++] = (struct comparison){.before = a,
                                                  .after = b,
                                                  .ratio = b->throughput.middle /
                                                           a->throughput.middle,
                                                  .probability = p};
    }
    bool done = holm(probabilities, *count);
    for (size_t i = 0; i < *count; i++) {
        (*list)[i].corrected = probabilities[i];
        judge(&(*list)[i], machine->noise);
    }
    free(probabilities);
    return done;
}

/* ── In words ───────────────────────────────────────────────────────────────────────────────── */

static void warn_of_differences(const struct results *a, const struct results *b, FILE *out)
{
    if (strcmp(a->machine, b->machine) != 0)
        fprintf(out, "Note: different machines: %s; %s.\n", a->machine, b->machine);
    if (a->items != b->items)
        fprintf(out, "Note: runs of different lengths: throughputs are compared.\n");
    if (strcmp(a->version, b->version) != 0)
        fprintf(out, "Note: async %s and %s.\n", a->version, b->version);
    if (a->pinned != b->pinned) fprintf(out, "Note: only one of them was pinned.\n");
    if (a->seed != b->seed) fprintf(out, "Note: they had different seeds.\n");
}

static void print_table(const struct comparison *list, size_t count, FILE *out)
{
    static const char *const words[] = {"", "faster", "SLOWER", "too few runs to say"};
    fprintf(out, "%7s  %7s  %10s  %10s  %8s  %8s\n", "workers", "chunk", "A items/s", "B items/s",
            "B / A", "p");
    for (size_t i = 0; i < count; i++) {
        const struct comparison *c = &list[i];
        char                     a[FIGURE], b[FIGURE];
        fprintf(out, "%7u  %7zu  %10s  %10s  %8.3f  %8.4f%s%s\n", c->before->workers,
                c->before->chunk, format_count(a, c->before->throughput.middle),
                format_count(b, c->after->throughput.middle), c->ratio, c->corrected,
                words[c->change][0] == '\0' ? "" : "  ", words[c->change]);
    }
}

static void print_summary(const struct comparison *list, size_t count,
                          const struct steadiness *machine, FILE *out)
{
    size_t faster = 0, slower = 0, unknown = 0;
    for (size_t i = 0; i < count; i++) {
        faster += list[i].change == FASTER;
        slower += list[i].change == SLOWER;
        unknown += list[i].change == UNKNOWN;
    }
    fprintf(out,
            "The machine itself: a fixed loop ran at %.3f times its speed. Changes up to %.1f %% "
            "are put "
            "down to it.\n",
            machine->ratio, 100 * machine->noise);
    if (unknown == count) {
        fprintf(out, "Too few runs to tell a change from noise: at least %d on each side.\n",
                LEAST_RUNS);
        return;
    }
    if (faster + slower == 0)
        fprintf(out, "Nothing changed beyond noise in %zu place%s.\n", count,
                count == 1 ? "" : "s");
    else
        fprintf(out, "Beyond noise: %zu faster, %zu slower, of %zu place%s.\n", faster, slower,
                count, count == 1 ? "" : "s");
    for (size_t i = 0; i < count; i++)
        if (list[i].change == FASTER || list[i].change == SLOWER)
            fprintf(out, "  %u worker%s, chunk %zu: %.1f %% %s\n", list[i].before->workers,
                    list[i].before->workers == 1 ? "" : "s", list[i].before->chunk,
                    100 * fabs(list[i].ratio - 1), list[i].change == FASTER ? "faster" : "slower");
}

static int compare_results(struct results *a, struct results *b, FILE *out, FILE *errors)
{
    if (strcmp(a->workload, b->workload) != 0) {
        fprintf(errors, "async-scale: they are of different workloads: %s and %s\n", a->workload,
                b->workload);
        return 2;
    }
    struct comparison *list = NULL;
    size_t             count;
    struct steadiness  machine;
    if (!results_derive(a) || !results_derive(b) ||
        !compare_points(a, b, &list, &count, &machine)) {
        fprintf(errors, "async-scale: out of memory\n");
        return 2;
    }
    int code = 0;
    if (count == 0) {
        fprintf(errors, "async-scale: they have no worker count and chunk size in common\n");
        code = 2;
    } else {
        fprintf(out, "A: %s, async %s, %s\nB: %s, async %s, %s\n", a->workload, a->version, a->date,
                b->workload, b->version, b->date);
        warn_of_differences(a, b, out);
        fputc('\n', out);
        print_table(list, count, out);
        fputc('\n', out);
        print_summary(list, count, &machine, out);
        for (size_t i = 0; i < count; i++)
            if (list[i].change == SLOWER) code = 1;
    }
    free(list);
    return code;
}

int compare_files(const char *before, const char *after, FILE *out, FILE *errors)
{
    struct results a = {0}, b = {0};
    char           message[512];
    int            code = 2;
    if (!json_read(before, &a, message, sizeof message) ||
        !json_read(after, &b, message, sizeof message))
        fprintf(errors, "async-scale: %s\n", message);
    else
        code = compare_results(&a, &b, out, errors);
    results_free(&a);
    results_free(&b);
    return code;
}
