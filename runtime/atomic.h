/* atomic.h: every operation on memory that threads share, with its order in its name.
 *
 * The list is closed: an operation that is not here is not used. Values of up to 64 bits; an
 * operation on a SHARED field gives the value from before it (add, sub, or, and, exchange), and cas
 * says whether it took place, leaving in *expected what was found.
 *
 * Back ends: C11 (the library); C11 with a hook at each operation (ASYNC_STEP, see
 * tests/support/step.h); a model checker (ASYNC_MODEL, see tests/model).
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
typedef SHARED(int64_t)  shared_i64;
typedef SHARED(size_t)   shared_size;
typedef SHARED(bool)     shared_bool;

/* ---- back ends ---- */

#ifdef ASYNC_MODEL
/* The model checker's: each operation is a step of an exploration, see tests/model. Values pass as
 * 64 bits; the site is where a failing execution says it was. */
uint64_t model_load(const volatile void *address, size_t size, int order, const char *file,
                    int line);
void model_store(volatile void *address, size_t size, uint64_t value, int order, const char *file,
                 int line);
uint64_t model_rmw(int operation, volatile void *address, size_t size, uint64_t operand, int order,
                   const char *file, int line);
bool     model_cas(volatile void *address, size_t size, void *expected, uint64_t value, int success,
                   int failure, const char *file, int line);
void     model_init(volatile void *address, size_t size, uint64_t value);
void     model_fence(const char *file, int line);
void     model_relax(void);
enum { MODEL_EXCHANGE, MODEL_ADD, MODEL_SUB, MODEL_OR, MODEL_AND };

#define MODEL_TYPE(p) __typeof__(((void)0, *(p)))
#define MODEL_RMW(operation, p, v, order)                                                          \
    ((MODEL_TYPE(p))model_rmw(operation, (p), sizeof *(p), (uint64_t)(v), order, __FILE__,         \
                              __LINE__))

#define BACKEND_LOAD(name, p, order)                                                               \
    ((MODEL_TYPE(p))model_load((p), sizeof *(p), order, __FILE__, __LINE__))
#define BACKEND_STORE(name, p, v, order)                                                           \
    model_store((p), sizeof *(p), (uint64_t)(v), order, __FILE__, __LINE__)
#define BACKEND_EXCHANGE(name, p, v, order) MODEL_RMW(MODEL_EXCHANGE, p, v, order)
#define BACKEND_ADD(name, p, v, order)      MODEL_RMW(MODEL_ADD, p, v, order)
#define BACKEND_SUB(name, p, v, order)      MODEL_RMW(MODEL_SUB, p, v, order)
#define BACKEND_OR(name, p, v, order)       MODEL_RMW(MODEL_OR, p, v, order)
#define BACKEND_AND(name, p, v, order)      MODEL_RMW(MODEL_AND, p, v, order)
#define BACKEND_CAS(name, p, expected, v, success, failure)                                        \
    model_cas((p), sizeof *(p), (expected), (uint64_t)(v), success, failure, __FILE__, __LINE__)
#define BACKEND_FENCE(name) model_fence(__FILE__, __LINE__)
#undef atomic_init
#define atomic_init(p, v) model_init((p), sizeof *(p), (uint64_t)(v))

#else
/* C11, and with ASYNC_STEP a call of the test's hook before each operation. */
#ifdef ASYNC_STEP
void async_step(const char *site);
#define STEPPED(name) async_step(name),
#else
#define STEPPED(name)
#endif

#define BACKEND_LOAD(name, p, order)     (STEPPED(name) atomic_load_explicit((p), order))
#define BACKEND_STORE(name, p, v, order) (STEPPED(name) atomic_store_explicit((p), (v), order))
#define BACKEND_EXCHANGE(name, p, v, order)                                                        \
    (STEPPED(name) atomic_exchange_explicit((p), (v), order))
#define BACKEND_ADD(name, p, v, order) (STEPPED(name) atomic_fetch_add_explicit((p), (v), order))
#define BACKEND_SUB(name, p, v, order) (STEPPED(name) atomic_fetch_sub_explicit((p), (v), order))
#define BACKEND_OR(name, p, v, order)  (STEPPED(name) atomic_fetch_or_explicit((p), (v), order))
#define BACKEND_AND(name, p, v, order) (STEPPED(name) atomic_fetch_and_explicit((p), (v), order))
#define BACKEND_CAS(name, p, expected, v, success, failure)                                        \
    (STEPPED(name) atomic_compare_exchange_strong_explicit((p), (expected), (v), success, failure))
