/* life_threads.c: rows F52 and F54: user threads that are cancelled in a call, and signals. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "rows.h"

#include "channel.h"
#include "destroying.h"
#include "observer.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ── F52 ─────────────────────────────────────────────────────────────────────────────────────── */

enum call { READ, READ_ALL, FOR_EACH, BORROW, WRITE, DESTROY, CALLS };

typedef struct cancelled {
    enum call     call;
    async_reader *reader;
    async_writer *writer;
    async_pool   *pool;
    atomic_int    tid;
    atomic_bool   inside, returned, survived;
    async_status  status;
    size_t        got;
} cancelled;

static int sink(const void *items, size_t count, void *context)
{
    cancelled *c = context;
    (void)items;
    c->got += count;
    return ASYNC_STOP;
}

static __attribute__((noinline)) void call_it(cancelled *c)
{
    uint64_t   item = 1;
    void      *items = NULL;
    async_view view;
    atomic_store(&c->tid, (int)gettid());
    atomic_store(&c->inside, true);
    switch (c->call) {
    case READ:
        c->status = async_reader_read(c->reader, &item, 1, &c->got, async_forever());
        break;
    case READ_ALL:
        c->status = async_reader_read_all(c->reader, &items, &c->got, async_forever());
        async_free(items);
        break;
    case FOR_EACH:
        c->status = async_reader_for_each(c->reader, sink, c, async_forever());
        break;
    case BORROW:
        c->status = async_reader_borrow(c->reader, &view, 1, async_forever());
        if (c->status == ASYNC_OK) {
            c->got = view.count;
            async_view_return(&view);
        }
        break;
    case WRITE:
        c->status = async_writer_write(c->writer, &item, 1, &c->got, async_forever());
        break;
    default:
        c->status = async_pool_destroy(c->pool, ASYNC_DRAIN);
    }
    atomic_store(&c->returned, true);
}

/* A frame of its own: what the unwinding skips must have nothing that a sanitizer guards. */
static void *call_and_go(void *arg)
{
    cancelled *c = arg;
    call_it(c);
    pthread_testcancel(); /* here it is cancelled */
    atomic_store(&c->survived, true);
    return NULL;
}

/* Cancelled while it is blocked in the call: the call goes on to its end, nothing of it is left. */
static void cancel_in(enum call call, unsigned n, bool task)
{
    gate           hold = {0};
    probe          p = {.hold = &hold};
    static reading inside;
    memset(&inside, 0, sizeof inside);
    cancelled     c = {.call = call, .pool = pool_of(n)};
    async_reader *end, *held = NULL;
    async_pool   *pool = c.pool;
    channel_of(&c.writer, &end, call == WRITE ? 4 : 0, NULL);
    c.reader = task ? TASK(pool, .input = end, .each = each_add_one) : async_reader_retain(end);
    if (call == WRITE) { write_numbers(c.writer, 0, 4); }
    if (call == DESTROY) {
        held = TASK(pool, .source = range_of(0, 1), .each = each_add_one, .context = &p);
        reading_start(&inside, held, 1, async_forever());
        gate_arrived(&hold, 1);
    }
    pthread_t id;
    ROW_EQ(pthread_create(&id, NULL, call_and_go, &c), 0);
    ROW_CHECK(UNTIL(SOON, atomic_load(&c.inside)));
    sleep_ms(5);
    ROW_EQ(pthread_cancel(id), 0);
    sleep_ms(5);
    ROW_CHECK(!atomic_load(&c.returned));
    if (call == WRITE) {
        uint64_t item;
        size_t   got = 0;
        ROW_STATUS(async_reader_read(c.reader, &item, 1, &got, async_forever()), ASYNC_OK);
    } else if (call == DESTROY) {
        gate_open(&hold);
    } else {
        write_numbers(c.writer, 7, 1);
        if (call == READ_ALL || call == FOR_EACH) { (void)async_writer_close(c.writer); }
    }
    void *result = NULL;
    ROW_EQ(pthread_join(id, &result), 0);
    ROW_CHECK(atomic_load(&c.returned) && !atomic_load(&c.survived) && result == PTHREAD_CANCELED);
    ROW_STATUS(c.status, ASYNC_OK);
    if (call != DESTROY) { ROW_EQ(c.got, 1); }
    if (call != DESTROY) { ROW_EQ(atomic_load(&channel_of_reader(c.reader)->readers.count), 0); }
    if (call == WRITE) { ROW_EQ(atomic_load(&channel_of_reader(end)->writers.count), 0); }
    if (held != NULL) {
        thread_join(&inside.thread);
        async_reader_release(held);
    }
    async_writer_release(c.writer);
    async_reader_release(c.reader);
    async_reader_release(end);
    if (call != DESTROY) { pool_end(pool); }
}

