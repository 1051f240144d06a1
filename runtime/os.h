/* os.h: all that the runtime asks of the operating system.
 * Layer: 0 */
#ifndef ASYNC_RUNTIME_OS_H
#define ASYNC_RUNTIME_OS_H

#include "atomic.h"

#include <pthread.h>

#define OS_NEVER UINT64_MAX /* a deadline that does not come */

/* CLOCK_MONOTONIC, nanoseconds. */
uint64_t os_now_ns(void);

/* Sleeps while *word is `expected`, until a wake-up or the absolute deadline (CLOCK_MONOTONIC ns).
 * False: the deadline has passed. True: anything else, wake-ups without reason included; the
 * caller looks again. EINTR and EAGAIN are handled here. */
bool os_futex_wait(shared_u32 *word, uint32_t expected, uint64_t deadline_ns);

/* Wakes up to `count` sleepers. Takes the address only: the word may be gone already. */
void os_futex_wake(shared_u32 *word, unsigned count);

void os_yield(void);

/* Sleeps about so long. Not a cancellation point, unlike nanosleep: none of these calls is. */
void os_sleep_ns(uint64_t ns);

/* Between two looks at what another thread holds for a moment only: yields at first, then sleeps,
 * so that a thread of a higher priority doesn't keep the holder from the CPU. *looks: 0 at
 * first. */
void os_pause(unsigned *looks);

/* CPUs that this process may use: the affinity mask, limited by the cgroup's quota (v2 and v1,
 * rounded up), at least 1. */
unsigned os_cpu_count(void);

/* The cgroup's part of it: quota / period, rounded up, of the process's group or of the one above
 * it that allows least; UINT_MAX: no limit. `root` stands before all paths: "", or where a test
 * keeps its files. */
unsigned os_cgroup_cpus(const char *root);

/* CPUs that the calling thread may use now: the affinity mask alone, at least 1. */
unsigned os_cpu_affinity(void);
/* CPUs that the threads that have called this of late may use, all together: whether what a thread
 * waits for can be done while it looks. A second or two old; for hot paths. */
unsigned os_cpus_shared(void);

/* A thread with all signals blocked and cancellation disabled. stack_size 0: the default.
 * False: the system refused. */
typedef pthread_t os_thread;
bool os_thread_start(os_thread *thread, void (*run)(void *), void *argument, size_t stack_size,
                     const char *name);
void os_thread_join(os_thread thread);
/* The lowest address of the calling thread's stack; 0: not known. */
uintptr_t os_stack_end(void);
/* Whether the calling thread is the only one of the process; false where that can't be seen. */
bool os_thread_alone(void);

/* What every fork() of the process calls from now on: `prepare` before it, in the thread that
 * forks; `parent` and `child` after it. Of several callers' functions, `prepare` runs last first,
 * the others first first. In the child of glibc's fork() malloc and stdio are usable. */
void os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

/* A plain mutex, for cold paths. */
typedef pthread_mutex_t os_mutex;
void                    os_mutex_init(os_mutex *mutex);
void                    os_mutex_destroy(os_mutex *mutex);
void                    os_mutex_lock(os_mutex *mutex);
void                    os_mutex_unlock(os_mutex *mutex);

#endif
