/* words.c: see words.h. */
#include "words.h"

#include "format.h"

#include <inttypes.h>
#include <math.h>

static const char *plural(size_t count) { return count == 1 ? "" : "s"; }

void words_limit(char *text, size_t size, const struct prediction *p, enum limit limit,
                 size_t stage)
{
    switch (limit) {
    case LIMIT_WORKERS:
        snprintf(text, size, "the number of workers");
        break;
    case LIMIT_FEED:
        snprintf(text, size, "what feeds the pipeline from outside");
        break;
    case LIMIT_COSTS:
        snprintf(text, size, "the runtime's own work: chunks too small, or too few");
        break;
    case LIMIT_STAGE:
        if (p->stages[stage].at_a_time == 1)
            snprintf(text, size, "stage '%.48s', one chunk at a time", p->stages[stage].name);
        else
            snprintf(text, size, "stage '%.48s', %u chunks at a time", p->stages[stage].name,
                     p->stages[stage].at_a_time);
        break;
    case LIMIT_PATH:
        snprintf(text, size, "the critical path, most of it in stage '%.48s'",
                 p->stages[stage].name);
        break;
    }
}

/* ── What was measured ──────────────────────────────────────────────────────────────────────── */

static void best_words(FILE *out, const struct results *r, const struct point *best)
{
    char count[FIGURE];
    fprintf(out, "Fastest: %s items/s with %u worker%s and chunks of %zu.",
            format_count(count, best->throughput.middle), best->workers, plural(best->workers),
            best->chunk);
    if (best->throughput.coverage > 0 && best->throughput.coverage < 0.95)
        fprintf(out,
                " The intervals are the whole range of %zu run%s, and hold the true median with "
                "only %.0f %%.",
                best->count, plural(best->count), 100 * best->throughput.coverage);
    if (best->throughput.coverage <= 0)
        fputs(" One run says nothing about noise: --repeat 7 does.", out);
    fputc('\n', out);
    (void)r;
}

/* The largest worker count within the CPUs, at a chunk size; NULL: no more than the baseline. */
static const struct point *widest(const struct results *r, size_t c)
{
    const struct point *found = NULL;
    for (size_t w = 0; w < r->worker_count; w++) {
        const struct point *point = results_point(r, c, w);
        bool                wider = point->workers > r->baseline && point->workers > 1;
        if (point->count > 0 && point->within && wider) found = point;
    }
    return found;
}

static const struct point *at_workers(const struct results *r, size_t c, unsigned workers)
{
    for (size_t w = 0; w < r->worker_count; w++)
        if (r->workers[w] == workers) return results_point(r, c, w);
    return NULL;
}

static void speedup_words(FILE *out, const struct point *wide, unsigned baseline)
{
    char percent[FIGURE];
    fprintf(out, "From %u to %u workers, chunk %zu: %.2f times as fast", baseline, wide->workers,
            wide->chunk, wide->speedup.middle);
    if (wide->speedup.coverage > 0)
        fprintf(out, " (%.2f to %.2f)", wide->speedup.low, wide->speedup.high);
    fprintf(out, ", efficiency %s.\n", format_percent(percent, wide->efficiency.middle));
}

/* The largest of the losses: the functions got slower, nothing to do, the runtime's own work. */
static void limit_words(FILE *out, const struct results *r, size_t c, const struct point *wide)
{
    const struct point      *base = at_workers(r, c, r->baseline);
    const struct prediction *p = &r->curves[c].prediction;
    const struct shares     *s = &wide->shares;
    char                     percent[FIGURE], limit[160] = "";
    double                   slower = 1;
    if (base != NULL && base->shares.work > 0 && s->work > 0) slower = s->work / base->shares.work;
    for (size_t i = 0; i < p->count; i++)
        if (p->at[i].workers == wide->workers && p->at[i].limit != LIMIT_WORKERS)
            words_limit(limit, sizeof limit, p, p->at[i].limit, p->at[i].stage);

    double inflation = s->functions * (1 - 1 / slower);
    /* What the recorded run made of its time; the timed ones may have been in worse company. */
    bool strange = s->known && s->functions / slower > wide->efficiency.middle + 0.15;
    fputs("What limits it: ", out);
    if (wide->efficiency.middle >= 0.9) {
        fputs("the number of workers. They are busy, and more of them would help.\n", out);
    } else if (!s->known) {
        fputs("that takes a recorded run, and there was none.\n", out);
    } else if (strange) {
        fprintf(
            out,
            "something outside of the pipeline. In the run that was recorded, the workers spent "
            "%s of their time on what one worker does as well, and in the timed ones less: "
            "other programs on these CPUs, perhaps. Measure again, with --pin.\n",
            format_percent(percent, s->functions / slower));
    } else if (inflation >= s->idle && inflation >= s->runtime) {
        fprintf(out,
                "the work itself. The functions take %.2f times as long for an item as with %u "
                "worker%s: memory bandwidth, caches, CPUs that share a core, or others that use "
                "this machine.\n",
                slower, r->baseline, plural(r->baseline));
    } else if (s->runtime > s->idle) {
        fprintf(out,
                "what the runtime does between chunks: %s of the workers' time. Larger chunks "
                "make that less.\n",
                format_percent(percent, s->runtime));
    } else if (limit[0] != '\0') {
        fprintf(out, "workers have nothing to run for %s of their time, because of %s.\n",
                format_percent(percent, s->idle), limit);
    } else {
        fprintf(out,
                "workers have nothing to run for %s of their time: too few chunks at a time, or "
                "chunks too small to be worth a wake-up.\n",
                format_percent(percent, s->idle));
    }
}

