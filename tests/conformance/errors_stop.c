/* errors_stop.c: rows X5 to X8: what runs, and what is delivered, after a failure; failing sources;
 * refused writes. */
#include "pipeline.h"

#include <criterion/criterion.h>

static async_error error_of(async_reader *reader)
{
    async_error error;
    cr_assert_eq(async_task_error(async_reader_task(reader), &error), ASYNC_OK);
    return error;
}

/* X5: with no or one worker nothing behind the failing item starts. */
Test(X, X5_nothing_behind_it)
{
    for (unsigned ordered = 0; ordered < 2; ordered++) {
        for (unsigned n = 0; n < 2; n++) {
            probe         p = {.code = 1, .fail_value = 10};
            async_pool   *pool = pool_of(n);
            async_reader *reader = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                                        .context = &p, .max_chunksize = 1,
                                        .order = ordered ? ASYNC_ORDERED : ASYNC_UNORDERED);
            uint64_t      items[500];
            size_t        got = 0;
            async_status  status = async_reader_read(reader, items, 500, &got, async_forever());
            cr_assert_eq(status, ASYNC_FAILED);
            cr_assert_eq(got, 10);
            sleep_ms(5);
            cr_assert_eq(atomic_load(&p.calls), 11, "N = %u: %u calls", n,
                         (unsigned)atomic_load(&p.calls));
            async_reader_release(reader);
            pool_end(pool);
        }
    }
}

typedef struct late {
    atomic_bool          failed;
    atomic_uint_fast64_t calls, after; /* all that began, and those after the failure */
    atomic_uint          running;
} late;

static int fail_at_ten(const void *in, void *out, void *context)
{
    late    *l = context;
    uint64_t x = *(const uint64_t *)in;
    atomic_fetch_add(&l->running, 1);
    atomic_fetch_add(&l->calls, 1);
    atomic_fetch_add(&l->after, atomic_load(&l->failed));
    sleep_us(500);
    *(uint64_t *)out = x;
    if (x == 10) { atomic_store(&l->failed, true); }
    atomic_fetch_sub(&l->running, 1);
    return x == 10;
}

/* How many chunks began after the failure. */
static unsigned begun_after(unsigned n, async_order order)
{
    late          l = {.calls = 0};
    async_pool   *pool = pool_of(n);
    async_reader *reader = TASK(pool, .source = range_of(0, 1000), .each = fail_at_ten,
                                .context = &l, .max_chunksize = 1, .order = order);
    reading      *r = calloc(1, sizeof *r);
    cr_assert_not_null(r);
    reading_start(r, reader, 1000, async_forever());
    thread_join(&r->thread);
    cr_assert_eq(r->status, ASYNC_FAILED);
    cr_assert(UNTIL(SOON, atomic_load(&l.running) == 0));
    uint64_t calls = atomic_load(&l.calls);
    sleep_ms(10);
    cr_assert_eq(atomic_load(&l.calls), calls);
    free(r);
    async_reader_release(reader);
    pool_end(pool);
    return (unsigned)atomic_load(&l.after);
}

/* X5: with several workers only what had begun, and nothing once the reader knows. A thread that
 * stands still just before it can report the failure spoils an attempt. */
Test(X, X5_only_what_had_begun)
{
    for (unsigned ordered = 0; ordered < 2; ordered++) {
        EACH_SIZE (n) {
            unsigned after = UINT32_MAX;
            for (unsigned attempt = 0; attempt < 4 && after > 12 * n; attempt++) {
                after = begun_after(n, ordered ? ASYNC_ORDERED : ASYNC_UNORDERED);
            }
            cr_assert_leq(after, 12 * n, "N = %u: %u calls after the failure", n, after);
        }
    }
}

/* Holds 0 at a gate; every other item fails, once 0 has begun. */
static int all_but_one_fail(const void *in, void *out, void *context)
{
    probe   *p = context;
    uint64_t x = *(const uint64_t *)in;
    atomic_fetch_add(&p->calls, 1);
    if (x == 0) {
        gate_pass(p->hold);
        *(uint64_t *)out = x;
        return 0;
    }
    gate_arrived(p->hold, 1);
    return 1;
}

typedef struct midway {
    gate                 shut;
    atomic_bool          held;
    atomic_uint          running;
    atomic_uint_fast64_t calls;
} midway;

/* Fast for so long that workers take many chunks at a time; then one call is held, and the next
 * fails. */
