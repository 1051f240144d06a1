/* options.h: the command line. */
#ifndef SCALE_OPTIONS_H
#define SCALE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOST_LIST = 64, MOST_WORKERS = 1024, MOST_CHUNK = 1 << 20, MOST_PREDICTED = 4096 };

/* The exit codes. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_MISUSED = 2 };

struct options {
    const char *workload; /* a name, or the path of a plug-in */
    const char *compare[2];
    uint64_t    items; /* 0: the workload's */
    unsigned    workers[MOST_LIST];
    size_t      worker_count; /* 0: by the CPUs */
    size_t      chunks[MOST_LIST];
    size_t      chunk_count; /* 0: the workload's */
    size_t      repetitions, warm_ups;
    bool        pin, quiet;
    unsigned    predict; /* workers at most; 0: no prediction */
    uint64_t    seed;
    const char *argument;
    const char *json, *csv, *html, *svg; /* NULL: not written */
};

/* Returns when there is something to do; else prints what was asked for, or what is wrong, and
 * ends the program. */
struct options options_parse(int argc, char **argv);

/* "1,2,4-6": ascending, each once. NULL: fine; else what is wrong with it. For the tests, too. */
const char *options_list(const char *text, uint64_t least, uint64_t most, uint64_t *out,
                         size_t *count);

#endif
