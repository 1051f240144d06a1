/* plots.c: see plots.h. */
#define _GNU_SOURCE

#include "plots.h"

#include "file.h"
#include "svg.h"
#include "words.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { THROUGHPUT, SPEEDUP, CHUNKS, TIME, PREDICTION };

enum { CURVE_STEPS = 64 };

const char *plots_name(size_t plot)
{
    static const char *const names[PLOTS] = {"throughput", "speedup", "chunks", "time",
                                             "prediction"};
    return names[plot];
}

/* A plot under construction: series whose numbers it owns. */
struct canvas {
    struct svg_series *series;
    size_t             count, room;
    bool               failed;
};

static struct svg_series *add_series(struct canvas *canvas, enum svg_look look, unsigned colour,
                                     size_t points)
{
    if (canvas->failed || canvas->count == canvas->room) {
        size_t             room = 2 * canvas->room + 8;
        struct svg_series *more = canvas->failed ? NULL
                                                 : realloc(canvas->series, room * sizeof *more);
        if (more == NULL) {
            canvas->failed = true;
            return NULL;
        }
        canvas->series = more;
        canvas->room = room;
    }
    double            *numbers = calloc(4 * (points + 1), sizeof *numbers);
    struct svg_series *series = &canvas->series[canvas->count];
    if (numbers == NULL) {
        canvas->failed = true;
        return NULL;
    }
    *series = (struct svg_series){.look = look,
                                  .colour = colour,
                                  .x = numbers,
                                  .y = numbers + points + 1,
                                  .low = look == SVG_MEASURED ? numbers + 2 * (points + 1) : NULL,
                                  .high = look == SVG_MEASURED ? numbers + 3 * (points + 1) : NULL};
    canvas->count++;
    return series;
}

static void canvas_free(struct canvas *canvas)
{
    for (size_t i = 0; i < canvas->count; i++) free(canvas->series[i].x);
    free(canvas->series);
}

/* A series without a point is taken back. */
static void drop_empty(struct canvas *canvas)
{
    if (canvas->count == 0 || canvas->series[canvas->count - 1].count > 0) return;
    free(canvas->series[--canvas->count].x);
}

static void add_measured(struct svg_series *series, double x, const struct interval *i)
{
    size_t at = series->count++;
    bool   known = i->coverage > 0 && i->low > 0;
    series->x[at] = x;
    series->y[at] = i->middle;
    series->low[at] = known ? i->low : i->middle;
    series->high[at] = known ? i->high : i->middle;
}

static double highest(const struct canvas *canvas)
{
    double high = 0;
    for (size_t s = 0; s < canvas->count; s++)
        for (size_t i = 0; i < canvas->series[s].count; i++) {
            high = fmax(high, canvas->series[s].y[i]);
            if (canvas->series[s].high != NULL) high = fmax(high, canvas->series[s].high[i]);
        }
    return high > 0 ? high : 1;
}

/* For an axis with logarithms: 1, or what is below it. */
static double lowest(const struct canvas *canvas)
{
    double low = 1;
    for (size_t s = 0; s < canvas->count; s++)
        for (size_t i = 0; i < canvas->series[s].count; i++) {
            low = fmin(low, canvas->series[s].y[i]);
            if (canvas->series[s].low != NULL) low = fmin(low, canvas->series[s].low[i]);
        }
    return low < 1 ? fmax(low * 0.9, 1.0 / 64) : 1;
}

static bool finish(FILE *out, struct canvas *canvas, struct svg_plot *plot)
{
    plot->series = canvas->series;
    plot->series_count = canvas->count;
    if (!canvas->failed) svg_plot_write(out, plot);
    canvas_free(canvas);
    return !canvas->failed;
}

