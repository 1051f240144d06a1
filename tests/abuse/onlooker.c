/* onlooker.c: row F64, for any program: a thread that looks at all pools there are, all the time,
 * while the program does what it does. It reads sizes and counts, starts the recorder, reads it and
 * stops it. Programs are linked with --wrap for the calls that make and end pools, and the thread
 * is there where ASYNC_ONLOOKER is set. It is not counted by thread_count. */
#define _GNU_SOURCE
#include <async/async.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define POOLS  64 /* looked at, of those there are */
#define EVENTS 64

/* A pool, and its counts at the last look. */
static struct seen {
    async_pool      *pool;
    async_pool_stats before;
    unsigned         looks;
} pools[POOLS];
static unsigned        pool_count, looks; /* all under the lock */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t  once = PTHREAD_ONCE_INIT;

#define WANT(condition) ((condition) ? (void)0 : wrong(#condition))

_Noreturn static void wrong(const char *what)
{
    fprintf(stderr, "F64: the onlooker: not true: %s\n", what);
    abort();
}

/* The pool is there, or being made by a thread that holds it: it may be closing, no more. */
static void look(struct seen *seen)
{
    async_pool       *pool = seen->pool;
    async_pool_stats  now;
    async_trace_event events[EVENTS];
    size_t            got = 0;
    uint64_t          lost;
    (void)async_pool_size(pool);
    (void)async_pool_num_tasks(pool);
    WANT(async_pool_counts(pool, &now) == ASYNC_OK);
    WANT(now.steals >= seen->before.steals && now.parks >= seen->before.parks);
    WANT(now.wakes >= seen->before.wakes);
    seen->before = now;
    if (seen->looks % 20 == 0) {
        async_status status = async_trace_start(pool, 1 + seen->looks % 400);
        WANT(status == ASYNC_OK || status == ASYNC_CLOSED || status == ASYNC_NO_MEMORY);
    }
    if (seen->looks % 20 == 15) { WANT(async_trace_stop(pool) == ASYNC_OK); }
    WANT(async_trace_read(pool, events, EVENTS, &got, &lost) == ASYNC_OK && got <= EVENTS);
    for (size_t i = 0; i < got; i++) {
        WANT(events[i].start <= events[i].end && events[i].kind <= ASYNC_TRACE_PARK);
        WANT(i == 0 || events[i - 1].start <= events[i].start);
    }
    seen->looks++;
    looks++;
}

static void *body(void *unused)
{
    (void)unused;
    for (;;) {
        pthread_mutex_lock(&lock);
        for (unsigned i = 0; i < pool_count; i++) { look(&pools[i]); }
        pthread_mutex_unlock(&lock);
        nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
    return NULL;
}

static void tell(void)
{
    pthread_mutex_lock(&lock);
    fprintf(stderr, "      the onlooker has looked %u times\n", looks);
    pthread_mutex_unlock(&lock);
}

static void start(void)
{
    pthread_t thread;
    sigset_t  all, own;
    if (getenv("ASYNC_ONLOOKER") == NULL) { return; }
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &own); /* the program's signals are its own threads' */
    if (pthread_create(&thread, NULL, body, NULL) == 0) { /* else a row that lets nobody make one */
        pthread_setname_np(thread, "onlooker");
        pthread_detach(thread);
        (void)atexit(tell);
    }
    pthread_sigmask(SIG_SETMASK, &own, NULL);
}

static void add(async_pool *pool)
{
    pthread_mutex_lock(&lock);
    if (pool_count < POOLS) { pools[pool_count++] = (struct seen){.pool = pool}; }
    pthread_mutex_unlock(&lock);
}

/* Whether it was there. */
static bool forget(const async_pool *pool)
{
    bool found = false;
    pthread_mutex_lock(&lock);
    for (unsigned i = 0; i < pool_count && !found; i++) {
        if (pools[i].pool != pool) { continue; }
        pools[i] = pools[--pool_count];
        found = true;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* ── What the program calls ──────────────────────────────────────────────────────────────────── */

async_status __real_async_pool_create(async_pool **out, unsigned workers, /* NOLINT: the linker's */
                                      const async_pool_options *options);
async_status __wrap_async_pool_create(async_pool **out, unsigned workers, /* NOLINT */
                                      const async_pool_options *options);
async_status __real_async_pool_destroy(async_pool *pool, async_ending how); /* NOLINT */
async_status __wrap_async_pool_destroy(async_pool *pool, async_ending how); /* NOLINT */

async_status __wrap_async_pool_create(async_pool **out, unsigned workers,
                                      const async_pool_options *options)
{
    pthread_once(&once, start);
    async_status status = __real_async_pool_create(out, workers, options);
    if (status == ASYNC_OK) { add(*out); }
    return status;
}

async_status __wrap_async_pool_destroy(async_pool *pool, async_ending how)
{
    bool         known = forget(pool);
    async_status status = __real_async_pool_destroy(pool, how);
    if (known && (status == ASYNC_DEADLOCK || status == ASYNC_INVALID)) { add(pool); }
    return status;
}
