/* channel_futex.c: a kernel that wakes for no reason, that is interrupted all the time, and clocks
 * that jump. The linker passes the system calls and clock readings of this program here. */
#define _GNU_SOURCE
#include "abuse.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* ---- the kernel's door ---- */

long __real_syscall(long number, long a, long b, long c, long d, long e, long f);
long __wrap_syscall(long number, ...);
int  __real_clock_gettime(clockid_t clock, struct timespec *now);
int  __wrap_clock_gettime(clockid_t clock, struct timespec *now);

static atomic_uint_fast64_t waits, spurious, odd_deadlines, realtime;
static atomic_uint          percent; /* of the waits that end at once */
static atomic_int_fast64_t  jump_ns; /* added to what CLOCK_MONOTONIC says */
static atomic_uint_fast64_t luck;

static bool unlucky(void)
{
    dice d = {atomic_fetch_add(&luck, 0x9e3779b97f4a7c15u)};
    return roll(&d, 100) < atomic_load(&percent);
}

long __wrap_syscall(long number, ...)
{
    va_list arguments;
    long    a[6];
    va_start(arguments, number);
    for (unsigned i = 0; i < 6; i++) { a[i] = va_arg(arguments, long); }
    va_end(arguments);
    if (number == SYS_futex && ((int)a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET) {
        const struct timespec *until = (const struct timespec *)(uintptr_t)a[3];
        atomic_fetch_add(&waits, 1);
        atomic_fetch_add(&realtime, ((int)a[1] & FUTEX_CLOCK_REALTIME) != 0);
        bool odd = until != NULL &&
                   (until->tv_sec < 0 || until->tv_nsec < 0 || until->tv_nsec >= 1000000000);
        atomic_fetch_add(&odd_deadlines, odd);
        if (unlucky()) {
            static const int errors[] = {0, EAGAIN, EINTR};
            errno = errors[atomic_fetch_add(&spurious, 1) % 3];
            return errno == 0 ? 0 : -1;
        }
    }
    return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
    atomic_fetch_add(&realtime, clock == CLOCK_REALTIME);
    int     result = __real_clock_gettime(clock, now);
    int64_t jump = atomic_load(&jump_ns);
    if (clock == CLOCK_MONOTONIC && jump != 0) {
        int64_t ns = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + jump;
        now->tv_sec = ns / 1000000000;
        now->tv_nsec = ns % 1000000000;
    }
    return result;
}

/* ---- F15 ---- */

static void write_slowly(void *arg)
{
    async_writer *writer = arg;
    for (uint64_t i = 0, count = abuse_rounds(3000); i < count; i++) {
        WANT_STATUS(async_writer_write(writer, &i, 1, NULL, async_forever()), ASYNC_OK);
        if (i % 3 == 0) { sleep_us(100); }
    }
    async_writer_release(writer);
}

static void spurious_on_a_channel(size_t capacity)
{
    async_writer *writer;
    async_reader *reader;
    thread        helper;
    uint64_t      items[4], next = 0;
    size_t        got;
    async_status  status;
    channel_of(&writer, &reader, capacity, NULL);
    thread_start(&helper, write_slowly, writer);
    do {
        status = async_reader_read(reader, items, 1 + next % 4, &got, async_forever());
        WANT(status == ASYNC_OK || status == ASYNC_END);
        for (size_t i = 0; i < got; i++, next++) { WANT_EQ(items[i], next); }
        if (capacity != 0 && next % 5 == 0) { sleep_us(200); /* now the writer waits */ }
    } while (status == ASYNC_OK);
    WANT_EQ(next, abuse_rounds(3000));
    pthread_join(helper.id, NULL);
    async_reader_release(reader);
}

static void spurious_in_a_pool(void)
{
    async_pool   *pool = pool_of(3);
    async_reader *first = TASK(pool, .source = range_of(0, 3000), .each = each_add_one,
                               .max_chunksize = 3);
    async_reader *last = TASK(pool, .input = first, .each = each_twice, .max_chunksize = 7);
    uint64_t      items[10], sum = 0;
    for (unsigned i = 0; i < 300; i++) {
        WANT_STATUS(async_reader_read(last, items, 10, NULL, async_forever()), ASYNC_OK);
        for (unsigned k = 0; k < 10; k++) { sum += items[k]; }
        if (i % 10 == 0) { sleep_us(500); /* the workers go to sleep */ }
    }
    WANT_EQ(sum, UINT64_C(3000) * 3001);
    WANT_STATUS(async_reader_read(last, items, 1, NULL, async_forever()), ASYNC_END);
    async_reader_release(first);
    async_reader_release(last);
    pool_end(pool);
}

/* A reader, a writer and the workers of an idle pool sleep through it, but for the tries that it
 * takes to get to sleep. */
static void spurious_and_idle(void)
{
    static reading r;
    static writing w;
    async_writer  *writers[2];
    async_reader  *readers[2];
    async_pool    *pool = pool_of(4);
    memset(&r, 0, sizeof r);
    memset(&w, 0, sizeof w);
    channel_of(&writers[0], &readers[0], 0, NULL);
    channel_of(&writers[1], &readers[1], 1, NULL);
    uint64_t cpu = cpu_ns(), began = now_ns(), waited = atomic_load(&waits);
    reading_start(&r, readers[0], 1, async_forever());
    writing_start(&w, writers[1], 5, 2, async_forever());
    WANT(thread_asleep(&r.thread) && thread_asleep(&w.thread));
    sleep_ms(2000);
    cpu = cpu_ns() - cpu;
    uint64_t took = now_ns() - began;
    waited = atomic_load(&waits) - waited;
    printf("       idle: %.3f %% of a CPU, %" PRIu64 " waits\n", 100 * (double)cpu / (double)took,
           waited);
#ifndef ABUSE_SANITIZED /* whose threads cost more to start than these may cost at all */
    WANT(cpu * 100 < took);
#endif
    WANT(waited < 200);
    WANT(!thread_ended(&r.thread) && !thread_ended(&w.thread));
    write_numbers(writers[0], 9, 1);
    thread_join(&r.thread);
    WANT(r.status == ASYNC_OK && r.items[0] == 9);
    uint64_t items[2];
    WANT_STATUS(async_reader_read(readers[1], items, 2, NULL, async_forever()), ASYNC_OK);
    thread_join(&w.thread);
    WANT(w.status == ASYNC_OK && items[0] == 5 && items[1] == 6);
    for (unsigned i = 0; i < 2; i++) {
        async_writer_release(writers[i]);
        async_reader_release(readers[i]);
    }
    pool_end(pool);
}

/* A timed wait ends neither before its time nor much later. */
static void timed_read(unsigned ms)
{
    async_writer *writer;
    async_reader *reader;
    uint64_t      item;
    size_t        got;
    channel_of(&writer, &reader, 0, NULL);
    uint64_t began = now_ns();
    WANT_STATUS(async_reader_read(reader, &item, 1, &got, async_within_ms(ms)), ASYNC_TIMEOUT);
    uint64_t took = now_ns() - began;
    WANT(got == 0 && took >= ms * UINT64_C(1000000));
    WANT(took < (ms + 3000) * UINT64_C(1000000));
    async_writer_release(writer);
    async_reader_release(reader);
}

static void spurious_wake_ups(void)
{
    atomic_store(&luck, abuse_seed());
    atomic_store(&percent, 50);
    spurious_on_a_channel(0);
    spurious_on_a_channel(2);
    spurious_in_a_pool();
    spurious_and_idle();
    timed_read(50);
    printf("       %" PRIuFAST64 " of %" PRIuFAST64 " waits ended for no reason\n",
           atomic_load(&spurious), atomic_load(&waits));
    WANT(atomic_load(&spurious) * 4 > atomic_load(&waits) && atomic_load(&waits) > 100);
    WANT_EQ(atomic_load(&odd_deadlines), 0);
}

/* ---- F16 ---- */

static atomic_uint_fast64_t signals;

static void on_signal(int number)
{
    (void)number;
    atomic_fetch_add(&signals, 1);
}

struct storm {
    thread     *at[3];
    atomic_bool stop;
    uint64_t    sent;
};

/* A signal to each of them every 100 us. */
static void storm_body(void *arg)
{
    struct storm *s = arg;
    while (!atomic_load(&s->stop)) {
        for (unsigned i = 0; i < 3; i++) {
            if (s->at[i] != NULL && !thread_ended(s->at[i])) {
                pthread_kill(s->at[i]->id, SIGUSR1);
                s->sent++;
            }
        }
        sleep_us(50);
    }
}

static void storm_with(int flags)
{
    static reading   r, timed;
    static writing   w;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};
    async_writer    *writers[3];
    async_reader    *readers[3];
    struct storm     s = {0};
    thread           sender;
    sigemptyset(&action.sa_mask);
    WANT_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    memset(&r, 0, sizeof r);
    memset(&w, 0, sizeof w);
    memset(&timed, 0, sizeof timed);
    for (unsigned i = 0; i < 3; i++) { channel_of(&writers[i], &readers[i], i == 1, NULL); }
    atomic_store(&signals, 0);
    reading_start(&r, readers[0], 1, async_forever());
    writing_start(&w, writers[1], 5, 2, async_forever());
    uint64_t began = now_ns();
    reading_start(&timed, readers[2], 1, async_within_ms(400));
    s.at[0] = &r.thread;
    s.at[1] = &w.thread;
    s.at[2] = &timed.thread;
    thread_start(&sender, storm_body, &s);
    WANT(UNTIL(SOON, thread_ended(&timed.thread)));
    WANT_STATUS(timed.status, ASYNC_TIMEOUT);
    uint64_t took = timed.ended - began;
    WANT(took >= 400000000 && took < UINT64_C(4000000000));
    WANT(!thread_ended(&r.thread) && !thread_ended(&w.thread));
    WANT(r.got == 0);
    uint64_t items[2];
    write_numbers(writers[0], 9, 1);
    WANT_STATUS(async_reader_read(readers[1], items, 2, NULL, async_forever()), ASYNC_OK);
    WANT(UNTIL(SOON, thread_ended(&r.thread) && thread_ended(&w.thread)));
    atomic_store(&s.stop, true);
    pthread_join(sender.id, NULL); /* before those that it sends to */
    pthread_join(timed.thread.id, NULL);
    pthread_join(r.thread.id, NULL);
    pthread_join(w.thread.id, NULL);
    WANT(r.status == ASYNC_OK && r.items[0] == 9);
    WANT(w.status == ASYNC_OK && items[0] == 5 && items[1] == 6);
    printf("       %s SA_RESTART: %" PRIu64 " signals sent, %" PRIuFAST64
           " handled, 400 ms took %.1f\n",
           flags != 0 ? "with" : "without", s.sent, atomic_load(&signals), (double)took / 1e6);
    WANT(atomic_load(&signals) > 100);
    for (unsigned i = 0; i < 3; i++) {
        async_writer_release(writers[i]);
        async_reader_release(readers[i]);
    }
}

