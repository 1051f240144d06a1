/* sched_deque.c: rows F23 to F26: the deque, its owner and its thieves, as fast as they can.
 * What needs a thief that stands still is in sched_windows.c. */
#include "rows.h"

#include "deque.h"
#include "pipeline.h"
#include "pool.h"
#include "stress.h"

#include <stdlib.h>

#define THIEVES 2

/* Jobs are the numbers 1, 2, … as pointers; seen[n]: how often n was taken. */
typedef struct robbery {
    struct deque         deque;
    uint64_t             jobs;
    atomic_uchar        *seen;
    atomic_bool          over;
    atomic_uint          ready;
    atomic_uint_fast64_t stolen, lost, strange;
    thread               thieves[THIEVES];
} robbery;

static void *job_of(uint64_t n) { return (void *)(uintptr_t)(n + 1); }

static void taken(robbery *r, const void *job)
{
    uint64_t n = (uint64_t)(uintptr_t)job - 1;
    if (n < r->jobs) {
        atomic_fetch_add_explicit(&r->seen[n], 1, memory_order_relaxed);
    } else {
        atomic_fetch_add(&r->strange, 1);
    }
}

static void thief(void *arg)
{
    robbery *r = arg;
    uint64_t stolen = 0, lost = 0;
    unsigned idle = 0;
    atomic_fetch_add(&r->ready, 1);
    while (!atomic_load_explicit(&r->over, memory_order_acquire)) {
        void             *job = NULL;
        enum deque_result result = deque_steal(&r->deque, &job);
        lost += result == DEQUE_LOST;
        if (result != DEQUE_TAKEN) {
            /* with fewer CPUs than threads the owner needs one */
            if (++idle % 64 == 0) { os_yield(); }
            continue;
        }
        stolen++;
        taken(r, job);
    }
    atomic_fetch_add(&r->stolen, stolen);
    atomic_fetch_add(&r->lost, lost);
}

static void rob(robbery *r, uint64_t jobs, size_t capacity)
{
    *r = (robbery){.jobs = jobs};
    r->seen = calloc(jobs, sizeof *r->seen);
    ROW_CHECK(r->seen != NULL && deque_init(&r->deque, capacity));
    for (unsigned i = 0; i < THIEVES; i++) { thread_start(&r->thieves[i], thief, r); }
    while (atomic_load(&r->ready) < THIEVES) { os_yield(); }
}

/* The owner has pushed all there are; each must have been taken once. */
static void count_up(robbery *r, uint64_t own)
{
    for (void *job; (job = deque_pop(&r->deque)) != NULL; own++) { taken(r, job); }
    atomic_store_explicit(&r->over, true, memory_order_release);
    for (unsigned i = 0; i < THIEVES; i++) { thread_join(&r->thieves[i]); }
    ROW_EQ(deque_size(&r->deque), 0);
    ROW_EQ(atomic_load(&r->strange), 0);
    for (uint64_t n = 0; n < r->jobs; n++) {
        if (atomic_load(&r->seen[n]) != 1) {
            row_failed(__FILE__, __LINE__, "job %llu was taken %u times", (unsigned long long)n,
                       atomic_load(&r->seen[n]));
        }
    }
    deque_destroy(&r->deque);
    free(r->seen);
}

/* F23: one job at a time, its owner and two thieves after it. */
static void one_item(void)
{
    static robbery r;
    uint64_t       own = 0, jobs = row_number(SANITIZED ? 500000 : 10000000);
    dice           d = {row_seed()};
    rob(&r, jobs, 2);
    for (uint64_t n = 0; n < jobs; n++) {
        ROW_CHECK(deque_push(&r.deque, job_of(n)));
        /* Often long enough for a thief to come first. */
        for (unsigned i = roll(&d, 64); i > 0; i--) { cpu_relax(); }
        void *job = deque_pop(&r.deque);
        if (job != NULL) {
            taken(&r, job);
            own++;
        }
        ROW_LE(deque_size(&r.deque), 0);
    }
    ROW_CHECK(own > 0);
    count_up(&r, own);
    row_says("%llu jobs: owner %llu, thieves %llu, lost races %llu", (unsigned long long)jobs,
             (unsigned long long)own, (unsigned long long)atomic_load(&r.stolen),
             (unsigned long long)atomic_load(&r.lost));
    ROW_CHECK(atomic_load(&r.stolen) > 0);
}

