/* worker.c: row C17 for pools, and F56: a worker stands still after each instruction of its way
 * from inside a task's function to its sleep for want of work, and another task of the same pool
 * goes on: only what the frozen worker itself holds waits for it.
 *
 * The pool has two workers. A serial task's function executes int3 and is stopped there; from there
 * its thread is stepped, on a way of some thousand instructions. It is frozen at each STRIDEth of
 * them, beginning with another one each time the way is gone; so each instruction has its turn.
 * (Frozen at every instruction of one way, it would get nowhere: the others change more between two
 * of its instructions than it looks at.) While it is frozen, and the other worker has gone to
 * sleep, the other task must give READS items, one read each; at the first point, in the function,
 * a read of the stopped task that waits for a while must get TIMEOUT. */
#define _GNU_SOURCE
#include "pipeline.h"
#include "traced.h"

#include <dirent.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define READS  10
#define STRIDE 64 /* and as often the way is gone */
/* of one way: others may bring work so that it does not come to its sleep */
#define STEPS_MAX    2000
#define BLOCKING_MAX 30          /* after so many it is clear */
#define SPIN_NS      2000000000u /* of CPU time without a read that is done */
#define QUIET        15          /* looks, 2 ms apart, at which all sleep */
#define WATCHDOG     120

struct board {
    atomic_uint armed;         /* the next call is stopped */
    atomic_uint ask, answered; /* reads of the task that is stopped */
    atomic_uint go, done;      /* times READS, of the other */
    atomic_uint reads;
    atomic_uint stopped;   /* thread id of the worker in the function */
    atomic_uint seized;    /* it may go on */
    atomic_uint must_wait; /* the stopped task must give nothing */
    atomic_uint failed;
};

static struct board *board;
static pid_t         process;

static void futex_sleep(atomic_uint *word, unsigned value, long ns)
{
    struct timespec time = {0, ns};
    syscall(SYS_futex, word, FUTEX_WAIT, value, ns == 0 ? NULL : &time, NULL, 0);
}

static void add_and_wake(atomic_uint *word)
{
    atomic_fetch_add(word, 1);
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void await(atomic_uint *word, unsigned value)
{
    unsigned now;
    while ((now = atomic_load(word)) != value) { futex_sleep(word, now, 0); }
}

/* ---- the world ---- */

static int stand_still(const void *in, void *out, void *context)
{
    (void)context;
    memcpy(out, in, sizeof(uint64_t));
    if (atomic_exchange(&board->armed, 0) == 0) {
        return 0; /* an item that the read which got TIMEOUT had asked for */
    }
    unsigned before = atomic_load(&board->seized);
    atomic_store(&board->stopped, (unsigned)gettid());
    syscall(SYS_futex, &board->stopped, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    await(&board->seized, before + 1);
#ifdef __x86_64__
    __asm__ volatile("int3");
#endif
    return 0;
}

static void read_still(void *argument)
{
    async_reader *reader = argument;
    for (unsigned turn = 1;; turn++) {
        uint64_t item;
        await(&board->ask, turn);
        do { /* what the read which got TIMEOUT had asked for may be ready */
            if (async_reader_read(reader, &item, 1, NULL, async_forever()) != ASYNC_OK) {
                atomic_store(&board->failed, 1);
            }
        } while (atomic_load(&board->armed) != 0);
        add_and_wake(&board->answered);
    }
}

static _Noreturn void world(void)
{
    async_pool   *pool = pool_of(2);
    async_source  source = async_source_range(0, UINT64_MAX / 2);
    async_reader *still = TASK(pool, .source = &source, .each = stand_still, .max_chunksize = 1,
                               .max_parallel = 1);
    async_reader *other = TASK(pool, .source = &source, .each = each_twice, .max_chunksize = 1);
    thread        first;
    thread_start(&first, read_still, still);
    uint64_t item, wanted = 0;
    for (unsigned turn = 1;; turn++) {
        await(&board->go, turn);
        if (atomic_load(&board->must_wait) != 0 &&
            async_reader_read(still, &item, 1, NULL, async_within_ms(2)) != ASYNC_TIMEOUT) {
            atomic_store(&board->failed, 2);
        }
        for (unsigned i = 0; i < READS; i++, wanted += 2) {
            async_status status = async_reader_read(other, &item, 1, NULL, async_forever());
            if (status != ASYNC_OK || item != wanted) { atomic_store(&board->failed, 3); }
            atomic_fetch_add(&board->reads, 1);
        }
        add_and_wake(&board->done);
    }
}

/* ---- the tracer ---- */

static size_t at_point;

static void on_alarm(int number)
{
    (void)number;
    fprintf(stderr, "freezer: worker, point %zu: nothing moves for %d s\n", at_point, WATCHDOG);
    process_print_threads(process);
    kill(process, SIGKILL);
    _exit(1);
}

static _Noreturn void gave_up(const char *why)
{
    fprintf(stderr, "freezer: worker, point %zu: %s\n", at_point, why);
    kill(process, SIGKILL);
    exit(1);
}

/* Whether no thread runs or could run: asleep, or stopped by the tracer. */
static bool none_runs(void)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/task", (int)process);
    DIR *folder = opendir(path);
    if (folder == NULL) { gave_up("the test's process has ended"); }
    bool none = true;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        none = none && (entry->d_name[0] == '.' ||
                        strchr("StT", traced_state(atoi(entry->d_name))) != NULL);
    }
    closedir(folder);
    return none;
}

