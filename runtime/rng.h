/* rng.h: whom to steal from (xorshift64*, Vigna 2016). Not for secrets.
 * Layer: 1 */
#ifndef ASYNC_RUNTIME_RNG_H
#define ASYNC_RUNTIME_RNG_H

#include "cc.h"

struct rng {
    uint64_t state; /* never 0 */
};

static inline void rng_seed(struct rng *rng, uint64_t seed)
{
    rng->state = (seed + 1) * 0x9e3779b97f4a7c15u | 1;
}

static inline uint32_t rng_next(struct rng *rng)
{
    uint64_t x = rng->state;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    rng->state = x;
    return (uint32_t)((x * 0x2545f4914f6cdd1du) >> 32);
}

/* 0 … bound − 1; bound is not 0. */
static inline uint32_t rng_below(struct rng *rng, uint32_t bound)
{
    return (uint32_t)(((uint64_t)rng_next(rng) * bound) >> 32);
}

#endif
