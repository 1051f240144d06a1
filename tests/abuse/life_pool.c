/* life_pool.c: rows F41, F43, F45, F46 and F68: pools that are made, sized and destroyed while much
 * goes on. F64: an observer reads all counters meanwhile. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "rows.h"

#include "arena.h"
#include "destroying.h"
#include "observer.h"
#include "stress.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* ── F41 ─────────────────────────────────────────────────────────────────────────────────────── */

/* A user that nobody else is, so that the limit counts this process's threads alone: another one
 * for each process, as several may be at this row, and one that a container may know, too. */
static uid_t nobody_else(void) { return 20000 + (uid_t)getpid() % 40000; }

static void limit_threads(unsigned more)
{
    struct rlimit limit;
    ROW_EQ(getrlimit(RLIMIT_NPROC, &limit), 0);
    limit.rlim_cur = thread_count() + more;
    ROW_EQ(setrlimit(RLIMIT_NPROC, &limit), 0);
}

/* The kernel refuses the thread k of a pool, for every k, as the limit of threads is reached. */
static void no_more_threads(void)
{
    enum { WORKERS = 12 };
    if (getuid() == 0) { /* whom the limit doesn't hold */
        uid_t user = nobody_else();
        if (setresuid(user, user, user) != 0) { row_left_out("setresuid: %s", strerror(errno)); }
    }
    unsigned others = thread_count();
    for (unsigned k = 0; k <= WORKERS; k++) {
        async_pool *pool = NULL, *small = NULL;
        limit_threads(k);
        async_status status = async_pool_create(&pool, WORKERS, NULL);
        if (k < WORKERS) {
            if (status == ASYNC_OK) {
                row_left_out("other processes of this user end and begin: be root");
            }
            ROW_STATUS(status, ASYNC_SYSTEM);
            ROW_CHECK(pool == NULL);
            ROW_CHECK(UNTIL(SOON, thread_count() == others)); /* those that were made are gone */
        } else {
            ROW_STATUS(status, ASYNC_OK);
            pool_end(pool);
        }
        if (k == 0) { continue; }
        /* set_size keeps what it got, says so, and the pool works. */
        ROW_CHECK(UNTIL(SOON, thread_count() == others));
        ROW_STATUS(async_pool_create(&small, 1, NULL), ASYNC_OK);
        status = async_pool_set_size(small, WORKERS);
        ROW_STATUS(status, k < WORKERS ? ASYNC_SYSTEM : ASYNC_OK);
        ROW_EQ(async_pool_size(small), k < WORKERS ? k : WORKERS);
        ROW_EQ(thread_count(), others + (k < WORKERS ? k : WORKERS));
        async_reader *r = TASK(small, .source = range_of(0, 1000), .each = each_add_one,
                               .max_chunksize = 3);
        size_t        count = 0;
        async_free(read_rest(r, &count));
        ROW_EQ(count, 1000);
        async_reader_release(r);
        limit_threads(WORKERS); /* and the next try gets them all */
        ROW_STATUS(async_pool_set_size(small, WORKERS), ASYNC_OK);
        ROW_EQ(async_pool_size(small), WORKERS);
        pool_end(small);
        ROW_CHECK(UNTIL(SOON, thread_count() == others));
    }
}

/* Stacks that don't fit into the address space. */
static void no_stack(void)
{
    unsigned others = thread_count();
    for (unsigned workers = 1; workers <= 4; workers++) {
        async_pool_options options = {.stack_size = (size_t)1 << 46};
        async_pool        *pool = NULL;
        ROW_STATUS(async_pool_create(&pool, workers, &options), ASYNC_SYSTEM);
        ROW_CHECK(pool == NULL);
        ROW_CHECK(UNTIL(SOON, thread_count() == others));
        ROW_STATUS(async_pool_create(&pool, 0, &options), ASYNC_OK); /* needs none */
        ROW_STATUS(async_pool_set_size(pool, workers), ASYNC_SYSTEM);
        ROW_EQ(async_pool_size(pool), 0);
        async_reader *r = TASK(pool, .source = range_of(0, 10), .each = each_add_one);
        size_t        count = 0;
        async_free(read_rest(r, &count));
        ROW_EQ(count, 10);
        async_reader_release(r);
        pool_end(pool);
    }
}

