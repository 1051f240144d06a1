/* kernels.c: see kernels.h. */
#include "kernels.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define KERNEL __attribute__((noinline))

/* Neighbouring elements don't depend on each other, whether or not out is in. */
#ifdef __clang__
#define INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define INDEPENDENT _Pragma("GCC ivdep")
#endif

/* A thread's counters: written by that thread alone, read by whoever sums them up. Slots are never
 * given back, so that the calls of threads that have ended still count. */
struct slot {
    _Alignas(128) _Atomic uint64_t calls[KERNEL_COUNT];
};

enum { MAX_SLOTS = 4096 };
static struct slot     slots[MAX_SLOTS];
static _Atomic(size_t) slots_used;

static _Thread_local struct slot *mine;

static __attribute__((noinline, cold)) struct slot *new_slot(void)
{
    size_t index = atomic_fetch_add(&slots_used, 1);
    if (index >= MAX_SLOTS) {
        fprintf(stderr, "kernels: more than %d threads\n", MAX_SLOTS);
        abort();
    }
    return mine = &slots[index];
}

static inline void count_call(enum kernel which)
{
    struct slot *slot = mine;
    if (__builtin_expect(slot == NULL, 0)) slot = new_slot();
    uint64_t calls = atomic_load_explicit(&slot->calls[which], memory_order_relaxed);
    atomic_store_explicit(&slot->calls[which], calls + 1, memory_order_relaxed);
}

KERNEL void kernel_fill(uint64_t *out, uint64_t first, size_t count)
{
    count_call(KERNEL_FILL);
    for (size_t i = 0; i < count; i++) out[i] = first + i;
}

KERNEL void kernel_square(const uint64_t *in, uint64_t *out, size_t count)
{
    count_call(KERNEL_SQUARE);
    INDEPENDENT
    for (size_t i = 0; i < count; i++) out[i] = in[i] * in[i];
}

KERNEL void kernel_increment(const uint64_t *in, uint64_t *out, size_t count)
{
    count_call(KERNEL_INCREMENT);
    INDEPENDENT
    for (size_t i = 0; i < count; i++) out[i] = in[i] + 1;
}

KERNEL uint64_t kernel_sum(const uint64_t *in, size_t count)
{
    count_call(KERNEL_SUM);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) sum += in[i];
    return sum;
}

KERNEL uint64_t kernel_burn(uint64_t seed, uint64_t units)
{
    count_call(KERNEL_BURN);
    uint64_t state = seed;
    for (uint64_t i = 0; i < units; i++)
        state = state * 6364136223846793005u + 1442695040888963407u;
    return state;
}

uint64_t kernel_calls(enum kernel which)
{
    size_t   used = atomic_load(&slots_used);
    uint64_t sum = 0;
    for (size_t i = 0; i < used; i++)
        sum += atomic_load_explicit(&slots[i].calls[which], memory_order_relaxed);
    return sum;
}

void kernel_calls_reset(void)
{
    size_t used = atomic_load(&slots_used);
    for (size_t i = 0; i < used; i++)
        for (size_t which = 0; which < KERNEL_COUNT; which++)
            atomic_store_explicit(&slots[i].calls[which], 0, memory_order_relaxed);
}