static void a_storm_of_signals(void)
{
    storm_with(0);
    storm_with(SA_RESTART);
}

/* ---- F17 ---- */

static void jump_body(void *arg)
{
    sleep_ms(30);
    atomic_store(&jump_ns, *(int64_t *)arg);
}

/* Deadlines that have passed. */
static void past_deadlines(void)
{
    async_writer    *writer;
    async_reader    *reader;
    uint64_t         items[3], now = now_ns();
    size_t           count;
    const async_wait past[] = {async_until_ns(0),   async_until_ns(1),
                               async_until_ns(now), async_until_ns(now - 1000000000),
                               async_within_ms(0),  async_per_item_ms(0),
                               async_now()};
    channel_of(&writer, &reader, 2, NULL);
    uint64_t began = now_ns();
    for (size_t i = 0; i < sizeof past / sizeof past[0]; i++) {
        WANT_STATUS(async_reader_read(reader, items, 2, &count, past[i]), ASYNC_TIMEOUT);
        WANT_EQ(count, 0);
        write_numbers(writer, 0, 2); /* what there is is given, whatever the deadline */
        WANT_STATUS(async_writer_write(writer, items, 1, &count, past[i]), ASYNC_TIMEOUT);
        WANT_EQ(count, 0);
        WANT_STATUS(async_reader_read(reader, items, 3, &count, past[i]), ASYNC_TIMEOUT);
        WANT_EQ(count, 2);
    }
    WANT(now_ns() - began < UINT64_C(1000000000));
    async_writer_release(writer);
    async_reader_release(reader);
}

