/* run.h: one run of a workload: a pool, a pipeline, all its items. */
#ifndef SCALE_RUN_H
#define SCALE_RUN_H

#include "interrupt.h"
#include "pin.h"
#include "workload.h"

/* What the laboratory knows of a task that was added: for the graph of a recorded run. */
enum { STAGE_INPUTS = 8 };

struct stage {
    char     name[64];
    uint64_t number;               /* the runtime's */
    size_t   inputs[STAGE_INPUTS]; /* stages, by index */
    size_t   input_count;
    bool     drawn; /* its source is a function, called by one thread at a time */
    bool     fed;   /* its input is a channel that the laboratory knows nothing of */
    bool     ordered;
    bool     emits;
    unsigned at_a_time; /* max_parallel */
    size_t   chunk;
};

struct stages {
    struct stage  *list;
    async_reader **readers; /* of each, held until the run is over */
    size_t         count, room;
};

void stages_free(struct stages *stages);

/* What is to be run. */
struct plan {
    const struct workload *workload;
    void                  *data;
    uint64_t               items;
    size_t                 chunk;
    unsigned               workers;
    uint64_t               seed;
    const char            *argument;
    const struct pin      *pin; /* NULL: where the system puts them */
    struct interrupt      *interrupt;
};

struct recording;

struct outcome {
    double   seconds;
    uint64_t chunks; /* calls of functions */
    bool     counted;
    uint64_t steals, parks;
    char     message[512]; /* RUN_FAILED: why */
};

enum run_result { RUN_DONE, RUN_INTERRUPTED, RUN_FAILED };

/* Runs it. `recording` NULL: not recorded; else what was is put there. */
enum run_result run_once(const struct plan *plan, struct recording *recording,
                         struct outcome *outcome);

#endif
