/* simulate.c: graphs whose shortest times are known, and what is predicted of them. */
#include "simulate.h"
#include "predict.h"
#include "stats.h"

#include <criterion/criterion.h>

#include <math.h>
#include <string.h>

static const struct costs free_of_charge = {0};

static double seconds(const struct graph *graph, unsigned workers, const struct costs *costs)
{
    struct simulated out;
    cr_assert(simulate(graph, workers, costs, 1, &out));
    cr_assert(fabs(out.busy - graph_work(graph)) < 1e-9 * (1 + out.busy));
    return out.seconds;
}

static void expect(const struct graph *graph, unsigned workers, double time)
{
    double got = seconds(graph, workers, &free_of_charge);
    cr_assert(fabs(got - time) < 1e-9, "%u workers: %.9f instead of %.9f", workers, got, time);
}

/* n chunks of `work` that need nothing. */
static struct graph independent(size_t n, double work)
{
    struct graph graph;
    cr_assert(graph_new(&graph, 1));
    strcpy(graph.stages[0].name, "work");
    graph.stages[0].head = true;
    for (size_t i = 0; i < n; i++) cr_assert(graph_node(&graph, 0, work));
    cr_assert(graph_close(&graph));
    return graph;
}

Test(simulate, independent_chunks)
{
    struct graph graph = independent(12, 1);
    for (unsigned p = 1; p <= 40; p++) expect(&graph, p, ceil(12.0 / p));
    cr_assert_eq(graph_work(&graph), 12);
    cr_assert_eq(graph_path(&graph, NULL), 1);
    graph_free(&graph);
}

Test(simulate, a_chain_gains_nothing)
{
    struct graph graph;
    cr_assert(graph_new(&graph, 1));
    for (size_t i = 0; i < 10; i++) cr_assert(graph_node(&graph, 0, (double)i));
    for (size_t i = 1; i < 10; i++) cr_assert(graph_edge(&graph, i - 1, i));
    cr_assert(graph_close(&graph));
    for (unsigned p = 1; p <= 256; p *= 4) expect(&graph, p, 45);
    cr_assert_eq(graph_path(&graph, NULL), 45);
    graph_free(&graph);
}

/* A serial source of 1 a chunk, 4 of parallel work for each, and nothing else: n + 4 with enough
 * workers, since the last chunk begins when all have been drawn. */
static struct graph fork_join(size_t n, double serial, double parallel, double end)
{
    struct graph graph;
    cr_assert(graph_new(&graph, 3));
    strcpy(graph.stages[0].name, "draw");
    strcpy(graph.stages[1].name, "work");
    strcpy(graph.stages[2].name, "end");
    graph.stages[0] = (struct graph_stage){.name = "draw", .at_a_time = 1, .head = true};
    graph.stages[2] = (struct graph_stage){.name = "end", .at_a_time = 1, .last = true};
    for (size_t i = 0; i < n; i++) {
        cr_assert(graph_node(&graph, 0, serial));
        cr_assert(graph_node(&graph, 1, parallel));
        cr_assert(graph_node(&graph, 2, end));
        if (i > 0) cr_assert(graph_edge(&graph, 3 * (i - 1), 3 * i));
        cr_assert(graph_edge(&graph, 3 * i, 3 * i + 1));
        cr_assert(graph_edge(&graph, 3 * i + 1, 3 * i + 2));
    }
    cr_assert(graph_close(&graph));
    return graph;
}

Test(simulate, a_serial_source_bounds_the_rest)
{
    enum { N = 20 };
    struct graph graph = fork_join(N, 1, 4, 0);
    expect(&graph, 1, N * 5.0);
    /* 5 workers: one draws, four work: the pipeline is full. */
    expect(&graph, 5, N + 4.0);
    expect(&graph, 64, N + 4.0);
    cr_assert_eq(graph_path(&graph, NULL), N + 4.0);
    graph_free(&graph);
}