/* ── F43 ─────────────────────────────────────────────────────────────────────────────────────── */

/* A pool is destroyed with much queued and running; all that was made is read or discarded,
 * once. */
static void destroyed_with_work(void)
{
    dice     d = {row_seed()};
    uint64_t rounds = row_number(SANITIZED ? 200 : 1000);
    uint64_t delivered = 0, discarded = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        enum { ITEMS = 1024 };
        async_ending how = one_in(&d, 2) ? ASYNC_DRAIN : ASYNC_DROP;
        unsigned     n = (unsigned)PICK(&d, 0, 1, 2, 4);
        ledger       lost, made;
        ledger_make(&lost, 8 * ITEMS);
        ledger_make(&made, 8 * ITEMS);
        arena         a = {0};
        async_pool   *pool = arena_pool(&a, n, NULL);
        probe         p = {.lost = &lost};
        async_reader *first = TASK(pool, .source = range_of(0, 4 * ITEMS), .each = each_add_one,
                                   .context = &p, .discard = probe_discard,
                                   .max_chunksize = PICK(&d, 1, 3, 10),
                                   .min_count = PICK(&d, 0, 100));
        async_reader *r = TASK(pool, .input = first, .each = each_add_one, .context = &p,
                               .discard = probe_discard, .max_chunksize = PICK(&d, 1, 4, 10),
                               .min_count = PICK(&d, 0, 50));
        async_reader_release(first);
        static reading reads[2];
        memset(reads, 0, sizeof reads);
        for (unsigned i = 0; i < 2; i++) {
            reading_start(&reads[i], r, 1 + roll(&d, ITEMS), async_forever());
        }
        if (one_in(&d, 2)) { sleep_us(roll(&d, 300)); }
        ROW_STATUS(async_pool_destroy(pool, how), ASYNC_OK);
        for (unsigned i = 0; i < 2; i++) {
            thread_join(&reads[i].thread);
            ledger_add(&made, reads[i].items, reads[i].got);
            delivered += reads[i].got;
            if (how == ASYNC_DRAIN) {
                ROW_CHECK(reads[i].status == ASYNC_OK || reads[i].status == ASYNC_END);
            } else {
                ROW_CHECK(reads[i].status == ASYNC_OK || reads[i].status == ASYNC_CANCELLED);
            }
        }
        /* What is ready stays readable after a drain, and is gone after a drop. */
        void  *rest = NULL;
        size_t count = 0;
        ROW_STATUS(async_reader_read_all(r, &rest, &count, async_forever()),
                   how == ASYNC_DRAIN ? ASYNC_OK : ASYNC_CANCELLED);
        ROW_CHECK(how == ASYNC_DRAIN || count == 0);
        ledger_add(&made, rest, count);
        async_free(rest);
        async_reader_release(r);
        discarded += atomic_load(&p.discarded);
        for (size_t i = 0; i < 8 * ITEMS; i++) {
            ROW_LE(atomic_load(&made.seen[i]), 1);
            /* A value may be lost as an output of the first task or of the second, which adds one
             * to it. */
            ROW_LE(atomic_load(&made.seen[i]) + atomic_load(&lost.seen[i]), 3);
        }
        ROW_EQ(atomic_load(&made.strange) + atomic_load(&lost.strange), 0);
        ROW_EQ(atomic_load(&a.blocks), 0);
        ledger_free(&lost);
        ledger_free(&made);
    }
    row_says("%llu items delivered, %llu discarded", (unsigned long long)delivered,
             (unsigned long long)discarded);
    ROW_CHECK(delivered > 0 && discarded > 0);
}