/* False: the other task does not go on. */
static bool others_finish(unsigned turn)
{
    uint64_t begun = process_cpu_time(process), last = begun;
    unsigned quiet = 0, reads = atomic_load(&board->reads), done;
    while ((done = atomic_load(&board->done)) != turn) {
        futex_sleep(&board->done, done, 2000000);
        uint64_t now = process_cpu_time(process);
        unsigned moved = atomic_load(&board->reads);
        if (moved != reads) {
            reads = moved;
            begun = now;
        }
        if (now - begun > SPIN_NS) { return false; }
        quiet = now == last && none_runs() ? quiet + 1 : 0;
        if (quiet == QUIET && atomic_load(&board->done) != turn) { return false; }
        last = now;
    }
    return true;
}

#define WORKERS_MAX 8
static struct traced workers[WORKERS_MAX];
static unsigned      worker_count;

/* The worker that stands in the function, at its int3. NULL: it cannot be traced; *why. */
static struct traced *stopped_worker(const char **why)
{
    unsigned       id;
    struct traced *worker = NULL;
    while ((id = atomic_load(&board->stopped)) == 0) { futex_sleep(&board->stopped, 0, 0); }
    for (unsigned i = 0; i < worker_count; i++) {
        if (workers[i].id == (pid_t)id) { worker = &workers[i]; }
    }
    if (worker == NULL) {
        if (worker_count == WORKERS_MAX) { gave_up("too many workers"); }
        worker = &workers[worker_count];
        traced_skip_system(worker);
        if (!traced_seize(worker, (pid_t)id, why)) { return NULL; }
        worker_count++;
    }
    atomic_store(&board->stopped, 0);
    add_and_wake(&board->seized);
    if (!traced_wait(worker)) { gave_up("the worker has ended"); }
    return worker;
}

int main(void)
{
    unsigned    turns = 0, asked = 0;
    size_t      points = 0, blocking = 0, steps = 0;
    const char *why = "";
    uint64_t    begun = now_ms();
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED) { return 2; }
    process = fork();
    if (process == 0) { world(); }
    signal(SIGALRM, on_alarm);
    for (unsigned way = 0; way < STRIDE && blocking < BLOCKING_MAX; way++) {
        alarm(WATCHDOG);
        atomic_store(&board->armed, 1);
        add_and_wake(&board->ask);
        asked++;
        struct traced *worker = stopped_worker(&why);
        if (worker == NULL) {
            kill(process, SIGKILL);
            fprintf(stderr, "skipped: no thread can be traced here: %s\n", why);
            return 77;
        }
        bool      free = true, stopped = true;
        size_t    k = 0;
        uintptr_t at = 0;
        for (; k < STEPS_MAX && stopped && free; k++) {
            alarm(WATCHDOG);
            at_point = k;
            at = traced_at(worker);
            if (k % STRIDE == way) {
                while (!none_runs()) { sleep_us(20); }
                atomic_store(&board->must_wait, k == 0);
                turns++;
                add_and_wake(&board->go);
                free = others_finish(turns);
                points++;
            }
            if (free && !traced_step_or_sleep(worker, &stopped)) {
                gave_up("the worker has ended");
            }
        }
        if (!stopped && !traced_interrupt(worker)) { gave_up("the worker has ended"); }
        traced_release(worker);
        if (!free) {
            printf("    blocks after %zu instructions, at ", k - 1);
            traced_print_place(at);
            fflush(stdout);
            blocking++;
            if (!others_finish(turns)) {
                gave_up("the other task is stuck though the frozen worker went on");
            }
        }
        steps += k;
        await(&board->answered, asked);
        if (atomic_load(&board->failed) != 0) {
            fprintf(stderr, "failed (%u)\n", atomic_load(&board->failed));
            gave_up("a read did not give what it must");
        }
    }
    kill(process, SIGKILL);
    printf(
        "a worker, from its function to its sleep, %zu instructions on average: %zu points, %zu of "
        "them block; %.1f s\n",
        steps / STRIDE, points, blocking, (double)(now_ms() - begun) / 1e3);
    return blocking != 0;
}
