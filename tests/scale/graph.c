/* graph.c: from recorded events to graphs, and where the time of them went. */
#include "graph.h"
#include "shares.h"

#include <criterion/criterion.h>

#include <math.h>
#include <string.h>

static async_trace_event chunk(uint64_t task, uint64_t sequence, uint64_t in, uint64_t out,
                               uint64_t start, uint64_t end)
{
    return (async_trace_event){.kind = ASYNC_TRACE_CHUNK,
                               .task = task,
                               .sequence = sequence,
                               .items_in = in,
                               .items_out = out,
                               .start = start,
                               .end = end};
}

static bool has_edge(const struct graph *graph, size_t from, size_t to)
{
    size_t end = from + 1 < graph->count ? graph->nodes[from + 1].next : graph->edges;
    for (size_t e = graph->nodes[from].next; e < end; e++)
        if (graph->to[e] == to) return true;
    return false;
}

static struct graph make(const async_trace_event *events, size_t count, const struct stage *stages,
                         size_t stage_count)
{
    struct graph graph;
    cr_assert(graph_make(&graph, events, count, stages, stage_count));
    return graph;
}

static bool takes(const struct graph *graph, size_t stage, size_t at, size_t node, uint64_t until)
{
    const struct graph_queue *queue = &graph->queues[stage];
    return at < queue->count && queue->takers[at] == node && queue->until[at] == until;
}

/* The same chunk size: they run as one, a chunk behind the one that made its items. */
Test(graph, stages_that_run_as_one_are_joined_by_edges)
{
    const struct stage      stages[] = {{.name = "a", .number = 11, .chunk = 10},
                                        {.name = "b", .number = 12, .input_count = 1, .chunk = 10}};
    const async_trace_event events[] = {
        chunk(11, 0, 10, 10, 0, 10),   chunk(12, 0, 10, 10, 10, 12), chunk(11, 10, 10, 10, 14, 24),
        chunk(12, 10, 10, 10, 24, 26), chunk(13, 0, 20, 0, 26, 27),
    };
    struct graph graph = make(events, 5, stages, 2);
    cr_assert_eq(graph.count, 5);
    cr_assert_eq(graph.stage_count, 3);
    cr_assert_str_eq(graph.stages[2].name, "sink");
    cr_assert_eq(graph.stages[2].at_a_time, 1);
    cr_assert(graph.stages[0].head && graph.stages[2].last);
    cr_assert(has_edge(&graph, 0, 1) && has_edge(&graph, 2, 3));
    cr_assert_eq(graph.edges, 2);
    cr_assert_eq(graph.nodes[1].queue, 3);
    cr_assert_eq(graph.nodes[1].gives, 10);
    cr_assert(takes(&graph, 2, 0, 4, 20));
    /* 2 ns between the two runs are the runtime's work for the second */
    cr_assert(fabs(graph.nodes[2].work - 12e-9) < 1e-15);
    cr_assert(fabs(graph_path(&graph, NULL) - (12 + 2 + 1) * 1e-9) < 1e-15);
    graph_free(&graph);
}

/* Chunks of 10 into chunks of 4, and back into one of 20: so many have to have come. */
Test(graph, stages_with_other_chunks_are_joined_by_queues)
{
    const struct stage stages[] = {
        {.name = "a", .number = 11, .chunk = 10},
        {.name = "b", .number = 12, .input_count = 1, .chunk = 4},
        {.name = "c", .number = 13, .inputs = {1}, .input_count = 1},
    };
    const async_trace_event events[] = {
        chunk(11, 0, 10, 10, 0, 10),   chunk(12, 0, 4, 4, 10, 12),  chunk(12, 4, 4, 4, 12, 14),
        chunk(11, 10, 10, 10, 14, 24), chunk(12, 8, 4, 4, 24, 26),  chunk(12, 12, 8, 8, 26, 30),
        chunk(13, 0, 20, 20, 30, 40),  chunk(14, 0, 20, 0, 40, 41),
    };
    struct graph graph = make(events, 8, stages, 3);
    cr_assert_eq(graph.edges, 0);
    cr_assert(takes(&graph, 1, 0, 1, 4) && takes(&graph, 1, 1, 2, 8));
    cr_assert(takes(&graph, 1, 2, 4, 12) && takes(&graph, 1, 3, 5, 20));
    cr_assert(takes(&graph, 2, 0, 6, 20) && takes(&graph, 3, 0, 7, 20));
    cr_assert_eq(graph.nodes[4].needs, 1);
    double on_path[4];
    cr_assert(fabs(graph_path(&graph, on_path) - 25e-9) < 1e-15); /* 10 + 4 + 10 + 1 */
    cr_assert(fabs(on_path[1] - 4e-9) < 1e-15);
    graph_free(&graph);
}