/* The same with one task, where the account is exact: made = read + discarded. */
static void destroyed_account(void)
{
    dice     d = {row_seed()};
    uint64_t rounds = row_number(SANITIZED ? 200 : 1000);
    for (uint64_t round = 0; round < rounds; round++) {
        async_ending   how = one_in(&d, 2) ? ASYNC_DRAIN : ASYNC_DROP;
        probe          p = {0};
        async_pool    *pool = pool_of((unsigned)PICK(&d, 1, 2, 4));
        async_reader  *r = TASK(pool, .source = range_of(0, 100000), .each = each_add_one,
                                .context = &p, .discard = probe_discard, .release = probe_release,
                                .max_chunksize = PICK(&d, 1, 3, 10),
                                .order = one_in(&d, 2) ? ASYNC_ORDERED : ASYNC_UNORDERED);
        static reading one;
        memset(&one, 0, sizeof one);
        reading_start(&one, r, 1 + roll(&d, READING_ITEMS), async_forever());
        if (one_in(&d, 2)) { sleep_us(roll(&d, 200)); }
        ROW_STATUS(async_pool_destroy(pool, how), ASYNC_OK);
        thread_join(&one.thread);
        void  *rest = NULL;
        size_t count = 0;
        (void)async_reader_read_all(r, &rest, &count, async_forever());
        async_free(rest);
        async_reader_release(r);
        ROW_EQ(atomic_load(&p.items), one.got + count + atomic_load(&p.discarded));
        ROW_EQ(atomic_load(&p.released), 1);
        if (how == ASYNC_DRAIN) { ROW_EQ(atomic_load(&p.discarded), 0); }
    }
}

/* ── F45 ─────────────────────────────────────────────────────────────────────────────────────── */

typedef struct latecomer {
    async_pool  *pool;
    atomic_bool *over;
    unsigned     added, refused, wrong;
    probe        probe; /* of the tasks that it adds */
    thread       thread;
} latecomer;

static void come_late(void *arg)
{
    latecomer   *l = arg;
    async_source two = async_source_range(0, 2);
    while (!atomic_load(l->over)) {
        async_reader *r = NULL;
        async_status  status = async_pool_add_task(l->pool, &r,
                                                   &(async_task_options){.source = &two,
                                                                         .each = each_add_one,
                                                                         .context = &l->probe,
                                                                         .release = probe_release});
        if (status == ASYNC_OK) {
            l->added++;
            async_reader_release(r);
        } else if (status == ASYNC_CLOSED && r == NULL) {
            l->refused++;
            if (async_pool_destroy(l->pool, ASYNC_DROP) != ASYNC_CLOSED) { l->wrong++; }
            if (async_pool_set_size(l->pool, 3) != ASYNC_CLOSED) { l->wrong++; }
            if (async_pool_cancel(l->pool) != ASYNC_CLOSED) { l->wrong++; }
        } else {
            l->wrong++;
        }
    }
}

