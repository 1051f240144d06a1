/* waits.c: functions that wait: F33 to F37. */
#define _GNU_SOURCE
#include "cases.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void want_message(async_reader *reader, const char *wanted)
{
    async_error error;
    WANT_STATUS(async_reader_error(reader, &error), ASYNC_OK);
    if (strstr(error.message, wanted) == NULL) {
        watched_failed(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", error.message, wanted);
    }
}

/* ---- F33 ---- */

static int on_caller(const void *in, void *out, void *context)
{
    WANT(pthread_equal(*(pthread_t *)context, pthread_self()));
    *(uint64_t *)out = *(const uint64_t *)in + 1;
    return 0;
}

static int writes(const void *in, void *out, void *context)
{
    *(uint64_t *)out = *(const uint64_t *)in;
    return (int)async_writer_write(context, in, 1, NULL, async_forever());
}

static void f33(void)
{
    enum { LENGTH = 5, COUNT = 1000 };
    static uint64_t items[COUNT];
    pthread_t       self = pthread_self();
    async_pool     *pool = pool_of(0);
    async_reader   *chain[LENGTH];
    for (unsigned i = 0; i < LENGTH; i++) {
        chain[i] = TASK(pool, .source = i == 0 ? range_of(0, COUNT) : NULL,
                        .input = i == 0 ? NULL : chain[i - 1], .each = on_caller, .context = &self,
                        .max_chunksize = 1);
    }
    WANT_READ(chain[LENGTH - 1], items, COUNT, async_forever(), ASYNC_OK, COUNT);
    for (unsigned i = 0; i < COUNT; i++) { WANT_EQ(items[i], i + LENGTH); }
    for (unsigned i = 0; i < LENGTH; i++) { async_reader_release(chain[i]); }

    async_writer *writer;
    async_reader *full;
    channel_of(&writer, &full, 2, NULL);
    async_reader *r = TASK(pool, .name = "filler", .source = range_of(0, 10), .each = writes,
                           .context = writer, .max_chunksize = 1);
    WANT_READ(r, items, 5, async_forever(), ASYNC_FAILED, 2);
    async_error error;
    WANT_STATUS(async_task_error(async_reader_task(r), &error), ASYNC_OK);
    WANT_EQ(error.code, ASYNC_DEADLOCK);
    want_message(r, "task \"filler\" waits for room in channel");
    WANT_READ(full, items, 2, async_now(), ASYNC_OK, 2);
    async_reader_release(r);
    async_reader_release(full);
    async_writer_release(writer);
    pool_end(pool);
}

/* ---- F34 ---- */

typedef struct nest {
    async_reader *inner;
    async_wait    wait;
    atomic_uint   deepest;
    atomic_uint   statuses[16];
} nest;

static _Thread_local unsigned depth;

static int reads(const void *in, void *out, void *context)
{
    nest    *self = context;
    uint64_t item = 0;
    unsigned seen = atomic_load(&self->deepest);
    depth++;
    while (depth > seen && !atomic_compare_exchange_weak(&self->deepest, &seen, depth)) {}
    async_status status = async_reader_read(self->inner, &item, 1, NULL, self->wait);
    depth--;
    atomic_fetch_add(&self->statuses[status & 15], 1);
    *(uint64_t *)out = *(const uint64_t *)in + item;
    return (int)status;
}

static void f34(void)
{
    uint64_t      items[50];
    async_pool   *pool = pool_of(1);
    nest          s = {.wait = async_forever()};
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                           .max_chunksize = 3);
    s.inner = TASK(pool, .input = a, .each = each_add_one, .max_chunksize = 2);
    async_reader *r = TASK(pool, .source = range_of(0, 1000), .each = reads, .context = &s,
                           .max_chunksize = 7);
    WANT_READ(r, items, 50, soon(), ASYNC_OK, 50);

    /* The same through a plain channel: nothing upstream to run, so a stand-in runs the task that
     * writes. */
    async_writer *writer;
    nest          t = {.wait = async_forever()};
    channel_of(&writer, &t.inner, 1, NULL);
    async_reader  *waits = TASK(pool, .source = range_of(0, 1000), .each = reads, .context = &t,
                                .max_chunksize = 1);
    static reading blocked;
    reading_start(&blocked, waits, 20, async_forever());
    async_reader *w = TASK(pool, .source = range_of(0, 1000), .each = writes, .context = writer,
                           .max_chunksize = 5);
    WANT_READ(w, items, 20, soon(), ASYNC_OK, 20);
    thread_join(&blocked.thread);
    WANT_STATUS(blocked.status, ASYNC_OK);
    async_reader_release(a);
    async_reader_release(s.inner);
    async_reader_release(r);
    async_reader_release(t.inner);
    async_reader_release(waits);
    async_reader_release(w);
    async_writer_release(writer);
    pool_end(pool);
}

