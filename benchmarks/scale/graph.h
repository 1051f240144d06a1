/* graph.h: the graph of chunks of a recorded run: what each one cost, and what it waited for.
 *
 * A node is one call of a stage's function. Stages are the tasks; a source that is a function is
 * a stage of its own ("… source"), and so is what the items come to at the end ("sink"). Stages
 * that run as one are joined by edges: a chunk needs those that made its items. Others are joined
 * by queues, in which items come as they come: a chunk needs so many of them, whoever made them.
 *
 * Stages come before those that they feed; an edge leads to a node with a larger number. */
#ifndef SCALE_GRAPH_H
#define SCALE_GRAPH_H

#include "run.h"

#include <async/trace.h>

struct node {
    uint32_t stage;
    uint32_t needs; /* edges that lead here */
    size_t   next;  /* the first of its edges in graph.to; they end where the next node's begin */
    double   work;  /* seconds */
    double   comes; /* seconds; not before: what comes from outside; 0: nothing does */
    bool     gate;  /* no work, no worker: passes on in order what an ordered stage made */
    uint32_t queue; /* where its items go, + 1; 0: nowhere, or along edges */
    uint64_t gives; /* items */
    uint64_t position; /* of its first item in the stage's input */
    uint64_t takes;    /* items that it reads */
};

/* Between two stages; or several, and the one that takes from them all. */
struct graph_queue {
    uint32_t *takers; /* nodes, in order */
    uint64_t *until;  /* how many items have to have come for each of them */
    size_t    count;
};

struct graph_stage {
    char     name[64];
    unsigned at_a_time; /* chunks; 0: no limit */
    bool     head;      /* the first of its pipeline: the window counts its chunks */
    bool     last;      /* what the window waits for */
};

struct graph {
    struct node        *nodes;
    size_t              count;
    uint32_t           *to; /* nodes */
    size_t              edges;
    struct graph_queue *queues; /* of each stage: what it takes from */
    struct graph_stage *stages;
    size_t              stage_count;
    bool                feeds;  /* what comes from outside comes faster with more workers */
    bool                window; /* demand is 4 * (workers + 1) chunks ahead of the end */
};

/* From what was recorded, and the stages as they were built. False: no memory. No event: no
 * node. */
bool graph_make(struct graph *graph, const async_trace_event *events, size_t count,
                const struct stage *stages, size_t stage_count);
void graph_free(struct graph *graph);

/* By hand: an empty graph of `stages` stages, nodes and edges one after the other, then the end.
 * False: no memory. */
bool graph_new(struct graph *graph, size_t stages);
bool graph_node(struct graph *graph, size_t stage, double work); /* the next number, from 0 */
bool graph_edge(struct graph *graph, size_t from, size_t to);    /* from below to */
bool graph_close(struct graph *graph);

/* One more for the stage to take from its queue, when it holds `until` items in all. */
bool graph_taker(struct graph *graph, size_t stage, size_t node, uint64_t until);

/* Graphs of the same run made again: each chunk's work becomes the median of those that have it, so
 * that what disturbed one of the runs is no part of it. False: no memory. */
bool graph_steady(struct graph *graph, const struct graph *others, size_t count);

/* Takes the clock's own time out of the chunks, and scales the rest to what one worker took when
 * nothing was recorded, in place of the `recorded` seconds; `measured` 0: not known. */
void graph_calibrate(struct graph *graph, double recorded, double measured);

/* Seconds of all nodes, of one stage, and of the longest way; `on_path` (may be NULL) gets the part
 * of each stage of the latter. −1: no memory. */
double graph_work(const struct graph *graph);
double graph_stage_work(const struct graph *graph, size_t stage, size_t *chunks);
double graph_path(const struct graph *graph, double *on_path);

#endif
