/* kinds_graph.c: several inputs, pools and threads, plain channels, changes while work runs, and
 * endings. */
#define _GNU_SOURCE
#include "trials.h"

#include "pipeline.h"

#include <string.h>

/* Three inputs, one of them given later; to its end. */
static void run_fan_in(trial *t)
{
    async_source  sources[3] = {async_source_range(0, 20), async_source_range(20, 20),
                                async_source_range(40, 20)};
    async_pool   *pool = trial_pool(t, NULL);
    async_reader *in[3];
    for (unsigned i = 0; i < 3; i++) {
        in[i] = ADD(t, pool, .source = &sources[i], .each = trial_copy_each, .context = t,
                    .max_chunksize = 5 + i, .discard = trial_discard);
    }
    async_reader *all = ADD(t, pool, .input = in[0], .batch = trial_copy_batch, .context = t,
                            .max_chunksize = 8, .discard = trial_discard);
    for (unsigned i = 1; i < 3 && all != NULL; i++) {
        TRY(t, ASYNC_OK, async_task_add_input(async_reader_task(all), in[i]));
    }
    for (unsigned i = 0; i < 3; i++) { SURELY(async_reader_release(in[i])); }
    trial_read_rest(t, all, ASYNC_END, 60);
    SURELY(async_reader_release(all));
    trial_end(t, pool, ASYNC_DRAIN);
    trial_all_read(t, 60);
}

/* One pool feeds the other; one output has two consumers, which are inputs of the last. Who waits
 * in one pool isn't told that the other is short of memory: it goes on when memory is back. */
static void run_two_pools(trial *t)
{
    t->patient = true;
    async_source  source = async_source_range(0, 60);
    async_pool   *first = trial_pool(t, NULL), *second = trial_pool(t, NULL);
    async_reader *a = ADD(t, first, .source = &source, .each = trial_copy_each, .context = t,
                          .max_chunksize = 9, .discard = trial_discard);
    async_reader *b = ADD(t, second, .input = a, .batch = trial_copy_batch, .context = t,
                          .max_chunksize = 4, .discard = trial_discard);
    async_reader *c = ADD(t, second, .input = a, .context = t);
    async_reader *d = ADD(t, first, .input = b, .each = trial_copy_each, .context = t,
                          .max_chunksize = 6, .discard = trial_discard);
    if (d != NULL && c != NULL) { TRY(t, ASYNC_OK, async_task_add_input(async_reader_task(d), c)); }
    SURELY(async_reader_release(a));
    SURELY(async_reader_release(b));
    SURELY(async_reader_release(c));
    trial_read_rest(t, d, ASYNC_END, 60);
    SURELY(async_reader_release(d));
    trial_end(t, second, ASYNC_DROP);
    trial_end(t, first, ASYNC_DRAIN);
    trial_all_read(t, 60);
}

/* ── Plain channels: a thread that writes and one that reads, both waiting for the other ─────── */

struct writing_thread {
    trial        *t;
    async_writer *writer;
    unsigned      batch;
};

static void write_all(void *arg)
{
    struct writing_thread *w = arg;
    for (unsigned i = 0; i < 200; i += w->batch) { trial_write(w->t, w->writer, i, w->batch); }
    async_writer_release(w->writer);
}

static void write_and_read(trial *t, size_t capacity, unsigned batch)
{
    struct writing_thread w = {.t = t, .batch = batch};
    async_reader         *reader = NULL;
    uint64_t              items[10];
    thread                other;
    if (trial_channel(t, capacity, &w.writer, &reader)) {
        thread_start(&other, write_all, &w);
        for (unsigned i = 0; i < 20; i++) { trial_read(t, reader, items, 10, ASYNC_OK, 10); }
        trial_read(t, reader, items, 1, ASYNC_END, 0);
        thread_join(&other);
    }
    SURELY(async_reader_release(reader));
    trial_all_read(t, 200);
    EXPECT(t, atomic_load(&t->released) == 1);
}

static void run_bounded(trial *t) { write_and_read(t, 7, 20); }

static void run_unbounded(trial *t) { write_and_read(t, 0, 1); }

static int pre_write(void *items, size_t count, void *context)
{
    (void)context;
    for (size_t i = 0; i < count; i++) { ((uint64_t *)items)[i] -= 1000; }
    return 0;
}

static void post_read(void *items, size_t *count, void *context)
{
    (void)context;
    for (size_t i = 0; i < *count; i++) { ((uint64_t *)items)[i] ^= 1; }
}

