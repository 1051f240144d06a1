/* calls.c: functions and callbacks that end the pool, call back in, or crash: F44, F53, F59. */
#define _GNU_SOURCE
#include "cases.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- F44 ---- */

typedef struct destroyer {
    async_pool  *pool;
    async_status statuses[2];
} destroyer;

static int destroys(const void *in, void *out, void *context)
{
    destroyer *d = context;
    d->statuses[0] = async_pool_destroy(d->pool, ASYNC_DRAIN);
    d->statuses[1] = async_pool_destroy(d->pool, ASYNC_DROP);
    *(uint64_t *)out = *(const uint64_t *)in;
    return 0;
}

static int next_destroys(void *items, size_t count, size_t *got, void *context)
{
    for (*got = 0; *got < count; ++*got) { ((uint64_t *)items)[*got] = *got; }
    return destroys(items, items, context);
}

static void f44(void)
{
    EACH_SIZE (n) {
        uint64_t      items[10];
        destroyer     d = {.pool = pool_of(n)}, e = d;
        async_reader *r = TASK(d.pool, .source = range_of(0, 10), .each = destroys, .context = &d);
        WANT_READ(r, items, 10, soon(), ASYNC_OK, 10);
        WANT_STATUS(d.statuses[0], ASYNC_DEADLOCK);
        WANT_STATUS(d.statuses[1], ASYNC_DEADLOCK);
        async_source  from = async_source_from(next_destroys, &e, sizeof(uint64_t));
        async_reader *s = TASK(d.pool, .source = &from);
        WANT_READ(s, items, 10, soon(), ASYNC_OK, 10);
        WANT_STATUS(e.statuses[0], ASYNC_DEADLOCK);
        /* A pool of its own is nobody's but the function's. */
        async_reader_release(r);
        async_reader_release(s);
        WANT_STATUS(async_pool_destroy(d.pool, ASYNC_DRAIN), ASYNC_OK);
    }
}

/* ---- F53 ---- */

static volatile uintptr_t nowhere = 0x10;

static int faults(const void *in, void *out, void *context)
{
    (void)in;
    (void)out;
    (void)context;
    return *(volatile int *)nowhere; /* NOLINT */
}

static int aborts(const void *in, void *out, void *context)
{
    (void)in;
    (void)out;
    (void)context;
    abort();
}

static bool keep_handlers;

#define CULPRIT "the task whose function crashes"
static uintptr_t *told; /* memory that the parent sees, too: where the task is; or NULL */

/* Never returns: the process ends in the function. */
static void ends_in(async_each_fn *function, unsigned n)
{
    uint64_t           item;
    async_pool        *pool;
    async_pool_options options = {.name = "crashing"};
    struct rlimit      none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    /* Not the sanitizer's report. */
    if ((ASAN || TSAN) && !keep_handlers) { signal(SIGSEGV, SIG_DFL); }
    WANT_STATUS(async_pool_create(&pool, n, &options), ASYNC_OK);
    async_reader *r = TASK(pool, .source = range_of(0, 10), .each = function, .name = CULPRIT);
    if (told != NULL) { *told = (uintptr_t)async_reader_task(r); }
    (void)async_reader_read(r, &item, 1, NULL, async_forever());
    watched_failed(__FILE__, __LINE__, "still there");
}

static void f53_segv_worker(void) { ends_in(faults, 2); }
static void f53_segv_reader(void) { ends_in(faults, 0); }
static void f53_abort_worker(void) { ends_in(aborts, 2); }
static void f53_abort_reader(void) { ends_in(aborts, 0); }

static async_reader *in_handler;

/* What a handler may do: look, and end the process. */
static void handler(int signal)
{
    (void)async_reader_ready(in_handler);
    _exit(signal == SIGABRT ? 71 : 72);
}

static void ends_with_handler(async_each_fn *function, unsigned n, int signal, int code)
{
    pid_t child = fork();
    WANT(child >= 0);
    if (child == 0) {
        struct sigaction action = {.sa_handler = handler};
        keep_handlers = true;
        sigaction(SIGSEGV, &action, NULL);
        sigaction(SIGABRT, &action, NULL);
        async_writer *writer;
        channel_of(&writer, &in_handler, 0, NULL);
        ends_in(function, n);
    }
    int status;
    WANT(waitpid(child, &status, 0) == child);
    WANT_EQ(WIFSIGNALED(status) ? WTERMSIG(status) : 0, signal);
    WANT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : 0, code);
}

