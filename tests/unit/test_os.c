/* test_os.c: runtime/os_linux.c, and the memory and the panic beneath everything else. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "check.h"
#include "mem.h"
#include "os.h"

#include <alloca.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS UINT64_C(1000000)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZER
#endif
#endif

static void sleep_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * (long)MS};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

/* ── Panic ───────────────────────────────────────────────────────────────────────────────────── */

/* Runs `body` in a child; gives its exit status and what it wrote to stderr. */
static int in_child(void (*body)(void), char *text, size_t size)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    cr_assert_geq(child, 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        signal(SIGABRT, SIG_DFL); /* not the test framework's handler */
        body();
        _exit(0);
    }
    close(ends[1]);
    size_t length = 0;
    for (ssize_t got; length < size - 1; length += (size_t)got) {
        got = read(ends[0], text + length, size - 1 - length);
        if (got <= 0) { break; }
    }
    text[length] = '\0';
    close(ends[0]);
    int status = 0;
    cr_assert_eq(waitpid(child, &status, 0), child);
    return status;
}

static bool aborted(int status) { return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT; }

static void panics(void) { panic_at("/some/where/file.c", 12, "%d and %s", 7, "words"); }
static void breaks(void) { CHECK(1 > 2); }
static void holds(void) { CHECK(2 > 1); }
static void panics_at_length(void)
{
    char words[5000];
    memset(words, 'x', sizeof words);
    words[sizeof words - 1] = '\0';
    panic_at(words, 1, "%s", words);
}

Test(check, says_where_and_what_then_aborts)
{
    char text[8192];
    cr_assert(aborted(in_child(panics, text, sizeof text)));
#ifdef EMULATED /* the emulator says there too that the child has aborted */
    text[strcspn(text, "\n") + 1] = '\0';
#endif
    cr_assert_str_eq(text, "async: file.c:12: 7 and words\n");
    cr_assert(aborted(in_child(breaks, text, sizeof text)));
    cr_assert_not_null(strstr(text, "async: test_os.c:"));
    cr_assert_not_null(strstr(text, "broken: 1 > 2\n"));
    cr_assert_eq(in_child(holds, text, sizeof text), 0);
    cr_assert_str_eq(text, "");
    cr_assert(aborted(in_child(panics_at_length, text, sizeof text)));
    cr_assert_eq(text[strlen(text) - 1], '\n', "cut, and still a line");
}

/* ── Memory ──────────────────────────────────────────────────────────────────────────────────── */

Test(mem, zeroed_and_aligned)
{
    for (size_t alignment = 1; alignment <= 8192; alignment *= 2) {
        const size_t sizes[] = {0, 1, 7, 64, 100, 4097, 100000};
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            unsigned char *memory = mem_zalloc(sizes[i], alignment);
            cr_assert_not_null(memory);
            cr_assert_eq((uintptr_t)memory % alignment, 0);
            cr_assert_eq((uintptr_t)memory % alignof(max_align_t), 0);
            for (size_t at = 0; at < sizes[i]; at++) { cr_assert_eq(memory[at], 0); }
            memset(memory, 0xff, sizes[i]); /* for the next one */
            mem_free(memory);
        }
    }
    mem_free(NULL);
}

#ifndef SANITIZER /* it takes such sizes for a mistake */
Test(mem, F12_a_size_that_cannot_be_is_null)
{
    cr_assert_null(mem_zalloc(SIZE_MAX, 1));
    cr_assert_null(mem_zalloc(SIZE_MAX, 64));
    cr_assert_null(mem_zalloc(SIZE_MAX - 63, 4096));
    cr_assert_null(mem_zalloc(SIZE_MAX / 2 + 1, 64));
}
#endif

