// farm.h: pipelines of threads that hand jobs on through rings behind a mutex and condition
// variables. As a farm: `workers` threads draw under a lock and run all stages of a job; or with a
// thread for each stage. The calling thread takes the results.
#pragma once

#include "ring.h"

#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace farm
{

constexpr std::size_t room = 64; // of each ring

template <class Job, class Sink>
void take_all(ring::Ring<Job> &results, Sink sink)
{
    std::vector<Job> jobs(room);
    while (std::size_t count = results.take(jobs.data(), jobs.size()))
        for (std::size_t i = 0; i < count; i++) sink(jobs[i]);
}

// bool draw(Job &); Job stage(unsigned, Job); void sink(Job).
template <class Job, class Draw, class Stage, class Sink>
void run(unsigned workers, unsigned stages, Draw draw, Stage stage, Sink sink)
{
    std::mutex               source;
    ring::Ring<Job>          results(room);
    std::vector<std::thread> threads;
    unsigned                 working = workers; // behind the source's mutex
    auto                     work = [&] {
        for (;;) {
            Job job{};
            {
                std::lock_guard<std::mutex> lock(source);
                if (!draw(job)) {
                    if (--working > 0) return;
                    break;
                }
            }
            for (unsigned i = 0; i < stages; i++) job = stage(i, job);
            results.put(&job, 1);
        }
        results.close();
    };
    for (unsigned i = 0; i < workers; i++) threads.emplace_back(work);
    take_all(results, sink);
    for (std::thread &thread : threads) thread.join();
}

template <class Job, class Draw, class Stage, class Sink>
void run_staged(unsigned stages, Draw draw, Stage stage, Sink sink)
{
    std::vector<std::unique_ptr<ring::Ring<Job>>> rings;
    for (unsigned i = 0; i <= stages; i++) rings.push_back(std::make_unique<ring::Ring<Job>>(room));
    std::vector<std::thread> threads;
    threads.emplace_back([&] {
        Job job{};
        while (draw(job)) rings[0]->put(&job, 1);
        rings[0]->close();
    });
    for (unsigned i = 0; i < stages; i++) {
        threads.emplace_back([&, i] {
            take_all(*rings[i], [&](Job job) {
                job = stage(i, job);
                rings[i + 1]->put(&job, 1);
            });
            rings[i + 1]->close();
        });
    }
    take_all(*rings[stages], sink);
    for (std::thread &thread : threads) thread.join();
}

} // namespace farm
