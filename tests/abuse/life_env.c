/* life_env.c: rows F57, F62 and F63: what the machine allows. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "rows.h"

#include "observer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void work(async_pool *pool, uint64_t items)
{
    async_reader *a = TASK(pool, .source = range_of(0, items), .each = each_add_one,
                           .max_chunksize = 10);
    async_reader *r = TASK(pool, .input = a, .each = each_twice, .max_chunksize = 7);
    size_t        count = 0;
    async_free(read_rest(r, &count));
    ROW_EQ(count, items);
    async_reader_release(a);
    async_reader_release(r);
}

/* ── F57 ─────────────────────────────────────────────────────────────────────────────────────── */

static void affinity_of_one(void)
{
    cpu_set_t all, one;
    ROW_EQ(sched_getaffinity(0, sizeof all, &all), 0);
    async_pool *pool = NULL;
    ROW_STATUS(async_pool_create(&pool, ASYNC_ALL_CPUS, NULL), ASYNC_OK);
    ROW_CHECK(async_pool_size(pool) >= 1 && async_pool_size(pool) <= (unsigned)CPU_COUNT(&all));
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &all)) { continue; }
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        ROW_EQ(sched_setaffinity(0, sizeof one, &one), 0);
        async_pool *small = NULL;
        ROW_STATUS(async_pool_create(&small, ASYNC_ALL_CPUS, NULL), ASYNC_OK);
        ROW_EQ(async_pool_size(small), 1);
        work(small, 10000);
        pool_end(small);
        /* one that is there already */
        ROW_STATUS(async_pool_set_size(pool, ASYNC_ALL_CPUS), ASYNC_OK);
        ROW_EQ(async_pool_size(pool), 1);
    }
    work(pool, 10000);
    pool_end(pool);
}

static bool write_file(const char *directory, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) { return false; }
    bool done = write(file, text, strlen(text)) == (ssize_t)strlen(text);
    close(file);
    return done;
}

static char group[128];

/* In a group with half a CPU: one worker, and the work takes what half a CPU needs for it. */
static void within_quota(void *argument)
{
    (void)argument;
    if (!write_file(group, "cgroup.procs", "0")) { exit(77); }
    async_pool *pool = NULL;
    ROW_STATUS(async_pool_create(&pool, ASYNC_ALL_CPUS, NULL), ASYNC_OK);
    ROW_EQ(async_pool_size(pool), 1);
    uint64_t cpu = cpu_ns(), start = now_ns();
    for (unsigned i = 0; i < 4; i++) { work(pool, SANITIZED ? 5000 : 50000); }
    cpu = cpu_ns() - cpu;
    uint64_t passed = now_ns() - start;
    fprintf(stderr, "      with half a CPU: %u ms for %u ms of work\n",
            (unsigned)(passed / 1000000), (unsigned)(cpu / 1000000));
    ROW_LE(passed, 20 * cpu + 2000000000); /* no collapse; a busy machine's other work counts too */
    pool_end(pool);
}

static void half_a_cpu(void)
{
    static const struct {
        const char *at, *file, *text;
    } kinds[] = {
        {"/sys/fs/cgroup", "cpu.max", "50000 100000"},
        {"/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "50000"},
        {"/sys/fs/cgroup/cpu,cpuacct", "cpu.cfs_quota_us", "50000"},
    };
    for (unsigned i = 0; i < 3; i++) {
        snprintf(group, sizeof group, "%s/async-test-%d", kinds[i].at, (int)getpid());
        if (mkdir(group, 0755) != 0) { continue; }
        bool      limited = write_file(group, kinds[i].file, kinds[i].text);
        child_end end = {.code = 77};
        if (limited) { end = child_run(within_quota, NULL, &(child_options){.seconds = 50}); }
        rmdir(group);
        if (end.code == 77 && !end.hung) { continue; }
        ROW_CHECK(!end.hung && end.code == 0);
        return;
    }
    row_left_out("no cgroup of this machine's lets a quota be set");
}

/* ── F62 ─────────────────────────────────────────────────────────────────────────────────────── */

typedef struct refusal {
    int      call; /* a system call that is refused with this error */
    unsigned error;
    unsigned n;
} refusal;

static void refuse(const refusal *r)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)r->call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | r->error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        exit(77);
    }
}

