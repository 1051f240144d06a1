/* graph.c: graphs of chunks, and what can be said of them without running them. graph_make is in
 * graph_recorded.c. */
#include "graph.h"

#include "stats.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

void graph_free(struct graph *graph)
{
    free(graph->nodes);
    free(graph->to);
    free(graph->stages);
    for (size_t s = 0; graph->queues != NULL && s < graph->stage_count; s++) {
        free(graph->queues[s].takers);
        free(graph->queues[s].until);
    }
    free(graph->queues);
    *graph = (struct graph){0};
}

bool graph_new(struct graph *graph, size_t stages)
{
    *graph = (struct graph){.stage_count = stages};
    graph->stages = calloc(stages + 1, sizeof *graph->stages);
    graph->queues = calloc(stages + 1, sizeof *graph->queues);
    return graph->stages != NULL && graph->queues != NULL;
}

/* Room for one more at `count`: doubles at powers of two. */
static bool grow(void **list, size_t count, size_t size)
{
    if (count & (count - 1)) return true;
    void *more = realloc(*list, (count == 0 ? 1 : 2 * count) * size);
    if (more != NULL) *list = more;
    return more != NULL;
}

bool graph_node(struct graph *graph, size_t stage, double work)
{
    if (!grow((void **)&graph->nodes, graph->count, sizeof *graph->nodes)) return false;
    graph->nodes[graph->count++] = (struct node){.stage = (uint32_t)stage, .work = work};
    return true;
}

/* While it is built, edges are pairs: from, to. */
bool graph_edge(struct graph *graph, size_t from, size_t to)
{
    uint32_t pair[2] = {(uint32_t)from, (uint32_t)to};
    if (!grow((void **)&graph->to, graph->edges, sizeof pair)) return false;
    memcpy(graph->to + 2 * graph->edges++, pair, sizeof pair);
    return true;
}

bool graph_taker(struct graph *graph, size_t stage, size_t node, uint64_t until)
{
    struct graph_queue *queue = &graph->queues[stage];
    if (!grow((void **)&queue->takers, queue->count, sizeof *queue->takers) ||
        !grow((void **)&queue->until, queue->count, sizeof *queue->until))
        return false;
    queue->takers[queue->count] = (uint32_t)node;
    queue->until[queue->count++] = until;
    return true;
}

/* Nobody waits for more than there will be: where events were lost, or a filter's input went on. */
static void close_queues(struct graph *graph)
{
    for (size_t s = 0; s < graph->stage_count; s++) {
        struct graph_queue *queue = &graph->queues[s];
        uint64_t            all = 0;
        for (size_t i = 0; i < graph->count; i++)
            if (graph->nodes[i].queue == s + 1) all += graph->nodes[i].gives;
        for (size_t i = 0; i < queue->count; i++) {
            if (queue->until[i] > all) queue->until[i] = all;
            if (queue->until[i] > 0) graph->nodes[queue->takers[i]].needs++;
        }
    }
}

bool graph_close(struct graph *graph)
{
    uint32_t *pairs = graph->to;
    uint32_t *to = calloc(graph->edges + 1, sizeof *to);
    size_t   *at = calloc(graph->count + 1, sizeof *at);
    if (to == NULL || at == NULL ||
        !grow((void **)&graph->nodes, graph->count, sizeof *graph->nodes)) {
        free(to);
        free(at);
        return false;
    }
    for (size_t e = 0; e < graph->edges; e++) {
        at[pairs[2 * e] + 1]++;
        graph->nodes[pairs[2 * e + 1]].needs++;
    }
    for (size_t i = 0; i < graph->count; i++) {
        at[i + 1] += at[i];
        graph->nodes[i].next = at[i];
    }
    for (size_t e = 0; e < graph->edges; e++) to[at[pairs[2 * e]]++] = pairs[2 * e + 1];
    free(at);
    free(pairs);
    graph->to = to;
    close_queues(graph);
    return true;
}

static size_t edges_end(const struct graph *graph, size_t node)
{
    return node + 1 < graph->count ? graph->nodes[node + 1].next : graph->edges;
}

double graph_work(const struct graph *graph)
{
    double sum = 0;
    for (size_t i = 0; i < graph->count; i++) sum += graph->nodes[i].work;
    return sum;
}

double graph_stage_work(const struct graph *graph, size_t stage, size_t *chunks)
{
    double sum = 0;
    *chunks = 0;
    for (size_t i = 0; i < graph->count; i++) {
        if (graph->nodes[i].stage != stage || graph->nodes[i].gate) continue;
        sum += graph->nodes[i].work;
        ++*chunks;
    }
    return sum;
}

/* ── The longest way ────────────────────────────────────────────────────────────────────────── */

struct way {
    double seconds; /* of the longest way to its begin */
    size_t before;  /* the node before it on that way; its own number: none */
};

/* What a node gives to a queue, and when. */
struct gift {
    double   time;
    size_t   node;
    uint64_t gives;
};

static int by_time(const void *a, const void *b)
{
    double x = ((const struct gift *)a)->time, y = ((const struct gift *)b)->time;
    return (x > y) - (x < y);
}

static void lengthen(struct way *way, double seconds, size_t before)
{
    if (seconds > way->seconds) *way = (struct way){seconds, before};
}

