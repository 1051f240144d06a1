/* trials.c: what the kinds share, and how a trial is run. */
#define _GNU_SOURCE
#include "trials.h"

#include "pipeline.h"
#include "watchdog.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define LEAK_CHECK 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAK_CHECK 1
#endif
#endif
#ifdef LEAK_CHECK
#include <sanitizer/lsan_interface.h>
#endif

#define REFUSALS 3  /* of a fault that persists, before it is over */
#define SECONDS  60 /* for a trial that takes some milliseconds */

/* ── What the kinds share ────────────────────────────────────────────────────────────────────── */

void trial_wrong(trial *t, const char *what, async_status status)
{
    const char *none = NULL;
    if (atomic_compare_exchange_strong(&t->wrong, &none, what)) { t->status = status; }
}

/* What a call may answer when this is what fails. */
static bool says_so(const trial *t, const char *call, async_status status)
{
    bool starts_threads = strstr(call, "pool_create") != NULL || strstr(call, "set_size") != NULL;
    bool inside = strstr(call, "inside") != NULL;
    switch (t->fault.fault) {
    case FAULT_MEMORY: /* a thread needs memory, too */
        return status == ASYNC_NO_MEMORY || (status == ASYNC_SYSTEM && starts_threads) ||
               (status == ASYNC_BUSY && inside);
    case FAULT_THREAD:
        return (status == ASYNC_SYSTEM && starts_threads) || (status == ASYNC_BUSY && inside);
    default:
        return false;
    }
}

bool trial_again(trial *t, const char *call, async_status status)
{
    if (status != ASYNC_NO_MEMORY && status != ASYNC_SYSTEM && status != ASYNC_BUSY) {
        return false;
    }
    /* One failure refuses one call. One that persists may have refused others before its end. */
    unsigned refused = atomic_fetch_add(&t->refused, 1) + 1;
    if (!says_so(t, call, status) || inject_failed() == 0 ||
        refused > (t->fault.persists ? 2 * REFUSALS : 1)) {
        trial_wrong(t, call, status);
        return false;
    }
    if (refused >= REFUSALS) { inject_recover(); }
    return true;
}

async_pool *trial_pool(trial *t, const async_pool_options *options)
{
    async_pool  *pool;
    async_status status;
    do {
        pool = (async_pool *)(uintptr_t)64;
        inject_enter("async_pool_create", true);
        status = async_pool_create(&pool, t->n, options);
        EXPECT(t, (pool != NULL) == (status == ASYNC_OK));
    } while (trial_again(t, "async_pool_create", status));
    if (status != ASYNC_OK) { trial_wrong(t, "async_pool_create", status); }
    EXPECT(t, async_pool_size(pool) == t->n);
    return pool;
}

void trial_end(trial *t, async_pool *pool, async_ending how)
{
    inject_enter("async_pool_destroy", false);
    async_status status = async_pool_destroy(pool, how);
    if (status != ASYNC_OK) { trial_wrong(t, "async_pool_destroy", status); }
}

async_reader *trial_task(trial *t, async_pool *pool, async_task_options options)
{
    async_reader *reader = NULL;
    if (pool == NULL || (options.source == NULL && options.input == NULL)) { return NULL; }
    size_t tasks = async_pool_num_tasks(pool);
    TRY(t, ASYNC_OK, async_pool_add_task(pool, &reader, &options));
    EXPECT(t, async_pool_num_tasks(pool) == tasks + (reader != NULL));
    return reader;
}

bool trial_channel(trial *t, size_t capacity, async_writer **writer, async_reader **reader)
{
    async_channel_options options = {
        .capacity = capacity, .discard = trial_discard, .release = trial_release, .context = t};
    *writer = NULL;
    *reader = NULL;
    TRY(t, ASYNC_OK, async_channel_create(writer, reader, sizeof(uint64_t), &options));
    EXPECT(t, (*writer == NULL) == (*reader == NULL));
    return *writer != NULL;
}

bool trial_read(trial *t, async_reader *reader, uint64_t *items, size_t count, async_status wanted,
                size_t expected)
{
    size_t       sum = 0;
    async_status status;
    do {
        size_t got = SIZE_MAX;
        inject_enter("async_reader_read", !t->patient);
        status = async_reader_read(reader, items + sum, count - sum, &got, async_forever());
        EXPECT(t, got <= count - sum);
        sum += got <= count - sum ? got : 0;
    } while (trial_again(t, "async_reader_read", status));
    trial_note(t, items, sum);
    if (status != wanted || sum != expected) {
        trial_wrong(t, "async_reader_read", status);
        return false;
    }
    return true;
}