static void chunk_words(FILE *out, const struct results *r, const struct point *best)
{
    char one[FIGURE], item[FIGURE];
    for (size_t c = 0; c < r->chunk_count; c++) {
        const struct point *point = at_workers(r, c, best->workers);
        if (point == NULL || point->count == 0 || point == best) continue;
        double slower = best->throughput.middle / point->throughput.middle;
        if (slower < 1.25) continue;
        fprintf(
            out,
            "Chunks of %zu: %.1f times slower with as many workers. A chunk takes %s of a "
            "worker's time, %s an item.\n",
            point->chunk, slower, format_seconds(one, point->chunk_time),
            format_seconds(item, point->time.middle * (point->workers == 0 ? 1 : point->workers) /
                                     (double)r->items));
    }
}

/* ── Fits and prediction ────────────────────────────────────────────────────────────────────── */

static void fit_words(FILE *out, const struct results *r, const struct curve *curve)
{
    char percent[FIGURE];
    if (!curve->fitted) {
        fprintf(out,
                "No fit of Amdahl's law and the Universal Scalability Law: that takes at least %d "
                "worker counts within the %u CPU%s, and there %s %zu. The prediction has to do.\n",
                FIT_LEAST_POINTS, r->cpus, plural(r->cpus),
                curve->fitted_points == 1 ? "is" : "are", curve->fitted_points);
        return;
    }
    const struct fit *usl = &curve->usl, *amdahl = &curve->amdahl;
    fprintf(out, "Amdahl's law, chunk %zu: %s of the work is serial", curve->chunk,
            format_percent(percent, amdahl->sigma));
    if (amdahl->sigma > 0)
        fprintf(out, ", so no more than %.1f times one worker, ever", 1 / amdahl->sigma);
    fprintf(out, " (off by %s).\n", format_percent(percent, amdahl->residual));
    fprintf(out, "Universal Scalability Law, chunk %zu: sigma (contention) %.4f", curve->chunk,
            usl->sigma);
    if (curve->ranged)
        fprintf(out, " (%.4f to %.4f)", curve->range.sigma_low, curve->range.sigma_high);
    fprintf(out, ", kappa (coherence) %.6f", usl->kappa);
    if (curve->ranged)
        fprintf(out, " (%.6f to %.6f)", curve->range.kappa_low, curve->range.kappa_high);
    if (isfinite(usl->peak))
        fprintf(out, "; fastest with %.0f workers, slower beyond", fmax(1, round(usl->peak)));
    else
        fputs("; no peak", out);
    fprintf(out, " (off by %s, %zu worker counts).\n", format_percent(percent, usl->residual),
            curve->fitted_points);
}

static void prediction_words(FILE *out, const struct curve *curve)
{
    const struct prediction *p = &curve->prediction;
    char                     work[FIGURE], path[FIGURE], limit[160], percent[FIGURE];
    if (p->count == 0) return;
    fprintf(out,
            "Predicted from a recorded run of %" PRIu64 " items at %u worker, chunk %zu: work %s, "
            "critical path %s",
            p->items, p->recorded_workers, curve->chunk, format_seconds(work, p->work),
            format_seconds(path, p->path));
    words_limit(limit, sizeof limit, p, p->most_limit, p->most_stage);
    if (isfinite(p->most))
        fprintf(out, "; never more than %.1f times one worker, because of %s.\n", p->most, limit);
    else
        fputs(".\n", out);

    const struct predicted *last = &p->at[p->count - 1];
    size_t                  i = 0;
    while (i < p->count && p->at[i].limit == LIMIT_WORKERS) i++;
    if (i < p->count) {
        words_limit(limit, sizeof limit, p, p->at[i].limit, p->at[i].stage);
        fprintf(out, "From %u worker%s on (%.1f times) it is limited by %s; ", p->at[i].workers,
                plural(p->at[i].workers), p->at[i].speedup, limit);
    }
    fprintf(out, "%u workers: %.1f times.", last->workers, last->speedup);
    if (curve->error >= 0)
        fprintf(out,
                " Where the machine has the CPUs it differs from what was measured by %s (median).",
                format_percent(percent, curve->error));
    if (p->costs.share_workers > 0)
        fprintf(out, " What working side by side costs the runtime is measured at %u workers.",
                p->costs.share_workers);
    fputs(" It knows nothing of memory bandwidth, caches and CPUs that share a core.\n", out);
}

void words_write(FILE *out, const struct results *r)
{
    size_t c, w;
    if (!results_best(r, &c, &w)) {
        fputs("Nothing was measured.\n", out);
        return;
    }
    if (r->interrupted)
        fputs("Interrupted: these are the rounds that were complete, or nearly.\n", out);
    const struct point *best = results_point(r, c, w), *wide = widest(r, c);
    best_words(out, r, best);
    if (wide != NULL && wide->speedup.middle > 0) {
        speedup_words(out, wide, r->baseline);
        limit_words(out, r, c, wide);
    } else {
        fputs("No speed-up: at most one worker count lies within the CPUs.\n", out);
    }
    chunk_words(out, r, best);
    fit_words(out, r, &r->curves[c]);
    prediction_words(out, &r->curves[c]);
}