Test(mem, F12_sums_and_products)
{
    size_t result = 0;
    cr_assert(size_mul(SIZE_MAX / 2, 2, &result));
    cr_assert_eq(result, SIZE_MAX - 1);
    cr_assert_not(size_mul(SIZE_MAX / 2 + 1, 2, &result));
    cr_assert(size_add(SIZE_MAX - 1, 1, &result));
    cr_assert_eq(result, SIZE_MAX);
    cr_assert_not(size_add(SIZE_MAX, 1, &result));
}

/* ── Clock and futex ─────────────────────────────────────────────────────────────────────────── */

Test(os, the_clock_goes_forward)
{
    uint64_t first = os_now_ns();
    for (int i = 0; i < 10000; i++) {
        uint64_t now = os_now_ns();
        cr_assert_geq(now, first);
        first = now;
    }
    sleep_ms(20);
    cr_assert_geq(os_now_ns() - first, 20 * MS);
}

Test(os, futex_returns_at_once_from_another_word)
{
    shared_u32 word = 1;
    cr_assert(os_futex_wait(&word, 0, OS_NEVER));
    cr_assert(os_futex_wait(&word, UINT32_MAX, 0));
}

/* F17 */
Test(os, F17_futex_deadlines)
{
    shared_u32 word = 5;
    uint64_t   now = os_now_ns(), past[] = {0, 1, 999999999, now - 1, now};
    for (size_t i = 0; i < sizeof past / sizeof *past; i++) {
        cr_assert_not(os_futex_wait(&word, 5, past[i]));
    }
    cr_assert_lt(os_now_ns() - now, 1000 * MS);
    uint64_t deadline = os_now_ns() + 50 * MS;
    cr_assert_not(os_futex_wait(&word, 5, deadline));
    cr_assert_geq(os_now_ns(), deadline);
}

struct sleeper {
    os_thread  thread;
    shared_u32 word, awake;
    uint64_t   deadline;
    bool       answer;
};

static void sleeper_main(void *argument)
{
    struct sleeper *sleeper = argument;
    sleeper->answer = os_futex_wait(&sleeper->word, 0, sleeper->deadline);
    store_release(&sleeper->awake, 1);
}

Test(os, futex_wakes_and_zero_wakes_none)
{
    const uint64_t deadlines[] = {OS_NEVER, OS_NEVER - 1, INT64_MAX, (uint64_t)INT64_MAX + 1};
    for (size_t i = 0; i < sizeof deadlines / sizeof *deadlines; i++) {
        struct sleeper sleeper = {.deadline = deadlines[i]};
        cr_assert(os_thread_start(&sleeper.thread, sleeper_main, &sleeper, 0, NULL));
        sleep_ms(50);
        os_futex_wake(&sleeper.word, 0);
        sleep_ms(20);
        cr_assert_eq(load_acquire(&sleeper.awake), 0, "it sleeps");
        os_futex_wake(&sleeper.word, i % 2 == 0 ? 1 : UINT32_MAX);
        os_thread_join(sleeper.thread);
        cr_assert(sleeper.answer);
    }
}

/* A waker may come after the word's memory has gone. */
Test(os, F9_futex_wakes_by_address)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void  *memory = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(memory, MAP_FAILED);
    munmap(memory, page);
    os_futex_wake(memory, 1);
    os_futex_wake(memory, UINT32_MAX);
}

/* A filter that answers every futex call with `error`. */
static int  refusal;
static void refuse_futex(void)
{
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ((uint32_t)refusal & SECCOMP_RET_DATA)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {.len = sizeof program / sizeof *program, .filter = program};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) { _exit(77); }
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) { _exit(77); }
}
static void waits_refused(void)
{
    shared_u32 word = 0;
    refuse_futex();
    os_futex_wait(&word, 0, os_now_ns() + MS);
}
static void wakes_refused(void)
{
    shared_u32 word = 0;
    refuse_futex();
    os_futex_wake(&word, 1);
}

