/* fork_cases.h: what the programs about fork() share. */
#ifndef TESTS_FORK_CASES_H
#define TESTS_FORK_CASES_H

#include "pipeline.h"
#include "watchdog.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* A leak check of a forked child would report what threads that are not there held. */
static bool forked;
int         __lsan_is_turned_off(void); /* NOLINT: the sanitizer's own name */
int         __lsan_is_turned_off(void) { return forked; }

/* The AddressSanitizers of gcc 12 and clang 14 don't put their allocator in order in the child of a
 * fork: a thread that is in it at that moment would hang the child. Under ThreadSanitizer a child
 * of a process with threads cannot start any. */
#if defined(__has_feature)
#define FEATURE(name) __has_feature(name)
#else
#define FEATURE(name) 0
#endif
#define OTHERS_MAY_ALLOCATE        (!FEATURE(address_sanitizer))
#define CHILDREN_MAY_START_THREADS (!FEATURE(thread_sanitizer))
#if defined(__SANITIZE_ADDRESS__)
#undef OTHERS_MAY_ALLOCATE
#define OTHERS_MAY_ALLOCATE false
#elif defined(__SANITIZE_THREAD__)
#undef CHILDREN_MAY_START_THREADS
#define CHILDREN_MAY_START_THREADS false
#endif

/* Forks; true in the child. */
static inline bool fork_here(pid_t *child)
{
    *child = fork();
    WANT(*child >= 0);
    if (*child == 0) { forked = true; }
    return *child == 0;
}

static inline void wait_for(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0) { WANT(errno == EINTR); }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        watched_failed(__FILE__, __LINE__, "the forked child ended with status %#x",
                       (unsigned)status);
    }
}

/* Runs body(argument) and exit(0) in a forked child. */
static inline void in_child(void (*body)(void *), void *argument)
{
    pid_t child;
    if (fork_here(&child)) {
        body(argument);
        exit(0);
    }
    wait_for(child);
}

#define WANT_READ(reader, items, count, wait, wanted_status, wanted_got)                           \
    do {                                                                                           \
        size_t       want_got = SIZE_MAX;                                                          \
        async_status want_status = async_reader_read((reader), (items), (count), &want_got,        \
                                                     (wait));                                      \
        WANT_STATUS(want_status, wanted_status);                                                   \
        WANT_EQ(want_got, wanted_got);                                                             \
    } while (0)

static inline void want_rising(const uint64_t *items, uint64_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) { WANT_EQ(items[i], first + i); }
}

static inline async_wait soon(void) { return async_within_ms(SOON); }

/* A pool made here works, with workers too. */
static inline void new_pools_work(unsigned most)
{
    for (unsigned n = 0; n <= most; n++) {
        uint64_t      items[100];
        async_pool   *pool = pool_of(n);
        async_reader *a = TASK(pool, .source = range_of(0, 100), .each = each_add_one,
                               .max_chunksize = 7, .order = ASYNC_ORDERED);
        async_reader *b = TASK(pool, .input = a, .each = each_add_one, .max_chunksize = 10,
                               .order = ASYNC_ORDERED);
        WANT_READ(b, items, 100, soon(), ASYNC_OK, 100);
        want_rising(items, 2, 100);
        WANT_READ(b, items, 1, soon(), ASYNC_END, 0);
        async_reader_release(a);
        async_reader_release(b);
        pool_end(pool);
    }
}

#endif
