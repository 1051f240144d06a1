// async_parks.cpp of pingpong: with a runtime whose waits never look before they sleep.
#include "async.h"

void harness::register_benchmarks(unsigned cpus)
{
    config::add<pingpong::Channel<false>>(cpus, "parks");
}