static void latecomers(void)
{
    uint64_t rounds = row_number(SANITIZED ? 20 : 100);
    unsigned added = 0, refused = 0;
    for (uint64_t round = 0; round < rounds; round++) {
        gate             hold = {0};
        probe            p = {.hold = &hold};
        atomic_bool      over = false;
        destroying       dead = {0};
        static latecomer late[3];
        static reading   inside;
        memset(late, 0, sizeof late);
        memset(&inside, 0, sizeof inside);
        async_pool   *pool = pool_of(2);
        async_reader *r = TASK(pool, .source = range_of(0, 1), .each = each_add_one, .context = &p);
        reading_start(&inside, r, 1, async_forever());
        gate_arrived(&hold, 1);
        for (unsigned i = 0; i < 3; i++) {
            late[i].pool = pool;
            late[i].over = &over;
            thread_start(&late[i].thread, come_late, &late[i]);
        }
        sleep_us(200);
        destroying_start(&dead, pool, round % 2 == 0 ? ASYNC_DRAIN : ASYNC_DROP);
        sleep_us(500);
        ROW_CHECK(!destroying_ended(&dead));
        atomic_store(&over, true);
        for (unsigned i = 0; i < 3; i++) { thread_join(&late[i].thread); }
        gate_open(&hold);
        destroying_join(&dead);
        ROW_STATUS(dead.status, ASYNC_OK);
        thread_join(&inside.thread);
        async_reader_release(r);
        for (unsigned i = 0; i < 3; i++) {
            ROW_EQ(late[i].wrong, 0);
            /* What a refused call was given is the caller's still. */
            ROW_EQ(atomic_load(&late[i].probe.released), late[i].added);
            added += late[i].added;
            refused += late[i].refused;
        }
    }
    row_says("%u tasks added, %u refused", added, refused);
    ROW_CHECK(refused > 0);
}

/* ── F46 ─────────────────────────────────────────────────────────────────────────────────────── */

static unsigned open_files(void)
{
    unsigned count = 0;
    DIR     *dir = opendir("/proc/self/fd");
    ROW_CHECK(dir != NULL);
    while (readdir(dir) != NULL) { count++; }
    closedir(dir);
    return count;
}

static uint64_t resident_kib(void)
{
    unsigned long pages = 0, resident = 0;
    FILE         *file = fopen("/proc/self/statm", "r");
    ROW_CHECK(file != NULL && fscanf(file, "%lu %lu", &pages, &resident) == 2);
    fclose(file);
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE) / 1024;
}

static void one_life(unsigned round)
{
    async_pool   *pool = pool_of(round % 3);
    async_reader *r = TASK(pool, .source = range_of(0, 20), .each = each_add_one,
                           .max_chunksize = 5);
    uint64_t      items[4];
    size_t        got = 0;
    ROW_STATUS(async_reader_read(r, items, 4, &got, async_forever()), ASYNC_OK);
    if (round % 2 == 0) { async_reader_release(r); }
    ROW_STATUS(async_pool_destroy(pool, round % 5 == 0 ? ASYNC_DROP : ASYNC_DRAIN), ASYNC_OK);
    if (round % 2 != 0) { async_reader_release(r); }
}

static void one_channel(unsigned round)
{
    async_writer *writer;
    async_reader *reader;
    channel_of(&writer, &reader, round % 4 * 8, NULL);
    write_numbers(writer, 0, round % 8);
    if (round % 2 == 0) { ROW_STATUS(async_writer_close(writer), ASYNC_OK); }
    async_writer_release(writer);
    async_reader_release(reader);
}

/* After a tenth of the rounds everything there is to warm up is warm: nothing grows from then
 * on. */
static void flat(uint64_t rounds, void (*once)(unsigned round))
{
    uint64_t kib = 0;
    unsigned threads = 0, files = 0, others = thread_count();
    for (uint64_t round = 0; round < rounds; round++) {
        once((unsigned)round);
        if (round == rounds / 10) {
            kib = resident_kib();
            files = open_files();
            threads = thread_count();
        }
    }
    ROW_CHECK(UNTIL(SOON, thread_count() <= threads && thread_count() == others));
    ROW_EQ(open_files(), files);
    uint64_t end = resident_kib();
    row_says("%llu times: %llu KiB, then %llu KiB", (unsigned long long)rounds,
             (unsigned long long)kib, (unsigned long long)end);
    /* what sanitizers keep of freed memory grows */
    if (!SANITIZED) { ROW_LE(end, kib + kib / 10 + 256); }
}

static void many_pools(void) { flat(row_number(SANITIZED ? 1000 : 10000), one_life); }

static void many_channels(void) { flat(row_number(SANITIZED ? 10000 : 100000), one_channel); }

/* ── F68 ─────────────────────────────────────────────────────────────────────────────────────── */