static void work_refused(void *argument)
{
    const refusal *r = argument;
    refuse(r);
    async_pool *pool = NULL;
    if (async_pool_create(&pool, r->n, NULL) != ASYNC_OK) { exit(2); }
    work(pool, 5000);
    /* workers have no more to do, and can't sleep */
    if (r->call == SYS_futex && r->n > 0) { sleep_ms(200); }
    pool_end(pool);
}

static child_end refused(int call, int error, unsigned n)
{
    refusal   r = {call, (unsigned)error, n};
    child_end end = child_run(work_refused, &r, &(child_options){.seconds = 15, .capture = true});
    if (end.code == 77) { row_left_out("no seccomp filter may be set here"); }
    if (end.hung) {
        row_failed(__FILE__, __LINE__, "system call %d refused with %d, N = %u: hung", call, error,
                   n);
    }
    return end;
}

static const int errors[] = {ENOSYS, EPERM};

/* The runtime's message, or glibc's where it comes to a futex first. */
static bool says_so(const char *said)
{
    return strstr(said, "futex is refused here") != NULL || strstr(said, "futex facility") != NULL;
}

/* No thread could sleep: a message and an end, not threads that spin. */
static void no_futex(void)
{
    for (unsigned i = 0; i < 2; i++) {
        child_end end = refused(SYS_futex, errors[i], 2);
        ROW_EQ(end.signal, SIGABRT);
        ROW_CHECK(says_so(end.said));
        free(end.said);
        /* one thread may get along, until it tells itself something */
        end = refused(SYS_futex, errors[i], 0);
        ROW_CHECK(end.code == 0 || (end.signal == SIGABRT && says_so(end.said)));
        free(end.said);
    }
}

/* What the runtime can do without. */
static void no_comforts(void)
{
    static const int calls[] = {SYS_sched_yield,   SYS_sched_getaffinity, SYS_prctl,
                                SYS_clock_gettime, SYS_nanosleep,         SYS_clone3};
    for (unsigned c = 0; c < sizeof calls / sizeof *calls; c++) {
        for (unsigned i = 0; i < 2; i++) {
            /* glibc makes threads with clone where clone3 is unknown; refused, there are none. */
            if (calls[c] == SYS_clone3 && errors[i] != ENOSYS) {
                child_end end = refused(calls[c], errors[i], 2);
                ROW_EQ(end.code, 2);
                free(end.said);
                continue;
            }
            for (unsigned n = 0; n < 4; n += 3) {
                child_end end = refused(calls[c], errors[i], n);
                if (end.code != 0) {
                    row_failed(
                        __FILE__, __LINE__,
                        "system call %d refused with %d, N = %u: exit status %d, signal %d\n%s",
                        calls[c], errors[i], n, end.code, end.signal, end.said);
                }
                free(end.said);
            }
        }
    }
}

static atomic_int clock_refused;
int               __real_clock_gettime(clockid_t clock, struct timespec *now);
int               __wrap_clock_gettime(clockid_t clock, struct timespec *now);