static int hold_then_fail(const void *in, void *out, void *context)
{
    midway  *m = context;
    uint64_t x = *(const uint64_t *)in;
    int      code = 0;
    atomic_fetch_add(&m->running, 1);
    atomic_fetch_add(&m->calls, 1);
    if (x >= 20000) {
        bool none = false;
        if (atomic_compare_exchange_strong(&m->held, &none, true)) {
            gate_pass(&m->shut);
        } else {
            code = 1;
        }
    }
    *(uint64_t *)out = x;
    atomic_fetch_sub(&m->running, 1);
    return code;
}

/* X5: nor the chunks that the worker of a held one had taken together with it. */
Test(X, X5_nor_the_rest_of_what_a_worker_took)
{
    for (unsigned attempt = 0; attempt < 6; attempt++) {
        midway        m = {.held = false};
        unsigned      n = attempt % 2 == 0 ? 2 : 4;
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = range_of(0, 1000000), .each = hold_then_fail,
                                    .context = &m, .max_chunksize = 1, .min_count = 100000);
        uint64_t      item;
        cr_assert_eq(async_reader_read(reader, &item, 1, NULL, async_forever()), ASYNC_OK);
        gate_arrived(&m.shut, 1);
        cr_assert(UNTIL(SOON, error_of(reader).status == ASYNC_FAILED));
        cr_assert(UNTIL(SOON, atomic_load(&m.running) == 1));
        uint64_t calls = atomic_load(&m.calls);
        gate_open(&m.shut);
        async_reader_release(reader);
        pool_end(pool);
        /* each of the others may have been about to call the function for one chunk */
        unsigned more = (unsigned)(atomic_load(&m.calls) - calls);
        cr_assert_leq(more, n - 1, "N = %u: %u more", n, more);
    }
}

/* X5: of an unordered task none at all: once one of the chunks has failed none starts, while one
 * that runs goes through and its result is delivered or discarded. */
Test(X, X5_none_of_an_unordered_task)
{
    EACH_SIZE (n) {
        if (n < 2) { continue; }
        gate   shut = {0};
        ledger lost;
        ledger_make(&lost, 1);
        probe         p = {.hold = &shut, .lost = &lost};
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = range_of(0, 1000), .each = all_but_one_fail,
                                    .context = &p, .discard = probe_discard, .max_chunksize = 1);
        reading      *r = calloc(1, sizeof *r);
        cr_assert_not_null(r);
        reading_start(r, reader, 1000, async_forever());
        gate_arrived(&shut, 1);
        cr_assert(UNTIL(SOON, error_of(reader).status == ASYNC_FAILED));
        sleep_ms(5);
        unsigned calls = (unsigned)atomic_load(&p.calls);
        cr_assert_leq(calls, n, "N = %u: %u calls", n, calls);
        gate_open(&shut);
        thread_join(&r->thread);
        cr_assert_eq(r->status, ASYNC_FAILED);
        async_reader_release(reader);
        pool_end(pool);
        cr_assert_eq(atomic_load(&p.calls), calls, "N = %u: more calls after the failure", n);
        cr_assert_leq(r->got, 1);
        cr_assert_eq(r->got + atomic_load(&p.discarded), 1);
        cr_assert_eq(atomic_load(&lost.strange), 0);
        ledger_free(&lost);
        free(r);
    }
}

typedef struct kept {
    gate                 shut;
    atomic_bool          failed;
    atomic_uint_fast64_t calls;
    probe                lost; /* what is discarded */
} kept;

/* Holds 3 at a gate; fails at 7. */
static int hold_three_fail_at_seven(const void *in, void *out, void *context)
{
    kept    *k = context;
    uint64_t x = *(const uint64_t *)in;
    atomic_fetch_add(&k->calls, 1);
    if (x == 3) { gate_pass(&k->shut); }
    if (x == 7) {
        gate_arrived(&k->shut, 1);
        atomic_store(&k->failed, true);
        return 1;
    }
    *(uint64_t *)out = x;
    return 0;
}

static void kept_discard(void *items, size_t count, void *context)
{
    probe_discard(items, count, &((kept *)context)->lost);
}

/* X6: ordered: every item before the failing one is delivered, also what was still running or had
 * not begun; what was computed behind it is discarded, once. */
