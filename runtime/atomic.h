/* atomic.h: every operation on memory that threads share, with its order in its name.
 *
 * The list is closed: an operation that is not here is not used. Values of up to 64 bits; an
 * operation on a SHARED field gives the value from before it (add, sub, or, and, exchange), and cas
 * says whether it took place, leaving in *expected what was found.
 *
 * StoreLoad pairs (announce, then look) are written with seq_cst operations on both sides or with
 * fence_seq_cst on both sides, never mixed.
 * Layer: 0 */
#ifndef ASYNC_RUNTIME_ATOMIC_H
#define ASYNC_RUNTIME_ATOMIC_H

#include "cc.h"

#include <stdatomic.h>

#define SHARED(type) _Atomic(type)
typedef SHARED(uint32_t) shared_u32;
typedef SHARED(uint64_t) shared_u64;
typedef SHARED(int64_t) shared_i64;
typedef SHARED(size_t) shared_size;
typedef SHARED(bool) shared_bool;

#define load_relaxed(p) atomic_load_explicit((p), memory_order_relaxed)
#define load_acquire(p) atomic_load_explicit((p), memory_order_acquire)
#define load_seq_cst(p) atomic_load_explicit((p), memory_order_seq_cst)

#define store_relaxed(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_release(p, v) atomic_store_explicit((p), (v), memory_order_release)
#define store_seq_cst(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)

#define exchange_acquire(p, v) atomic_exchange_explicit((p), (v), memory_order_acquire)
#define exchange_acq_rel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define exchange_seq_cst(p, v) atomic_exchange_explicit((p), (v), memory_order_seq_cst)

#define add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define add_acquire(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acquire)
#define add_release(p, v) atomic_fetch_add_explicit((p), (v), memory_order_release)
#define add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define add_seq_cst(p, v) atomic_fetch_add_explicit((p), (v), memory_order_seq_cst)
#define sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define sub_release(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_release)
#define sub_acq_rel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define sub_seq_cst(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_seq_cst)
#define or_acq_rel(p, v) atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define or_seq_cst(p, v) atomic_fetch_or_explicit((p), (v), memory_order_seq_cst)
#define and_acq_rel(p, v) atomic_fetch_and_explicit((p), (v), memory_order_acq_rel)

/* The order is that of success; a failure is a relaxed load, but an acquire one where success
 * acquires and a seq_cst one for cas_seq_cst. */
#define cas_relaxed(p, expected, v) \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_relaxed, memory_order_relaxed)
#define cas_acquire(p, expected, v) \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acquire, memory_order_acquire)
#define cas_release(p, expected, v) \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_release, memory_order_relaxed)
#define cas_acq_rel(p, expected, v) \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acq_rel, memory_order_acquire)
#define cas_seq_cst(p, expected, v) \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_seq_cst, memory_order_seq_cst)

#define fence_seq_cst() atomic_thread_fence(memory_order_seq_cst)

/* A point at which a test build may stop or delay the calling thread: the window after it is the
 * one that a row of the fault list is about. Nothing elsewhere. */
#ifdef ASYNC_STEP
void async_step(const char *site);
#define STEP(site) async_step(site)
#else
#define STEP(site) ((void)0)
#endif

/* The line will be read soon. */
static inline void prefetch_read(const void *address) { __builtin_prefetch(address, 0, 3); }

/* Between two looks at a word that another CPU is about to change. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

#endif