/* The system call is seldom made: the kernel's code in the process tells the time. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    int error = atomic_load(&clock_refused);
    if (error == 0) { return __real_clock_gettime(clock, now); }
    errno = error;
    return -1;
}

static void work_without_clock(void *argument)
{
    async_pool *pool = pool_of(2);
    atomic_store(&clock_refused, *(const int *)argument);
    async_reader *r = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                           .max_chunksize = 1);
    uint64_t      items[1000];
    size_t        got;
    (void)async_reader_read(r, items, 1000, &got, async_within_ms(1000));
    exit(3);
}

static void no_clock(void)
{
    for (unsigned i = 0; i < 2; i++) {
        int       error = errors[i];
        child_end end = child_run(work_without_clock, &error,
                                  &(child_options){.seconds = 15, .capture = true});
        ROW_CHECK(!end.hung && end.signal == SIGABRT &&
                  strstr(end.said, "CLOCK_MONOTONIC is refused here") != NULL);
        free(end.said);
    }
}

/* ── F63 ─────────────────────────────────────────────────────────────────────────────────────── */

typedef struct big {
    uint64_t number;
    uint64_t words[511];
} big;
_Static_assert(sizeof(big) == 4096, "an item of 4 KiB");

static int fill(const void *in, void *out, void *context)
{
    big *b = out;
    (void)context;
    b->number = *(const uint64_t *)in;
    for (unsigned i = 0; i < 511; i++) { b->words[i] = b->number * 512 + i; }
    return 0;
}

static int turn_over(const void *in, void *out, void *context)
{
    const big *a = in;
    big       *b = out;
    (void)context;
    b->number = a->number;
    for (unsigned i = 0; i < 511; i++) { b->words[i] = ~a->words[i]; }
    return 0;
}

static void big_items(void)
{
    uint64_t items = row_number(SANITIZED ? 300 : 2000);
    EACH_SIZE (n) {
        async_pool           *pool = pool_of(n);
        async_writer         *writer;
        async_reader         *end;
        async_channel_options bounded = {.capacity = 5};
        ROW_STATUS(async_channel_create(&writer, &end, sizeof(big), &bounded), ASYNC_OK);
        async_reader *a = TASK(pool, .source = range_of(0, items), .item_size = sizeof(big),
                               .each = fill, .max_chunksize = 3, .order = ASYNC_ORDERED);
        async_reader *r = TASK(pool, .input = a, .each = turn_over, .max_chunksize = 7,
                               .order = ASYNC_ORDERED);
        static big    one[4];
        for (uint64_t i = 0; i < items; i += 4) { /* and through a channel */
            size_t got = 0, written = 0;
            ROW_STATUS(async_reader_read(r, one, 4, &got, async_forever()), ASYNC_OK);
            ROW_STATUS(async_writer_write(writer, one, 4, &written, async_forever()), ASYNC_OK);
            memset(one, 0, sizeof one);
            ROW_STATUS(async_reader_read(end, one, 4, &got, async_forever()), ASYNC_OK);
            for (unsigned k = 0; k < 4; k++) {
                ROW_EQ(one[k].number, i + k);
                for (unsigned w = 0; w < 511; w++) {
                    ROW_EQ(one[k].words[w], ~((i + k) * 512 + w));
                }
            }
        }
        async_reader_release(a);
        async_reader_release(r);
        async_reader_release(end);
        async_writer_release(writer);
        pool_end(pool);
    }
}

/* A sanitizer's own threads and reports need these calls: nothing to be learned there. */
static void plain_only(void (*run)(void))
{
    if (SANITIZED) {
        row_says("in builds without sanitizers only");
    } else {
        run();
    }
}

static void f62_futex(void) { plain_only(no_futex); }

static void f62_others(void) { plain_only(no_comforts); }

static void f62_clock(void) { plain_only(no_clock); }

static const row rows[] = {
    {"F57 mask", "an affinity mask of one CPU: one worker", affinity_of_one, 0},
    {"F57 quota", "a quota of half a CPU: one worker, no collapse", half_a_cpu, 0},
    {"F62 futex", "futex refused: a message and an end, no spin", f62_futex, 120},
    {"F62 others", "other system calls refused: done without", f62_others, 120},
    {"F62 clock", "no clock: a message and an end", f62_clock, 0},
    {"F63", "items of 4 KiB", big_items, 0},
};
ROWS(rows)
