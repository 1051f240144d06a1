/* sched_wake.c: rows F32 (idle), F38 to F40: who is woken, who gets a CPU, and who waits for whom.
 * Linked with --wrap=os_futex_wake: every wake-up that the runtime asks the kernel for is seen. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "rows.h"

#include "crew.h"
#include "observer.h"
#include "os.h"
#include "pool.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

void __real_os_futex_wake(shared_u32 *word, unsigned count);
void __wrap_os_futex_wake(shared_u32 *word, unsigned count);

static SHARED(const shared_u32 *) idle_word; /* of the pool that is looked at */
static atomic_uint                worker_wakes, other_wakes;

void __wrap_os_futex_wake(shared_u32 *word, unsigned count)
{
    if (count > 0) {
        atomic_fetch_add(word == atomic_load(&idle_word) ? &worker_wakes : &other_wakes, 1);
    }
    __real_os_futex_wake(word, count);
}

/* A reader that has slept for 20 ms wakes another worker for the job that still lies there: the one
 * that was woken has not got a CPU yet, on a machine that is busy, or never will. */
bool __real_pool_look_after(struct async_pool *pool);
bool __wrap_pool_look_after(struct async_pool *pool);

static atomic_uint looked_after;

bool __wrap_pool_look_after(struct async_pool *pool)
{
    bool woke = __real_pool_look_after(pool);
    if (woke) { atomic_fetch_add(&looked_after, 1); }
    return woke;
}

/* ── F39 ─────────────────────────────────────────────────────────────────────────────────────── */

static void wake_storm(void)
{
    enum { WORKERS = 32 };
    unsigned    others = thread_count();
    async_pool *pool = pool_of(WORKERS);
    atomic_store(&idle_word, &pool->idle.epoch);
    async_reader *r = TASK(pool, .source = range_of(0, UINT64_MAX), .each = each_add_one);
    unsigned      most = 0, sum = 0, woken = 0, late = 0;
    uint64_t      rounds = row_number(SANITIZED ? 30 : 200);
    for (uint64_t round = 0; round < rounds; round++) {
        ROW_CHECK(UNTIL(SOON, atomic_load(&pool->idle.waiters) == WORKERS &&
                                  atomic_load(&pool->searching) == 0));
        if (round == 0 && !THREAD_SANITIZED) {
            ROW_CHECK(others_stand_still(0, others - 1 + WORKERS));
        }
        atomic_store(&worker_wakes, 0);
        atomic_store(&other_wakes, 0);
        atomic_store(&looked_after, 0);
        uint64_t item, start = now_ns();
        size_t   got = 0;
        ROW_STATUS(async_reader_read(r, &item, 1, &got, async_forever()), ASYNC_OK);
        ROW_EQ(item, round + 1);
        if (now_ns() - start < 20000000) { ROW_EQ(atomic_load(&looked_after), 0); }
        ROW_CHECK(UNTIL(SOON, atomic_load(&pool->idle.waiters) == WORKERS &&
                                  atomic_load(&pool->searching) == 0));
        unsigned again = atomic_load(&looked_after), wakes = atomic_load(&worker_wakes) - again;
        ROW_LE(wakes, 1);
        ROW_LE(atomic_load(&other_wakes), 1);
        if (wakes > most) { most = wakes; }
        sum += wakes;
        woken += atomic_load(&other_wakes);
        late += again;
    }
    ROW_EQ(most, 1); /* or nothing was counted at all */
    row_says("%llu chunks for %d parked workers: %u wake-ups of workers, %u of the reader, "
             "%u after 20 ms in vain",
             (unsigned long long)rounds, WORKERS, sum, woken, late);
    async_reader_release(r);
    pool_end(pool);
}

/* ── F32 ─────────────────────────────────────────────────────────────────────────────────────── */

/* Idle: less than 1 % of a CPU, before there was work and after. */
static void idle_cpu(void)
{
    async_pool   *pool = pool_of(8);
    async_reader *r = TASK(pool, .source = range_of(0, 1000000), .each = each_add_one,
                           .max_chunksize = 10);
    for (unsigned i = 0; i < 4; i++) {
        ROW_CHECK(UNTIL(SOON, atomic_load(&pool->idle.waiters) == 8));
        uint64_t        cpu = cpu_ns(), start = now_ns();
        struct timespec pause = {.tv_nsec = 300000000};
        nanosleep(&pause, NULL);
        uint64_t used = cpu_ns() - cpu, passed = now_ns() - start;
        /* its own thread looks about now and then */
        if (!THREAD_SANITIZED) { ROW_LE(used, passed / 100); }
        uint64_t items[1000];
        size_t   got = 0;
        ROW_STATUS(async_reader_read(r, items, 1000, &got, async_forever()), ASYNC_OK);
    }
    async_reader_release(r);
    pool_end(pool);
}

