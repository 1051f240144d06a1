/* graph_recorded.c: from events to a graph of chunks. See graph.h. */
#include "graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A chunk, or a source's draw. */
struct piece {
    double   start, work;
    uint64_t in, in_count;   /* positions in the stage's input */
    uint64_t out, out_count; /* and in its output */
    bool     waited;         /* for input */
    size_t   node, gate;
};

/* All pieces of a stage, by position. */
struct row {
    struct piece *pieces;
    size_t        count;
    size_t along; /* the row whose positions its input is, + 1; 0: it has a queue, or nothing */
    bool   draws; /* a source's function */
    bool   fed;   /* from outside */
    bool   gated; /* its items go on in order */
    size_t gives; /* the row that takes them from its queue, + 1; 0: none */
};

struct rows {
    struct row         *list;
    struct graph_stage *stages;
    size_t              count, tasks;
    const struct stage *built;
    size_t of_task[]; /* the row of each task; its draws, if any, are in the one before */
};

/* ── Rows: a task each, before it its source's draws, then the sink ──────────────────────────── */

/* Runs as one with its input: no queue is between them. */
static bool fused(const struct stage *stage, const struct stage *input)
{
    return stage->input_count == 1 && !stage->fed && stage->chunk == input->chunk &&
           stage->at_a_time == 0 && input->at_a_time == 0 && !input->emits;
}

static void describe_task(struct rows *rows, size_t task)
{
    const struct stage *built = &rows->built[task];
    size_t              at = rows->of_task[task];
    struct row         *row = &rows->list[at];
    struct graph_stage *stage = &rows->stages[at];
    memcpy(stage->name, built->name, sizeof stage->name);
    stage->at_a_time = built->at_a_time;
    stage->head = built->input_count == 0 && !built->drawn;
    row->gated = built->ordered;
    row->fed = built->fed && built->input_count == 0;
    if (built->drawn) {
        snprintf(rows->stages[at - 1].name, sizeof stage->name, "%.50s source", built->name);
        rows->stages[at - 1].at_a_time = 1;
        rows->stages[at - 1].head = true;
        rows->list[at - 1].draws = true;
        row->along = at;
    }
    for (size_t i = 0; i < built->input_count; i++) {
        size_t from = rows->of_task[built->inputs[i]];
        if (fused(built, &rows->built[built->inputs[i]])) {
            row->along = from + 1;
            rows->list[from].gated = false; /* order is made at the end of those that run as one */
        } else {
            rows->list[from].gives = at + 1;
        }
    }
}

static struct rows *rows_new(const struct stage *built, size_t tasks)
{
    struct rows *rows = calloc(1, sizeof *rows + (tasks + 1) * sizeof *rows->of_task);
    if (rows == NULL) return NULL;
    rows->tasks = tasks;
    rows->built = built;
    for (size_t s = 0; s < tasks; s++) {
        rows->count += built[s].drawn;
        rows->of_task[s] = rows->count++;
    }
    size_t sink = rows->count++;
    rows->list = calloc(rows->count, sizeof *rows->list);
    rows->stages = calloc(rows->count, sizeof *rows->stages);
    if (rows->list == NULL || rows->stages == NULL) {
        free(rows->list);
        free(rows->stages);
        free(rows);
        return NULL;
    }
    for (size_t s = 0; s < tasks; s++) describe_task(rows, s);
    rows->stages[sink] = (struct graph_stage){.name = "sink", .at_a_time = 1, .last = true};
    if (tasks > 0) rows->list[rows->of_task[tasks - 1]].gives = sink + 1;
    return rows;
}

static void rows_free(struct rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) free(rows->list[i].pieces);
    free(rows->list);
    free(rows->stages);
    free(rows);
}