#define BACKEND_FENCE(name) (STEPPED(name) atomic_thread_fence(memory_order_seq_cst))
#endif

/* A point at which a test build may stop or delay the calling thread: the window after it is the
 * one that a row of the fault list is about. Nothing elsewhere. */
#if defined(ASYNC_STEP) && !defined(ASYNC_MODEL)
#define STEP(site) async_step(site)
#else
#define STEP(site) ((void)0)
#endif

/* ---- the list ---- */

#define load_relaxed(p) BACKEND_LOAD("load_relaxed", p, memory_order_relaxed)
#define load_acquire(p) BACKEND_LOAD("load_acquire", p, memory_order_acquire)
#define load_seq_cst(p) BACKEND_LOAD("load_seq_cst", p, memory_order_seq_cst)

#define store_relaxed(p, v) BACKEND_STORE("store_relaxed", p, v, memory_order_relaxed)
#define store_release(p, v) BACKEND_STORE("store_release", p, v, memory_order_release)
#define store_seq_cst(p, v) BACKEND_STORE("store_seq_cst", p, v, memory_order_seq_cst)

#define exchange_acquire(p, v) BACKEND_EXCHANGE("exchange_acquire", p, v, memory_order_acquire)
#define exchange_acq_rel(p, v) BACKEND_EXCHANGE("exchange_acq_rel", p, v, memory_order_acq_rel)
#define exchange_seq_cst(p, v) BACKEND_EXCHANGE("exchange_seq_cst", p, v, memory_order_seq_cst)

#define add_relaxed(p, v) BACKEND_ADD("add_relaxed", p, v, memory_order_relaxed)
#define add_acquire(p, v) BACKEND_ADD("add_acquire", p, v, memory_order_acquire)
#define add_release(p, v) BACKEND_ADD("add_release", p, v, memory_order_release)
#define add_acq_rel(p, v) BACKEND_ADD("add_acq_rel", p, v, memory_order_acq_rel)
#define add_seq_cst(p, v) BACKEND_ADD("add_seq_cst", p, v, memory_order_seq_cst)
#define sub_relaxed(p, v) BACKEND_SUB("sub_relaxed", p, v, memory_order_relaxed)
#define sub_release(p, v) BACKEND_SUB("sub_release", p, v, memory_order_release)
#define sub_acq_rel(p, v) BACKEND_SUB("sub_acq_rel", p, v, memory_order_acq_rel)
#define sub_seq_cst(p, v) BACKEND_SUB("sub_seq_cst", p, v, memory_order_seq_cst)
#define or_relaxed(p, v)  BACKEND_OR("or_relaxed", p, v, memory_order_relaxed)
#define or_acq_rel(p, v)  BACKEND_OR("or_acq_rel", p, v, memory_order_acq_rel)
#define or_seq_cst(p, v)  BACKEND_OR("or_seq_cst", p, v, memory_order_seq_cst)
#define and_acq_rel(p, v) BACKEND_AND("and_acq_rel", p, v, memory_order_acq_rel)

/* The order is that of success; a failure is a relaxed load, but an acquire one where success
 * acquires and a seq_cst one for cas_seq_cst. */
#define cas_relaxed(p, expected, v)                                                                \
    BACKEND_CAS("cas_relaxed", p, expected, v, memory_order_relaxed, memory_order_relaxed)
#define cas_acquire(p, expected, v)                                                                \
    BACKEND_CAS("cas_acquire", p, expected, v, memory_order_acquire, memory_order_acquire)
#define cas_release(p, expected, v)                                                                \
    BACKEND_CAS("cas_release", p, expected, v, memory_order_release, memory_order_relaxed)
#define cas_acq_rel(p, expected, v)                                                                \
    BACKEND_CAS("cas_acq_rel", p, expected, v, memory_order_acq_rel, memory_order_acquire)
#define cas_seq_cst(p, expected, v)                                                                \
    BACKEND_CAS("cas_seq_cst", p, expected, v, memory_order_seq_cst, memory_order_seq_cst)

#define fence_seq_cst() BACKEND_FENCE("fence_seq_cst")

/* The line will be read soon. */
static inline void prefetch_read(const void *address) { __builtin_prefetch(address, 0, 3); }

/* Between two looks at a word that another CPU is about to change. */
static inline void cpu_relax(void)
{
#if defined(ASYNC_MODEL)
    model_relax();
#elif defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

#endif