Test(X, X6_ordered)
{
    EACH_SIZE (n) {
        if (n < 2) { continue; }
        ledger lost;
        ledger_make(&lost, 1000);
        kept          k = {.lost = {.lost = &lost}};
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = range_of(0, 1000), .context = &k,
                                    .each = hold_three_fail_at_seven, .discard = kept_discard,
                                    .max_chunksize = 1, .order = ASYNC_ORDERED);
        reading      *r = calloc(1, sizeof *r);
        cr_assert_not_null(r);
        reading_start(r, reader, 1000, async_forever());
        gate_arrived(&k.shut, 1);
        cr_assert(UNTIL(SOON, atomic_load(&k.failed)), "N = %u", n);
        sleep_ms(10);
        gate_open(&k.shut);
        thread_join(&r->thread);
        cr_assert_eq(r->status, ASYNC_FAILED);
        cr_assert_eq(r->got, 7, "N = %u: %zu", n, r->got);
        for (uint64_t i = 0; i < 7; i++) { cr_assert_eq(r->items[i], i); }
        async_reader_release(reader);
        pool_end(pool);
        uint64_t computed = atomic_load(&k.calls) - 1; /* all but the failing one made an item */
        cr_assert_eq(atomic_load(&k.lost.discarded), computed - 7, "N = %u", n);
        cr_assert_eq(ledger_count(&lost, 0, 8, 0), 8);
        cr_assert_eq(ledger_count(&lost, 0, 1000, 1), computed - 7);
        ledger_free(&lost);
        free(r);
    }
}

/* X6: ordered, in every size of chunk: exactly the items before the failing one. */
Test(X, X6_ordered_in_chunks)
{
    EACH_SIZE (n) {
        for (size_t chunk = 1; chunk <= 9; chunk += 4) {
            probe         p = {.code = 1, .fail_value = 222};
            async_pool   *pool = pool_of(n);
            async_reader *a = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                                   .max_chunksize = 3, .order = ASYNC_ORDERED);
            async_reader *reader = TASK(pool, .input = a, .batch = batch_copy, .context = &p,
                                        .max_chunksize = chunk, .order = ASYNC_ORDERED);
            void         *items = NULL;
            size_t        count = 0;
            async_status  status = async_reader_read_all(reader, &items, &count, async_forever());
            cr_assert_eq(status, ASYNC_FAILED);
            cr_assert_eq(count, 221, "N = %u, chunk %zu: %zu", n, chunk, count);
            for (uint64_t i = 0; i < count; i++) { cr_assert_eq(((uint64_t *)items)[i], i + 1); }
            async_free(items);
            async_reader_release(a);
            async_reader_release(reader);
            pool_end(pool);
        }
    }
}

#define BATCHED 10

typedef struct clocked {
    atomic_uint_fast64_t began;     /* of the failing call, now_ns */
    atomic_uint_fast64_t ended[50]; /* of the call for each chunk */
} clocked;

static int fail_at_255(const void *in, void *out, size_t count, size_t *done, void *context)
{
    clocked        *c = context;
    const uint64_t *from = in;
    for (size_t i = 0; i < count; i++) {
        if (from[i] == 255) {
            atomic_store(&c->began, now_ns());
            sleep_ms(100);
            *done = i;
            return 1;
        }
        ((uint64_t *)out)[i] = from[i];
    }
    sleep_us(2000);
    if (count == BATCHED) { atomic_store(&c->ended[from[0] / BATCHED], now_ns()); }
    return 0;
}

/* X6: unordered: every result that was computed before the failure is delivered, of the failing
 * chunk too. */
Test(X, X6_unordered)
{
    EACH_SIZE (n) {
        clocked       c = {.began = 0};
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = range_of(0, 500), .batch = fail_at_255,
                                    .context = &c, .max_chunksize = BATCHED);
        void         *items = NULL;
        size_t        count = 0;
        ledger        seen;
        ledger_make(&seen, 500);
        async_status status = async_reader_read_all(reader, &items, &count, async_forever());
        cr_assert_eq(status, ASYNC_FAILED);
        ledger_add(&seen, items, count);
        for (size_t i = 0; i < 50; i++) {
            uint64_t ended = atomic_load(&c.ended[i]);
            size_t   size = ended != 0 && ended < atomic_load(&c.began) ? BATCHED : i == 25 ? 5 : 0;
            size_t   delivered = ledger_count(&seen, i * BATCHED, i * BATCHED + BATCHED, 1);
            cr_assert_geq(delivered, size, "N = %u, chunk %zu: %zu", n, i, delivered);
        }
        cr_assert_eq(ledger_count(&seen, 250, 260, 1), 5);
        async_free(items);
        ledger_free(&seen);
        async_reader_release(reader);
        pool_end(pool);
    }
}

typedef struct refused {
    async_writer *writer;
    atomic_uint   closed;
} refused;