Test(simulate, a_serial_end_bounds_the_rest)
{
    enum { N = 16 };
    struct graph graph = fork_join(N, 0, 1, 2);
    /* One chunk of work, and then the end without a pause. */
    expect(&graph, 2, 1 + 2.0 * N);
    expect(&graph, 100, 1 + 2.0 * N);
    double on_path[3];
    cr_assert_eq(graph_path(&graph, on_path), 1 + 2.0 * N);
    cr_assert_eq(on_path[2], 2.0 * N);
    cr_assert_eq(on_path[1], 1);
    graph_free(&graph);
}

Test(simulate, max_parallel_is_kept)
{
    struct graph graph = independent(12, 1);
    graph.stages[0] = (struct graph_stage){.at_a_time = 3};
    expect(&graph, 1, 12);
    expect(&graph, 2, 6);
    expect(&graph, 3, 4);
    expect(&graph, 50, 4);
    graph_free(&graph);
}

/* A fork of 8 chunks behind a first one, and one that needs them all. */
Test(simulate, fork_and_join)
{
    struct graph graph;
    cr_assert(graph_new(&graph, 1));
    cr_assert(graph_node(&graph, 0, 1));
    for (size_t i = 0; i < 8; i++) {
        cr_assert(graph_node(&graph, 0, 2));
        cr_assert(graph_edge(&graph, 0, i + 1));
    }
    cr_assert(graph_node(&graph, 0, 3));
    for (size_t i = 0; i < 8; i++) cr_assert(graph_edge(&graph, i + 1, 9));
    cr_assert(graph_close(&graph));
    expect(&graph, 1, 1 + 16 + 3);
    expect(&graph, 2, 1 + 8 + 3);
    expect(&graph, 3, 1 + 6 + 3);
    expect(&graph, 8, 1 + 2 + 3);
    expect(&graph, 256, 1 + 2 + 3);

    /* With a price: the first chunk's worker keeps one, the other one is woken and steals. */
    const struct costs costs = {.steal = 0.25, .wake = 0.5};
    double             priced = seconds(&graph, 2, &costs);
    cr_assert_gt(priced, 12);
    cr_assert_leq(priced, 12 + 0.5 + 5 * 0.25);
    graph_free(&graph);
}

Test(simulate, sharing_costs_each_chunk_of_more_than_one_worker)
{
    struct graph       graph = independent(12, 1);
    const struct costs costs = {.share = 0.5};
    cr_assert_eq(seconds(&graph, 1, &costs), 12);
    cr_assert_eq(seconds(&graph, 2, &costs), 9);
    graph_free(&graph);
}

/* One chunk at a time comes out of a gate, in order, whoever is done first. */
Test(simulate, gates_pass_on_in_order)
{
    struct graph graph;
    cr_assert(graph_new(&graph, 2));
    /* 0: long, 1: its gate, 2: short, 3: its gate, 4: what follows the second. */
    cr_assert(graph_node(&graph, 0, 10));
    cr_assert(graph_node(&graph, 0, 0));
    cr_assert(graph_node(&graph, 0, 1));
    cr_assert(graph_node(&graph, 0, 0));
    cr_assert(graph_node(&graph, 1, 5));
    graph.nodes[1].gate = graph.nodes[3].gate = true;
    cr_assert(graph_edge(&graph, 0, 1));
    cr_assert(graph_edge(&graph, 2, 3));
    cr_assert(graph_edge(&graph, 1, 3));
    cr_assert(graph_edge(&graph, 3, 4));
    cr_assert(graph_close(&graph));
    expect(&graph, 2, 15);
    graph_free(&graph);
}

/* A consumer takes what is there, in which order it ever came: the long chunk doesn't hold up those
 * behind it. */
Test(simulate, queues_take_items_as_they_come)
{
    struct graph graph;
    cr_assert(graph_new(&graph, 2));
    cr_assert(graph_node(&graph, 0, 10));
    for (size_t i = 1; i < 5; i++) cr_assert(graph_node(&graph, 0, 1));
    for (size_t i = 0; i < 5; i++) {
        graph.nodes[i].queue = 2;
        graph.nodes[i].gives = 1;
    }
    for (size_t i = 0; i < 5; i++) {
        cr_assert(graph_node(&graph, 1, 1));
        cr_assert(graph_taker(&graph, 1, 5 + i, i + 1));
    }
    cr_assert(graph_close(&graph));
    graph.stages[1].at_a_time = 1;
    expect(&graph, 1, 19);
    /* One takes the long chunk; the other one the short ones and what they make; then the last. */
    expect(&graph, 2, 11);
    cr_assert_eq(graph_path(&graph, NULL), 11);
    graph_free(&graph);
}

