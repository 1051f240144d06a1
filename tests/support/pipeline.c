/* pipeline.c: clocks, bounded waits, threads, gates and counting functions of the tests. */
#define _GNU_SOURCE
#include "pipeline.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

_Noreturn void give_up(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("test support: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    fflush(stderr);
    abort();
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec t;
    if (clock_gettime(clock, &t) != 0) { give_up("clock_gettime: %s", strerror(errno)); }
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t now_ns(void) { return clock_ns(CLOCK_MONOTONIC); }

uint64_t now_ms(void) { return now_ns() / 1000000u; }

uint64_t cpu_ns(void) { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

void sleep_us(unsigned us)
{
    struct timespec left = {.tv_sec = us / 1000000u, .tv_nsec = (long)(us % 1000000u) * 1000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

void sleep_ms(unsigned ms)
{
    struct timespec left = {.tv_sec = ms / 1000u, .tv_nsec = (long)(ms % 1000u) * 1000000};
    while (nanosleep(&left, &left) != 0 && errno == EINTR) {}
}

/* Calls f with the directory name of each thread of the process. */
static void each_thread(void (*f)(const char *name, uint64_t *sum), uint64_t *sum)
{
    DIR *dir = opendir("/proc/self/task");
    if (dir == NULL) { give_up("/proc/self/task: %s", strerror(errno)); }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] != '.') { f(entry->d_name, sum); }
    }
    closedir(dir);
}

/* The thread of abuse/onlooker.c is not the program's. */
static void count_thread(const char *name, uint64_t *sum)
{
    char path[300], called[20] = "";
    snprintf(path, sizeof path, "/proc/self/task/%s/comm", name);
    FILE *file = fopen(path, "r");
    if (file == NULL) { return; /* the thread has ended */ }
    if (fgets(called, sizeof called, file) == NULL || strcmp(called, "onlooker\n") != 0) { ++*sum; }
    fclose(file);
}

static void add_switches(const char *name, uint64_t *sum)
{
    char path[300], line[200];
    snprintf(path, sizeof path, "/proc/self/task/%s/status", name);
    FILE *file = fopen(path, "r");
    if (file == NULL) { return; /* the thread has ended */ }
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long switches;
        if (sscanf(line, "voluntary_ctxt_switches: %llu", &switches) == 1) { *sum += switches; }
    }
    fclose(file);
}

unsigned thread_count(void)
{
    uint64_t sum = 0;
    each_thread(count_thread, &sum);
    return (unsigned)sum;
}

uint64_t context_switches(void)
{
    uint64_t sum = 0;
    each_thread(add_switches, &sum);
    return sum;
}

static void *thread_main(void *arg)
{
    thread *t = arg;
    atomic_store(&t->tid, (int)syscall(SYS_gettid));
    t->body(t->arg);
    atomic_store(&t->ended, true);
    return NULL;
}

void thread_start(thread *t, void (*body)(void *arg), void *arg)
{
    t->body = body;
    t->arg = arg;
    atomic_store(&t->ended, false);
    atomic_store(&t->tid, 0);
    int error = pthread_create(&t->id, NULL, thread_main, t);
    if (error != 0) { give_up("pthread_create: %s", strerror(error)); }
}

bool thread_ended(thread *t) { return atomic_load(&t->ended); }

bool thread_join_within(thread *t, unsigned ms)
{
    return UNTIL(ms, thread_ended(t)) && pthread_join(t->id, NULL) == 0;
}

void thread_join(thread *t)
{
    if (!thread_join_within(t, LATE)) {
        give_up("a thread of the test has not ended after %d ms", LATE);
    }
}

/* The state letter of one thread, 0 where it is gone. */
static char thread_state(int tid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    FILE *file = fopen(path, "r");
    if (file == NULL) { return 0; }
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    const char *name_end = strrchr(text, ')');
    return name_end != NULL && name_end[1] == ' ' ? name_end[2] : 0;
}

bool thread_asleep(thread *t)
{
    uint64_t end = now_ms() + SOON;
    unsigned looks = 0;
    while (looks < 4 && now_ms() < end && !thread_ended(t)) {
        int tid = atomic_load(&t->tid);
        looks = tid != 0 && thread_state(tid) == 'S' ? looks + 1 : 0;
        sleep_us(1000);
    }
    return looks == 4;
}

/* Two looks that agree: parks and wakes only grow, so nobody came or went between them. */
static bool sleepers_are(async_pool *pool, unsigned threads)
{
    async_pool_stats first, second;
    if (async_pool_counts(pool, &first) != ASYNC_OK) { return false; }
    if (async_pool_counts(pool, &second) != ASYNC_OK) { return false; }
    return first.parks == second.parks && first.wakes == second.wakes &&
           first.parks - first.wakes == threads;
}

bool pool_asleep(async_pool *pool, unsigned threads)
{
    return UNTIL(SOON, sleepers_are(pool, threads));
}

void gate_pass(gate *g)
{
    atomic_fetch_add(&g->waiting, 1);
    while (!atomic_load(&g->open)) { sleep_us(100); }
}

void gate_open(gate *g) { atomic_store(&g->open, true); }

void gate_arrived(gate *g, unsigned count)
{
    if (!UNTIL(SOON, atomic_load(&g->waiting) >= count)) {
        give_up("%u of %u threads at the gate after %d ms", atomic_load(&g->waiting), count, SOON);
    }
}

void ledger_make(ledger *l, size_t size)
{
    l->size = size;
    l->seen = calloc(size + 1, sizeof *l->seen);
    atomic_init(&l->strange, 0);
    if (l->seen == NULL) { give_up("no memory for a ledger of %zu", size); }
}

void ledger_free(ledger *l)
{
    free(l->seen);
    l->seen = NULL;
}

void ledger_add(ledger *l, const uint64_t *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        atomic_fetch_add(items[i] < l->size ? &l->seen[items[i]] : &l->strange, 1);
    }
}