/* F62: no spin, a message. */
Test(os, F62_futex_refused)
{
    void (*const bodies[])(void) = {waits_refused, wakes_refused};
    const int errors[] = {ENOSYS, EPERM};
    for (int i = 0; i < 4; i++) {
        char text[8192];
        refusal = errors[i / 2];
        int status = in_child(bodies[i % 2], text, sizeof text);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 77) { cr_skip_test("no seccomp here"); }
        cr_assert(aborted(status));
        cr_assert_not_null(strstr(text, "futex is refused here"), "%s", text);
    }
}

/* ── Threads ─────────────────────────────────────────────────────────────────────────────────── */

struct seen {
    sigset_t mask;
    int      cancel;
    char     name[16];
    size_t   stack;
    size_t   touch; /* bytes of its stack to use */
};

static void look(void *argument)
{
    struct seen *seen = argument;
    pthread_sigmask(SIG_BLOCK, NULL, &seen->mask);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &seen->cancel);
    pthread_getname_np(pthread_self(), seen->name, sizeof seen->name);
    pthread_attr_t attributes;
    void          *address;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &address, &seen->stack);
    pthread_attr_destroy(&attributes);
    if (seen->touch > 0) { memset(alloca(seen->touch), 1, seen->touch); }
}

static struct seen run_thread(size_t stack_size, const char *name)
{
    struct seen seen;
    memset(&seen, 0, sizeof seen);
    seen.touch = stack_size / 2;
    os_thread thread;
    cr_assert(os_thread_start(&thread, look, &seen, stack_size, name));
    os_thread_join(thread);
    return seen;
}

/* F54 */
Test(os, F54_threads_have_all_signals_blocked)
{
    sigset_t before, after;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    struct seen seen = run_thread(0, "worker");
    pthread_sigmask(SIG_BLOCK, NULL, &after);
    for (int number = 1; number <= SIGRTMAX; number++) {
        if (number >= 32 && number < SIGRTMIN) { continue; } /* the C library's own */
#ifdef EMULATED
        if (number >= SIGRTMAX - 1) { continue; } /* the emulator's */
#endif
        if (number != SIGKILL && number != SIGSTOP) {
            cr_assert(sigismember(&seen.mask, number) == 1, "signal %d", number);
        }
        cr_assert_eq(sigismember(&after, number), number == SIGUSR2, "the creator's %d", number);
    }
}

/* F52 */
Test(os, F52_threads_cannot_be_cancelled)
{
    cr_assert_eq(run_thread(0, "worker").cancel, PTHREAD_CANCEL_DISABLE);
}

Test(os, thread_names_are_cut)
{
    cr_assert_str_eq(run_thread(0, "0123456789abcdefgh").name, "0123456789abcde");
    cr_assert_str_eq(run_thread(0, "0123456789abcde").name, "0123456789abcde");
    cr_assert_str_eq(run_thread(0, "w").name, "w");
    char own[16];
    pthread_getname_np(pthread_self(), own, sizeof own);
    cr_assert_str_eq(run_thread(0, "").name, own, "the creator's");
    cr_assert_str_eq(run_thread(0, NULL).name, own, "the creator's");
}

#ifndef SANITIZER /* its thread data does not fit */
Test(os, stack_sizes_are_rounded_up)
{
    size_t       page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t sizes[] = {1, 1000, 16384, 65536, 65537, 100001, 8 << 20};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        size_t stack = run_thread(sizes[i], "stack").stack;
        cr_assert_geq(stack, sizes[i]);
        cr_assert_geq(stack, (size_t)PTHREAD_STACK_MIN);
        cr_assert_leq(stack, max_size(sizes[i], (size_t)sysconf(_SC_THREAD_STACK_MIN)) + page);
    }
}
#endif

/* F41 */
Test(os, F41_a_thread_that_cannot_be)
{
    const size_t sizes[] = {SIZE_MAX, SIZE_MAX - 5000, SIZE_MAX / 2, (size_t)1 << 60};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        os_thread thread;
        sigset_t  mask;
        cr_assert_not(os_thread_start(&thread, look, NULL, sizes[i], "none"));
        pthread_sigmask(SIG_BLOCK, NULL, &mask);
        cr_assert_eq(sigismember(&mask, SIGUSR1), 0, "the mask is as it was");
    }
}