/* ── F38 ─────────────────────────────────────────────────────────────────────────────────────── */

static void pipeline(unsigned workers, uint64_t items)
{
    async_pool   *pool = pool_of(workers);
    async_reader *r[3];
    r[0] = TASK(pool, .source = range_of(0, items), .each = each_add_one, .max_chunksize = 5);
    r[1] = TASK(pool, .input = r[0], .each = each_twice, .max_chunksize = 7,
                .order = ASYNC_ORDERED);
    r[2] = TASK(pool, .input = r[1], .each = each_add_one, .max_chunksize = 3, .max_parallel = 1);
    observer o;
    observer_start(&o, pool, r, 3, NULL);
    uint64_t sum = 0, seen = 0;
    for (;;) { /* with waits that end too soon in between */
        uint64_t     buffer[100];
        size_t       got = 0;
        async_status status = async_reader_read(
            r[2], buffer, 100, &got, seen % 3 == 0 ? async_within_ms(1) : async_forever());
        for (size_t i = 0; i < got; i++) { sum += buffer[i]; }
        seen += got;
        if (status == ASYNC_END) { break; }
        ROW_CHECK(status == ASYNC_OK || status == ASYNC_TIMEOUT);
    }
    observer_stop(&o);
    ROW_EQ(seen, items);
    ROW_EQ(sum, items * (items - 1) + 3 * items); /* of 2 (i + 1) + 1 */
    for (unsigned i = 0; i < 3; i++) { async_reader_release(r[i]); }
    pool_end(pool);
}

static void pin_to_one(void)
{
    cpu_set_t all, one;
    ROW_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &all)) {
            CPU_SET(cpu, &one);
            break;
        }
    }
    ROW_EQ(sched_setaffinity(0, sizeof one, &one), 0);
}

static void crowd(void) { pipeline(64, row_number(SANITIZED ? 5000 : 50000)); }

static void one_cpu(void)
{
    pin_to_one();
    pipeline(64, row_number(SANITIZED ? 3000 : 30000));
    pipeline(1, row_number(SANITIZED ? 3000 : 30000));
}

/* The reader is real-time and on the workers' CPU; some of the workers are nice: whoever spins
 * there for something that a worker holds keeps the worker from giving it. */