void trial_read_rest(trial *t, async_reader *reader, async_status wanted, size_t expected)
{
    async_status status = reader == NULL ? wanted : ASYNC_OK;
    size_t       sum = 0;
    while (status == ASYNC_OK && sum <= TRIAL_ITEMS) {
        uint64_t item;
        size_t   got = 0;
        do {
            inject_enter("async_reader_read", !t->patient);
            status = async_reader_read(reader, &item, 1, &got, async_forever());
            EXPECT(t, got == (status == ASYNC_OK));
        } while (trial_again(t, "async_reader_read", status));
        trial_note(t, &item, got);
        sum += got;
    }
    if (status != wanted || (reader != NULL && expected != SIZE_MAX && sum != expected)) {
        trial_wrong(t, "async_reader_read to the end", status);
    }
}

void trial_write(trial *t, async_writer *writer, uint64_t first, size_t count)
{
    uint64_t     items[64];
    size_t       sum = 0;
    async_status status;
    for (size_t i = 0; i < count; i++) { items[i] = first + i; }
    do {
        size_t written = SIZE_MAX;
        inject_enter("async_writer_write", true);
        status = async_writer_write(writer, items + sum, count - sum, &written, async_forever());
        EXPECT(t, written <= count - sum);
        sum += written <= count - sum ? written : 0;
    } while (trial_again(t, "async_writer_write", status));
    if (status != ASYNC_OK || sum != count) { trial_wrong(t, "async_writer_write", status); }
}

static void note(trial *t, atomic_uint *where, const uint64_t *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i] < TRIAL_ITEMS) {
            atomic_fetch_add(&where[items[i]], 1);
        } else {
            atomic_fetch_add(&t->strange, 1);
        }
    }
}

void trial_note(trial *t, const void *items, size_t count) { note(t, t->read, items, count); }

void trial_all_read(trial *t, size_t count)
{
    EXPECT(t, atomic_load(&t->strange) == 0);
    for (size_t i = 0; i < TRIAL_ITEMS; i++) {
        EXPECT(t, atomic_load(&t->lost[i]) == 0);
        EXPECT(t, atomic_load(&t->read[i]) == (i < count));
    }
}

int trial_next(void *items, size_t count, size_t *got, void *context)
{
    trial *t = context;
    for (; *got < count && t->next < t->end; ++*got) { ((uint64_t *)items)[*got] = t->next++; }
    return 0;
}

int trial_copy_each(const void *in, void *out, void *context)
{
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in;
    return 0;
}

int trial_copy_batch(const void *in, void *out, size_t count, size_t *done, void *context)
{
    (void)done;
    (void)context;
    memcpy(out, in, count * sizeof(uint64_t));
    return 0;
}

int trial_copy_emit(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    async_status status;
    while (trial_again(context, "async_emit", status = async_emit(out, in, count))) {}
    *done = 0;
    return status == ASYNC_OK ? 0 : 1;
}

void trial_discard(void *items, size_t count, void *context)
{
    trial *t = context;
    note(t, t->lost, items, count);
}

void trial_release(void *context)
{
    trial *t = context;
    atomic_fetch_add(&t->released, 1);
}

/* ── One trial ───────────────────────────────────────────────────────────────────────────────── */

const trial_kind *trial_kind_at(unsigned i)
{
    static const trial_kind *const lists[] = {pipeline_kinds, graph_kinds};
    for (unsigned l = 0; l < sizeof lists / sizeof *lists; l++) {
        for (const trial_kind *kind = lists[l]; kind->name != NULL; kind++) {
            if (i-- == 0) { return kind; }
        }
    }
    return NULL;
}

static const char *fault_name(enum fault fault)
{
    static const char *const names[] = {"nothing",    "allocation",    "pthread_create",
                                        "futex wait", "futex wake-up", "clock"};
    return names[fault];
}

static void describe(const trial_kind *kind, unsigned n, const struct injection *fault)
{
    fprintf(stderr, "%s %u %" PRIu64 ": N = %u, %s %" PRIu64 "%s fails", kind->name, n, fault->at,
            n, fault_name(fault->fault), fault->at, fault->persists ? " and all after it" : "");
    if (fault->error != 0) { fprintf(stderr, " with %s", strerrorname_np(fault->error)); }
}

/* Whether the trial went wrong. */
static bool bad(const trial_kind *kind, trial *t, const char *when)
{
    const char *wrong = atomic_load(&t->wrong), *held = inject_held_on();
    if (wrong == NULL && held == NULL) { return false; }
    describe(kind, t->n, &t->fault);
    fprintf(stderr, ", %s: %s", when, wrong != NULL ? wrong : held);
    if (wrong != NULL && t->status != ASYNC_OK) {
        fprintf(stderr, ": %s", async_status_name(t->status));
    }
    fprintf(stderr, wrong != NULL ? "\n" : ": did not say so\n");
    return true;
}

/* In a child process: with the fault; then without. Ends it with what became of it. */
struct assignment {
    const trial_kind       *kind;
    unsigned                n;
    const struct injection *fault;
    bool                    may_abort;
};

