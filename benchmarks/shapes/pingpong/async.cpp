// async.cpp of pingpong.
#include "async.h"

void harness::register_benchmarks(unsigned cpus)
{
    config::add<pingpong::Channel<false>>(cpus, "waits");
    config::add<pingpong::Channel<true>>(cpus, "polled");
}