/* The stages before are done: when the stage's chunks find so many items in their queue. */
static bool pass_queue(const struct graph *graph, size_t stage, struct way *ways)
{
    const struct graph_queue *queue = &graph->queues[stage];
    size_t                    count = 0;
    if (queue->count == 0) return true;
    struct gift *gifts = calloc(graph->count, sizeof *gifts);
    if (gifts == NULL) return false;
    for (size_t i = 0; i < graph->count; i++) {
        const struct node *node = &graph->nodes[i];
        if (node->queue == stage + 1)
            gifts[count++] = (struct gift){ways[i].seconds + node->work, i, node->gives};
    }
    qsort(gifts, count, sizeof *gifts, by_time);
    uint64_t there = 0;
    for (size_t t = 0, g = 0; t < queue->count; t++) {
        while (g < count && there < queue->until[t]) there += gifts[g++].gives;
        if (g > 0) lengthen(&ways[queue->takers[t]], gifts[g - 1].time, gifts[g - 1].node);
    }
    free(gifts);
    return true;
}

/* Chunks of a stage that runs one at a time follow each other, whoever needs them. */
static void pass_stage(const struct graph *graph, size_t stage, struct way *ways)
{
    size_t before = graph->count;
    bool   serial = graph->stages[stage].at_a_time == 1;
    for (size_t i = 0; i < graph->count; i++) {
        const struct node *node = &graph->nodes[i];
        if (node->stage != stage) continue;
        if (serial && !node->gate) {
            if (before < graph->count)
                lengthen(&ways[i], ways[before].seconds + graph->nodes[before].work, before);
            before = i;
        }
        for (size_t e = node->next; e < edges_end(graph, i); e++)
            lengthen(&ways[graph->to[e]], ways[i].seconds + node->work, i);
    }
}

double graph_path(const struct graph *graph, double *on_path)
{
    struct way *ways = calloc(graph->count + 1, sizeof *ways);
    if (ways == NULL) return -1;
    for (size_t i = 0; i < graph->count; i++) ways[i].before = i;
    bool   done = true;
    double longest = 0;
    size_t end = 0;
    for (size_t s = 0; done && s < graph->stage_count; s++) {
        done = pass_queue(graph, s, ways);
        if (done) pass_stage(graph, s, ways);
    }
    for (size_t i = 0; i < graph->count; i++) {
        double seconds = ways[i].seconds + graph->nodes[i].work;
        if (seconds <= longest) continue;
        longest = seconds;
        end = i;
    }
    for (size_t s = 0; on_path != NULL && s < graph->stage_count; s++) on_path[s] = 0;
    for (size_t i = end; on_path != NULL && graph->count > 0; i = ways[i].before) {
        on_path[graph->nodes[i].stage] += graph->nodes[i].work;
        if (ways[i].before == i) break;
    }
    free(ways);
    return done ? longest : -1;
}

/* ── What the recorded times are worth ──────────────────────────────────────────────────────── */

struct worth {
    uint32_t stage;
    uint64_t position;
    double   work;
};

static int by_stage(const void *a, const void *b)
{
    const struct worth *x = a, *y = b;
    if (x->stage != y->stage) return x->stage < y->stage ? -1 : 1;
    return (x->position > y->position) - (x->position < y->position);
}

/* What the chunks of a graph cost, by stage and position; NULL: no memory. */
static struct worth *worths_of(const struct graph *graph, size_t *count)
{
    struct worth *list = calloc(graph->count + 1, sizeof *list);
    *count = 0;
    for (size_t i = 0; list != NULL && i < graph->count; i++) {
        const struct node *node = &graph->nodes[i];
        if (!node->gate) list[(*count)++] = (struct worth){node->stage, node->position, node->work};
    }
    if (list != NULL) qsort(list, *count, sizeof *list, by_stage);
    return list;
}

bool graph_steady(struct graph *graph, const struct graph *others, size_t count)
{
    struct worth **lists = calloc(count + 1, sizeof *lists);
    size_t        *counts = calloc(count + 1, sizeof *counts);
    double        *found = calloc(count + 1, sizeof *found);
    bool           done = lists != NULL && counts != NULL && found != NULL;
    for (size_t k = 0; done && k < count; k++)
        done = (lists[k] = worths_of(&others[k], &counts[k])) != NULL;
    for (size_t i = 0; done && i < graph->count; i++) {
        struct node       *node = &graph->nodes[i];
        const struct worth key = {node->stage, node->position, 0};
        size_t             n = 0;
        if (node->gate) continue;
        found[n++] = node->work;
        for (size_t k = 0; k < count; k++) {
            const struct worth *it = bsearch(&key, lists[k], counts[k], sizeof key, by_stage);
            if (it != NULL) found[n++] = it->work;
        }
        node->work = median(found, n);
    }
    for (size_t k = 0; lists != NULL && k < count; k++) free(lists[k]);
    free(lists);
    free(counts);
    free(found);
    return done;
}

/* Seconds from one reading of the clock to the next. */
static double clock_cost(void)
{
    enum { READINGS = 2000 };
    struct timespec first, now;
    clock_gettime(CLOCK_MONOTONIC, &first);
    for (int i = 0; i < READINGS; i++) clock_gettime(CLOCK_MONOTONIC, &now);
    double seconds = (double)(now.tv_sec - first.tv_sec) +
                     (double)(now.tv_nsec - first.tv_nsec) * 1e-9;
    return seconds / READINGS;
}

void graph_calibrate(struct graph *graph, double recorded, double measured)
{
    double clock = clock_cost(), taken = 0;
    for (size_t i = 0; i < graph->count; i++) {
        struct node *node = &graph->nodes[i];
        double       less = node->work > clock ? clock : node->work;
        if (node->gate) continue;
        node->work -= less;
        taken += less;
    }
    if (measured <= 0 || recorded <= 0) return;
    if (taken > 0.8 * recorded) taken = 0.8 * recorded;
    double factor = measured / (recorded - taken);
    for (size_t i = 0; i < graph->count; i++) {
        graph->nodes[i].work *= factor;
        graph->nodes[i].comes *= factor;
    }
}
