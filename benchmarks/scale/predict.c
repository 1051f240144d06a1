/* predict.c: see predict.h. */
#include "predict.h"

#include "simulate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Every worker count is simulated up to here, and where the graph is small. */
enum { ALL_UP_TO = 32, STEPS_AT_MOST = 12000000 };

/* In ascending order, each once. */
static size_t add_count(unsigned *list, size_t count, unsigned workers)
{
    size_t at = count;
    while (at > 0 && list[at - 1] > workers) at--;
    if (at > 0 && list[at - 1] == workers) return count;
    memmove(list + at + 1, list + at, (count - at) * sizeof *list);
    list[at] = workers;
    return count + 1;
}

static size_t worker_counts(const struct graph *graph, unsigned most, const unsigned *also,
                            size_t also_count, unsigned *list)
{
    size_t count = 0;
    bool   all = (uint64_t)graph->count * most <= STEPS_AT_MOST;
    for (unsigned w = 1; w <= most; w++) {
        /* Eight steps from one power of two to the next. */
        unsigned step = 1;
        while (!all && step * 2 * ALL_UP_TO / 4 <= w && w > ALL_UP_TO) step *= 2;
        if (w % step == 0 || w == most) count = add_count(list, count, w);
    }
    for (size_t i = 0; i < also_count; i++)
        if (also[i] > 0) count = add_count(list, count, also[i]);
    return count;
}

/* The stage that takes most of its places' time: how long it alone needs, with what each chunk
 * costs more where workers work side by side. */
static double longest_stage(const struct prediction *p, size_t *stage)
{
    double longest = 0;
    for (size_t s = 0; s < p->stage_count; s++) {
        const struct predicted_stage *it = &p->stages[s];
        double                        seconds = it->work + p->costs.share * (double)it->chunks;
        if (it->at_a_time == 0 || seconds / it->at_a_time <= longest) continue;
        longest = seconds / it->at_a_time;
        *stage = s;
    }
    return longest;
}

static size_t largest_on_path(const struct prediction *p)
{
    size_t largest = 0;
    for (size_t s = 0; s < p->stage_count; s++)
        if (p->stages[s].on_path > p->stages[largest].on_path) largest = s;
    return largest;
}

static double last_arrival(const struct graph *graph)
{
    double last = 0;
    for (size_t i = 0; i < graph->count; i++) last = fmax(last, graph->nodes[i].comes);
    return last;
}

/* Which of the lower bounds it comes closest to. */
static void name_limit(const struct graph *graph, const struct prediction *p,
                       struct predicted *predicted)
{
    double serial = longest_stage(p, &predicted->stage), workers = p->work / predicted->workers;
    if (predicted->workers == 1) serial = 0;
    double feed = last_arrival(graph) / (graph->feeds ? predicted->workers : 1);
    double most = fmax(fmax(serial, workers), fmax(feed, p->path));
    if (predicted->seconds > 1.3 * most) {
        predicted->limit = LIMIT_COSTS;
    } else if (workers >= 0.95 * most) {
        predicted->limit = LIMIT_WORKERS;
    } else if (feed >= most) {
        predicted->limit = LIMIT_FEED;
    } else if (serial >= 0.9 * most) {
        predicted->limit = LIMIT_STAGE; /* the way through its chunks is the longest, then */
    } else {
        predicted->limit = LIMIT_PATH;
        predicted->stage = largest_on_path(p);
    }
}

static bool describe_stages(const struct graph *graph, struct prediction *p)
{
    double *on_path = calloc(graph->stage_count + 1, sizeof *on_path);
    p->stages = calloc(graph->stage_count + 1, sizeof *p->stages);
    if (on_path == NULL || p->stages == NULL) {
        free(on_path);
        return false;
    }
    p->stage_count = graph->stage_count;
    p->work = graph_work(graph);
    p->path = graph_path(graph, on_path);
    for (size_t s = 0; s < graph->stage_count; s++) {
        struct predicted_stage *stage = &p->stages[s];
        memcpy(stage->name, graph->stages[s].name, sizeof stage->name);
        stage->work = graph_stage_work(graph, s, &stage->chunks);
        stage->at_a_time = graph->stages[s].at_a_time;
        stage->on_path = on_path[s];
    }
    free(on_path);
    return p->path >= 0;
}

bool prediction_make(const struct graph *graph, const struct costs *costs, unsigned most,
                     const unsigned *also, size_t also_count, uint64_t seed, struct prediction *out)
{
    *out = (struct prediction){.costs = *costs};
    unsigned *list = calloc((size_t)most + also_count + 1, sizeof *list);
    size_t    count = list == NULL ? 0 : worker_counts(graph, most, also, also_count, list);
    out->at = calloc(count + 1, sizeof *out->at);
    bool   done = list != NULL && out->at != NULL && describe_stages(graph, out);
    double one = 0;
    for (size_t i = 0; done && i < count; i++) {
        struct simulated simulated;
        done = simulate(graph, list[i], costs, seed, &simulated);
        if (!done) break;
        if (i == 0) one = simulated.seconds; /* of 1 worker */
        struct predicted *at = &out->at[out->count++];
        at->workers = list[i];
        at->seconds = simulated.seconds;
        at->speedup = simulated.seconds > 0 ? one / simulated.seconds : 1;
        at->busy = simulated.seconds > 0 ? simulated.busy / (simulated.seconds * list[i]) : 1;
        name_limit(graph, out, at);
    }
    free(list);
    if (!done) {
        prediction_free(out);
        return false;
    }
    struct predicted ever = {.workers = UINT32_MAX};
    name_limit(graph, out, &ever);
    double serial = longest_stage(out, &ever.stage);
    double least = fmax(fmax(out->path, serial), graph->feeds ? 0 : last_arrival(graph));
    out->most = least > 0 ? one / least : INFINITY;
    out->most_limit = ever.limit;
    out->most_stage = ever.stage;
    return true;
}

void prediction_free(struct prediction *p)
{
    free(p->stages);
    free(p->at);
    *p = (struct prediction){0};
}

double prediction_at(const struct prediction *p, unsigned workers)
{
    for (size_t i = 0; i < p->count; i++)
        if (p->at[i].workers == workers) return p->at[i].speedup;
    return 0;
}
