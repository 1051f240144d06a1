/* cc.h: what the compiler is asked for.
 * Layer: 0 */
#ifndef ASYNC_RUNTIME_CC_H
#define ASYNC_RUNTIME_CC_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if UINTPTR_MAX != UINT64_MAX
#error "async needs a 64-bit target: x86-64, aarch64 or riscv64"
#endif
#ifndef __linux__
#error "async runs on Linux only"
#endif

/* What one core may write without disturbing another: two lines, as x86 prefetches in pairs. */
#define CACHE_LINE    64
#define FALSE_SHARING 128

#define likely(condition)   __builtin_expect(!!(condition), 1)
#define unlikely(condition) __builtin_expect(!!(condition), 0)

#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define NEVER_INLINE  __attribute__((noinline))

/* A variable of the thread's that is reached with one instruction, from a shared library too. The
 * model checker's threads are not the system's: it exchanges what is in this section. */
#ifdef ASYNC_MODEL
#define THREAD_LOCAL __attribute__((section("model_tls")))
#else
#define THREAD_LOCAL __attribute__((tls_model("initial-exec"))) _Thread_local
#endif

#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

static inline size_t min_size(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t max_size(size_t a, size_t b) { return a > b ? a : b; }

#endif
