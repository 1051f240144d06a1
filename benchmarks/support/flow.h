// flow.h: a pipeline as a flow graph of oneTBB: an input node, a limiter of as many jobs as may be
// in flight, a node for each stage, and a serial sink. The first stage is a task of its own; with
// `light` those behind it run in the task of their predecessor, as the documentation advises for
// short ones.
#pragma once

#include <tbb/flow_graph.h>
#include <tbb/global_control.h>
#include <tbb/task_arena.h>

#include <cstddef>
#include <memory>
#include <vector>

namespace flow
{

// bool draw(Job &), called by one thread at a time; Job stage(unsigned, Job); void sink(Job), by
// one thread at a time.
template <class Job, class Draw, class Stage, class Sink>
void run(unsigned stages, std::size_t tokens, bool light, Draw draw, Stage stage, Sink sink)
{
    using namespace tbb::flow;
    using node = function_node<Job, Job>;
    using light_node = function_node<Job, Job, lightweight>;

    graph             all;
    input_node<Job>   source(all, [&](tbb::flow_control &control) {
        Job job{};
        if (!draw(job)) control.stop();
        return job;
    });
    limiter_node<Job> limiter(all, tokens);
    node              first(all, unlimited, [=](Job job) { return stage(0, job); });
    make_edge(source, limiter);
    make_edge(limiter, first);

    std::vector<std::unique_ptr<node>>       nodes;
    std::vector<std::unique_ptr<light_node>> light_nodes;
    sender<Job>                             *last = &first;
    for (unsigned i = 1; i < stages; i++) {
        auto body = [=](Job job) { return stage(i, job); };
        if (light) {
            light_nodes.push_back(std::make_unique<light_node>(all, unlimited, body));
            make_edge(*last, *light_nodes.back());
            last = light_nodes.back().get();
        } else {
            nodes.push_back(std::make_unique<node>(all, unlimited, body));
            make_edge(*last, *nodes.back());
            last = nodes.back().get();
        }
    }
    function_node<Job, continue_msg> end(all, serial, [&](Job job) {
        sink(job);
        return continue_msg();
    });
    make_edge(*last, end);
    make_edge(end, limiter.decrementer());
    source.activate();
    all.wait_for_all();
}

// Runs `all` with so many threads.
template <class All>
void with_cpus(unsigned cpus, All all)
{
    tbb::global_control limit(tbb::global_control::max_allowed_parallelism, cpus);
    tbb::task_arena     arena(static_cast<int>(cpus));
    arena.execute(all);
}

} // namespace flow