static void mixed_priorities(void)
{
    pin_to_one();
    struct sched_param fifo = {.sched_priority = 1}, other = {.sched_priority = 0};
    if (sched_setscheduler(0, SCHED_FIFO, &fifo) != 0) {
        row_left_out("SCHED_FIFO: %s", strerror(errno));
    }
    ROW_EQ(sched_setscheduler(0, SCHED_OTHER, &other), 0);
    unsigned    workers = 8;
    async_pool *pool = pool_of(workers); /* of the ordinary kind */
    setpriority(PRIO_PROCESS, 0, 10);
    ROW_STATUS(async_pool_set_size(pool, 2 * workers), ASYNC_OK); /* and nice ones */
    uint64_t      items = row_number(SANITIZED ? 3000 : 30000), seen = 0, sum = 0;
    async_reader *a = TASK(pool, .source = range_of(0, items), .each = each_add_one,
                           .max_chunksize = 3);
    async_reader *r = TASK(pool, .input = a, .each = each_twice, .max_chunksize = 5);
    ROW_EQ(sched_setscheduler(0, SCHED_FIFO, &fifo), 0); /* this thread alone */
    uint64_t        start = now_ns();
    struct timespec cpu;
    while (seen < items) {
        uint64_t     buffer[10];
        size_t       got = 0;
        async_status status = async_reader_read(
            r, buffer, 10, &got, seen % 20 == 0 ? async_within_ms(1) : async_forever());
        ROW_CHECK(status == ASYNC_OK || status == ASYNC_TIMEOUT || status == ASYNC_END);
        for (size_t i = 0; i < got; i++) { sum += buffer[i]; }
        seen += got;
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
    uint64_t passed = now_ns() - start;
    ROW_EQ(sched_setscheduler(0, SCHED_OTHER, &other), 0);
    ROW_EQ(sum, items * (items - 1) + 2 * items);
    uint64_t used = (uint64_t)cpu.tv_sec * 1000000000 + (uint64_t)cpu.tv_nsec;
    row_says("the real-time reader used %llu of %llu ms", (unsigned long long)(used / 1000000),
             (unsigned long long)(passed / 1000000));
    /* One that spins has the CPU until the kernel takes it away, 0.95 s of each second. Not under
     * ThreadSanitizer, whose own spin locks do just that where a worker was stopped with one of
     * them (seen by sampling: StaticSpinMutex::LockSlow, sched_yield). */
    if (passed > 1000000000 && !THREAD_SANITIZED) { ROW_LE(used, passed / 2); }
    async_reader_release(a);
    async_reader_release(r);
    pool_end(pool);
}

/* ── F40 ─────────────────────────────────────────────────────────────────────────────────────── */

/* `endless` of the workers are inside a chunk that does not end; all other work gets done. */
static void starve(unsigned workers, unsigned endless)
{
    gate          never = {0};
    probe         stuck = {.hold = &never};
    reading       held[4];
    async_reader *forever[4];
    async_pool   *pool = pool_of(workers);
    memset(held, 0, sizeof held);
    for (unsigned i = 0; i < endless; i++) {
        forever[i] = TASK(pool, .source = range_of(0, 1), .each = each_add_one, .context = &stuck);
        reading_start(&held[i], forever[i], 1, async_forever());
    }
    gate_arrived(&never, endless);
    uint64_t rounds = row_number(SANITIZED ? 20 : 100);
    for (uint64_t round = 0; round < rounds; round++) {
        enum { TASKS = 20 };
        async_reader *r[TASKS];
        for (unsigned i = 0; i < TASKS; i++) {
            async_reader *a = TASK(pool, .source = range_of(0, 40), .each = each_add_one,
                                   .max_chunksize = 1 + i % 3);
            r[i] = TASK(pool, .input = a, .each = each_add_one, .max_chunksize = 1 + i % 5);
            async_reader_release(a);
        }
        for (unsigned i = 0; i < TASKS; i++) {
            size_t count = 0;
            async_free(read_rest(r[i], &count));
            ROW_EQ(count, 40);
            async_reader_release(r[i]);
        }
    }
    ROW_EQ(atomic_load(&stuck.running), endless);
    gate_open(&never);
    for (unsigned i = 0; i < endless; i++) {
        thread_join(&held[i].thread);
        ROW_STATUS(held[i].status, ASYNC_OK);
        async_reader_release(forever[i]);
    }
    pool_end(pool);
}

/* The endless chunk's own worker has jobs in its deque that only others can take. */
typedef struct hoard {
    async_writer *writer[8];
    gate          pushed, never;
} hoard;

static int push_then_stay(const void *in, void *out, void *context)
{
    hoard *h = context;
    *(uint64_t *)out = *(const uint64_t *)in;
    for (unsigned i = 0; i < 8; i++) {
        size_t written;
        (void)async_writer_write(h->writer[i], in, 1, &written, async_now());
    }
    gate_open(&h->pushed);
    gate_pass(&h->never);
    return 0;
}

static void starve_with_jobs(void)
{
    for (unsigned round = 0; round < (SANITIZED ? 10 : 40); round++) {
        hoard          h = {0};
        async_pool    *pool = pool_of(2);
        async_reader  *ends[8], *fed[8];
        static reading waits[8], held;
        memset(waits, 0, sizeof waits);
        memset(&held, 0, sizeof held);
        for (unsigned i = 0; i < 8; i++) {
            channel_of(&h.writer[i], &ends[i], 0, NULL);
            fed[i] = TASK(pool, .input = ends[i], .each = each_add_one);
            reading_start(&waits[i], fed[i], 1, async_forever());
        }
        for (unsigned i = 0; i < 8; i++) {
            ROW_CHECK(UNTIL(SOON, counts_of(fed[i]).asked == 1));
            ROW_CHECK(thread_asleep(&waits[i].thread));
        }
        async_reader *stay = TASK(pool, .source = range_of(0, 1), .each = push_then_stay,
                                  .context = &h);
        reading_start(&held, stay, 1, async_forever());
        for (unsigned i = 0; i < 8; i++) {
            thread_join(&waits[i].thread);
            ROW_STATUS(waits[i].status, ASYNC_OK);
        }
        ROW_CHECK(!thread_ended(&held.thread));
        gate_open(&h.never);
        thread_join(&held.thread);
        async_reader_release(stay);
        for (unsigned i = 0; i < 8; i++) {
            async_reader_release(fed[i]);
            async_reader_release(ends[i]);
            async_writer_release(h.writer[i]);
        }
        pool_end(pool);
    }
}

static void starvation(void)
{
    starve(2, 1);
    starve(4, 3);
    starve_with_jobs();
}

static const row rows[] = {
    {"F32 idle", "workers with nothing to do use no CPU", idle_cpu, 0},
    {"F38 crowd", "64 workers on the CPUs there are", crowd, 120},
    {"F38 pinned", "64 workers on one CPU", one_cpu, 120},
    {"F38 mixed", "a real-time reader, ordinary and nice workers on one CPU", mixed_priorities,
     120},
    {"F39", "one chunk for 32 parked workers wakes one, and one reader", wake_storm, 0},
    {"F40", "workers in endless chunks hold up nobody else", starvation, 0},
};
ROWS(rows)