/* Deadlines that do not come: they wait until there is something. */
static void far_deadlines(void)
{
    const async_wait far[] = {async_until_ns(INT64_MAX),
                              async_until_ns(UINT64_MAX),
                              async_until_ns(UINT64_MAX - 1),
                              async_until_ns((uint64_t)1 << 63),
                              async_within_ms(UINT64_MAX),
                              async_within_ms(INT64_MAX / 1000000),
                              async_within_ms(UINT64_MAX / 1000000),
                              async_per_item_ms(UINT64_MAX),
                              async_per_item_ms(INT64_MAX),
                              async_per_item_ms(UINT64_MAX / 1000000),
                              async_within_ms((uint64_t)1 << 58), /* 0, after the overflow */
                              async_per_item_ms((uint64_t)1 << 58)};
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        static reading r;
        async_writer  *writer;
        async_reader  *reader;
        memset(&r, 0, sizeof r);
        channel_of(&writer, &reader, 0, NULL);
        reading_start(&r, reader, 1, far[i]);
        WANT(thread_asleep(&r.thread));
        write_numbers(writer, 3, 1);
        thread_join(&r.thread);
        WANT(r.status == ASYNC_OK && r.items[0] == 3);
        async_writer_release(writer);
        async_reader_release(reader);
    }
}