/* A task behind a channel, callbacks on all ends. */
static void run_callbacks(trial *t)
{
    async_writer *writer = NULL;
    async_reader *reader = NULL;
    async_pool   *pool = trial_pool(t, NULL);
    if (trial_channel(t, 0, &writer, &reader)) {
        async_reader *r = ADD(t, pool, .input = reader, .each = trial_copy_each, .context = t,
                              .max_chunksize = 30, .discard = trial_discard);
        TRY(t, ASYNC_OK, async_writer_set_pre(writer, pre_write, NULL, NULL, NULL));
        TRY(t, ASYNC_OK, async_reader_set_post(reader, post_read, NULL, NULL, NULL));
        if (r != NULL) { TRY(t, ASYNC_OK, async_reader_set_post(r, post_read, NULL, NULL, NULL)); }
        for (unsigned i = 0; i < 4; i++) { trial_write(t, writer, 1000 + 25 * i, 25); }
        SURELY(async_writer_release(writer));
        trial_read_rest(t, r, ASYNC_END, 100);
        SURELY(async_reader_release(r));
    }
    SURELY(async_reader_release(reader));
    trial_end(t, pool, ASYNC_DRAIN);
    trial_all_read(t, 100);
    EXPECT(t, atomic_load(&t->released) == 1);
}

/* A task that gathers what was written item by item. */
static void run_gather(trial *t)
{
    async_writer *writer = NULL;
    async_reader *reader = NULL;
    async_pool   *pool = trial_pool(t, NULL);
    if (trial_channel(t, 0, &writer, &reader)) {
        async_reader *r = ADD(t, pool, .input = reader, .batch = trial_copy_batch, .context = t,
                              .max_chunksize = 10, .discard = trial_discard);
        for (unsigned i = 0; i < 260; i++) { trial_write(t, writer, i, 1); }
        SURELY(async_writer_release(writer));
        trial_read_rest(t, r, ASYNC_END, 260);
        SURELY(async_reader_release(r));
    }
    SURELY(async_reader_release(reader));
    trial_end(t, pool, ASYNC_DRAIN);
    trial_all_read(t, 260);
}

/* A function that reads another task's output, of its own pool and of another. */
static int read_inner(const void *in, void *out, void *context)
{
    trial       *t = context;
    async_status status;
    (void)in;
    while (trial_again(t, "async_reader_read inside a task",
                       status = async_reader_read(t->inner, out, 1, NULL, async_forever()))) {}
    if (status != ASYNC_OK) {
        trial_wrong(t, "async_reader_read inside a task", status);
        return 1;
    }
    return 0;
}

static void nested(trial *t, async_pool *pool, async_pool *of_inner)
{
    async_source inner = async_source_range(0, 24), outer = async_source_range(0, 24);
    t->inner = ADD(t, of_inner, .source = &inner, .each = trial_copy_each, .context = t,
                   .max_chunksize = 4, .discard = trial_discard);
    async_reader *r = ADD(t, pool, .source = &outer, .each = read_inner, .context = t,
                          .max_chunksize = 5, .discard = trial_discard);
    if (t->inner != NULL) { trial_read_rest(t, r, ASYNC_END, 24); }
    SURELY(async_reader_release(r));
    trial_end(t, pool, ASYNC_DRAIN);
    SURELY(async_reader_release(t->inner));
    if (of_inner != pool) { trial_end(t, of_inner, ASYNC_DRAIN); }
    trial_all_read(t, 24);
}

static void run_nested(trial *t)
{
    async_pool *pool = trial_pool(t, NULL);
    nested(t, pool, pool);
}

static void run_nested_pools(trial *t)
{
    async_pool *pool = trial_pool(t, NULL), *of_inner = trial_pool(t, NULL);
    nested(t, pool, of_inner);
}

/* ── Changes while a thread reads ────────────────────────────────────────────────────────────── */

struct reading_thread {
    trial        *t;
    async_reader *reader;
};

static void read_until_end(void *arg)
{
    struct reading_thread *r = arg;
    uint64_t               items[10];
    for (unsigned i = 0; i < 6; i++) { trial_read(r->t, r->reader, items, 10, ASYNC_OK, 10); }
}

static void run_resize(trial *t)
{
    async_source          source = async_source_range(0, 60);
    async_pool           *pool = trial_pool(t, NULL);
    struct reading_thread r = {.t = t};
    thread                other;
    r.reader = ADD(t, pool, .source = &source, .each = trial_copy_each, .context = t,
                   .max_chunksize = 2, .discard = trial_discard);
    if (r.reader != NULL) {
        thread_start(&other, read_until_end, &r);
        for (unsigned i = 0; i < 3; i++) {
            unsigned n = (t->n + i) % 3;
            if (TRY(t, ASYNC_OK, async_pool_set_size(pool, n))) {
                EXPECT(t, async_pool_size(pool) == n);
            }
        }
        thread_join(&other);
    }
    SURELY(async_reader_release(r.reader));
    trial_end(t, pool, ASYNC_DRAIN);
    trial_all_read(t, 60);
}