/* A filter gives fewer items than it got; behind it only what came out counts. */
Test(graph, filters_give_fewer_items)
{
    const struct stage      stages[] = {{.name = "filter", .number = 1, .emits = true, .chunk = 10},
                                        {.name = "b", .number = 2, .input_count = 1, .chunk = 10}};
    const async_trace_event events[] = {
        chunk(1, 0, 10, 3, 0, 1),  chunk(1, 10, 10, 0, 1, 2), chunk(1, 20, 10, 7, 2, 3),
        chunk(2, 0, 10, 10, 3, 4), chunk(1, 30, 10, 2, 4, 5), chunk(2, 10, 9, 9, 5, 6),
    };
    struct graph graph = make(events, 6, stages, 2);
    cr_assert_eq(graph.nodes[1].gives, 0);
    cr_assert_eq(graph.nodes[2].gives, 7);
    cr_assert(takes(&graph, 1, 0, 3, 10));
    cr_assert(takes(&graph, 1, 1, 5, 12)); /* there are no 19 */
    graph_free(&graph);
}

/* A source's draws follow each other, and their chunks them; what is ordered passes gates. */
Test(graph, sources_and_order)
{
    const struct stage stages[] = {{.name = "pack", .number = 5, .drawn = true, .ordered = true}};
    async_trace_event  events[] = {
         chunk(5, 0, 0, 4, 0, 2),   chunk(5, 0, 4, 4, 2, 12),  chunk(5, 4, 0, 4, 12, 14),
         chunk(5, 4, 4, 4, 14, 24), chunk(9, 0, 8, 0, 24, 25),
    };
    events[0].kind = events[2].kind = ASYNC_TRACE_DRAW;
    struct graph graph = make(events, 5, stages, 1);
    /* draw, chunk, gate, draw, chunk, gate, sink */
    cr_assert_eq(graph.count, 7);
    cr_assert_str_eq(graph.stages[0].name, "pack source");
    cr_assert_eq(graph.stages[0].at_a_time, 1);
    cr_assert(graph.stages[0].head && !graph.stages[1].head);
    cr_assert(graph.nodes[2].gate && graph.nodes[5].gate);
    cr_assert(has_edge(&graph, 0, 1) && has_edge(&graph, 0, 3) && has_edge(&graph, 3, 4));
    cr_assert(has_edge(&graph, 1, 2) && has_edge(&graph, 4, 5) && has_edge(&graph, 2, 5));
    cr_assert_eq(graph.nodes[1].queue, 0);
    cr_assert_eq(graph.nodes[5].gives, 4);
    cr_assert(takes(&graph, 2, 0, 6, 8));
    graph_free(&graph);
}

Test(graph, what_comes_from_outside)
{
    const struct stage stages[] = {{.name = "take", .number = 1, .fed = true}};
    async_trace_event  events[] = {chunk(1, 0, 1, 1, 1000, 1100), chunk(1, 1, 1, 1, 1500, 1600),
                                   chunk(1, 2, 1, 1, 1600, 1700)};
    events[1].waited_for = ASYNC_TRACE_INPUT;
    struct graph graph = make(events, 3, stages, 1);
    cr_assert_eq(graph.nodes[0].comes, 0);
    cr_assert(fabs(graph.nodes[1].comes - 500e-9) < 1e-15);
    cr_assert(fabs(graph.nodes[2].comes - 500e-9) < 1e-15);
    graph_free(&graph);
}

Test(graph, nothing_recorded_is_an_empty_graph)
{
    const struct stage stages[] = {{.name = "a", .number = 1}};
    struct graph       graph = make(NULL, 0, stages, 1);
    cr_assert_eq(graph.count, 0);
    cr_assert_eq(graph_path(&graph, NULL), 0);
    graph_free(&graph);
}

Test(graph, calibration_makes_one_worker_take_what_was_measured)
{
    struct graph graph;
    cr_assert(graph_new(&graph, 1));
    for (int i = 0; i < 10; i++) cr_assert(graph_node(&graph, 0, 1e-3));
    cr_assert(graph_close(&graph));
    graph.nodes[3].comes = 2e-3;
    graph_calibrate(&graph, 10e-3, 11e-3);
    cr_assert(fabs(graph_work(&graph) - 11e-3) < 1e-6);
    cr_assert(fabs(graph.nodes[3].comes - 2.2e-3) < 1e-6);
    graph_calibrate(&graph, 11e-3, 5.5e-3);
    cr_assert(fabs(graph_work(&graph) - 5.5e-3) < 1e-6);
    graph_calibrate(&graph, 1, 0); /* not known: only the clock's time goes */
    cr_assert_lt(graph_work(&graph), 5.5e-3);
    cr_assert_gt(graph_work(&graph), 5.4e-3);
    graph_free(&graph);
}

