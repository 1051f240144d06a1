/* predict.h: what a recorded run at few workers says about many. */
#ifndef SCALE_PREDICT_H
#define SCALE_PREDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct graph;

/* What keeps a run at P workers from being faster. */
enum limit {
    LIMIT_WORKERS, /* they are busy: more of them would help */
    LIMIT_STAGE,   /* a stage of which only so many chunks run at a time */
    LIMIT_PATH,    /* the longest way through the graph of chunks */
    LIMIT_COSTS,   /* what the runtime does: chunks are too small, or too few at a time */
    LIMIT_FEED     /* what feeds the pipeline from outside */
};

struct predicted {
    unsigned   workers;
    double     seconds, speedup; /* over one worker, both as simulated */
    double     busy;             /* part of the workers' time in chunks */
    enum limit limit;
    size_t     stage; /* LIMIT_STAGE, LIMIT_PATH: which */
};

struct predicted_stage {
    char     name[64];
    double   work;    /* seconds of all its chunks */
    double   on_path; /* of the critical path */
    size_t   chunks;
    unsigned at_a_time; /* chunks; 0: no limit */
};

/* What working side by side costs, in seconds. */
struct costs {
    double steal, wake;
    double share; /* of the runtime, more for each chunk than at one worker */
    bool   steal_measured, wake_measured;
    /* in whose recorded run share was measured; 0: in none */
    unsigned share_workers;
};

struct prediction {
    unsigned                recorded_workers;
    uint64_t                items;      /* of the recorded run */
    double                  work;       /* T1: seconds of all chunks, with what the runtime adds */
    double                  path;       /* T∞: seconds of the longest way through the graph */
    double                  most;       /* speed-up at any number of workers */
    enum limit              most_limit; /* and why */
    size_t                  most_stage;
    struct costs            costs;
    struct predicted_stage *stages;
    size_t                  stage_count;
    struct predicted       *at; /* by workers, ascending */
    size_t                  count;
};

/* Simulates 1 to `most` workers, and each of `also`. False: no memory. */
bool prediction_make(const struct graph *graph, const struct costs *costs, unsigned most,
                     const unsigned *also, size_t also_count, uint64_t seed,
                     struct prediction *out);
void prediction_free(struct prediction *p);

/* The speed-up at so many workers; 0: not simulated. */
double prediction_at(const struct prediction *p, unsigned workers);

#endif