/* F24: bursts that double the array three times and more under the thieves' hands. */
static void growing(void)
{
    static robbery r;
    uint64_t       rounds = row_number(SANITIZED ? 4 : 20);
    dice           d = {row_seed()};
    uint64_t       stolen = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        uint64_t own = 0, n = 0, jobs = 200000;
        rob(&r, jobs, 1);
        while (n < jobs) {
            uint64_t burst = 1 + roll(&d, n < 64 ? 8 : 2000),
                     end = n + burst < jobs ? n + burst : jobs;
            while (n < end) { ROW_CHECK(deque_push(&r.deque, job_of(n++))); }
            for (unsigned pops = roll(&d, (unsigned)burst + 1); pops > 0; pops--) {
                void *job = deque_pop(&r.deque);
                if (job == NULL) { break; }
                taken(&r, job);
                own++;
            }
        }
        count_up(&r, own);
        stolen += atomic_load(&r.stolen);
    }
    row_says("%llu rounds of 200000 jobs, %llu stolen", (unsigned long long)rounds,
             (unsigned long long)stolen);
    ROW_CHECK(stolen > 0);
}

/* F25: taking from nothing is EMPTY, as often as it is tried, and the indices stay. */
static void fresh_and_empty(void)
{
    for (size_t capacity = 1; capacity <= 256; capacity *= 16) {
        struct deque deque;
        void        *job = &deque;
        ROW_CHECK(deque_init(&deque, capacity));
        for (unsigned i = 0; i < 1000; i++) {
            ROW_CHECK(deque_pop(&deque) == NULL);
            ROW_EQ(deque_steal(&deque, &job), DEQUE_EMPTY);
            ROW_CHECK(job == &deque);
            ROW_EQ(deque_size(&deque), 0);
            ROW_CHECK(atomic_load(&deque.top) == 0 && atomic_load(&deque.bottom) == 0);
        }
        for (uint64_t n = 0; n < 1000; n++) { /* and it works */
            ROW_CHECK(deque_push(&deque, job_of(n)));
            ROW_CHECK(n % 2 == 0 ? deque_pop(&deque) == job_of(n)
                                 : deque_steal(&deque, &job) == DEQUE_TAKEN && job == job_of(n));
            ROW_CHECK(deque_pop(&deque) == NULL);
            ROW_EQ(deque_steal(&deque, &job), DEQUE_EMPTY);
        }
        deque_destroy(&deque);
    }
}

/* F26: the owner as thief. */
static void steal_from_own(void)
{
    struct deque deque;
    void        *job = NULL;
    ROW_CHECK(deque_init(&deque, 2));
    ROW_EQ(deque_steal(&deque, &job), DEQUE_EMPTY);
    for (uint64_t n = 0; n < 100; n++) { ROW_CHECK(deque_push(&deque, job_of(n))); }
    for (uint64_t n = 0; n < 50; n++) {
        ROW_EQ(deque_steal(&deque, &job), DEQUE_TAKEN);
        ROW_CHECK(job == job_of(n));
        ROW_CHECK(deque_pop(&deque) == job_of(99 - n));
    }
    ROW_EQ(deque_steal(&deque, &job), DEQUE_EMPTY);
    ROW_CHECK(deque_pop(&deque) == NULL);
    deque_destroy(&deque);
}

/* F26: the deques of workers that have ended hold nothing, and the others may go on trying them. */
static void steal_from_the_finished(void)
{
    unsigned    others = thread_count();
    async_pool *pool = pool_of(8);
    uint64_t    rounds = row_number(SANITIZED ? 8 : 16);
    for (uint64_t round = 0; round < rounds; round++) {
        unsigned      left = (unsigned)(round % 4);
        async_reader *a = TASK(pool, .source = range_of(0, 20000), .each = each_add_one,
                               .max_chunksize = 1);
        async_reader *r = TASK(pool, .input = a, .each = each_add_one, .max_chunksize = 7);
        async_reader_release(a);
        uint64_t items[1000];
        size_t   got = 0;
        ROW_STATUS(async_reader_read(r, items, 1000, &got, async_forever()), ASYNC_OK);
        ROW_STATUS(async_pool_set_size(pool, left), ASYNC_OK);
        ROW_STATUS(async_reader_read(r, items, 1000, &got, async_forever()), ASYNC_OK);
        ROW_EQ(got, 1000);
        size_t count = 0;
        async_free(read_rest(r, &count));
        ROW_EQ(count, 18000);
        ROW_CHECK(UNTIL(SOON, thread_count() == others + left));
        for (unsigned i = left; i < 8; i++) {
            struct slot *slot = atomic_load(&pool->slots[i]);
            void        *job = NULL;
            ROW_EQ(deque_steal(&slot->deque, &job), DEQUE_EMPTY);
        }
        async_reader_release(r);
        ROW_STATUS(async_pool_set_size(pool, 8), ASYNC_OK);
    }
    pool_end(pool);
}

static const row rows[] = {
    {"F23", "one job, its owner against two thieves: exactly one wins", one_item, 120},
    {"F24", "the array doubles while thieves are at it", growing, 0},
    {"F25", "taking from a fresh deque: empty, no index moves", fresh_and_empty, 0},
    {"F26", "a thief in its own deque", steal_from_own, 0},
    {"F26", "thieves in the deques of workers that have ended", steal_from_the_finished, 0},
};
ROWS(rows)