/* ── Endings: everything that was made is read or discarded, once ────────────────────────────── */

static int make_each(const void *in, void *out, void *context)
{
    trial   *t = context;
    uint64_t item = *(const uint64_t *)in;
    *(uint64_t *)out = item;
    atomic_fetch_add(&t->made[item % TRIAL_ITEMS], 1);
    return 0;
}

static void made_once(trial *t)
{
    EXPECT(t, atomic_load(&t->strange) == 0);
    for (unsigned i = 0; i < TRIAL_ITEMS; i++) {
        unsigned made = atomic_load(&t->made[i]);
        EXPECT(t, made <= 1 && atomic_load(&t->read[i]) + atomic_load(&t->lost[i]) == made);
    }
}

/* How a pipeline with items ready and more asked for comes to its end. */
enum ending { CANCEL_TASK, CANCEL_READER, CANCEL_POOL, REMOVE, LEAVE, DROP, DRAIN };

static void end_by(trial *t, enum ending how)
{
    uint64_t      items[20];
    async_source  source = async_source_range(0, 1000);
    async_pool   *pool = trial_pool(t, NULL);
    async_reader *a = ADD(t, pool, .source = &source, .each = make_each, .max_chunksize = 16,
                          .min_count = 64, .context = t, .discard = trial_discard);
    async_reader *b = ADD(t, pool, .input = a, .name = "last", .max_chunksize = 7);
    SURELY(async_reader_release(a));
    if (b != NULL) {
        trial_read(t, b, items, 20, ASYNC_OK, 20);
        switch (how) {
        case CANCEL_TASK:
            TRY(t, ASYNC_OK, async_task_cancel(async_reader_task(b)));
            trial_read(t, b, items, 1, ASYNC_CANCELLED, 0);
            break;
        case CANCEL_READER:
            TRY(t, ASYNC_OK, async_reader_cancel(b));
            trial_read(t, b, items, 1, ASYNC_CANCELLED, 0);
            break;
        case CANCEL_POOL:
            TRY(t, ASYNC_OK, async_pool_cancel(pool));
            trial_read(t, b, items, 1, ASYNC_CANCELLED, 0);
            break;
        case REMOVE:
            TRY(t, ASYNC_OK, async_pool_remove_task(pool, async_reader_task(b)));
            trial_read_rest(t, b, ASYNC_END, SIZE_MAX);
            break;
        case LEAVE:
            SURELY(async_reader_release(b));
            b = NULL;
            break;
        case DROP:
        case DRAIN: /* below */
            break;
        }
    }
    trial_end(t, pool, how == DROP ? ASYNC_DROP : ASYNC_DRAIN);
    if (b != NULL && how == DRAIN) { trial_read_rest(t, b, ASYNC_END, SIZE_MAX); }
    SURELY(async_reader_release(b));
    made_once(t);
    if (how == DRAIN) { /* min_count was asked for, so it was run */
        unsigned read = 0;
        for (unsigned i = 0; i < TRIAL_ITEMS; i++) { read += atomic_load(&t->read[i]); }
        EXPECT(t, atomic_load(&t->refused) > 0 || read == 64);
    }
}

static void run_cancel_task(trial *t) { end_by(t, CANCEL_TASK); }

static void run_cancel_reader(trial *t) { end_by(t, CANCEL_READER); }

static void run_cancel_pool(trial *t) { end_by(t, CANCEL_POOL); }

static void run_remove(trial *t) { end_by(t, REMOVE); }

static void run_leave(trial *t) { end_by(t, LEAVE); }

static void run_drop(trial *t) { end_by(t, DROP); }

static void run_drain(trial *t) { end_by(t, DRAIN); }

const trial_kind graph_kinds[] = {
    {"fan_in", run_fan_in},
    {"two_pools", run_two_pools},
    {"bounded", run_bounded},
    {"unbounded", run_unbounded},
    {"callbacks", run_callbacks},
    {"gather", run_gather},
    {"nested", run_nested},
    {"nested_pools", run_nested_pools},
    {"resize", run_resize},
    {"cancel_task", run_cancel_task},
    {"cancel_reader", run_cancel_reader},
    {"cancel_pool", run_cancel_pool},
    {"remove", run_remove},
    {"leave", run_leave},
    {"drop", run_drop},
    {"drain", run_drain},
    {NULL, NULL},
};
