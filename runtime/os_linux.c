/* os_linux.c: Linux behind os.h: futexes, the monotonic clock, threads, CPUs. The only file that
 * makes system calls.
 *
 * The orders of the operations around a futex are its callers' business: the kernel compares the
 * word under its own lock and nothing here reads or writes shared memory.
 *
 * What the kernel or a seccomp filter may refuse for good (ENOSYS, EPERM) ends the program with a
 * message: a futex that fails at once would make every waiter spin.
 * Layer: 0 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* CPU_ALLOC, sched_getaffinity, pthread_setname_np, syscall */
#endif

#include "os.h"

#include "check.h"
#include "mem.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_S     UINT64_C(1000000000)
#define COUNT(array) (sizeof(array) / sizeof *(array))

_Static_assert(sizeof(shared_u32) == 4, "a futex word has 32 bits");
_Static_assert(sizeof(time_t) == 8, "the futex call takes the kernel's 64-bit time");

/* ── Clock ───────────────────────────────────────────────────────────────────────────────────── */

uint64_t os_now_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0) {
        panic("CLOCK_MONOTONIC is refused here: %s", strerror(errno));
    }
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* ── Futex ───────────────────────────────────────────────────────────────────────────────────── */

/* A wait's deadline is absolute (FUTEX_WAIT_BITSET takes it so, FUTEX_WAIT would not), which is
 * what lets an interrupted call be repeated as it was without its end moving. */
bool os_futex_wait(shared_u32 *word, uint32_t expected, uint64_t deadline_ns)
{
    struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / NS_PER_S),
        .tv_nsec = (long)(deadline_ns % NS_PER_S),
    };
    const struct timespec *until = deadline_ns == OS_NEVER ? NULL : &deadline;

    for (;;) {
        long result = syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, expected, until, NULL,
                              FUTEX_BITSET_MATCH_ANY);
        if (result == 0) { return true; }
        switch (errno) {
        case EAGAIN: /* the word was not `expected` any more */
            return true;
        case ETIMEDOUT:
            return false;
        case EINTR: /* a signal handler ran: the kernel compares the word anew */
            break;
        case ENOSYS:
        case EPERM:
            panic("futex is refused here (%s); no thread could sleep", strerror(errno));
        default:
            panic("futex wait: %s", strerror(errno));
        }
    }
}

void os_futex_wake(shared_u32 *word, unsigned count)
{
    if (count == 0) { return; } /* the kernel would wake one */
    int at_most = count > (unsigned)INT_MAX ? INT_MAX : (int)count;
    if (syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, at_most, NULL, NULL, 0) >= 0) { return; }
    if (errno == ENOSYS || errno == EPERM) {
        panic("futex is refused here (%s); no thread could be woken", strerror(errno));
    }
    /* EFAULT: the word's memory is gone, and so are its sleepers. */
    if (errno != EFAULT) { panic("futex wake: %s", strerror(errno)); }
}

void os_yield(void) { sched_yield(); }

/* By hand, as libc's is a cancellation point: who is cancelled in a read leaves it first. */
void os_sleep_ns(uint64_t ns)
{
    struct timespec pause = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};
    syscall(SYS_nanosleep, &pause, NULL);
}

#define YIELDS   16
#define PAUSE_NS 50000

void os_pause(unsigned *looks)
{
    if (++*looks <= YIELDS) {
        os_yield();
    } else {
        os_sleep_ns(PAUSE_NS);
    }
}

/* ── CPUs ────────────────────────────────────────────────────────────────────────────────────── */

/* The affinity mask of the calling thread, to be freed, and its bytes. A set for more CPUs than the
 * kernel was built for is taken, one for fewer is EINVAL. NULL: it can't be had. */
static cpu_set_t *affinity_mask(size_t *size)
{
    for (int cpus = CPU_SETSIZE; cpus <= 1 << 20; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC((size_t)cpus);
        if (set == NULL) { break; }
        *size = CPU_ALLOC_SIZE((size_t)cpus);
        CPU_ZERO_S(*size, set);
        int failed = sched_getaffinity(0, *size, set) != 0 ? errno : 0;
        if (failed == 0 && CPU_COUNT_S(*size, set) > 0) { return set; }
        CPU_FREE(set);
        if (failed != EINVAL) { break; }
    }
    return NULL;
}