size_t ledger_count(ledger *l, size_t first, size_t end, unsigned times)
{
    size_t count = 0;
    for (size_t i = first; i < end && i < l->size; i++) {
        count += atomic_load(&l->seen[i]) == times;
    }
    return count;
}

/* The beginning of a call: counts it, waits as the probe says. */
static void probe_enter(probe *p, const uint64_t *in, size_t count)
{
    if (p == NULL) { return; }
    unsigned running = atomic_fetch_add(&p->running, 1) + 1;
    unsigned most = atomic_load(&p->most);
    while (running > most && !atomic_compare_exchange_weak(&p->most, &most, running)) {}
    size_t at = atomic_fetch_add(&p->logged, 1);
    if (at < PROBE_LOG) { p->log[at] = count; }
    atomic_fetch_add(&p->calls, 1);
    atomic_fetch_add(&p->items, count);
    bool hold = p->hold != NULL && !p->hold_one;
    for (size_t i = 0; p->hold != NULL && p->hold_one && i < count; i++) {
        hold = hold || in[i] == p->hold_value;
    }
    if (hold) { gate_pass(p->hold); }
    if (p->delay_us > 0) { sleep_us(p->delay_us); }
    for (uint64_t end = now_ms() + SOON; atomic_load(&p->most) < p->together && now_ms() < end;) {
        sleep_us(20);
    }
}

static int probe_leave(probe *p, int code)
{
    if (p != NULL) { atomic_fetch_sub(&p->running, 1); }
    return code;
}

static bool fails(const probe *p, uint64_t in)
{
    return p != NULL && p->code != 0 && in == p->fail_value;
}

#define EACH_FUNCTION(name, x, expression)                                                         \
    int name(const void *in, void *out, void *context)                                             \
    {                                                                                              \
        probe   *p = context;                                                                      \
        uint64_t x = *(const uint64_t *)in;                                                        \
        probe_enter(p, &x, 1);                                                                     \
        if (fails(p, x)) { return probe_leave(p, p->code); }                                       \
        *(uint64_t *)out = (expression);                                                           \
        return probe_leave(p, 0);                                                                  \
    }