/* The clock that the library reads jumps while a read waits. */
static void jumping_clock(int64_t by)
{
    async_writer *writer;
    async_reader *reader;
    uint64_t      items[3], before = now_ns();
    size_t        got;
    thread        jumper;
    channel_of(&writer, &reader, 0, NULL);
    write_numbers(writer, 0, 1);
    thread_start(&jumper, jump_body, &by);
    /* the kernel's clock has not jumped: the wait that it knows of ends by it */
    WANT_STATUS(async_reader_read(reader, items, 3, &got, async_within_ms(100)), ASYNC_TIMEOUT);
    WANT_EQ(got, 1);
    pthread_join(jumper.id, NULL);
    /* from here on deadlines are made by the one clock and kept by the other: behind, they have
     * passed already; ahead, only a reader that looks at the clock itself would notice */
    if (by < 0) {
        WANT_STATUS(async_reader_read(reader, items, 1, &got, async_within_ms(100)), ASYNC_TIMEOUT);
        WANT_EQ(got, 0);
    }
    WANT_STATUS(async_reader_read(reader, items, 1, &got, async_now()), ASYNC_TIMEOUT);
    write_numbers(writer, 7, 1);
    WANT_STATUS(async_reader_read(reader, items, 1, &got, async_within_ms(100)), ASYNC_OK);
    atomic_store(&jump_ns, 0);
    WANT(now_ns() - before < UINT64_C(5000000000));
    async_writer_release(writer);
    async_reader_release(reader);
}

static void clocks(void)
{
    past_deadlines();
    far_deadlines();
    jumping_clock(-INT64_C(3600000000000) / 3600); /* a second back: never below 0 after boot */
    jumping_clock(INT64_C(3600000000000));
    timed_read(30);
    /* Not a wait or a reading goes by the clock that people and NTP set. */
    WANT_EQ(atomic_load(&realtime), 0);
    WANT_EQ(atomic_load(&odd_deadlines), 0);
    WANT(atomic_load(&waits) > 0);
}

static const watched rows[] = {
    {"F15_spurious_wake_ups", spurious_wake_ups, ABUSE_SECONDS, 0, NULL},
    {"F16_a_storm_of_signals", a_storm_of_signals, ABUSE_SECONDS, 0, NULL},
    {"F17_clocks", clocks, ABUSE_SECONDS, 0, NULL},
};

int main(int argc, char **argv) { return WATCHED_MAIN(argc, argv, rows); }