unsigned os_cpu_affinity(void)
{
    size_t     size;
    cpu_set_t *set = affinity_mask(&size);
    if (set != NULL) {
        int count = CPU_COUNT_S(size, set);
        CPU_FREE(set);
        return (unsigned)count;
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online <= INT_MAX ? (unsigned)online : 1;
}

#define SHARED_WORDS 4 /* CPUs past its bits share them */

/* What threads said in this second and in the one before it: one of the two each. All relaxed: a
 * way of waiting is chosen. What is said while another thread clears an old mask may be lost, until
 * it is said again. */
static struct {
    shared_u64 second;
    shared_u64 mask[SHARED_WORDS];
} said[2];

static NEVER_INLINE void say_affinity(uint64_t second)
{
    uint64_t   mine[SHARED_WORDS] = {0};
    size_t     size = 0;
    cpu_set_t *set = affinity_mask(&size);
    for (size_t cpu = 0; set != NULL && cpu < size * 8; cpu++) {
        if (CPU_ISSET_S(cpu, size, set)) {
            mine[cpu / 64 % SHARED_WORDS] |= UINT64_C(1) << cpu % 64;
        }
    }
    if (set != NULL) { CPU_FREE(set); }
    bool at = (second & 1) != 0;
    /* relaxed (all): see above */
    bool old = load_relaxed(&said[at].second) != second;
    store_relaxed(&said[at].second, second);
    for (size_t i = 0; i < SHARED_WORDS; i++) {
        if (old) { store_relaxed(&said[at].mask[i], 0); }
        if (mine[i] != 0) { or_relaxed(&said[at].mask[i], mine[i]); }
    }
}

/* The coarse clock, a few nanoseconds to read, is exact enough for how old a mask is. */
unsigned os_cpus_shared(void)
{
    static THREAD_LOCAL uint64_t last; /* the second after the one of the last look; 0: none yet */
    struct timespec              now = {0, 0};
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    uint64_t second = (uint64_t)now.tv_sec;
    if (unlikely(second + 1 != last)) {
        last = second + 1;
        say_affinity(second);
    }
    /* relaxed (all): see above */
    bool     at = (second & 1) != 0, both = load_relaxed(&said[!at].second) + 1 == second;
    unsigned count = 0;
    for (size_t i = 0; i < SHARED_WORDS; i++) {
        uint64_t mask = load_relaxed(&said[at].mask[i]);
        if (both) { mask |= load_relaxed(&said[!at].mask[i]); }
        count += (unsigned)__builtin_popcountll(mask);
    }
    return count != 0 ? count : 1;
}

/* The first line of a file, without its newline. False: there is no such file or line. */
static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) { return false; }
    bool got = fgets(line, (int)size, file) != NULL;
    fclose(file);
    if (got) { line[strcspn(line, "\n")] = '\0'; }
    return got;
}

/* quota / period, rounded up. UINT_MAX: no limit. */
static unsigned quota_cpus(const char *quota, const char *period)
{
    char     *end;
    long long share = strtoll(quota, &end, 10);
    if (end == quota || share <= 0) { return UINT_MAX; } /* "max", or v1's -1 */
    long long whole = strtoll(period, &end, 10);
    if (end == period || whole <= 0) { return UINT_MAX; }
    long long cpus = share / whole + (share % whole != 0);
    return cpus >= UINT_MAX ? UINT_MAX : (unsigned)cpus;
}

/* The limit that the group at `directory` sets itself. */
static unsigned group_cpus(const char *directory, bool v2)
{
    char path[PATH_MAX + 32], first[64], second[64];
    if (v2) {
        snprintf(path, sizeof path, "%s/cpu.max", directory);
        if (!read_line(path, first, sizeof first)) { return UINT_MAX; }
        char *space = strchr(first, ' '); /* "50000 100000", "max 100000" */
        return quota_cpus(first, space != NULL ? space + 1 : "100000");
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", directory);
    if (!read_line(path, first, sizeof first)) { return UINT_MAX; }
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", directory);
    if (!read_line(path, second, sizeof second)) { return UINT_MAX; }
    return quota_cpus(first, second);
}

/* The lowest limit of the group at `path` and of all groups above it. In a container the path may
 * be the host's while the mount shows the container's group as its root: what isn't there is
 * passed over, and the root is looked at in the end. */
static unsigned groups_cpus(const char *mount, const char *path, bool v2)
{
    char directory[PATH_MAX];
    int  length = snprintf(directory, sizeof directory, "%s%s", mount, path);
    if (length < 0 || (size_t)length >= sizeof directory) { return UINT_MAX; }

    size_t   root = strlen(mount);
    unsigned least = UINT_MAX;
    for (;;) {
        unsigned cpus = group_cpus(directory, v2);
        if (cpus < least) { least = cpus; }
        char *slash = strrchr(directory + root, '/');
        if (slash == NULL) { return least; }
        *slash = '\0';
    }
}

/* Whether `name` stands in the list `names`, which commas divide. */
static bool listed(const char *names, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = names;; at++) {
        bool same = strncmp(at, name, length) == 0;
        if (same && (at[length] == ',' || at[length] == '\0')) { return true; }
        at = strchr(at, ',');
        if (at == NULL) { return false; }
    }
}

/* The places where distributions mount the hierarchies. */
static const char *const v2_mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
static const char *const v1_mounts[] = {"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct",
                                        "/sys/fs/cgroup/cpuacct,cpu"};