static int write_to_closed(const void *in, void *out, void *context)
{
    refused     *r = context;
    async_status status = async_writer_write(r->writer, in, 1, NULL, async_forever());
    atomic_fetch_add(&r->closed, status == ASYNC_CLOSED);
    *(uint64_t *)out = *(const uint64_t *)in;
    return 0;
}

/* X7: a write refused because the channel is closed isn't the task's error: one of its function's
 * own writes, or that of its outputs when the task was removed meanwhile. */
Test(X, X7_a_refused_write)
{
    EACH_SIZE (n) {
        async_pool   *pool = pool_of(n);
        async_reader *unread;
        refused       r = {.closed = 0};
        uint64_t      items[10];
        channel_of(&r.writer, &unread, 0, NULL);
        async_reader_release(unread);
        async_reader *reader = TASK(pool, .source = range_of(0, 20), .each = write_to_closed,
                                    .context = &r);
        cr_assert_eq(async_reader_read(reader, items, 10, NULL, async_forever()), ASYNC_OK);
        cr_assert_eq(atomic_load(&r.closed), 10);
        cr_assert_eq(error_of(reader).status, ASYNC_OK);
        cr_assert_not(async_task_done(async_reader_task(reader)));
        async_reader_release(reader);
        async_writer_release(r.writer);

        gate  shut = {0};
        probe p = {.hold = &shut};
        reader = TASK(pool, .source = range_of(0, 20), .batch = batch_twice, .context = &p);
        async_reader *next = TASK(pool, .input = reader);
        reading      *a = calloc(1, sizeof *a);
        cr_assert_not_null(a);
        reading_start(a, next, 10, async_forever());
        gate_arrived(&shut, 1);
        cr_assert_eq(async_pool_remove_task(pool, async_reader_task(next)), ASYNC_OK);
        cr_assert_eq(async_pool_remove_task(pool, async_reader_task(reader)), ASYNC_OK);
        gate_open(&shut);
        thread_join(&a->thread);
        /* what had begun is delivered, then the end */
        cr_assert(a->status == (a->got == 10 ? ASYNC_OK : ASYNC_END), "N = %u: %s", n,
                  async_status_name(a->status));
        cr_assert(UNTIL(SOON, atomic_load(&p.running) == 0));
        cr_assert_eq(error_of(reader).status, ASYNC_OK);
        cr_assert_eq(error_of(next).status, ASYNC_OK);
        free(a);
        async_reader_release(reader);
        async_reader_release(next);
        pool_end(pool);
    }
}

/* X8: a failing source: at its first item 0 items and FAILED; after k items exactly those, for
 * every N; with and without a function, in one chunk and in many. */
Test(X, X8_failing_source)
{
    for (uint64_t k = 0; k <= 14; k += 7) {
        EACH_SIZE (n) {
            for (size_t chunk = 0; chunk <= 3; chunk += 3) {
                for (unsigned pass = 0; pass < 2; pass++) {
                    numbers       made = {.end = 100, .code = 31, .fail_value = k};
                    async_pool   *pool = pool_of(n);
                    async_reader *first = TASK(pool, .name = "source", .max_chunksize = chunk,
                                               .source = from_numbers(&made),
                                               .each = pass ? NULL : each_twice,
                                               .order = ASYNC_ORDERED);
                    async_reader *reader = TASK(pool, .input = first, .order = ASYNC_ORDERED);
                    uint64_t      items[30];
                    size_t        got = 99;
                    async_status  status = async_reader_read(reader, items, 30, &got,
                                                             async_forever());
                    cr_assert_eq(status, ASYNC_FAILED);
                    cr_assert_eq(got, k, "N = %u, chunk %zu: %zu of %u", n, chunk, got,
                                 (unsigned)k);
                    for (uint64_t i = 0; i < k; i++) { cr_assert_eq(items[i], pass ? i : 2 * i); }
                    cr_assert(async_task_done(async_reader_task(first)));
                    async_error error = error_of(first);
                    cr_assert_eq(error.status, ASYNC_FAILED);
                    cr_assert_eq(error.code, 31);
                    cr_assert_eq(error.item, k);
                    cr_assert_str_eq(error.task, "source");
                    unsigned calls = atomic_load(&made.calls);
                    status = async_reader_read(reader, items, 30, &got, async_forever());
                    cr_assert_eq(status, ASYNC_FAILED);
                    cr_assert_eq(got, 0);
                    cr_assert_eq(atomic_load(&made.calls), calls);
                    cr_assert_not(atomic_load(&made.overlap));
                    cr_assert_not(atomic_load(&made.after));
                    async_reader_release(first);
                    async_reader_release(reader);
                    pool_end(pool);
                }
            }
        }
    }
}