/* ---- F35 ---- */

static int keep(const void *items, size_t count, void *context)
{
    (void)items;
    *(size_t *)context += count;
    return ASYNC_CONTINUE;
}

static void writes_later(void *context)
{
    sleep_ms(300);
    write_numbers(context, 5, 1);
    async_writer_close(context);
}

static void f35(void)
{
    if (TSAN) { watched_skip("F35: ThreadSanitizer's own thread could be the one that writes"); }
    async_writer *writer;
    async_reader *reader;
    uint64_t      items[4];
    size_t        count;
    void         *all;
    async_view    view;
    channel_of(&writer, &reader, 2, NULL);
    async_pool   *pool = pool_of(0);
    async_reader *r = TASK(pool, .name = "adder", .input = reader, .each = each_add_one);
    WANT_READ(reader, items, 1, async_forever(), ASYNC_DEADLOCK, 0);
    want_message(reader, "the only thread of the process waits for channel");
    write_numbers(writer, 0, 1);
    WANT_READ(reader, items, 2, async_forever(), ASYNC_DEADLOCK,
              1); /* what there is is taken along */
    WANT_READ(reader, items, 1, async_within_ms(30), ASYNC_TIMEOUT, 0);
    async_error error;
    WANT_STATUS(async_reader_error(reader, &error), ASYNC_OK);
    WANT_STATUS(error.status, ASYNC_OK); /* of the last read */
    /* Through a task, in every kind of read. */
    WANT_READ(r, items, 1, async_forever(), ASYNC_DEADLOCK, 0);
    want_message(r, "waits for task \"adder\"");
    WANT_STATUS(async_reader_borrow(r, &view, 1, async_forever()), ASYNC_DEADLOCK);
    WANT_STATUS(async_reader_read_all(r, &all, &count, async_forever()), ASYNC_DEADLOCK);
    WANT_EQ(count, 0);
    write_numbers(writer, 7, 2);
    WANT_READ(r, items, 2, async_forever(), ASYNC_OK, 2);
    WANT_EQ(items[0], 8);
    /* A write that nobody can make room for. */
    write_numbers(writer, 0, 2);
    WANT_STATUS(async_writer_write(writer, items, 1, &count, async_forever()), ASYNC_DEADLOCK);
    WANT_EQ(count, 0);
    count = 0;
    WANT_STATUS(async_reader_for_each(r, keep, &count, async_forever()), ASYNC_DEADLOCK);
    /* Where there is another thread it can't be known, and it may come true. */
    thread other;
    thread_start(&other, writes_later, writer);
    WANT_READ(reader, items, 1, async_forever(), ASYNC_OK, 1);
    thread_join(&other);
    WANT_READ(reader, items, 1, async_forever(), ASYNC_END, 0);
    async_reader_release(r);
    async_reader_release(reader);
    async_writer_release(writer);
    pool_end(pool);
}

/* ---- F36 ---- */

static void deep(unsigned n, unsigned levels)
{
    static nest          nests[10000];
    static async_reader *tasks[10000];
    async_pool          *pool;
    async_pool_options   options = {.stack_size = ASAN || TSAN ? 0 : 65536};
    uint64_t             item = 0;
    memset(nests, 0, sizeof nests);
    WANT_STATUS(async_pool_create(&pool, n, &options), ASYNC_OK);
    tasks[0] = TASK(pool, .source = range_of(0, 1000), .each = each_add_one);
    for (unsigned i = 1; i < levels; i++) {
        nests[i].inner = tasks[i - 1];
        nests[i].wait = async_forever();
        tasks[i] = TASK(pool, .source = range_of(0, 1000), .each = reads, .context = &nests[i]);
    }
    async_status status = async_reader_read(tasks[levels - 1], &item, 1, NULL, async_forever());
    if (status == ASYNC_OK) {
        WANT_EQ(item, 1);
    } else {
        async_error error;
        WANT_STATUS(status, ASYNC_FAILED);
        WANT_STATUS(async_reader_error(tasks[levels - 1], &error), ASYNC_OK);
        WANT_EQ(error.code, ASYNC_FAILED); /* and so on, down to the one that could not wait */
    }
    WANT_STATUS(async_pool_cancel(pool), ASYNC_OK);
    unsigned deepest = 0, refused = 0;
    for (unsigned i = 1; i < levels; i++) {
        unsigned seen = atomic_load(&nests[i].deepest);
        deepest = seen > deepest ? seen : deepest;
        refused += atomic_load(&nests[i].statuses[n == 0 ? ASYNC_DEADLOCK : ASYNC_BUSY]);
    }
    WANT(deepest >= 2 && deepest <= 16);
    /* With workers: what was asked for before a refusal is begun again by others, and refused
     * there. */
    WANT(n == 0 ? refused == (status != ASYNC_OK) : (refused > 0) == (status != ASYNC_OK));
    WANT(status == ASYNC_OK || levels > 16);
    /* First the pool: functions that were begun again may still read. */
    WANT_STATUS(async_pool_destroy(pool, ASYNC_DROP), ASYNC_OK);
    for (unsigned i = 0; i < levels; i++) { async_reader_release(tasks[i]); }
}