static enum trial_end with_and_without(const struct assignment *a)
{
    static trial t, after;
    t.n = after.n = a->n;
    t.fault = *a->fault;
    inject_arm(a->fault);
    a->kind->run(&t);
    inject_recover();
    uint64_t failed = inject_failed();
    if (bad(a->kind, &t, "with it")) { return TRIAL_BAD; }
    inject_arm(&after.fault);
    a->kind->run(&after);
    if (bad(a->kind, &after, "the next try")) { return TRIAL_BAD; }
#ifdef LEAK_CHECK
    if (__lsan_do_recoverable_leak_check() != 0) {
        describe(a->kind, a->n, a->fault);
        fprintf(stderr, ": leaks\n");
        return TRIAL_BAD;
    }
#endif
    return failed > 0 ? TRIAL_PASSED : TRIAL_NOT_REACHED;
}

static void play(void *argument)
{
    const struct assignment *a = argument;
    /* a message is looked for, and no core */
    if (a->may_abort) { setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}); }
    int code = (int)with_and_without(a);
    fflush(NULL);
    _exit(code);
}

/* Whether the library's own message, of one thread or of several, is all that was written. */
static bool only_says_so(const char *output)
{
    const char *line = output;
    for (const char *end; *line != '\0'; line = end + 1) {
        const char *what = strstr(line, "refused here");
        end = strchr(line, '\n');
        if (end == NULL || strncmp(line, "async: ", 7) != 0 || what == NULL || what > end) {
            return false;
        }
    }
    return line != output;
}

enum trial_end trial_run(const trial_kind *kind, unsigned n, const struct injection *fault,
                         bool may_abort)
{
    struct assignment assignment = {kind, n, fault, may_abort};
    child_options     options = {.seconds = SECONDS, .capture = may_abort};
    child_end         end = child_run(play, &assignment, &options);
    const char       *said = end.said == NULL ? "" : end.said;
    enum trial_end    result = TRIAL_BAD;
    if (!end.hung && end.code >= 0 && end.code <= TRIAL_BAD) {
        result = (enum trial_end)end.code;
        fputs(said, stderr);
    } else if (!end.hung && may_abort && end.signal == SIGABRT && only_says_so(said)) {
        result = TRIAL_ABORTED;
    } else {
        fputs(said, stderr);
        describe(kind, n, fault);
        if (end.hung) {
            fprintf(stderr, ": hangs\n");
        } else {
            fprintf(stderr, ": exit status %d, signal %d\n", end.code, end.signal);
        }
    }
    free(end.said);
    return result;
}

/* ── All of them ─────────────────────────────────────────────────────────────────────────────── */

static const char *only_kind;
static int         only_n = -1;
static uint64_t    only_at;

void trial_arguments(int argc, char **argv)
{
    only_kind = argc > 1 ? argv[1] : NULL;
    only_n = argc > 2 ? atoi(argv[2]) : -1;
    only_at = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
}

bool trial_chosen(const trial_kind *kind, unsigned n)
{
    return (only_kind == NULL || strcmp(only_kind, kind->name) == 0) &&
           (only_n < 0 || (unsigned)only_n == n);
}

unsigned trial_sweep(const struct injection *fault, const char *what, bool may_abort, uint64_t most)
{
    unsigned failed = 0, runs = 0, aborted = 0, reached_kinds = 0;
    uint64_t began = now_ms();
    for (unsigned k = 0; trial_kind_at(k) != NULL; k++) {
        const trial_kind *kind = trial_kind_at(k);
        /* A process for each trial takes its time: not every size, but where threads are what fails
         * (memory.c has all sizes in one process). */
        for (unsigned n = 0; n <= 2; n += fault->fault == FAULT_THREAD || only_n == 1 ? 1 : 2) {
            struct injection one = *fault;
            unsigned         missed = 0, reached = 0;
            /* Threads meet otherwise each time: the number of calls varies a little. */
            for (one.at = only_at != 0 ? only_at : 1;
                 trial_chosen(kind, n) && missed < 3 && (most == 0 || one.at <= most); one.at++) {
                enum trial_end end = trial_run(kind, n, &one, may_abort);
                runs++;
                reached += end == TRIAL_PASSED || end == TRIAL_ABORTED;
                aborted += end == TRIAL_ABORTED;
                failed += end == TRIAL_BAD;
                missed = end == TRIAL_NOT_REACHED ? missed + 1 : 0;
                if (only_at != 0 || failed > 10) { break; }
            }
            reached_kinds += reached > 0;
        }
    }
    printf("%s: %u trials, the fault came in %u pairs of kind and N, %u aborted with a message, "
           "%u failed, %" PRIu64 " ms\n",
           what, runs, reached_kinds, aborted, failed, now_ms() - began);
    fflush(stdout);
    if (only_kind == NULL && reached_kinds == 0) {
        printf("%s: nothing ever failed: this tests nothing\n", what);
        return failed + 1;
    }
    return failed;
}
