/* idle.c: what costs nothing, and how many workers a machine allows: rows M9 and M11. */
#define _GNU_SOURCE
#include "crew.h"
#include "expect.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* M9: idle costs nothing: before there was anything to do, and after it. */
TestEachSize(M, M9_nothing_to_do)
{
    uint64_t    items[1000];
    unsigned    threads = threads_at_rest() - 1;
    async_pool *pool = pool_of(n);
    CHECK(others_stand_still(0, threads + n));
    async_reader *a = TASK(pool, .source = range_of(0, 100000), .batch = batch_copy,
                           .max_chunksize = 7);
    async_reader *r = TASK(pool, .input = a, .batch = batch_copy, .max_chunksize = 10);
    CHECK_READ(r, items, 1000, async_forever(), ASYNC_OK, 1000);
    CHECK(others_stand_still(0, threads + n));
    async_reader_release(a);
    async_reader_release(r);
    pool_end(pool);
}

/* M9: a blocked reader costs nothing, nor do the workers meanwhile: also where waiting readers
 * help. */
TestEachSize(M, M9_a_blocked_reader)
{
    for (unsigned help = 0; help < 2; help++) {
        NOTE("N = %u, readers_help %u", n, help);
        unsigned           threads = threads_at_rest() - 1;
        async_pool_options options = {.readers_help = help != 0};
        async_pool        *pool = NULL;
        async_writer      *writer;
        async_reader      *input;
        static reading     blocked;
        memset(&blocked, 0, sizeof blocked);
        CHECK_STATUS(async_pool_create(&pool, n, &options), ASYNC_OK);
        channel_of(&writer, &input, 0, NULL);
        async_reader *r = TASK(pool, .input = input, .each = each_add_one);
        reading_start(&blocked, r, 5, async_forever());
        write_numbers(writer, 0, 4);
        CHECK_SOON(counts_of(r).asked == 5);
        CHECK(others_stand_still(0, threads + n + 1));
        CHECK(!thread_ended(&blocked.thread));
        write_numbers(writer, 4, 1);
        thread_join(&blocked.thread);
        CHECK_STATUS(blocked.status, ASYNC_OK);
        async_reader_release(r);
        async_reader_release(input);
        async_writer_release(writer);
        pool_end(pool);
    }
}

/* A chunk that takes its time. */
typedef struct long_chunk {
    gate       gate;
    atomic_int id;
} long_chunk;

static int stands(const void *in, void *out, size_t count, size_t *done, void *context)
{
    long_chunk *s = context;
    atomic_store(&s->id, (int)gettid());
    gate_pass(&s->gate);
    return batch_copy(in, out, count, done, NULL);
}

/* M9: with one long chunk running, the other workers and the readers use no CPU. */
TestEachSize(M, M9_one_long_chunk)
{
    unsigned       threads = threads_at_rest() - 1;
    async_pool    *pool = pool_of(n);
    long_chunk     s = {.id = 0};
    static reading blocked, second;
    memset(&blocked, 0, sizeof blocked);
    memset(&second, 0, sizeof second);
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .batch = stands, .context = &s,
                           .max_parallel = 1);
    async_reader *r = TASK(pool, .input = a, .each = each_add_one);
    reading_start(&blocked, r, 100, async_forever());
    gate_arrived(&s.gate, 1);
    reading_start(&second, r, 50, async_forever());
    CHECK_SOON(counts_of(r).asked == 150);
    /* The two readers and the workers; with N = 0 the first reader is the one that stands. */
    CHECK(others_stand_still((pid_t)atomic_load(&s.id), threads + (n == 0 ? 1 : n + 1)));
    gate_open(&s.gate);
    thread_join(&blocked.thread);
    thread_join(&second.thread);
    CHECK_STATUS(blocked.status, ASYNC_OK);
    CHECK_STATUS(second.status, ASYNC_OK);
    async_reader_release(a);
    async_reader_release(r);
    pool_end(pool);
}