static os_mutex mutex;
static int      under_the_mutex;

static void add_often(void *argument)
{
    for (int i = 0; i < 20000; i++) {
        os_mutex_lock(&mutex);
        under_the_mutex += *(int *)argument;
        os_mutex_unlock(&mutex);
    }
}

Test(os, a_mutex_excludes)
{
    int       one = 1;
    os_thread threads[4];
    os_mutex_init(&mutex);
    for (int i = 0; i < 4; i++) {
        cr_assert(os_thread_start(&threads[i], add_often, &one, 0, "add"));
    }
    for (int i = 0; i < 4; i++) { os_thread_join(threads[i]); }
    os_mutex_destroy(&mutex);
    cr_assert_eq(under_the_mutex, 80000);
}

/* ── CPUs ────────────────────────────────────────────────────────────────────────────────────── */

/* F57 */
Test(os, F57_the_affinity_mask_counts)
{
    cpu_set_t set, one;
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    cr_assert_eq(os_cpu_affinity(), (unsigned)CPU_COUNT(&set));
    cr_assert_eq(os_cpus_shared(), os_cpu_affinity());
    cr_assert_geq(os_cpu_count(), 1);
    cr_assert_leq(os_cpu_count(), os_cpu_affinity());

    int cpu = 0;
    while (!CPU_ISSET((size_t)cpu, &set)) { cpu++; }
    CPU_ZERO(&one);
    CPU_SET((size_t)cpu, &one);
    cr_assert_eq(sched_setaffinity(0, sizeof one, &one), 0);
    cr_assert_eq(os_cpu_affinity(), 1);
    cr_assert_eq(os_cpu_count(), 1);
    sleep_ms(2100);
    cr_assert_eq(os_cpus_shared(), 1, "what was said before is forgotten");
}

/* A thread with a CPU of its own has the others' to wait for. */
static void pinned_elsewhere(void *argument)
{
    const cpu_set_t *where = argument;
    cr_assert_eq(sched_setaffinity(0, sizeof *where, where), 0);
    (void)os_cpus_shared();
}

Test(os, the_cpus_of_pinned_threads_add_up)
{
    cpu_set_t set, one[2];
    cr_assert_eq(sched_getaffinity(0, sizeof set, &set), 0);
    if (CPU_COUNT(&set) < 2) { cr_skip_test("one CPU"); }
    size_t cpu = 0;
    for (int i = 0; i < 2; i++, cpu++) {
        while (!CPU_ISSET(cpu, &set)) { cpu++; }
        CPU_ZERO(&one[i]);
        CPU_SET(cpu, &one[i]);
    }
    pinned_elsewhere(&one[0]);
    cr_assert_eq(os_cpus_shared(), 1);
    os_thread other;
    cr_assert(os_thread_start(&other, pinned_elsewhere, &one[1], 0, "elsewhere"));
    os_thread_join(other);
    cr_assert_eq(os_cpus_shared(), 2);
}

/* A tree of cgroup files below a folder of its own. */
static char tree[PATH_MAX];

