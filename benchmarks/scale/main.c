/* main.c: async-scale, the laboratory: measure, record, predict, tell. */
#define _GNU_SOURCE

#include "compare.h"
#include "csv.h"
#include "file.h"
#include "grid.h"
#include "html.h"
#include "json.h"
#include "machine.h"
#include "options.h"
#include "plots.h"
#include "plugin.h"
#include "table.h"
#include "words.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static int complain(int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fputs("async-scale: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return code;
}

/* ── Before ─────────────────────────────────────────────────────────────────────────────────── */

static int check_outputs(const struct options *options)
{
    const char *paths[] = {options->json, options->csv, options->html};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        int error = paths[i] == NULL ? 0 : file_probe(paths[i]);
        if (error != 0)
            return complain(EXIT_FAILED, "%s: cannot be written: %s", paths[i], strerror(error));
    }
    int error = options->svg == NULL ? 0 : plots_probe(options->svg);
    if (error != 0)
        return complain(EXIT_FAILED, "%s: no plots can be written there: %s", options->svg,
                        strerror(error));
    return EXIT_DONE;
}

/* 1, 2, 3, 4, 6, 8, 12, 16 … and all of them. */
static size_t default_workers(unsigned cpus, unsigned *list)
{
    size_t count = 0;
    for (unsigned power = 1; power <= cpus && power <= MOST_WORKERS; power *= 2) {
        list[count++] = power;
        if (power >= 2 && power + power / 2 < cpus) list[count++] = power + power / 2;
    }
    if (list[count - 1] != cpus && cpus <= MOST_WORKERS) list[count++] = cpus;
    return count;
}

static bool describe(struct results *r, const struct options *options,
                     const struct workload *workload)
{
    r->workload = strdup(workload->name);
    r->summary = strdup(workload->summary);
    r->item = strdup(workload->item);
    r->machine = machine_name();
    r->date = machine_date();
    r->version = strdup(async_version());
    if (options->argument != NULL) r->argument = strdup(options->argument);
    r->items = options->items > 0 ? options->items : workload->items;
    r->seed = options->seed;
    r->cpus = machine_cpus();
    r->threads_per_worker = workload->threads_per_worker;
    r->pinned = options->pin;
    r->warm_ups = options->warm_ups;
    r->predicted = options->predict;

    unsigned        workers[MOST_LIST] = {1};
    size_t          worker_count = default_workers(r->cpus, workers);
    const unsigned *list = workers;
    if (options->worker_count > 0) {
        list = options->workers;
        worker_count = options->worker_count;
    }
    const size_t *chunks = options->chunk_count > 0 ? options->chunks : workload->chunks;
    size_t chunk_count = options->chunk_count > 0 ? options->chunk_count : workload->chunk_count;
    return r->workload != NULL && r->summary != NULL && r->item != NULL && r->machine != NULL &&
           r->date != NULL && r->version != NULL &&
           results_init(r, list, worker_count, chunks, chunk_count, options->repetitions);
}

/* ── After ──────────────────────────────────────────────────────────────────────────────────── */

static bool is_dash(const char *path) { return path != NULL && strcmp(path, "-") == 0; }

static void tell(const struct options *options, const struct results *r)
{
    /* Standard output may be taken by a file. */
    bool   taken = is_dash(options->json) || is_dash(options->csv) || is_dash(options->html);
    FILE  *out = taken ? stderr : stdout;
    size_t chunk, workers;
    if (!results_best(r, &chunk, &workers)) {
        words_write(out, r);
        return;
    }
    fprintf(out, "%s: %s\n%s%s; %u CPU%s; %zu round%s\n\n", r->workload, r->summary, r->machine,
            r->pinned ? ", pinned" : "", r->cpus, r->cpus == 1 ? "" : "s", r->reference_count,
            r->reference_count == 1 ? "" : "s");
    table_write(out, r);
    fputc('\n', out);
    words_write(out, r);
    fflush(out);
}

static int write_one(const char *path, file_writer *writer, const struct results *r)
{
    int error = path == NULL ? 0 : file_write(path, writer, r);
    if (error == 0) return EXIT_DONE;
    return complain(EXIT_FAILED, "%s: cannot be written: %s", path, strerror(error));
}

static int write_all(const struct options *options, const struct results *r)
{
    int code = write_one(options->json, json_write, r);
    if (write_one(options->csv, csv_write, r) != EXIT_DONE) code = EXIT_FAILED;
    if (write_one(options->html, html_write, r) != EXIT_DONE) code = EXIT_FAILED;
    if (options->svg != NULL) {
        int error = plots_write(options->svg, r);
        if (error != 0)
            code = complain(EXIT_FAILED, "%s: the plots cannot be written: %s", options->svg,
                            strerror(error));
    }
    return code;
}

/* ── In between ─────────────────────────────────────────────────────────────────────────────── */

static int measure(const struct options *options, struct results *r, const struct plan *plan)
{
    char            message[640] = "";
    struct progress progress;
    progress_start(&progress, grid_steps(r), options->quiet);
    enum run_result result = grid_measure(r, plan, &progress, message, sizeof message);
    if (result == RUN_DONE) result = grid_record(r, plan, &progress, message, sizeof message);
    progress_end(&progress);
    if (result == RUN_FAILED) return complain(EXIT_FAILED, "%s", message);
    r->interrupted = result == RUN_INTERRUPTED;
    if (!results_derive(r)) return complain(EXIT_FAILED, "out of memory");
    tell(options, r);
    int    code = EXIT_DONE;
    size_t chunk, workers;
    if (results_best(r, &chunk, &workers)) code = write_all(options, r);
    return r->interrupted ? 128 + interrupt_asked(plan->interrupt) : code;
}

static int run_workload(const struct options *options, const struct workload *workload, void *data)
{
    struct results   r = {0};
    struct interrupt interrupt;
    struct pin       pin = {0};
    int              code = EXIT_FAILED;
    if (options->pin && !pin_init(&pin))
        return complain(EXIT_FAILED, "--pin: this system doesn't say which CPUs there are");
    if (!interrupt_start(&interrupt)) {
        complain(EXIT_FAILED, "no thread could be started");
    } else {
        if (!describe(&r, options, workload) || !workload->prepare(r.items, options->seed, &data)) {
            complain(EXIT_FAILED, "out of memory for %s", workload->name);
        } else {
            const struct plan plan = {.workload = workload,
                                      .data = data,
                                      .items = r.items,
                                      .seed = options->seed,
                                      .argument = options->argument,
                                      .pin = options->pin ? &pin : NULL,
                                      .interrupt = &interrupt};
            code = measure(options, &r, &plan);
            workload->discard(data);
        }
        interrupt_stop(&interrupt);
    }
    results_free(&r);
    pin_free(&pin);
    return code;
}

int main(int argc, char **argv)
{
    struct options options = options_parse(argc, argv);
    if (options.compare[0] != NULL)
        return compare_files(options.compare[0], options.compare[1], stdout, stderr);

    int code = check_outputs(&options);
    if (code != EXIT_DONE) return code;
    if (!plugin_is_path(options.workload)) {
        const struct workload *workload = workload_find(options.workload);
        if (workload == NULL)
            return complain(
                EXIT_MISUSED,
                "there is no workload '%s' (--list names them; a plug-in's path has a '/')",
                options.workload);
        return run_workload(&options, workload, NULL);
    }
    struct plugin plugin;
    char          message[512];
    if (!plugin_open(&plugin, options.workload, message, sizeof message))
        return complain(EXIT_MISUSED, "%s", message);
    code = run_workload(&options, &plugin.workload, &plugin.function);
    plugin_close(&plugin);
    return code;
}