/* The program's handlers run where signals are not blocked; a fault in a worker ends the process
 * where it happened. No case hangs. */
static void f53_handlers(void)
{
    ends_with_handler(faults, 0, 0, 72);
    ends_with_handler(faults, 2, SIGSEGV, 0);
    ends_with_handler(aborts, 0, 0, 71);
    ends_with_handler(aborts, 2, 0, 71); /* abort() unblocks its signal */
}

/* Reads memory of the stopped child; how much of it there is. */
static size_t peek(pid_t child, uintptr_t from, void *to, size_t size)
{
    struct iovec here = {to, size}, there = {(void *)from, size}; /* NOLINT */
    ssize_t      got = process_vm_readv(child, &here, 1, &there, 1, 0);
    return got < 0 ? 0 : (size_t)got;
}

static uintptr_t stack_pointer(pid_t child, pid_t tid)
{
    char      path[64];
    uintptr_t pointer = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/syscall", child, tid);
    FILE *file = fopen(path, "r"); /* "-1 stack counter": it is in none */
    WANT(file != NULL && fscanf(file, "%*d %" SCNxPTR, &pointer) == 1);
    fclose(file);
    return pointer;
}

/* The frames of the thread hold a pointer to its task, and the task its name. */
static void find_task(pid_t child, pid_t tid)
{
    uintptr_t words[4096], at = stack_pointer(child, tid) & ~(uintptr_t)7;
    char      task[1024] = "";
    bool      held = false;
    size_t    count = 0;
    for (size_t part = 0; part < sizeof words / 512; part++) { /* up to where the stack ends */
        count += peek(child, at + part * 512, &words[part * 512 / sizeof *words], 512);
        if (count < (part + 1) * 512) { break; }
    }
    for (size_t i = 0; i < count / sizeof *words; i++) { held = held || words[i] == *told; }
    WANT(held);
    size_t size = peek(child, *told, task, sizeof task);
    WANT(size > 0 && memmem(task, size, CULPRIT, sizeof CULPRIT) != NULL);
}

/* What a core would show: the thread that faulted, where it stood, whose it is, and which task it
 * was at. */