/* Workers along the bottom; 0 workers stand in no plot: one thread works then, as with 1. */
static struct svg_axis workers_axis(const struct results *r, unsigned most)
{
    struct svg_axis axis = {.label = "workers", .low = most, .high = most};
    for (size_t w = 0; w < r->worker_count; w++) {
        if (r->workers[w] == 0) continue;
        if (r->workers[w] < axis.low) axis.low = r->workers[w];
        if (r->workers[w] > axis.high) axis.high = r->workers[w];
        if (most == 0 && axis.low == 0) axis.low = r->workers[w];
    }
    if (axis.low < 1) axis.low = 1;
    if (most > 0) axis.low = 1;
    axis.log = axis.high > 8 * axis.low;
    for (size_t w = 0; !axis.log && w < r->worker_count && r->worker_count <= SVG_TICKS; w++)
        if (r->workers[w] > 0) axis.ticks[axis.tick_count++] = r->workers[w];
    if (!axis.log) { /* room at both sides */
        double room = axis.high > axis.low ? (axis.high - axis.low) * 0.06 : 0.5;
        axis.low -= room;
        axis.high += room;
    }
    return axis;
}

/* ── The plots ──────────────────────────────────────────────────────────────────────────────── */

static bool write_throughput(FILE *out, const struct results *r)
{
    struct canvas canvas = {0};
    for (size_t c = 0; c < r->chunk_count; c++) {
        struct svg_series *series = add_series(&canvas, SVG_MEASURED, (unsigned)c, r->worker_count);
        for (size_t w = 0; series != NULL && w < r->worker_count; w++) {
            const struct point *point = results_point(r, c, w);
            if (point->count > 0 && point->workers > 0)
                add_measured(series, point->workers, &point->throughput);
        }
        if (series != NULL) snprintf(series->name, sizeof series->name, "chunk %zu", r->chunks[c]);
        drop_empty(&canvas);
    }
    struct svg_plot plot = {.id = plots_name(THROUGHPUT),
                            .title = "Throughput (median, 95 % interval)",
                            .x = workers_axis(r, 0),
                            .y = {.label = "items/s", .high = 1.06 * highest(&canvas)}};
    return finish(out, &canvas, &plot);
}

static void add_ideal(struct canvas *canvas, double high)
{
    struct svg_series *series = add_series(canvas, SVG_IDEAL, 0, CURVE_STEPS);
    if (series == NULL) return;
    snprintf(series->name, sizeof series->name, "ideal");
    for (int i = 0; i < CURVE_STEPS; i++) {
        series->x[i] = series->y[i] = pow(high, (double)i / (CURVE_STEPS - 1));
        series->count++;
    }
}

static void add_speedups(struct canvas *canvas, const struct results *r, size_t c, bool named)
{
    struct svg_series *series = add_series(canvas, SVG_MEASURED, (unsigned)c, r->worker_count);
    for (size_t w = 0; series != NULL && w < r->worker_count; w++) {
        const struct point *point = results_point(r, c, w);
        if (point->speedup.middle > 0 && point->workers > 0)
            add_measured(series, point->workers, &point->speedup);
    }
    if (series != NULL)
        snprintf(series->name, sizeof series->name, "chunk %zu%s", r->chunks[c],
                 named ? ", measured" : "");
    drop_empty(canvas);
}

static void add_prediction(struct canvas *canvas, const struct results *r, size_t c, unsigned most)
{
    const struct prediction *p = &r->curves[c].prediction;
    struct svg_series       *series = add_series(canvas, SVG_MODEL, (unsigned)c, p->count);
    for (size_t i = 0; series != NULL && i < p->count && p->at[i].workers <= most; i++) {
        series->x[series->count] = p->at[i].workers;
        series->y[series->count++] = p->at[i].speedup;
    }
    if (series != NULL)
        snprintf(series->name, sizeof series->name, "chunk %zu, predicted", r->chunks[c]);
    drop_empty(canvas);
}

