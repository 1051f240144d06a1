/* options.c: the command line, with glibc's argp. */
#define _GNU_SOURCE

#include "options.h"

#include "workload.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_COMPARE = 256,
    KEY_WARM_UP,
    KEY_PIN,
    KEY_SEED,
    KEY_ARGUMENT,
    KEY_PREDICT,
    KEY_JSON,
    KEY_CSV,
    KEY_HTML,
    KEY_SVG
};

/* clang-format off */
static const struct argp_option accepted[] = {
    {NULL, 0, NULL, 0, "What is run:", 1},
    {"items", 'n', "N", 0, "items of one run (by default the workload's own number)", 0},
    {"workers", 'w', "LIST", 0,
     "worker counts, such as 1,2,4-6; 0: the main thread works "
     "(by default 1, 2, 3, 4, 6, 8, 12 ... up to the CPUs)", 0},
    {"chunks", 'c', "LIST", 0, "chunk sizes in items (by default the workload's own)", 0},
    {"repeat", 'r', "N", 0, "timed rounds over the whole grid (7)", 0},
    {"warm-up", KEY_WARM_UP, "N", 0, "rounds before them that don't count (1)", 0},
    {"pin", KEY_PIN, NULL, 0, "each worker on a CPU of its own", 0},
    {"seed", KEY_SEED, "N", 0,
     "of the order of the runs, and of the workload's random numbers (1)", 0},
    {"argument", KEY_ARGUMENT, "TEXT", 0, "passed on to a plug-in", 0},
    {"predict", KEY_PREDICT, "N", 0,
     "predict up to N workers from a recorded run at one (256; 0: don't)", 0},
    {NULL, 0, NULL, 0, "What is written, beside the table:", 2},
    {"json", KEY_JSON, "FILE", 0, "all figures, with each run's time; for --compare", 0},
    {"csv", KEY_CSV, "FILE", 0, "a line for each worker count and chunk size", 0},
    {"html", KEY_HTML, "FILE", 0, "one page with tables and plots, that needs no network", 0},
    {"svg", KEY_SVG, "FOLDER", 0, "the plots, a file each", 0},
    {"quiet", 'q', NULL, 0, "no progress bar", 0},
    {NULL, 0, NULL, 0, "Other things to do:", 3},
    {"list", 'l', NULL, 0, "name the built-in workloads", 0},
    {"compare", KEY_COMPARE, "A.json", 0, "say what changed from A.json to B.json beyond noise", 0},
    {"version", 'V', NULL, 0, "give the version", -1},
    {0}};
/* clang-format on */

static const char doc[] =
    "Measure how a pipeline scales: throughput, speed-up and efficiency over worker counts and "
    "chunk sizes, what limits it, and what more workers would bring.\v"
    "WORKLOAD is a built-in one (see --list), or the path of a plug-in: a shared object that "
    "exports "
    "async_scale_workload, see async/scale.h. FILE may be '-', standard output; the table then "
    "goes "
    "to standard error.\n\n"
    "The exit code is 0; 1 for a run that failed or gave a wrong result, for an output that could "
    "not be written, and with --compare if something became slower; 2 for wrong arguments and "
    "unusable inputs; 128 + the signal's number when interrupted, after what was measured so far "
    "has been written.";

/* ── Numbers ────────────────────────────────────────────────────────────────────────────────── */

static bool number(const char *text, const char **end, uint64_t *out)
{
    if (*text < '0' || *text > '9') return false;
    char *stop;
    errno = 0;
    unsigned long long value = strtoull(text, &stop, 10);
    *end = stop;
    *out = value;
    return errno == 0;
}

const char *options_list(const char *text, uint64_t least, uint64_t most, uint64_t *out,
                         size_t *count)
{
    *count = 0;
    for (;;) {
        uint64_t first, last;
        if (!number(text, &text, &first)) return "is no list of numbers, such as 1,2,4-6";
        last = first;
        if (*text == '-' && !number(text + 1, &text, &last))
            return "is no list of numbers, such as 1,2,4-6";
        if (first < least || last > most || first > most) return "is out of range";
        if (last < first) return "has a range that runs backwards";
        for (uint64_t value = first; value <= last; value++) {
            size_t at = 0;
            while (at < *count && out[at] < value) at++;
            if (at < *count && out[at] == value) continue;
            if (*count == MOST_LIST) return "has more than 64 numbers";
            memmove(out + at + 1, out + at, (*count - at) * sizeof *out);
            out[at] = value;
            ++*count;
        }
        if (*text == '\0') return NULL;
        if (*text++ != ',') return "is no list of numbers, such as 1,2,4-6";
    }
}