static void f53_core(void)
{
    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    WANT(told != MAP_FAILED);
    pid_t child = fork();
    WANT(child >= 0);
    if (child == 0) {
        signal(SIGSEGV, SIG_DFL);
        raise(SIGSTOP);
        ends_in(faults, 1);
    }
    int status;
    WANT(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
    if (ptrace(PTRACE_SEIZE, child, NULL, (void *)(intptr_t)PTRACE_O_TRACECLONE) != 0) {
        int reason = errno;
        kill(child, SIGKILL);
        watched_skip("F53: no ptrace here: %s", strerror(reason));
    }
    kill(child, SIGCONT);
    bool seen = false;
    for (;;) {
        pid_t tid = waitpid(-1, &status, __WALL);
        WANT(tid > 0);
        if (WIFEXITED(status) && tid != child) { continue; }
        if (!WIFSTOPPED(status)) { break; }
        int by = WSTOPSIG(status);
        if (status >> 16 == 0 && by == SIGSEGV) {
            siginfo_t info;
            char      path[64], name[32] = "";
            WANT(ptrace(PTRACE_GETSIGINFO, tid, NULL, &info) == 0);
            snprintf(path, sizeof path, "/proc/%d/comm", tid);
            FILE *comm = fopen(path, "r");
            WANT(comm != NULL && fgets(name, sizeof name, comm) != NULL);
            fclose(comm);
            WANT(tid != child && strcmp(name, "crashing\n") == 0);
            WANT_EQ((uintptr_t)info.si_addr, nowhere);
            find_task(child, tid);
            seen = true;
        }
        ptrace(PTRACE_CONT, tid, NULL, (void *)(intptr_t)(status >> 16 == 0 ? by : 0));
    }
    WANT(seen);
    WANT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

/* ---- F59 ---- */

typedef struct again {
    async_pool   *pool;
    async_reader *reader;
    async_writer *writer;
    unsigned      depth;
    uint64_t      discarded;
} again;

static int pre_write_writes(void *items, size_t count, void *context)
{
    again   *a = context;
    uint64_t item = 100;
    (void)items;
    (void)count;
    if (a->depth == 0) {
        a->depth++;
        WANT_STATUS(async_writer_write(a->writer, &item, 1, NULL, async_now()), ASYNC_OK);
        a->depth--;
    }
    return 0;
}

static int pre_read_reads(size_t count, void *context)
{
    again   *a = context;
    uint64_t item;
    (void)count;
    if (a->depth == 0) {
        a->depth++;
        WANT_READ(a->reader, &item, 1, async_now(), ASYNC_OK, 1);
        WANT_EQ(item, 100);
        a->depth--;
    }
    return 0;
}

static void post_read_reads(void *items, size_t *count, void *context)
{
    again   *a = context;
    uint64_t item;
    (void)items;
    (void)count;
    if (a->depth == 0) {
        a->depth++;
        WANT_READ(a->reader, &item, 1, async_now(), ASYNC_OK, 1);
        a->depth--;
    }
}

static void discard_calls_back(void *items, size_t count, void *context)
{
    again   *a = context;
    uint64_t item = 0;
    (void)items;
    a->discarded += count;
    WANT_STATUS(async_writer_write(a->writer, &item, 1, NULL, async_now()), ASYNC_CLOSED);
    WANT_STATUS(async_writer_close(a->writer), ASYNC_OK);
}

static void f59_channel(void)
{
    again                 a = {.depth = 0};
    uint64_t              items[10];
    async_channel_options options = {.discard = discard_calls_back, .context = &a};
    WANT_STATUS(async_channel_create(&a.writer, &a.reader, sizeof(uint64_t), &options), ASYNC_OK);
    WANT_STATUS(async_writer_set_pre(a.writer, pre_write_writes, &a, NULL, NULL), ASYNC_OK);
    write_numbers(a.writer, 0, 5); /* 100, then 0 … 4 */
    write_numbers(a.writer, 5, 5);
    WANT_EQ(async_reader_ready(a.reader), 12);
    WANT_STATUS(async_reader_set_pre(a.reader, pre_read_reads, &a, NULL, NULL), ASYNC_OK);
    WANT_READ(a.reader, items, 5, async_forever(), ASYNC_OK, 5);
    WANT_STATUS(async_reader_set_pre(a.reader, NULL, NULL, NULL, NULL), ASYNC_OK);
    WANT_STATUS(async_reader_set_post(a.reader, post_read_reads, &a, NULL, NULL), ASYNC_OK);
    WANT_READ(a.reader, items, 2, async_forever(), ASYNC_OK, 2);
    async_writer_set_pre(a.writer, NULL, NULL, NULL, NULL);
    async_reader_release(a.reader);
    WANT_EQ(a.discarded, 3);
    async_writer_release(a.writer);
}

/* Everything that a function may ask of its own pool. */
static int calls_back(const void *in, void *out, void *context)
{
    again   *a = context;
    uint64_t item, number = *(const uint64_t *)in;
    *(uint64_t *)out = number;
    async_task      *self = async_reader_task(a->reader);
    async_task_stats stats;
    switch (number) {
    case 0:
        return async_reader_read(a->reader, &item, 1, NULL, async_now()) == ASYNC_TIMEOUT ? 0 : 1;
    case 1:
        return async_reader_read(a->reader, &item, 1, NULL, async_within_ms(1)) == ASYNC_TIMEOUT
                   ? 0
                   : 1;
    case 2:
        return async_reader_read(a->reader, &item, 1, NULL, async_forever()) == ASYNC_DEADLOCK ? 0
                                                                                               : 1;
    case 3:
        return async_pool_destroy(a->pool, ASYNC_DRAIN) == ASYNC_DEADLOCK ? 0 : 1;
    case 4:
        return async_pool_set_size(a->pool, async_pool_size(a->pool)) == ASYNC_OK ? 0 : 1;
    case 5: {
        async_reader *r = TASK(a->pool, .source = range_of(0, 3), .each = each_add_one);
        async_status  status = async_reader_read(r, &item, 1, NULL, async_forever());
        async_reader_release(r);
        return status == ASYNC_OK && item == 1 ? 0 : 1;
    }
    case 6:
        return async_task_counts(self, &stats) == ASYNC_OK &&
                       async_task_add_input(self, a->reader) == ASYNC_INVALID
                   ? 0
                   : 1;
    case 7:
        async_reader_release(async_reader_retain(a->reader));
        return 0;
    case 8:
        return async_pool_remove_task(a->pool, self) == ASYNC_OK ? 0 : 1;
    case 9: { /* the read is over, and its reader gone, before this function is */
        async_reader *reader = async_reader_retain(a->reader);
        bool          both = async_pool_cancel(a->pool) == ASYNC_OK;
        both = async_reader_cancel(reader) == ASYNC_OK && both;
        async_reader_release(reader);
        return both ? 0 : 1;
    }
    default:
        return 0;
    }
}

static void f59_pool(void)
{
    EACH_SIZE (n) {
        for (uint64_t number = 0; number < 10; number++) {
            uint64_t item = 0;
            again    a = {.pool = pool_of(n)};
            a.reader = TASK(a.pool, .source = range_of(number, 1), .each = calls_back,
                            .context = &a);
            async_status status = async_reader_read(a.reader, &item, 1, NULL, soon());
            if (number == 9) { /* cancelled by itself */
                WANT_STATUS(status, ASYNC_CANCELLED);
            } else {
                if (status != ASYNC_OK) {
                    watched_failed(__FILE__, __LINE__, "N = %u, call %u: %s", n, (unsigned)number,
                                   async_status_name(status));
                }
                WANT_EQ(item, number);
            }
            async_reader_release(a.reader);
            pool_end(a.pool);
        }
    }
}

static void release_makes_a_pool(void *context)
{
    uint64_t      item;
    async_pool   *pool = pool_of(1);
    async_reader *r = TASK(pool, .source = range_of(7, 1), .each = each_add_one);
    WANT_READ(r, &item, 1, soon(), ASYNC_OK, 1);
    async_reader_release(r);
    pool_end(pool);
    ++*(unsigned *)context;
}

static int sink_cancels(const void *items, size_t count, void *context)
{
    again *a = context;
    (void)items;
    (void)count;
    WANT_STATUS(async_reader_cancel(a->reader), ASYNC_OK);
    return ASYNC_CONTINUE;
}

static int sink_reads(const void *items, size_t count, void *context)
{
    again   *a = context;
    uint64_t item;
    (void)items;
    (void)count;
    async_status status = async_reader_read(a->reader, &item, 1, NULL,
                                            async_forever()); /* shares the items */
    return status == ASYNC_OK ? ASYNC_CONTINUE : ASYNC_STOP;
}

static void f59_callbacks(void)
{
    EACH_SIZE (n) {
        unsigned released = 0;
        uint64_t item;
        again    a = {.pool = pool_of(n)};
        a.reader = TASK(a.pool, .source = range_of(0, 100), .each = each_add_one,
                        .max_chunksize = 5);
        WANT_STATUS(async_reader_for_each(a.reader, sink_reads, &a, async_forever()), ASYNC_OK);
        async_reader_release(a.reader);
        a.reader = TASK(a.pool, .source = range_of(0, UINT64_MAX / 2), .each = each_add_one,
                        .max_chunksize = 5);
        WANT_STATUS(async_reader_for_each(a.reader, sink_cancels, &a, async_forever()),
                    ASYNC_CANCELLED);
        async_reader_release(a.reader);
        async_reader *r = TASK(a.pool, .source = range_of(0, 5), .release = release_makes_a_pool,
                               .context = &released);
        WANT_READ(r, &item, 1, soon(), ASYNC_OK, 1);
        async_reader_release(r);
        pool_end(a.pool);
        WANT_EQ(released, 1);
    }
}

static const watched cases[] = {
    {.name = "F44_destroy_from_a_worker", .body = f44},
    {.name = "F53_fault_in_a_worker", .body = f53_segv_worker, .signal = SIGSEGV},
    {.name = "F53_fault_in_a_reader", .body = f53_segv_reader, .signal = SIGSEGV},
    {.name = "F53_abort_in_a_worker", .body = f53_abort_worker, .signal = SIGABRT},
    {.name = "F53_abort_in_a_reader", .body = f53_abort_reader, .signal = SIGABRT},
    {.name = "F53_with_handlers", .body = f53_handlers},
    {.name = "F53_what_a_core_shows", .body = f53_core},
    {.name = "F59_a_channels_callbacks_call_back", .body = f59_channel},
    {.name = "F59_a_function_calls_its_pool", .body = f59_pool},
    {.name = "F59_sinks_and_release_call_back", .body = f59_callbacks},
};

int main(int argc, char **argv) { return WATCHED_MAIN(argc, argv, cases); }