static void add_law(struct canvas *canvas, const struct results *r, size_t c, double high)
{
    const struct curve *curve = &r->curves[c];
    if (!curve->fitted) return;
    struct svg_series *series = add_series(canvas, SVG_LAW, (unsigned)c, CURVE_STEPS);
    double             base = fit_at(&curve->usl, r->baseline == 0 ? 1 : r->baseline);
    for (int i = 0; series != NULL && i < CURVE_STEPS; i++) {
        series->x[i] = pow(high, (double)i / (CURVE_STEPS - 1));
        series->y[i] = fit_at(&curve->usl, series->x[i]) / base;
        series->count++;
    }
    if (series != NULL) snprintf(series->name, sizeof series->name, "USL, chunk %zu", r->chunks[c]);
}

static bool write_speedup(FILE *out, const struct results *r)
{
    struct canvas   canvas = {0};
    struct svg_axis x = workers_axis(r, 0);
    char            label[64];
    size_t          best, workers;
    unsigned        high = 1;
    for (size_t w = 0; w < r->worker_count; w++)
        if (r->workers[w] > high) high = r->workers[w];
    if (r->baseline <= 1) add_ideal(&canvas, high);
    for (size_t c = 0; c < r->chunk_count; c++) add_speedups(&canvas, r, c, true);
    if (results_best(r, &best, &workers)) {
        add_law(&canvas, r, best, high);
        if (r->baseline <= 1) add_prediction(&canvas, r, best, high);
    }
    snprintf(label, sizeof label, "speed-up over %u worker%s", r->baseline,
             r->baseline == 1 ? "" : "s");
    struct svg_plot plot = {.id = plots_name(SPEEDUP),
                            .title = "Speed-up (median, 95 % interval)",
                            .x = x,
                            .y = {.label = label, .high = 1.06 * highest(&canvas)}};
    return finish(out, &canvas, &plot);
}

static bool write_chunks(FILE *out, const struct results *r)
{
    struct canvas canvas = {0};
    for (size_t w = 0; w < r->worker_count; w++) {
        struct svg_series *series = add_series(&canvas, SVG_MEASURED, (unsigned)w, r->chunk_count);
        for (size_t c = 0; series != NULL && c < r->chunk_count; c++) {
            const struct point *point = results_point(r, c, w);
            if (point->count > 0) add_measured(series, (double)point->chunk, &point->throughput);
        }
        if (series != NULL)
            snprintf(series->name, sizeof series->name, "%u worker%s", r->workers[w],
                     r->workers[w] == 1 ? "" : "s");
        drop_empty(&canvas);
    }
    struct svg_axis x = {
        .label = "items in a chunk", .low = (double)r->chunks[0], .high = 1, .log = true};
    for (size_t c = 0; c < r->chunk_count; c++) {
        x.low = fmin(x.low, (double)r->chunks[c]);
        x.high = fmax(x.high, (double)r->chunks[c]);
        if (r->chunk_count <= SVG_TICKS) x.ticks[x.tick_count++] = (double)r->chunks[c];
    }
    x.low /= 1.15;
    x.high *= 1.15;
    struct svg_plot plot = {.id = plots_name(CHUNKS),
                            .title = "Throughput by chunk size (median, 95 % interval)",
                            .x = x,
                            .y = {.label = "items/s", .high = 1.06 * highest(&canvas)}};
    return finish(out, &canvas, &plot);
}

static bool write_time(FILE *out, const struct results *r)
{
    static const char *const names[] = {"in functions", "runtime", "nothing to run"};
    size_t                   points = r->worker_count * r->chunk_count, count = 0;
    struct svg_bar          *bars = calloc(points + 1, sizeof *bars);
    if (bars == NULL) return false;
    for (size_t i = 0; i < points; i++) {
        const struct point *point = &r->points[i];
        if (!point->shares.known) continue;
        struct svg_bar *bar = &bars[count++];
        snprintf(bar->label, sizeof bar->label, "chunk %zu, %u worker%s", point->chunk,
                 point->workers, point->workers == 1 ? "" : "s");
        bar->parts[0] = point->shares.functions;
        bar->parts[1] = point->shares.runtime;
        bar->parts[2] = point->shares.idle;
    }
    const struct svg_bars plot = {.title = "Where the workers' time goes (one recorded run each)",
                                  .names = names,
                                  .part_count = 3,
                                  .bars = bars,
                                  .count = count};
    svg_bars_write(out, &plot);
    free(bars);
    return true;
}

