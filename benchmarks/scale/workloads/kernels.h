/* kernels.h: what several workloads do to an item, and how they sum up what comes out. */
#ifndef SCALE_WORKLOADS_KERNELS_H
#define SCALE_WORKLOADS_KERNELS_H

#include "workload.h"

/* Burns `units` steps of a chain of dependent multiplications, about a nanosecond or two each; the
 * same result for the same seed. */
uint64_t burn(uint64_t seed, uint64_t units);

/* A random number for each i: splitmix64. */
uint64_t random_at(uint64_t seed, uint64_t i);

/* A run that adds up uint64 results; the sum and the number of items have to be the expected ones.
 * One for each run: sum_check and sum_sink take it as their context, free() releases it. */
struct sum {
    uint64_t    sum, expected;
    uint64_t    expected_items;
    const void *data; /* what the run's functions look things up in */
};

/* NULL: no memory. */
struct sum *sum_new(uint64_t expected_items, uint64_t expected, const void *data);
int         sum_sink(const void *items, size_t count, void *context);
int         sum_check(uint64_t items, char *message, size_t size, void *context);

/* Fills in a pipeline that ends in `reader` and adds up. */
int sum_pipeline(async_scale_pipeline *out, async_reader *reader, struct sum *sum);

/* source → one task of `batch` over uint64 → sum: what most workloads are. */
int sum_of_one_task(const async_scale_build *build, const char *name, async_batch_fn *batch,
                    struct sum *sum, async_scale_pipeline *out);

#endif
