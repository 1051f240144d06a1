/* results.h: all that the laboratory finds out, for the parts that print it. */
#ifndef SCALE_RESULTS_H
#define SCALE_RESULTS_H

#include "fit.h"
#include "predict.h"
#include "stats.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the workers' time went in a recorded run: parts of workers × time. */
struct shares {
    bool   known;
    double functions; /* the tasks' functions, sources and the sink */
    double idle;      /* nothing to run: gaps of more than 5 µs between what they ran, and sleep */
    double runtime;   /* the rest: from one function to the next */
    double parked;    /* asleep; a part of idle */
    double work;      /* seconds in functions for an item */
    double between;   /* seconds of the runtime for a call of a function */
};

/* One place of the grid. */
struct point {
    unsigned      workers;
    size_t        chunk;
    double       *seconds; /* of each timed run; the n-th of every point belong to one round */
    size_t        count;
    uint64_t      chunks; /* calls of functions in one run */
    bool          counted;
    uint64_t      steals, parks; /* in one run, medians; where `counted` */
    struct shares shares;

    /* Worked out by results_derive. */
    bool            within;     /* the CPUs suffice for the threads that work */
    struct interval time;       /* seconds */
    struct interval throughput; /* items a second */
    struct interval speedup;    /* over the baseline of the same chunk */
    struct interval efficiency; /* speed-up for each worker */
    double          chunk_time; /* seconds of a worker for a chunk */
    double          predicted;  /* speed-up; 0: none */
    bool            compared;   /* predicted, measured, and within the CPUs */
    double          error;      /* predicted / measured − 1 */
};

/* What is said of all worker counts at one chunk size. */
struct curve {
    size_t            chunk;
    size_t            fitted_points; /* worker counts within the CPUs */
    bool              fitted;
    struct fit        amdahl, usl;
    bool              ranged;
    struct fit_range  range;
    struct prediction prediction; /* count 0: none */
    double            error; /* median |predicted / measured − 1| within the CPUs; −1: none */
};

struct results {
    char         *workload, *summary, *item, *machine, *date, *version, *argument;
    uint64_t      items, seed;
    unsigned      cpus; /* that the program may use */
    unsigned      threads_per_worker;
    bool          pinned, interrupted;
    size_t        repetitions, warm_ups;
    unsigned      baseline;  /* workers that speed-ups refer to */
    unsigned      predicted; /* up to so many workers; 0: no prediction */
    double       *reference; /* seconds of a fixed loop in each round: how fast the machine was */
    size_t        reference_count;
    unsigned     *workers;
    size_t        worker_count;
    size_t       *chunks;
    size_t        chunk_count;
    struct point *points; /* chunk by chunk, each with all worker counts */
    struct curve *curves; /* a chunk each */
};

/* Makes room for the points; workers and chunks are copied. False: no memory. */
bool results_init(struct results *r, const unsigned *workers, size_t worker_count,
                  const size_t *chunks, size_t chunk_count, size_t repetitions);
void results_free(struct results *r);

static inline struct point *results_point(const struct results *r, size_t chunk, size_t workers)
{
    return &r->points[chunk * r->worker_count + workers];
}

/* Medians, speed-ups, fits, and how far predictions are off, from the seconds. False: no memory. */
bool results_derive(struct results *r);

/* The chunk size with the best throughput anywhere, and the place of that; false: no run. */
bool results_best(const struct results *r, size_t *chunk, size_t *workers);

#endif