Test(simulate, the_window_holds_the_source_back)
{
    /* One worker is slow at the end; two chunks of a window of 4 * (P + 1) = 12 are ahead. */
    enum { N = 100 };
    struct graph graph = fork_join(N, 0, 1, 0);
    graph.window = true;
    expect(&graph, 2, N / 2);
    expect(&graph, 24, 5); /* 4 rounds of 24 and 4 more */
    graph_free(&graph);
    graph = fork_join(N, 0, 0, 1);
    graph.window = true;
    expect(&graph, 16, N);
    graph_free(&graph);
}

Test(simulate, what_comes_from_outside_is_waited_for)
{
    struct graph graph = independent(4, 1);
    for (size_t i = 0; i < 4; i++) graph.nodes[i].comes = 10.0 * (double)(i + 1);
    expect(&graph, 1, 41);
    expect(&graph, 8, 41);
    graph.feeds = true; /* as many feed it as there are workers */
    expect(&graph, 4, 11);
    graph_free(&graph);
}

/* Never below the bounds, and with as few workers busy never above Brent's. */
Test(simulate, random_graphs_keep_the_bounds)
{
    uint64_t seed = 5;
    for (int round = 0; round < 40; round++) {
        struct graph graph;
        size_t       n = 20 + (size_t)random_below(&seed, 200);
        cr_assert(graph_new(&graph, 1));
        for (size_t i = 0; i < n; i++) {
            cr_assert(graph_node(&graph, 0, (double)(1 + random_below(&seed, 50))));
            for (size_t k = 0; i > 0 && k < 2; k++)
                if (random_below(&seed, 3) == 0)
                    cr_assert(graph_edge(&graph, (size_t)random_below(&seed, i), i));
        }
        cr_assert(graph_close(&graph));
        double work = graph_work(&graph), path = graph_path(&graph, NULL), before = INFINITY;
        for (unsigned p = 1; p <= 64; p *= 2) {
            double time = seconds(&graph, p, &free_of_charge);
            cr_assert_geq(time, fmax(work / p, path) - 1e-9);
            cr_assert_leq(time, work / p + path + 1e-9);
            cr_assert_leq(time, before * 2);
            before = time;
        }
        graph_free(&graph);
    }
}

Test(predict, names_what_limits)
{
    struct graph      graph = fork_join(200, 1, 9, 0);
    struct prediction p;
    const unsigned    also[] = {300};
    cr_assert(prediction_make(&graph, &free_of_charge, 256, also, 1, 1, &p));
    cr_assert_eq(p.count, 257);
    cr_assert_eq(p.at[0].workers, 1);
    cr_assert_eq(p.at[0].speedup, 1);
    cr_assert_eq(p.at[256].workers, 300);
    cr_assert_eq(p.work, 2000);
    cr_assert_eq(p.path, 209);
    cr_assert_eq(p.at[1].limit, LIMIT_WORKERS);
    cr_assert(fabs(p.at[1].speedup - 2) < 0.02);
    cr_assert_eq(p.at[63].limit, LIMIT_STAGE);
    cr_assert_str_eq(p.stages[p.at[63].stage].name, "draw");
    cr_assert(fabs(p.most - 2000.0 / 209) < 1e-9);
    cr_assert(fabs(prediction_at(&p, 64) - 2000.0 / 209) < 1e-9);
    cr_assert_eq(prediction_at(&p, 299), 0);
    prediction_free(&p);
    graph_free(&graph);

    /* A long chunk among short ones: the path. */
    graph = independent(100, 1);
    graph.nodes[50].work = 40;
    cr_assert(prediction_make(&graph, &free_of_charge, 64, NULL, 0, 1, &p));
    cr_assert_eq(p.at[63].limit, LIMIT_PATH);
    cr_assert(fabs(p.at[63].seconds - 40) < 2);
    prediction_free(&p);
    graph_free(&graph);
}