static void cancellation(void)
{
    EACH_SIZE (n) {
        for (enum call call = READ; call < CALLS; call++) {
            for (unsigned task = 0; task < 2; task++) {
                if ((call == WRITE && task) || (call == DESTROY && n == 0)) { continue; }
                cancel_in(call, n, task != 0);
            }
        }
    }
}

/* ── F54 ─────────────────────────────────────────────────────────────────────────────────────── */

static atomic_int  user_tid;
static atomic_uint on_user, elsewhere;

static void handler(int signal)
{
    (void)signal;
    if ((int)gettid() == atomic_load(&user_tid)) {
        atomic_fetch_add(&on_user, 1);
    } else {
        atomic_fetch_add(&elsewhere, 1);
    }
}

static atomic_bool over;

/* The only thread that takes the signal. */
static void user_thread(void *arg)
{
    sigset_t set;
    (void)arg;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    atomic_store(&user_tid, (int)gettid());
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    while (!atomic_load(&over)) { sleep_us(500); }
}

static void signals(void)
{
    sigset_t         set, pending;
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    ROW_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    /* The pool is made while the signal may be taken: workers block it all the same. */
    async_pool *pool = pool_of(4);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    async_reader *a = TASK(pool, .source = range_of(0, UINT64_MAX), .each = each_add_one,
                           .max_chunksize = 3);
    async_reader *r = TASK(pool, .input = a, .each = each_twice, .max_chunksize = 5);
    observer      o;
    observer_start(&o, pool, &r, 1, NULL);
    uint64_t items[500];
    size_t   got = 0;
    /* Nobody takes it: it stays pending, whether workers are busy or sleep. */
    ROW_EQ(kill(getpid(), SIGUSR1), 0);
    for (unsigned i = 0; i < 20; i++) {
        ROW_STATUS(async_reader_read(r, items, 500, &got, async_forever()), ASYNC_OK);
        sleep_us(500);
    }
    sigpending(&pending);
    ROW_EQ(sigismember(&pending, SIGUSR1), 1);
    ROW_EQ(atomic_load(&on_user) + atomic_load(&elsewhere), 0);
    thread user = {0};
    thread_start(&user, user_thread, NULL);
    ROW_CHECK(UNTIL(SOON, atomic_load(&on_user) == 1));
    uint64_t rounds = row_number(SANITIZED ? 200 : 2000);
    for (uint64_t i = 0; i < rounds; i++) {
        ROW_EQ(kill(getpid(), SIGUSR1), 0);
        if (i % 10 == 0) {
            ROW_STATUS(async_reader_read(r, items, 500, &got, async_forever()), ASYNC_OK);
        }
    }
    ROW_CHECK(UNTIL(SOON, (sigpending(&pending), sigismember(&pending, SIGUSR1)) == 0));
    atomic_store(&over, true);
    thread_join(&user);
    observer_stop(&o);
    ROW_CHECK(atomic_load(&on_user) > 1);
    ROW_EQ(atomic_load(&elsewhere), 0);
    row_says("%u signals taken, all by the thread that wanted them", atomic_load(&on_user));
    async_reader_release(a);
    async_reader_release(r);
    pool_end(pool);
}

static const row rows[] = {
    {"F52", "pthread_cancel of a thread that waits in a call: after the call", cancellation, 120},
    {"F54", "signals to the process are never a worker's", signals, 0},
};
ROWS(rows)