static bool write_prediction(FILE *out, const struct results *r)
{
    struct canvas canvas = {0};
    unsigned      most = 1;
    size_t        best = 0, workers;
    char          note[256] = "", limit[160];
    for (size_t c = 0; c < r->chunk_count; c++)
        for (size_t i = 0; i < r->curves[c].prediction.count; i++)
            if (r->curves[c].prediction.at[i].workers > most)
                most = r->curves[c].prediction.at[i].workers;
    add_ideal(&canvas, most);
    for (size_t c = 0; c < r->chunk_count; c++) {
        add_prediction(&canvas, r, c, most);
        if (r->baseline <= 1) add_speedups(&canvas, r, c, true);
    }
    const struct prediction *p = &r->curves[results_best(r, &best, &workers) ? best : 0].prediction;
    for (size_t i = 0; i < p->count && note[0] == '\0'; i++) {
        if (p->at[i].limit == LIMIT_WORKERS) continue;
        words_limit(limit, sizeof limit, p, p->at[i].limit, p->at[i].stage);
        snprintf(note, sizeof note, "chunk %zu, from %u worker%s on: %s", r->chunks[best],
                 p->at[i].workers, p->at[i].workers == 1 ? "" : "s", limit);
    }
    if (note[0] == '\0') snprintf(note, sizeof note, "nothing but the number of workers limits it");
    struct svg_plot plot = {.id = plots_name(PREDICTION),
                            .title = "Predicted speed-up, from a recorded run at one worker",
                            .x = {.label = "workers", .low = 1, .high = fmax(2, most), .log = true},
                            .y = {.label = "speed-up over 1 worker",
                                  .low = lowest(&canvas),
                                  .high = fmax(2, most),
                                  .log = true},
                            .note = note};
    return finish(out, &canvas, &plot);
}

bool plots_has(const struct results *r, size_t plot)
{
    bool has = false;
    for (size_t i = 0; i < r->worker_count * r->chunk_count; i++) {
        const struct point *point = &r->points[i];
        if (plot == TIME) has = has || point->shares.known;
        if (plot == THROUGHPUT || plot == SPEEDUP)
            has = has || (point->count > 0 && point->workers > 0);
        if (plot == CHUNKS) has = has || (point->count > 0 && r->chunk_count > 1);
    }
    for (size_t c = 0; plot == PREDICTION && c < r->chunk_count; c++)
        has = has || r->curves[c].prediction.count > 0;
    return has;
}

bool plots_write_one(FILE *out, const struct results *r, size_t plot)
{
    switch (plot) {
    case THROUGHPUT:
        return write_throughput(out, r);
    case SPEEDUP:
        return write_speedup(out, r);
    case CHUNKS:
        return write_chunks(out, r);
    case TIME:
        return write_time(out, r);
    default:
        return write_prediction(out, r);
    }
}

/* ── Files ──────────────────────────────────────────────────────────────────────────────────── */

struct one {
    const struct results *results;
    size_t                plot;
};

static bool write_file(FILE *out, const void *what)
{
    const struct one *one = what;
    return plots_write_one(out, one->results, one->plot);
}

int plots_probe(const char *folder)
{
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) return errno;
    struct stat info;
    if (stat(folder, &info) != 0) return errno;
    if (!S_ISDIR(info.st_mode)) return ENOTDIR;
    return access(folder, W_OK | X_OK) == 0 ? 0 : errno;
}

int plots_write(const char *folder, const struct results *r)
{
    for (size_t i = 0; i < PLOTS; i++) {
        if (!plots_has(r, i)) continue;
        const struct one one = {r, i};
        char            *path;
        if (asprintf(&path, "%s/%s.svg", folder, plots_name(i)) < 0) return ENOMEM;
        int error = file_write(path, write_file, &one);
        free(path);
        if (error != 0) return error;
    }
    return 0;
}