/* Which row an event belongs to; rows->count: none. */
static size_t row_of(const struct rows *rows, const async_trace_event *event)
{
    if (event->kind != ASYNC_TRACE_CHUNK && event->kind != ASYNC_TRACE_DRAW) return rows->count;
    bool     draw = event->kind == ASYNC_TRACE_DRAW;
    uint64_t last = 0;
    for (size_t s = 0; s < rows->tasks; s++) {
        if (rows->built[s].number == event->task && (!draw || rows->built[s].drawn))
            return rows->of_task[s] - draw;
        if (rows->built[s].number > last) last = rows->built[s].number;
    }
    /* for_each's own task is the one that was added last. */
    return event->task > last && !draw ? rows->count - 1 : rows->count;
}

/* ── Pieces ─────────────────────────────────────────────────────────────────────────────────── */

static int by_position(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    if (x->in != y->in) return x->in < y->in ? -1 : 1;
    return (x->start > y->start) - (x->start < y->start);
}

/* What lay between the function before and this one, in the same thread: the runtime's work for it,
 * unless it is so long that there was nothing to do. */
static double gap_before(uint64_t *until, const async_trace_event *event)
{
    enum { LANES = 64, IDLE_NS = 5000 };
    uint64_t *end = &until[event->lane % LANES];
    uint64_t  gap = *end > 0 && event->start > *end ? event->start - *end : 0;
    if (event->end > *end) *end = event->end;
    return gap <= IDLE_NS ? (double)gap : 0;
}

static bool fill_rows(struct rows *rows, const async_trace_event *events, size_t count)
{
    uint64_t until[64] = {0};
    for (size_t i = 0; i < count; i++) {
        size_t at = row_of(rows, &events[i]);
        if (at < rows->count) rows->list[at].count++;
    }
    for (size_t i = 0; i < rows->count; i++) {
        struct row *row = &rows->list[i];
        row->pieces = calloc(row->count + 1, sizeof *row->pieces);
        if (row->pieces == NULL) return false;
        row->count = 0;
    }
    for (size_t i = 0; i < count; i++) {
        const async_trace_event *event = &events[i];
        size_t                   at = row_of(rows, event);
        if (at == rows->count) continue;
        struct row *row = &rows->list[at];
        double      between = gap_before(until, event);
        row->pieces[row->count++] = (struct piece){
            .start = (double)(event->start - events[0].start) * 1e-9,
            .work = ((double)(event->end - event->start) + between) * 1e-9,
            .in = event->sequence,
            .in_count = event->items_in,
            .out_count = event->items_out,
            .waited = event->waited_for == ASYNC_TRACE_INPUT};
    }
    for (size_t i = 0; i < rows->count; i++) {
        struct row *row = &rows->list[i];
        uint64_t    out = 0;
        qsort(row->pieces, row->count, sizeof *row->pieces, by_position);
        for (size_t k = 0; k < row->count; k++) {
            row->pieces[k].out = out;
            out += row->pieces[k].out_count;
        }
    }
    return true;
}

/* ── Nodes ──────────────────────────────────────────────────────────────────────────────────── */

struct begin {
    double start;
    size_t row, piece;
};

