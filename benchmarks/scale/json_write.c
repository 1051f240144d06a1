/* json_write.c: see json.h. */
#include "json.h"

#include "words.h"

#include <jansson.h>
#include <math.h>

/* JSON has no infinity. */
static json_t *number(double value) { return isfinite(value) ? json_real(value) : json_null(); }

static json_t *numbers(const double *values, size_t count)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(array, number(values[i]));
    return array;
}

static json_t *text_or_null(const char *text)
{
    return text == NULL ? json_null() : json_string(text);
}

static json_t *interval(const struct interval *i)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "median", number(i->middle), "low", number(i->low),
                     "high", number(i->high), "coverage", number(i->coverage));
}

static json_t *point_json(const struct point *p)
{
    json_t *o = json_object();
    json_object_set_new(o, "workers", json_integer(p->workers));
    json_object_set_new(o, "chunk", json_integer((json_int_t)p->chunk));
    json_object_set_new(o, "within_cpus", json_boolean(p->within));
    json_object_set_new(o, "seconds", numbers(p->seconds, p->count));
    if (p->count > 0) {
        json_object_set_new(o, "time", interval(&p->time));
        json_object_set_new(o, "items_per_second", interval(&p->throughput));
        json_object_set_new(o, "chunks", json_integer((json_int_t)p->chunks));
        json_object_set_new(o, "seconds_per_chunk", number(p->chunk_time));
    }
    if (p->speedup.middle > 0) {
        json_object_set_new(o, "speedup", interval(&p->speedup));
        json_object_set_new(o, "efficiency", interval(&p->efficiency));
    }
    if (p->counted) {
        json_object_set_new(o, "steals", json_integer((json_int_t)p->steals));
        json_object_set_new(o, "parks", json_integer((json_int_t)p->parks));
    }
    if (p->shares.known)
        json_object_set_new(o, "shares",
                            json_pack("{s:o, s:o, s:o, s:o, s:o}", "functions",
                                      number(p->shares.functions), "idle", number(p->shares.idle),
                                      "parked", number(p->shares.parked), "runtime",
                                      number(p->shares.runtime), "function_seconds_per_item",
                                      number(p->shares.work)));
    if (p->predicted > 0) json_object_set_new(o, "predicted_speedup", number(p->predicted));
    return o;
}

static json_t *fit_json(const struct curve *curve)
{
    const struct fit *usl = &curve->usl, *amdahl = &curve->amdahl;
    json_t           *o = json_object();
    json_object_set_new(o, "worker_counts", json_integer((json_int_t)curve->fitted_points));
    json_object_set_new(o, "amdahl",
                        json_pack("{s:o, s:o, s:o}", "lambda", number(amdahl->lambda), "sigma",
                                  number(amdahl->sigma), "error", number(amdahl->residual)));
    json_t *law = json_pack("{s:o, s:o, s:o, s:o, s:o}", "lambda", number(usl->lambda), "sigma",
                            number(usl->sigma), "kappa", number(usl->kappa), "peak",
                            number(usl->peak), "error", number(usl->residual));
    if (curve->ranged) {
        double sigma[] = {curve->range.sigma_low, curve->range.sigma_high};
        double kappa[] = {curve->range.kappa_low, curve->range.kappa_high};
        json_object_set_new(law, "sigma_range", numbers(sigma, 2));
        json_object_set_new(law, "kappa_range", numbers(kappa, 2));
    }
    json_object_set_new(o, "usl", law);
    return o;
}

static json_t *prediction_json(const struct prediction *p)
{
    json_t *stages = json_array(), *at = json_array();
    for (size_t s = 0; s < p->stage_count; s++) {
        const struct predicted_stage *stage = &p->stages[s];
        json_array_append_new(stages,
                              json_pack("{s:s, s:o, s:o, s:I, s:i}", "name", stage->name, "seconds",
                                        number(stage->work), "on_critical_path",
                                        number(stage->on_path), "chunks", (json_int_t)stage->chunks,
                                        "at_a_time", (int)stage->at_a_time));
    }
    for (size_t i = 0; i < p->count; i++) {
        char limit[160];
        words_limit(limit, sizeof limit, p, p->at[i].limit, p->at[i].stage);
        json_array_append_new(
            at, json_pack("{s:I, s:o, s:o, s:o, s:s}", "workers", (json_int_t)p->at[i].workers,
                          "seconds", number(p->at[i].seconds), "speedup", number(p->at[i].speedup),
                          "busy", number(p->at[i].busy), "limit", limit));
    }
    return json_pack(
        "{s:I, s:I, s:o, s:o, s:o, s:o, s:b, s:o, s:b, s:o, s:I, s:o, s:o}", "recorded_workers",
        (json_int_t)p->recorded_workers, "items", (json_int_t)p->items, "work_seconds",
        number(p->work), "critical_path_seconds", number(p->path), "most_speedup", number(p->most),
        "steal_seconds", number(p->costs.steal), "steal_measured", (int)p->costs.steal_measured,
        "wake_seconds", number(p->costs.wake), "wake_measured", (int)p->costs.wake_measured,
        "share_seconds", number(p->costs.share), "share_workers",
        (json_int_t)p->costs.share_workers, "stages", stages, "at", at);
}

static json_t *results_json(const struct results *r)
{
    json_t *o = json_pack("{s:s, s:i, s:s, s:s, s:s}", "format", "async-scale", "format_version",
                          JSON_FORMAT, "version", r->version, "date", r->date, "machine",
                          r->machine);
    json_object_set_new(o, "cpus", json_integer(r->cpus));
    json_object_set_new(o, "workload", json_string(r->workload));
    json_object_set_new(o, "argument", text_or_null(r->argument));
    json_object_set_new(o, "item", json_string(r->item));
    json_object_set_new(o, "items", json_integer((json_int_t)r->items));
    json_object_set_new(o, "seed", json_integer((json_int_t)r->seed));
    json_object_set_new(o, "pinned", json_boolean(r->pinned));
    json_object_set_new(o, "interrupted", json_boolean(r->interrupted));
    json_object_set_new(o, "threads_per_worker", json_integer(r->threads_per_worker));
    json_object_set_new(o, "baseline_workers", json_integer(r->baseline));
    json_object_set_new(o, "reference_seconds", numbers(r->reference, r->reference_count));
    json_t *points = json_array(), *curves = json_array();
    for (size_t i = 0; i < r->worker_count * r->chunk_count; i++)
        json_array_append_new(points, point_json(&r->points[i]));
    for (size_t c = 0; c < r->chunk_count; c++) {
        const struct curve *curve = &r->curves[c];
        json_t             *one = json_pack("{s:I}", "chunk", (json_int_t)curve->chunk);
        if (curve->fitted) json_object_set_new(one, "fit", fit_json(curve));
        if (curve->prediction.count > 0)
            json_object_set_new(one, "prediction", prediction_json(&curve->prediction));
        if (curve->error >= 0) json_object_set_new(one, "prediction_error", number(curve->error));
        json_array_append_new(curves, one);
    }
    json_object_set_new(o, "points", points);
    json_object_set_new(o, "chunk_sizes", curves);
    return o;
}

bool json_write(FILE *out, const void *results)
{
    json_t *root = results_json(results);
    bool done = root != NULL && json_dumpf(root, out, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) == 0;
    json_decref(root);
    return done && fputc('\n', out) != EOF;
}
