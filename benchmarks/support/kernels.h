/* kernels.h: the work that every implementation of a workload does, as functions that no compiler
 * can see into from outside: one call for each stage and chunk, and nobody fuses stages.
 *
 * Each call is counted, in a counter of the calling thread. */
#ifndef BENCHMARKS_KERNELS_H
#define BENCHMARKS_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum kernel { KERNEL_FILL, KERNEL_SQUARE, KERNEL_INCREMENT, KERNEL_SUM, KERNEL_BURN, KERNEL_COUNT };

/* out[i] = first + i: the source. */
void kernel_fill(uint64_t *out, uint64_t first, size_t count);

/* out[i] = in[i]², out[i] = in[i] + 1. out is in, or does not overlap it. */
void kernel_square(const uint64_t *in, uint64_t *out, size_t count);
void kernel_increment(const uint64_t *in, uint64_t *out, size_t count);

uint64_t kernel_sum(const uint64_t *in, size_t count);

/* Burns `units` steps of a chain of dependent multiplications (each about a nanosecond or two);
 * the same result for the same seed. */
uint64_t kernel_burn(uint64_t seed, uint64_t units);

/* How often each kernel was called, by all threads, since the last reset. Both are for moments
 * when nobody calls a kernel. */
uint64_t kernel_calls(enum kernel which);
void     kernel_calls_reset(void);

#ifdef __cplusplus
}
#endif

#endif