EACH_FUNCTION(each_add_one, x, x + 1)
EACH_FUNCTION(each_twice, x, 2 * x)
EACH_FUNCTION(each_square, x, x *x)

#define BATCH_FUNCTION(name, x, expression)                                                        \
    int name(const void *in, void *out, size_t count, size_t *done, void *context)                 \
    {                                                                                              \
        probe          *p = context;                                                               \
        const uint64_t *from = in;                                                                 \
        uint64_t       *to = out;                                                                  \
        probe_enter(p, from, count);                                                               \
        for (size_t i = 0; i < count; i++) {                                                       \
            uint64_t x = from[i];                                                                  \
            if (fails(p, x)) {                                                                     \
                *done = i;                                                                         \
                return probe_leave(p, p->code);                                                    \
            }                                                                                      \
            to[i] = (expression);                                                                  \
        }                                                                                          \
        return probe_leave(p, 0);                                                                  \
    }

BATCH_FUNCTION(batch_copy, x, x)
BATCH_FUNCTION(batch_add_one, x, x + 1)
BATCH_FUNCTION(batch_twice, x, 2 * x)

#define EMIT_FUNCTION(name, x, value, copies)                                                      \
    int name(const void *in, size_t count, size_t *done, async_emitter *out, void *context)        \
    {                                                                                              \
        probe          *p = context;                                                               \
        const uint64_t *from = in;                                                                 \
        probe_enter(p, from, count);                                                               \
        for (size_t i = 0; i < count; i++) {                                                       \
            uint64_t x = from[i];                                                                  \
            if (fails(p, x)) {                                                                     \
                *done = i;                                                                         \
                return probe_leave(p, p->code);                                                    \
            }                                                                                      \
            for (unsigned left = (copies); left > 0; left--) {                                     \
                if (async_emit(out, &(uint64_t){value}, 1) != ASYNC_OK) {                          \
                    give_up("async_emit failed");                                                  \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        return probe_leave(p, 0);                                                                  \
    }

EMIT_FUNCTION(emit_copy, x, x, 1)
EMIT_FUNCTION(emit_add_one, x, x + 1, 1)
EMIT_FUNCTION(emit_even, x, x, x % 2 == 0)
EMIT_FUNCTION(emit_none, x, x, 0)
EMIT_FUNCTION(emit_pair, x, x, 2)

void probe_discard(void *items, size_t count, void *context)
{
    probe *p = context;
    atomic_fetch_add(&p->discards, 1);
    if (p->lost != NULL) { ledger_add(p->lost, items, count); }
    atomic_fetch_add(&p->discarded, count);
}

void probe_release(void *context) { atomic_fetch_add(&((probe *)context)->released, 1); }

int next_number(void *items, size_t count, size_t *got, void *context)
{
    numbers  *n = context;
    uint64_t *to = items;
    int       code = 0;
    if (atomic_fetch_add(&n->running, 1) > 0) { atomic_store(&n->overlap, true); }
    if (atomic_load(&n->ended)) { atomic_store(&n->after, true); }
    atomic_fetch_add(&n->calls, 1);
    if (n->delay_us > 0) { sleep_us(n->delay_us); }
    size_t made = 0;
    while (made < count && n->next < n->end) {
        if (n->code != 0 && n->next == n->fail_value) {
            code = n->code;
            break;
        }
        to[made++] = n->next++;
    }
    if (made < count) { atomic_store(&n->ended, true); }
    *got = made;
    atomic_fetch_sub(&n->running, 1);
    return code;
}

void numbers_release(void *context) { atomic_fetch_add(&((numbers *)context)->released, 1); }

async_pool *pool_of(unsigned workers)
{
    async_pool  *pool = NULL;
    async_status status = async_pool_create(&pool, workers, NULL);
    if (status != ASYNC_OK) { give_up("a pool of %u: %s", workers, async_status_name(status)); }
    return pool;
}

void pool_end(async_pool *pool)
{
    async_status status = async_pool_destroy(pool, ASYNC_DRAIN);
    if (status != ASYNC_OK) { give_up("destroying a pool: %s", async_status_name(status)); }
}

async_reader *task_of(async_pool *pool, const async_task_options *options)
{
    async_reader *reader = NULL;
    async_status  status = async_pool_add_task(pool, &reader, options);
    if (status != ASYNC_OK) { give_up("adding a task: %s", async_status_name(status)); }
    return reader;
}

static const async_source *keep_source(async_source source)
{
    static _Thread_local async_source kept[8];
    static _Thread_local unsigned     at;
    async_source                     *place = &kept[at++ % 8];
    *place = source;
    return place;
}

const async_source *range_of(uint64_t first, uint64_t count)
{
    return keep_source(async_source_range(first, count));
}

const async_source *array_of(const uint64_t *items, size_t count)
{
    return keep_source(async_source_array(items, count, sizeof *items));
}

const async_source *from_numbers(numbers *n)
{
    return keep_source(async_source_from(next_number, n, sizeof(uint64_t)));
}

void channel_of(async_writer **writer, async_reader **reader, size_t capacity, probe *p)
{
    async_channel_options options = {.capacity = capacity};
    if (p != NULL) {
        options.discard = probe_discard;
        options.release = probe_release;
        options.context = p;
    }
    async_status status = async_channel_create(writer, reader, sizeof(uint64_t), &options);
    if (status != ASYNC_OK) { give_up("a channel: %s", async_status_name(status)); }
}

void write_numbers(async_writer *writer, uint64_t first, size_t count)
{
    uint64_t items[64];
    while (count > 0) {
        size_t n = count < 64 ? count : 64;
        for (size_t i = 0; i < n; i++) { items[i] = first++; }
        size_t       written = 0;
        async_status status = async_writer_write(writer, items, n, &written, async_forever());
        if (status != ASYNC_OK || written != n) {
            give_up("writing: %s, %zu of %zu", async_status_name(status), written, n);
        }
        count -= n;
    }
}

uint64_t *read_rest(async_reader *reader, size_t *count)
{
    void        *items = NULL;
    async_status status = async_reader_read_all(reader, &items, count, async_forever());
    if (status != ASYNC_OK) { give_up("reading all: %s", async_status_name(status)); }
    return items;
}

async_task_stats counts_of(async_reader *reader)
{
    async_task_stats stats;
    async_status     status = async_task_counts(async_reader_task(reader), &stats);
    if (status != ASYNC_OK) { give_up("counters of a task: %s", async_status_name(status)); }
    return stats;
}

static void reading_body(void *arg)
{
    reading *r = arg;
    r->began = now_ns();
    r->status = async_reader_read(r->reader, r->items, r->count, &r->got, r->wait);
    r->ended = now_ns();
}

void reading_start(reading *r, async_reader *reader, size_t count, async_wait wait)
{
    if (count > READING_ITEMS) { give_up("a reading of %zu items", count); }
    r->reader = reader;
    r->count = count;
    r->wait = wait;
    thread_start(&r->thread, reading_body, r);
}

static void writing_body(void *arg)
{
    writing *w = arg;
    w->began = now_ns();
    w->status = async_writer_write(w->writer, w->items, w->count, &w->written, w->wait);
    w->ended = now_ns();
}

void writing_start(writing *w, async_writer *writer, uint64_t first, size_t count, async_wait wait)
{
    if (count > READING_ITEMS) { give_up("a writing of %zu items", count); }
    w->writer = writer;
    w->count = count;
    w->wait = wait;
    for (size_t i = 0; i < count; i++) { w->items[i] = first + i; }
    thread_start(&w->thread, writing_body, w);
}