static void put(const char *path, const char *text)
{
    char full[2 * PATH_MAX];
    snprintf(full, sizeof full, "%s%s", tree, path);
    for (char *slash = full + strlen(tree) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(full, 0755);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    cr_assert_not_null(file, "%s", full);
    fputs(text, file);
    fclose(file);
}

static void new_tree(const char *membership)
{
    const char *base = getenv("TMPDIR");
    snprintf(tree, sizeof tree, "%s/async-test-XXXXXX", base != NULL ? base : "/tmp");
    cr_assert_not_null(mkdtemp(tree));
    if (membership != NULL) { put("/proc/self/cgroup", membership); }
}

static void end_tree(void)
{
    char command[PATH_MAX + 16];
    snprintf(command, sizeof command, "rm -rf '%s'", tree);
    cr_assert_eq(system(command), 0);
}

Test(os, F57_cgroup_v2)
{
    new_tree("0::/app/part\n");
    cr_assert_eq(os_cgroup_cpus(tree), UINT_MAX, "no file, no limit");
    put("/sys/fs/cgroup/app/part/cpu.max", "max 100000\n");
    cr_assert_eq(os_cgroup_cpus(tree), UINT_MAX);
    put("/sys/fs/cgroup/app/part/cpu.max", "250000 100000\n");
    cr_assert_eq(os_cgroup_cpus(tree), 3, "2.5 rounded up");
    put("/sys/fs/cgroup/app/part/cpu.max", "300000 100000\n");
    cr_assert_eq(os_cgroup_cpus(tree), 3);
    put("/sys/fs/cgroup/app/part/cpu.max", "1 100000\n");
    cr_assert_eq(os_cgroup_cpus(tree), 1);
    put("/sys/fs/cgroup/app/part/cpu.max", "800000 100000\n");
    put("/sys/fs/cgroup/app/cpu.max", "50000 100000\n");
    cr_assert_eq(os_cgroup_cpus(tree), 1, "the group above allows less");
    put("/sys/fs/cgroup/app/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/cpu.max", "400000 100000\n");
    cr_assert_eq(os_cgroup_cpus(tree), 4, "a container's own group is the root");
    const char *const odd[] = {"",           "\n",        "x y\n", "0 100000\n", "-1 100000\n",
                               "100000 0\n", "100000 x\n"};
    put("/sys/fs/cgroup/cpu.max", "");
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        put("/sys/fs/cgroup/app/part/cpu.max", odd[i]);
        cr_assert_eq(os_cgroup_cpus(tree), UINT_MAX, "%s", odd[i]);
    }
    put("/sys/fs/cgroup/app/part/cpu.max", "9223372036854775807 1\n");
    cr_assert_eq(os_cgroup_cpus(tree), UINT_MAX);
    end_tree();
}

Test(os, F57_cgroup_v1)
{
    new_tree("12:cpuset:/other\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n0::/\n");
    put("/sys/fs/cgroup/cpuset/other/cpu.cfs_quota_us", "1\n"); /* not the controller in question */
    put("/sys/fs/cgroup/cpuset/other/cpu.cfs_period_us", "100000\n");
    cr_assert_eq(os_cgroup_cpus(tree), UINT_MAX);
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
    cr_assert_eq(os_cgroup_cpus(tree), UINT_MAX);
    put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n");
    cr_assert_eq(os_cgroup_cpus(tree), 2);
    put("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_quota_us", "50000\n");
    put("/sys/fs/cgroup/cpu/docker/abc/cpu.cfs_period_us", "50000\n");
    cr_assert_eq(os_cgroup_cpus(tree), 1);
    end_tree();

    new_tree("4:cpuacct,cpuset:/\n3:cpuacct,cpu:/\n");
    put("/sys/fs/cgroup/cpuacct,cpu/cpu.cfs_quota_us", "700000\n");
    put("/sys/fs/cgroup/cpuacct,cpu/cpu.cfs_period_us", "100000\n");
    cr_assert_eq(os_cgroup_cpus(tree), 7);
    end_tree();
}

Test(os, cgroup_files_that_are_not_there)
{
    new_tree(NULL);
    cr_assert_eq(os_cgroup_cpus(tree), UINT_MAX);
    put("/proc/self/cgroup", "\n:\n::\nnothing\n0:/\n");
    cr_assert_eq(os_cgroup_cpus(tree), UINT_MAX);
    put("/proc/self/cgroup", "0::/app (deleted)\n0::\n");
    put("/sys/fs/cgroup/cpu.max", "100000 100000\n");
    cr_assert_eq(os_cgroup_cpus(tree), 1);
    end_tree();
}