/* One chunk of three runs was disturbed in each: none of that is left. */
Test(graph, what_disturbs_one_run_is_left_out)
{
    struct graph runs[3];
    for (size_t r = 0; r < 3; r++) {
        cr_assert(graph_new(&runs[r], 1));
        for (size_t i = 0; i < 5; i++) {
            cr_assert(graph_node(&runs[r], 0, i == r ? 9.0 : 1.0 + (double)i));
            runs[r].nodes[i].position = 100 * i;
        }
        cr_assert(graph_close(&runs[r]));
    }
    runs[2].nodes[4].position = 999; /* one that has no partner there */
    cr_assert(graph_steady(&runs[0], runs + 1, 2));
    for (size_t i = 0; i < 5; i++) cr_assert_eq(runs[0].nodes[i].work, 1.0 + (double)i);
    for (size_t r = 0; r < 3; r++) graph_free(&runs[r]);
}

/* ── Shares ─────────────────────────────────────────────────────────────────────────────────── */

static async_trace_event on(uint32_t worker, int kind, uint64_t start, uint64_t end)
{
    return (async_trace_event){
        .kind = (uint16_t)kind, .task = 1, .worker = worker, .start = start, .end = end};
}

Test(shares, add_up_to_one)
{
    const async_trace_event events[] = {
        on(0, ASYNC_TRACE_CHUNK, 100000, 140000), on(1, ASYNC_TRACE_PARK, 100000, 130000),
        on(1, ASYNC_TRACE_STEAL, 130000, 130000), on(1, ASYNC_TRACE_CHUNK, 132000, 180000),
        on(0, ASYNC_TRACE_CHUNK, 142000, 160000), on(0, ASYNC_TRACE_CHUNK, 190000, 200000),
    };
    struct shares s = shares_of(events, 6, false, 2, 10);
    cr_assert(s.known);
    cr_assert(fabs(s.functions - (40 + 18 + 10 + 48) / 200.0) < 1e-9);
    /* worker 0: 30 between; worker 1: asleep 30, and 20 at the end */
    cr_assert(fabs(s.idle - (30 + 30 + 20) / 200.0) < 1e-9);
    cr_assert(fabs(s.parked - 30 / 200.0) < 1e-9);
    cr_assert(fabs(s.runtime - (2 + 2) / 200.0) < 1e-9);
    cr_assert(fabs(s.work - 116e-6 / 10) < 1e-12);
    cr_assert(fabs(s.between - 1e-6) < 1e-12); /* 4 µs for 4 calls */
}

Test(shares, the_reading_thread_is_the_worker_where_there_is_none)
{
    const async_trace_event events[] = {on(ASYNC_TRACE_CLIENT, ASYNC_TRACE_CHUNK, 1000, 2000),
                                        on(ASYNC_TRACE_CLIENT, ASYNC_TRACE_CHUNK, 3000, 5000)};
    struct shares           s = shares_of(events, 2, false, 0, 1);
    cr_assert(fabs(s.functions - 0.75) < 1e-9);
    cr_assert(fabs(s.runtime - 0.25) < 1e-9);
}

/* Where some are lost, only the time of which all threads have events counts. */
Test(shares, lost_events_shorten_what_is_looked_at)
{
    const async_trace_event events[] = {on(0, ASYNC_TRACE_CHUNK, 0, 50000),
                                        on(0, ASYNC_TRACE_CHUNK, 50000, 100000),
                                        on(1, ASYNC_TRACE_CHUNK, 60000, 100000)};
    struct shares           s = shares_of(events, 3, true, 2, 1);
    cr_assert(fabs(s.functions - 1) < 1e-9);
    cr_assert_eq(s.work, 0);
}

Test(shares, nothing_recorded_is_not_known)
{
    cr_assert_not(shares_of(NULL, 0, false, 2, 1).known);
}

Test(costs, a_steal_lasts_until_its_chunk)
{
    async_trace_event events[40];
    for (uint64_t i = 0; i < 20; i++) {
        events[2 * i] = on(1, ASYNC_TRACE_STEAL, 1000 * i, 1000 * i);
        events[2 * i + 1] = on(1, ASYNC_TRACE_CHUNK, 1000 * i + 300, 1000 * i + 900);
    }
    struct costs costs = {.steal = 1};
    costs_measure(&costs, events, 40);
    cr_assert(costs.steal_measured);
    cr_assert(fabs(costs.steal - 300e-9) < 1e-12);
    struct costs few = {.steal = 1};
    costs_measure(&few, events, 4);
    cr_assert_not(few.steal_measured);
    cr_assert_eq(few.steal, 1);
}