/* Runs f in a child process, and gives its exit code; 255 where it did not exit. */
static int in_child(int (*f)(void *context), void *context)
{
    pid_t child = fork();
    if (child == 0) { _exit(f(context)); }
    int status = 0;
    cr_assert(child > 0 && waitpid(child, &status, 0) == child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

/* The size of a pool as large as the machine allows, once this thread may use `cpus` CPUs. */
static int size_with_affinity(void *context)
{
    const unsigned *cpus = context;
    cpu_set_t       mine, few;
    unsigned        count = 0;
    CPU_ZERO(&few);
    if (sched_getaffinity(0, sizeof mine, &mine) != 0) { return 254; }
    for (size_t i = 0; i < CPU_SETSIZE && count < *cpus; i++) {
        if (CPU_ISSET(i, &mine)) {
            CPU_SET(i, &few);
            count++;
        }
    }
    async_pool *pool = NULL;
    if (sched_setaffinity(0, sizeof few, &few) != 0 ||
        async_pool_create(&pool, ASYNC_ALL_CPUS, NULL) != ASYNC_OK) {
        return 253;
    }
    int size = (int)async_pool_size(pool);
    return async_pool_destroy(pool, ASYNC_DRAIN) == ASYNC_OK ? size : 252;
}

/* CPUs that the control groups of this process leave it, rounded up; a large number where nothing
 * limits them. Looks at the mounts that are usual. */
static unsigned quota_cpus(void)
{
    long long quota = -1, period = 0;
    FILE     *file = fopen("/sys/fs/cgroup/cpu.max", "r");
    if (file != NULL) {
        if (fscanf(file, "%lld %lld", &quota, &period) != 2) { quota = -1; }
        fclose(file);
        return quota > 0 && period > 0 ? (unsigned)((quota + period - 1) / period) : 10000;
    }
    file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "r");
    if (file == NULL) { return 10000; }
    int ok = fscanf(file, "%lld", &quota);
    fclose(file);
    file = fopen("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "r");
    if (file != NULL) {
        ok += fscanf(file, "%lld", &period);
        fclose(file);
    }
    return ok == 2 && quota > 0 && period > 0 ? (unsigned)((quota + period - 1) / period) : 10000;
}

/* M11: the default size respects the affinity mask. */
Test(M, M11_all_cpus_respects_the_affinity_mask, .timeout = 30)
{
    cpu_set_t mine;
    cr_assert(sched_getaffinity(0, sizeof mine, &mine) == 0);
    unsigned allowed = (unsigned)CPU_COUNT(&mine), quota = quota_cpus();
    for (unsigned cpus = 1; cpus <= allowed && cpus <= 4; cpus++) {
        NOTE("%u CPUs of %u, quota %u", cpus, allowed, quota);
        CHECK_EQ(in_child(size_with_affinity, &cpus), cpus < quota ? cpus : quota);
    }
}

static bool write_file(const char *folder, const char *name, const char *text)
{
    char path[300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r+");
    if (file == NULL) { return false; }
    bool ok = fputs(text, file) >= 0;
    return fclose(file) == 0 && ok;
}

/* In a control group with that much CPU time in 100 ms. */
typedef struct group {
    const char *quota_file, *quota, *period_file;
    char        folder[200];
} group;

static int size_in_group(void *context)
{
    group *g = context;
    char   id[32];
    if (mkdir(g->folder, 0755) != 0 && errno != EEXIST) { return 200; }
    snprintf(id, sizeof id, "%d\n", (int)getpid());
    if ((g->period_file != NULL && !write_file(g->folder, g->period_file, "100000")) ||
        !write_file(g->folder, g->quota_file, g->quota) ||
        !write_file(g->folder, "cgroup.procs", id)) {
        return 201;
    }
    async_pool *pool = NULL;
    if (async_pool_create(&pool, ASYNC_ALL_CPUS, NULL) != ASYNC_OK) { return 202; }
    int size = (int)async_pool_size(pool);
    return async_pool_destroy(pool, ASYNC_DROP) == ASYNC_OK ? size : 203;
}

/* M11: and the control group's CPU quota, where this process may make a group. */
Test(M, M11_all_cpus_respects_the_quota, .timeout = 30)
{
    static const struct {
        const char *root, *quota_file, *period_file;
        const char *half, *one_and_a_half;
    } kinds[] = {
        {"/sys/fs/cgroup", "cpu.max", NULL, "50000 100000", "150000 100000"},
        {"/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "cpu.cfs_period_us", "50000", "150000"},
    };
    cpu_set_t mine;
    cr_assert(sched_getaffinity(0, sizeof mine, &mine) == 0);
    unsigned allowed = (unsigned)CPU_COUNT(&mine), quota = quota_cpus(), tried = 0;
    unsigned most = allowed < quota ? allowed : quota;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        for (unsigned half = 0; half < 2; half++) {
            group g = {.quota_file = kinds[i].quota_file,
                       .period_file = kinds[i].period_file,
                       .quota = half ? kinds[i].half : kinds[i].one_and_a_half};
            snprintf(g.folder, sizeof g.folder, "%s/async-test-%d", kinds[i].root, (int)getpid());
            int      size = in_child(size_in_group, &g);
            unsigned wanted = half ? 1 : most < 2 ? most : 2;
            for (unsigned k = 0; k < 100 && rmdir(g.folder) != 0 && errno == EBUSY; k++) {
                sleep_ms(1);
            }
            if (size == 200 || size == 201) {
                continue; /* no such groups here, or not for this process */
            }
            NOTE("quota %s, %s", g.quota, g.quota_file);
            CHECK_EQ(size, wanted);
            tried++;
        }
    }
    if (tried == 0) { cr_skip_test("no control group can be made here"); }
}
