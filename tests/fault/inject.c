/* inject.c: see inject.h. */
#define _GNU_SOURCE
#include "inject.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FAULTS    (FAULT_CLOCK + 1)
#define REFUSE_MS 8000 /* a call that can be refused has that long to say so */

static struct injection      armed; /* written while no other thread is in the library */
static atomic_bool           failing;
static atomic_uint_fast64_t  seen[FAULTS], failed, began_ms;
static _Atomic(const char *) call_now, held_on;
static atomic_bool           call_can_be_refused;
static atomic_int_fast64_t   live;

static uint64_t ms_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void inject_arm(const struct injection *injection)
{
    armed = *injection;
    for (unsigned i = 0; i < FAULTS; i++) { atomic_store(&seen[i], 0); }
    atomic_store(&failed, 0);
    atomic_store(&began_ms, 0);
    atomic_store(&held_on, NULL);
    atomic_store(&failing, injection->fault != FAULT_NONE);
}

void inject_recover(void) { atomic_store(&failing, false); }

uint64_t inject_seen(enum fault fault) { return atomic_load(&seen[fault]); }

uint64_t inject_failed(void) { return atomic_load(&failed); }

bool inject_failing(void) { return atomic_load(&failing); }

void inject_enter(const char *call, bool can_be_refused)
{
    atomic_store(&call_can_be_refused, can_be_refused);
    atomic_store(&call_now, call);
    atomic_store(&began_ms, 0);
}

const char *inject_held_on(void) { return atomic_load(&held_on); }

int64_t inject_live(void) { return (int64_t)atomic_load(&live); }

/* A fault that persists is over when nobody can be told of it any more: the client is in a call
 * that has no way to say so. */
static bool over(void)
{
    uint64_t began = atomic_load(&began_ms), now = ms_now(), none = 0;
    if (began == 0) {
        atomic_compare_exchange_strong(&began_ms, &none, now);
        return false;
    }
    bool says_so = atomic_load(&call_can_be_refused) &&
                   (armed.fault == FAULT_MEMORY || armed.fault == FAULT_THREAD);
    if (now - began < (says_so ? REFUSE_MS : armed.held_ms)) { return false; }
    if (says_so) { atomic_store(&held_on, atomic_load(&call_now)); }
    inject_recover();
    return true;
}

static bool fails(enum fault fault)
{
    uint64_t call = atomic_fetch_add(&seen[fault], 1) + 1;
    if (!atomic_load(&failing) || fault != armed.fault || call < armed.at) { return false; }
    if (call > armed.at && (!armed.persists || over())) { return false; }
    atomic_fetch_add(&failed, 1);
    return true;
}

/* ── What the library calls ──────────────────────────────────────────────────────────────────── */

void *fault_malloc(size_t size);
void *fault_calloc(size_t count, size_t size);
void *fault_realloc(void *memory, size_t size);
void *fault_aligned_alloc(size_t alignment, size_t size);
void  fault_free(void *memory);
int   fault_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*body)(void *),
                           void *argument);
long  fault_syscall(long number, ...);
int   fault_clock_gettime(clockid_t clock, struct timespec *now);

static void *given(void *memory)
{
    atomic_fetch_add(&live, memory != NULL);
    return memory;
}

static bool no_memory(void)
{
    if (!fails(FAULT_MEMORY)) { return false; }
    errno = ENOMEM;
    return true;
}

void *fault_malloc(size_t size) { return no_memory() ? NULL : given(malloc(size)); }

void *fault_calloc(size_t count, size_t size)
{
    return no_memory() ? NULL : given(calloc(count, size));
}

void *fault_realloc(void *memory, size_t size)
{
    if (no_memory()) { return NULL; }
    return memory == NULL ? given(malloc(size)) : realloc(memory, size);
}

void *fault_aligned_alloc(size_t alignment, size_t size)
{
    return no_memory() ? NULL : given(aligned_alloc(alignment, size));
}

void fault_free(void *memory)
{
    atomic_fetch_sub(&live, memory != NULL);
    free(memory);
}

int fault_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*body)(void *),
                         void *argument)
{
    return fails(FAULT_THREAD) ? EAGAIN : pthread_create(id, attributes, body, argument);
}

/* The library makes futex calls, with six arguments, and sleeps, with two. */
long fault_syscall(long number, ...)
{
    va_list list;
    long    a[6] = {0};
    va_start(list, number);
    for (unsigned i = 0; i < (number == SYS_futex ? 6 : 2); i++) { a[i] = va_arg(list, long); }
    va_end(list);
    if (number == SYS_futex) {
        int operation = (int)a[1] & FUTEX_CMD_MASK;
        if (fails(operation == FUTEX_WAKE ? FAULT_WAKE : FAULT_WAIT)) {
            if (armed.error == 0) { return 0; }
            errno = armed.error;
            return -1;
        }
    }
    return syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int fault_clock_gettime(clockid_t clock, struct timespec *now)
{
    if (fails(FAULT_CLOCK)) {
        errno = armed.error;
        return -1;
    }
    return clock_gettime(clock, now);
}