typedef struct streaming {
    async_reader *reader;
    uint64_t      items;
    atomic_bool   wrong;
    thread        thread;
} streaming;

static void stream(void *arg)
{
    streaming *s = arg;
    size_t     count = 0;
    uint64_t  *items = read_rest(s->reader, &count);
    ledger     l;
    ledger_make(&l, s->items + 3);
    ledger_add(&l, items, count);
    atomic_store(&s->wrong, count != s->items || ledger_count(&l, 0, s->items + 3, 1) != s->items);
    ledger_free(&l);
    async_free(items);
}

static void resized_at_random(void)
{
    enum { STREAMS = 2 };
    dice        d = {row_seed()};
    uint64_t    sizes = row_number(SANITIZED ? 1000 : 10000), done = 0, rounds = 0;
    unsigned    others = thread_count();
    async_pool *pool = pool_of(2);
    while (done < sizes) {
        streaming     streams[STREAMS];
        async_reader *r[2 * STREAMS];
        memset(streams, 0, sizeof streams);
        for (unsigned i = 0; i < STREAMS; i++) {
            streams[i].items = SANITIZED ? 3000 : 20000;
            r[2 * i] = TASK(pool, .source = range_of(0, streams[i].items), .each = each_add_one,
                            .max_chunksize = PICK(&d, 1, 3, 50),
                            .order = one_in(&d, 2) ? ASYNC_ORDERED : ASYNC_UNORDERED);
            r[2 * i + 1] = TASK(pool, .input = r[2 * i], .each = each_add_one,
                                .max_chunksize = PICK(&d, 1, 5, 60), .max_parallel = roll(&d, 3));
            streams[i].reader = r[2 * i + 1];
            thread_start(&streams[i].thread, stream, &streams[i]);
        }
        observer o;
        observer_start(&o, pool, r, 2 * STREAMS, NULL);
        bool running = true;
        while (running) {
            unsigned size = roll(&d, 9);
            ROW_STATUS(async_pool_set_size(pool, size), ASYNC_OK);
            ROW_EQ(async_pool_size(pool), size);
            done++;
            running = false;
            for (unsigned i = 0; i < STREAMS; i++) {
                running = running || !thread_ended(&streams[i].thread);
            }
            if (done % 4 == 0) { sleep_us(roll(&d, 100)); }
        }
        observer_stop(&o);
        for (unsigned i = 0; i < STREAMS; i++) {
            thread_join(&streams[i].thread);
            ROW_CHECK(!atomic_load(&streams[i].wrong));
        }
        for (unsigned i = 0; i < 2 * STREAMS; i++) { async_reader_release(r[i]); }
        unsigned size = (unsigned)PICK(&d, 0, 1, 5);
        ROW_STATUS(async_pool_set_size(pool, size), ASYNC_OK);
        ROW_CHECK(UNTIL(SOON, thread_count() == others + size)); /* the threads follow */
        rounds++;
    }
    row_says("%llu sizes during %llu rounds of %d streams", (unsigned long long)done,
             (unsigned long long)rounds, STREAMS);
    pool_end(pool);
    ROW_CHECK(UNTIL(SOON, thread_count() == others));
}

static const row rows[] = {
    {"F41 threads", "the limit of threads is met at worker k, for every k", no_more_threads, 0},
    {"F41 stacks", "no room for a worker's stack", no_stack, 0},
    {"F43", "a pool is destroyed with chunks queued and running, drained or dropped",
     destroyed_with_work, 0},
    {"F43 account", "items made = items read + items discarded", destroyed_account, 0},
    {"F45", "a second destroy, and adding, during a destroy", latecomers, 0},
    {"F46 pools", "pools made and destroyed: threads, files and memory stay", many_pools, 120},
    {"F46 channels", "channels made and ended: memory stays", many_channels, 120},
    {"F68", "sizes at random while pipelines run", resized_at_random, 120},
};
ROWS(rows)