static void f36(void)
{
    for (unsigned n = 0; n <= 4; n += 2) {
        deep(n, TSAN ? 300 : ASAN ? 1500 : 10000);
        deep(n, 14);
    }
    deep(1, 100);
}

/* ---- F37 ---- */

typedef struct locked {
    pthread_mutex_t mutex; /* of the kind that says where a thread takes it twice */
    async_reader   *inner;
    atomic_uint     holding, got;
} locked;

static int waits_with_mutex(const void *in, void *out, void *context)
{
    locked *l = context;
    WANT_EQ(pthread_mutex_lock(&l->mutex), 0);
    atomic_store(&l->holding, 1);
    async_status status = async_reader_read(l->inner, out, 1, NULL, async_forever());
    atomic_store(&l->holding, 0);
    WANT_EQ(pthread_mutex_unlock(&l->mutex), 0);
    (void)in;
    return (int)status;
}

static int wants_mutex(const void *in, void *out, void *context)
{
    locked *l = context;
    WANT_EQ(pthread_mutex_lock(&l->mutex), 0);
    atomic_fetch_add(&l->got, 1);
    WANT_EQ(pthread_mutex_unlock(&l->mutex), 0);
    *(uint64_t *)out = *(const uint64_t *)in;
    return 0;
}

static void with_mutex(unsigned n, bool help)
{
    locked              l = {.holding = 0};
    pthread_mutexattr_t kind;
    pthread_mutexattr_init(&kind);
    pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
    pthread_mutex_init(&l.mutex, &kind);
    async_pool        *pool;
    async_pool_options options = {.readers_help = help};
    WANT_STATUS(async_pool_create(&pool, n, &options), ASYNC_OK);
    probe         held = {.delay_us = 2000};
    async_writer *writer;
    async_reader *plain;
    channel_of(&writer, &plain, 0, NULL);
    async_reader *wants = TASK(pool, .source = range_of(0, 100), .each = wants_mutex, .context = &l,
                               .max_chunksize = 1);
    for (unsigned kind_of = 0; kind_of < 2; kind_of++) {
        /* Waits for a slow task, of which it may run chunks itself; then for what nobody upstream
         * can make. */
        static reading first, second;
        memset(&first, 0, sizeof first);
        memset(&second, 0, sizeof second);
        l.inner = kind_of == 0 ? TASK(pool, .source = range_of(0, 100), .each = each_add_one,
                                      .context = &held, .max_chunksize = 1)
                               : plain;
        async_reader *waits = TASK(pool, .source = range_of(0, 100), .each = waits_with_mutex,
                                   .context = &l, .max_chunksize = 1, .max_parallel = 1);
        reading_start(&first, waits, 5, async_forever());
        reading_start(&second, wants, 20, async_forever());
        if (kind_of == 1) {
            for (unsigned i = 0; i < 5; i++) {
                sleep_ms(5);
                write_numbers(writer, i, 1);
            }
        }
        thread_join(&first.thread);
        thread_join(&second.thread);
        WANT_STATUS(first.status, ASYNC_OK);
        WANT_STATUS(second.status, ASYNC_OK);
        async_reader_release(waits);
        async_reader_release(l.inner);
    }
    WANT(atomic_load(&l.got) >= 40);
    async_reader_release(wants);
    async_writer_release(writer);
    pool_end(pool);
}

static void f37(void)
{
    for (unsigned n = 1; n <= 4; n *= 2) {
        with_mutex(n, false);
        with_mutex(n, true);
    }
}

static const watched cases[] = {
    {.name = "F33_a_chain_and_a_full_channel_at_size_0", .body = f33},
    {.name = "F34_one_worker_reads_what_is_queued", .body = f34},
    {.name = "F35_the_only_thread_reads_its_own_channel", .body = f35},
    {.name = "F36_nested_10000_deep", .body = f36},
    {.name = "F37_waiting_with_a_mutex", .body = f37},
};

int main(int argc, char **argv) { return WATCHED_MAIN(argc, argv, cases); }