static int by_start(const void *a, const void *b)
{
    const struct begin *x = a, *y = b;
    if (x->start != y->start) return x->start < y->start ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static bool add_node(struct graph *graph, const struct rows *rows, size_t at, struct piece *piece)
{
    const struct row *row = &rows->list[at];
    piece->node = graph->count;
    if (!graph_node(graph, at, piece->work)) return false;
    graph->nodes[piece->node].position = piece->in;
    graph->nodes[piece->node].takes = piece->in_count;
    if (row->gated && row->gives > 0) {
        piece->gate = graph->count;
        if (!graph_node(graph, at, 0)) return false;
        graph->nodes[piece->gate].gate = true;
    }
    if (row->gives > 0) {
        struct node *giver = &graph->nodes[graph->count - 1];
        giver->queue = (uint32_t)row->gives;
        giver->gives = piece->out_count;
    }
    return true;
}

static bool make_nodes(struct graph *graph, const struct rows *rows)
{
    size_t count = 0, at = 0;
    for (size_t i = 0; i < rows->count; i++) count += rows->list[i].count;
    struct begin *begins = calloc(count + 1, sizeof *begins);
    if (begins == NULL) return false;
    for (size_t i = 0; i < rows->count; i++)
        for (size_t k = 0; k < rows->list[i].count; k++)
            begins[at++] = (struct begin){rows->list[i].pieces[k].start, i, k};
    qsort(begins, count, sizeof *begins, by_start);
    bool done = true;
    for (size_t i = 0; done && i < count; i++)
        done = add_node(graph, rows, begins[i].row,
                        &rows->list[begins[i].row].pieces[begins[i].piece]);
    free(begins);
    return done;
}

/* A chunk that waited for items from outside began when they came; those behind it came later
 * still. */
static void note_arrivals(struct graph *graph, const struct row *row)
{
    double came = 0;
    for (size_t i = 0; row->fed && i < row->count; i++) {
        if (row->pieces[i].waited && row->pieces[i].start > came) came = row->pieces[i].start;
        graph->nodes[row->pieces[i].node].comes = came;
    }
}

/* ── Edges and queues ───────────────────────────────────────────────────────────────────────── */

/* Only to later ones: so the order of the nodes is one in which they can run. */
static bool connect(struct graph *graph, size_t from, size_t to)
{
    return from >= to || graph_edge(graph, from, to);
}

static bool connect_positions(struct graph *graph, const struct row *row, const struct row *input)
{
    size_t first = 0;
    for (size_t i = 0; i < row->count; i++) {
        const struct piece *piece = &row->pieces[i];
        while (first < input->count &&
               input->pieces[first].out + input->pieces[first].out_count <= piece->in)
            first++;
        for (size_t k = first; k < input->count; k++) {
            if (input->pieces[k].out >= piece->in + piece->in_count) break;
            if (input->pieces[k].out_count > 0 &&
                !connect(graph, input->pieces[k].node, piece->node))
                return false;
        }
    }
    return true;
}

static bool connect_row(struct graph *graph, const struct rows *rows, size_t at)
{
    const struct row *row = &rows->list[at];
    if (row->along > 0 && !connect_positions(graph, row, &rows->list[row->along - 1])) return false;
    bool queue = false;
    for (size_t i = 0; i < rows->count; i++) queue = queue || rows->list[i].gives == at + 1;
    for (size_t k = 0; k < row->count; k++) {
        const struct piece *piece = &row->pieces[k], *before = &row->pieces[k > 0 ? k - 1 : 0];
        if (queue && !graph_taker(graph, at, piece->node, piece->in + piece->in_count))
            return false;
        if (row->draws && !connect(graph, before->node, piece->node)) return false;
        if (!row->gated || row->gives == 0) continue;
        if (!connect(graph, piece->node, piece->gate)) return false;
        if (!connect(graph, before->gate, piece->gate)) return false;
    }
    return true;
}

bool graph_make(struct graph *graph, const async_trace_event *events, size_t count,
                const struct stage *stages, size_t stage_count)
{
    *graph = (struct graph){0};
    struct rows *rows = rows_new(stages, stage_count);
    if (rows == NULL) return false;
    bool done = graph_new(graph, rows->count) && fill_rows(rows, events, count) &&
                make_nodes(graph, rows);
    for (size_t i = 0; done && i < rows->count; i++) done = connect_row(graph, rows, i);
    done = done && graph_close(graph);
    if (done) {
        for (size_t i = 0; i < rows->count; i++) note_arrivals(graph, &rows->list[i]);
        memcpy(graph->stages, rows->stages, rows->count * sizeof *rows->stages);
        graph->window = true;
    } else {
        graph_free(graph);
    }
    rows_free(rows);
    return done;
}
