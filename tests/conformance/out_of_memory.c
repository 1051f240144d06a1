/* out_of_memory.c: memory runs out: every allocation fails in turn, over a small pipeline of each
 * kind (F42). A call says NO_MEMORY (or SYSTEM, for a thread), repeating it succeeds, no item is
 * lost or doubled, nothing leaks, nothing hangs.
 *
 * malloc and its like are defined here, in the program, and stand before the C library's; the
 * sanitizers have their own, so there only the pool's allocator fails. */
#define _GNU_SOURCE
#include "expect.h"
#include "trial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#if !defined(OWN_MALLOC) && defined(__GLIBC__)
#define OWN_MALLOC 1
#elif !defined(OWN_MALLOC)
#define OWN_MALLOC 0
#endif

#if OWN_MALLOC
static atomic_uint_fast64_t heap_calls;   /* since it was armed */
static atomic_uint_fast64_t heap_fail_at; /* this call fails, counted from 1; 0: not armed */
static atomic_uint_fast64_t heap_failed;
static atomic_int_fast64_t  heap_live; /* allocations that were not freed */

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void  __libc_free(void *memory);

static bool heap_refuses(void)
{
    uint64_t fail_at = atomic_load(&heap_fail_at);
    if (fail_at == 0 || atomic_fetch_add(&heap_calls, 1) + 1 != fail_at) { return false; }
    atomic_fetch_add(&heap_failed, 1);
    errno = ENOMEM;
    return true;
}

static void *heap_gives(void *memory)
{
    atomic_fetch_add(&heap_live, memory != NULL);
    return memory;
}

void *malloc(size_t size) { return heap_refuses() ? NULL : heap_gives(__libc_malloc(size)); }

void *calloc(size_t count, size_t size)
{
    return heap_refuses() ? NULL : heap_gives(__libc_calloc(count, size));
}

void *realloc(void *memory, size_t size)
{
    if (heap_refuses()) { return NULL; }
    return memory == NULL ? heap_gives(__libc_realloc(NULL, size)) : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return heap_refuses() ? NULL : heap_gives(__libc_memalign(alignment, size));
}

void *memalign(size_t alignment, size_t size)
{
    return heap_refuses() ? NULL : heap_gives(__libc_memalign(alignment, size));
}

int posix_memalign(void **memory, size_t alignment, size_t size)
{
    void *given = heap_refuses() ? NULL : heap_gives(__libc_memalign(alignment, size));
    if (given == NULL) { return ENOMEM; }
    *memory = given;
    return 0;
}

void free(void *memory)
{
    atomic_fetch_sub(&heap_live, memory != NULL);
    __libc_free(memory);
}
#endif

static void check_trial(const trial *t, unsigned kind, const char *what, uint64_t at)
{
    NOTE("%s, N = %u, %s %" PRIu64 " fails", trial_kinds[kind].name, t->n, what, at);
    cr_assert(t->wrong == NULL, "[%s] %s: %s", expect_note, t->wrong, async_status_name(t->status));
}

/* F42, in the allocator of the pool's blocks. */
Test(F, F42_every_block_fails_in_turn, .timeout = 60)
{
    for (unsigned kind = 0; kind < trial_kind_count; kind++) {
        for (unsigned n = 0; n < 3; n++) {
            uint64_t fail_at = 0, failed;
            do {
                arena a = {.fail_at = ++fail_at};
                trial t = {.n = n, .arena = &a};
                trial_kinds[kind].run(&t);
                check_trial(&t, kind, "block", fail_at);
                failed = atomic_load(&a.failed);
                CHECK_EQ(atomic_load(&a.blocks), 0);
                CHECK_EQ(atomic_load(&a.wrong), 0);
            } while (failed > 0 && fail_at < 10000);
            CHECK_EQ(failed, 0);
            CHECK(fail_at > 1); /* one at least did fail */
        }
    }
}

#if OWN_MALLOC
static void run_armed(unsigned kind, trial *t, uint64_t fail_at)
{
    atomic_store(&heap_calls, 0);
    atomic_store(&heap_failed, 0);
    atomic_store(&heap_fail_at, fail_at);
    trial_kinds[kind].run(t);
    atomic_store(&heap_fail_at, 0);
}

/* One pass over all allocations of one kind; how many there are. */
static uint64_t pass(unsigned kind, unsigned n)
{
    uint64_t fail_at = 0;
    do {
        arena a = {.fail_at = 0};
        trial t = {.n = n, .arena = &a};
        run_armed(kind, &t, ++fail_at);
        check_trial(&t, kind, "allocation", fail_at);
        CHECK_EQ(atomic_load(&a.blocks), 0);
    } while (atomic_load(&heap_failed) > 0 && fail_at < 10000);
    CHECK_EQ(atomic_load(&heap_failed), 0);
    return fail_at - 1;
}

/* F42: malloc and its like. What leaks, leaks in every pass; what is kept for the next time (a
 * thread's stack, a free list) does not. */
Test(F, F42_every_allocation_fails_in_turn, .timeout = 100)
{
    for (unsigned kind = 0; kind < trial_kind_count; kind++) {
        for (unsigned n = 0; n < 2; n++) {
            unsigned passes = 0;
            int64_t  before, grown;
            CHECK(pass(kind, n) > 3);
            do {
                before = (int64_t)atomic_load(&heap_live);
                pass(kind, n);
                grown = (int64_t)atomic_load(&heap_live) - before;
            } while (grown > 0 && ++passes < 5);
            cr_assert(grown <= 0, "%s, N = %u: %" PRId64 " allocations more after each pass",
                      trial_kinds[kind].name, n, grown);
        }
    }
}

/* In a child process, for one of them: 0 where nothing was left to fail, 1 where something did. */
static int fresh_run(unsigned kind, unsigned n, uint64_t fail_at)
{
    trial t = {.n = n};
    alarm(30);
    run_armed(kind, &t, fail_at);
    if (t.wrong != NULL) {
        fprintf(stderr, "%s, N = %u, allocation %" PRIu64 " fails: %s: %s\n",
                trial_kinds[kind].name, n, fail_at, t.wrong, async_status_name(t.status));
        return 2;
    }
    return atomic_load(&heap_failed) > 0;
}

/* F42, each run in a process of its own, so that nothing is there from an earlier one. */
Test(F, F42_every_allocation_fails_in_turn_in_a_fresh_process, .timeout = 100)
{
    for (unsigned kind = 0; kind < trial_kind_count; kind++) {
        for (unsigned n = 0; n < 2; n++) {
            int      code = 1;
            uint64_t fail_at = 0;
            while (code == 1 && fail_at < 10000) {
                fail_at++;
                pid_t child = fork();
                if (child == 0) { _exit(fresh_run(kind, n, fail_at)); }
                int status = -1;
                cr_assert(child > 0 && waitpid(child, &status, 0) == child);
                code = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
            }
            NOTE("%s, N = %u, allocation %" PRIu64 " fails", trial_kinds[kind].name, n, fail_at);
            CHECK_EQ(code, 0);
            CHECK(fail_at > 3);
        }
    }
}
#endif