unsigned os_cgroup_cpus(const char *root)
{
    char path[PATH_MAX], line[PATH_MAX + 256];
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    if (file == NULL) { return UINT_MAX; }

    unsigned least = UINT_MAX;
    while (fgets(line, (int)sizeof line, file) != NULL) { /* "0::/path", "4:cpu,cpuacct:/path" */
        line[strcspn(line, "\n")] = '\0';
        char *controllers = strchr(line, ':');
        char *group = controllers != NULL ? strchr(controllers + 1, ':') : NULL;
        if (group == NULL) { continue; }
        controllers++;
        *group++ = '\0';
        bool v2 = *controllers == '\0';
        if (!v2 && !listed(controllers, "cpu")) { continue; }

        const char *const *mounts = v2 ? v2_mounts : v1_mounts;
        size_t             count = v2 ? COUNT(v2_mounts) : COUNT(v1_mounts);
        for (size_t i = 0; i < count; i++) {
            snprintf(path, sizeof path, "%s%s", root, mounts[i]);
            unsigned cpus = groups_cpus(path, group, v2);
            if (cpus < least) { least = cpus; }
        }
    }
    fclose(file);
    return least;
}

unsigned os_cpu_count(void)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* files are read */
    unsigned cpus = os_cpu_affinity(), quota = os_cgroup_cpus("");
    pthread_setcancelstate(state, &state);
    return quota < cpus ? quota : cpus;
}

/* ── Threads ─────────────────────────────────────────────────────────────────────────────────── */

struct start {
    void (*run)(void *);
    void *argument;
    char  name[16]; /* the kernel's limit: 15 bytes and the end */
};

static void *thread_main(void *memory)
{
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); /* before any cancellation point */
    struct start start = *(struct start *)memory;
    mem_free(memory);
    if (start.name[0] != '\0') { pthread_setname_np(pthread_self(), start.name); }
    start.run(start.argument);
    return NULL;
}

/* Up to the next page, and to what a thread needs at the least. False: there is no such size. */
static bool set_stack_size(pthread_attr_t *attributes, size_t size)
{
    long least = sysconf(_SC_THREAD_STACK_MIN), page = sysconf(_SC_PAGESIZE);
    if (least > 0) { size = max_size(size, (size_t)least); }
    size = max_size(size, (size_t)PTHREAD_STACK_MIN);
    if (page > 0) {
        if (!size_add(size, (size_t)page - 1, &size)) { return false; }
        size -= size % (size_t)page;
    }
    return pthread_attr_setstacksize(attributes, size) == 0;
}

/* The new thread inherits the mask of its creator, which is therefore filled before and restored
 * after: there is no moment in which a signal could be delivered to it. Faults are blocked too: the
 * kernel then ends the process at the faulting instruction, with a core, and runs no handler. */
bool os_thread_start(os_thread *thread, void (*run)(void *), void *argument, size_t stack_size,
                     const char *name)
{
    struct start *start = (struct start *)mem_zalloc(sizeof *start, alignof(struct start));
    if (start == NULL) { return false; }
    start->run = run;
    start->argument = argument;
    if (name != NULL) { memcpy(start->name, name, strnlen(name, sizeof start->name - 1)); }

    bool           started = false;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) == 0) {
        if (stack_size == 0 || set_stack_size(&attributes, stack_size)) {
            sigset_t all, old;
            sigfillset(&all);
            CHECK(pthread_sigmask(SIG_SETMASK, &all, &old) == 0);
            started = pthread_create(thread, &attributes, thread_main, start) == 0;
            CHECK(pthread_sigmask(SIG_SETMASK, &old, NULL) == 0);
        }
        pthread_attr_destroy(&attributes);
    }
    if (!started) { mem_free(start); }
    return started;
}

void os_thread_join(os_thread thread)
{
    int state;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state); /* a pool is not left half destroyed */
    int failed = pthread_join(thread, NULL);
    pthread_setcancelstate(state, &state);
    if (failed != 0) { panic("pthread_join: %s", strerror(failed)); }
}

void os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void))
{
    /* In a shared library it is bound to that library: where it is unloaded, they go with it. */
    CHECK(pthread_atfork(prepare, parent, child) == 0);
}

uintptr_t os_stack_end(void)
{
    pthread_attr_t attributes;
    void          *lowest = NULL;
    size_t         size;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) { return 0; }
    if (pthread_attr_getstack(&attributes, &lowest, &size) != 0) { lowest = NULL; }
    pthread_attr_destroy(&attributes);
    return (uintptr_t)lowest;
}

bool os_thread_alone(void)
{
    struct stat threads; /* a folder each: with "." and "..", and one link from outside */
    return stat("/proc/self/task", &threads) == 0 && threads.st_nlink == 3;
}

/* ── Mutex ───────────────────────────────────────────────────────────────────────────────────── */

void os_mutex_init(os_mutex *mutex) { CHECK(pthread_mutex_init(mutex, NULL) == 0); }

void os_mutex_destroy(os_mutex *mutex) { CHECK(pthread_mutex_destroy(mutex) == 0); }

void os_mutex_lock(os_mutex *mutex) { CHECK(pthread_mutex_lock(mutex) == 0); }

void os_mutex_unlock(os_mutex *mutex) { CHECK(pthread_mutex_unlock(mutex) == 0); }