static uint64_t in_range(struct argp_state *state, const char *name, const char *text,
                         uint64_t least, uint64_t most)
{
    const char *end;
    uint64_t    value = 0;
    if (!number(text, &end, &value) || *end != '\0' || value < least || value > most)
        argp_error(state, "--%s takes a number from %" PRIu64 " to %" PRIu64 ", not '%s'", name,
                   least, most, text);
    return value;
}

static size_t list(struct argp_state *state, const char *name, const char *text, uint64_t least,
                   uint64_t most, uint64_t *out)
{
    size_t      count;
    const char *wrong = options_list(text, least, most, out, &count);
    if (wrong != NULL)
        argp_error(state, "--%s: '%s' %s (%" PRIu64 " to %" PRIu64 ")", name, text, wrong, least,
                   most);
    return count;
}

/* ── Options ────────────────────────────────────────────────────────────────────────────────── */

static _Noreturn void print_workloads(void)
{
    size_t                        count;
    const struct workload *const *all = workload_list(&count);
    for (size_t i = 0; i < count; i++) {
        printf("%-9s %s\n%-9s %" PRIu64 " items (%s each), chunks of ", all[i]->name,
               all[i]->summary, "", all[i]->items, all[i]->item);
        for (size_t c = 0; c < all[i]->chunk_count; c++)
            printf("%s%zu", c == 0 ? "" : ", ", all[i]->chunks[c]);
        putchar('\n');
    }
    exit(EXIT_DONE);
}

static error_t parse_one(int key, char *text, struct argp_state *state)
{
    struct options *o = state->input;
    uint64_t        values[MOST_LIST];
    switch (key) { /* clang-format off */
    case 'l': print_workloads();
    case 'n': o->items = in_range(state, "items", text, 1, UINT64_C(1) << 40); break;
    case 'w':
        o->worker_count = list(state, "workers", text, 0, MOST_WORKERS, values);
        for (size_t i = 0; i < o->worker_count; i++) o->workers[i] = (unsigned)values[i];
        break;
    case 'c':
        o->chunk_count = list(state, "chunks", text, 1, MOST_CHUNK, values);
        for (size_t i = 0; i < o->chunk_count; i++) o->chunks[i] = (size_t)values[i];
        break;
    case 'r': o->repetitions = (size_t)in_range(state, "repeat", text, 1, 1000); break;
    case 'q': o->quiet = true; break;
    case 'V':
        printf("async-scale %s (library %s)\n", ASYNC_VERSION_STRING, async_version());
        exit(EXIT_DONE);
    case KEY_WARM_UP: o->warm_ups = (size_t)in_range(state, "warm-up", text, 0, 1000); break;
    case KEY_PIN: o->pin = true; break;
    case KEY_SEED: o->seed = in_range(state, "seed", text, 0, INT64_MAX); break;
    case KEY_ARGUMENT: o->argument = text; break;
    case KEY_PREDICT:
        o->predict = (unsigned)in_range(state, "predict", text, 0, MOST_PREDICTED);
        break;
    case KEY_JSON: o->json = text; break;
    case KEY_CSV: o->csv = text; break;
    case KEY_HTML: o->html = text; break;
    case KEY_SVG: o->svg = text; break;
    case KEY_COMPARE: o->compare[0] = text; break;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0) argp_error(state, "'%s' is one argument too many", text);
        o->workload = text;
        break;
    case ARGP_KEY_END:
        if (o->compare[0] == NULL && o->workload == NULL)
            argp_error(state, "which WORKLOAD? --list names them");
        if (o->compare[0] != NULL && o->workload == NULL)
            argp_error(state, "--compare takes two files: A.json B.json");
        break;
    default: return ARGP_ERR_UNKNOWN;
    } /* clang-format on */
    return 0;
}

struct options options_parse(int argc, char **argv)
{
    static const struct argp argp = {
        accepted, parse_one, "WORKLOAD\n--compare A.json B.json", doc, NULL, NULL, NULL};
    struct options options = {.repetitions = 7, .warm_ups = 1, .predict = 256, .seed = 1};
    argp_err_exit_status = EXIT_MISUSED;
    char name[] = "async-scale"; /* in argp's messages, wherever it is installed */
    if (argc > 0) argv[0] = name;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (argc > 0) argv[0] = NULL;
    if (options.compare[0] != NULL) {
        options.compare[1] = options.workload;
        options.workload = NULL;
    }
    return options;
}
