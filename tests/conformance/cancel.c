/* cancel.c: row X10: cancelling a task, all that is upstream of a reader, or a pool. */
#include "pipeline.h"

#include <criterion/criterion.h>

#define WAYS 3
static const char *const ways[WAYS] = {"task", "reader", "pool"};

static async_status cancel(unsigned way, async_reader *reader)
{
    switch (way) {
    case 0:
        return async_task_cancel(async_reader_task(reader));
    case 1:
        return async_reader_cancel(reader);
    default:
        return async_pool_cancel(async_reader_pool(reader));
    }
}

static async_status upstream_status(async_reader *reader)
{
    async_error error;
    cr_assert_eq(async_reader_error(reader, &error), ASYNC_OK);
    return error.status;
}

/* One call of each way of reading, which blocks. */
typedef struct blocked {
    async_reader *reader;
    unsigned      way;
    async_status  status;
    size_t        got;
    thread        thread;
} blocked;

static int count_items(const void *items, size_t count, void *context)
{
    (void)items;
    *(size_t *)context += count;
    return ASYNC_CONTINUE;
}

static void blocked_body(void *arg)
{
    blocked   *b = arg;
    uint64_t   items[8];
    void      *all = NULL;
    async_view view = {0};
    switch (b->way) {
    case 0:
        b->status = async_reader_read(b->reader, items, 8, &b->got, async_forever());
        break;
    case 1:
        b->status = async_reader_read_all(b->reader, &all, &b->got, async_forever());
        async_free(all);
        break;
    case 2:
        b->status = async_reader_for_each(b->reader, count_items, &b->got, async_forever());
        break;
    case 3:
        b->status = async_reader_borrow(b->reader, &view, 8, async_forever());
        b->got = view.count;
        break;
    default:
        b->status = async_reader_read(b->reader, items, 1, &b->got, async_per_item_ms(60000));
        break;
    }
}

#define READERS 5

/* X10: everyone who is blocked on it wakes with CANCELLED, at once and for ever; what isn't
 * upstream goes on. */
Test(X, X10_wakes_all_readers)
{
    for (unsigned way = 0; way < WAYS; way++) {
        EACH_SIZE (n) {
            async_pool   *pool = pool_of(n);
            async_writer *writer;
            async_reader *plain, *a, *b;
            blocked       r[READERS];
            uint64_t      item = 7;
            size_t        got = 99;
            channel_of(&writer, &plain, 0, NULL);
            a = TASK(pool, .input = plain, .each = each_twice);
            b = TASK(pool, .input = a);
            for (unsigned i = 0; i < READERS; i++) {
                r[i] = (blocked){.reader = b, .way = i};
                thread_start(&r[i].thread, blocked_body, &r[i]);
                cr_assert(thread_asleep(&r[i].thread));
            }
            cr_assert_eq(cancel(way, b), ASYNC_OK);
            for (unsigned i = 0; i < READERS; i++) {
                cr_assert(thread_join_within(&r[i].thread, SOON), "%s, N = %u: reader %u sleeps on",
                          ways[way], n, i);
                cr_assert_eq(r[i].status, ASYNC_CANCELLED, "%s, N = %u, reader %u: %s", ways[way],
                             n, i, async_status_name(r[i].status));
                cr_assert_eq(r[i].got, 0);
            }
            cr_assert_eq(cancel(way, b), ASYNC_OK); /* may be repeated */
            for (unsigned again = 0; again < 3; again++) {
                async_status status = async_reader_read(b, &item, 1, &got, async_forever());
                cr_assert_eq(status, ASYNC_CANCELLED);
                cr_assert_eq(got, 0);
            }
            cr_assert(async_task_done(async_reader_task(b)));
            cr_assert_eq(upstream_status(b), ASYNC_CANCELLED);

            /* what is upstream: only cancelled where that was said */
            cr_assert_eq(async_writer_closed(writer), way == 1, "%s", ways[way]);
            cr_assert_eq(async_task_done(async_reader_task(a)), way != 0, "%s", ways[way]);
            if (way != 1) { write_numbers(writer, 21, 1); }
            async_status status = async_reader_read(a, &item, 1, &got, async_forever());
            cr_assert_eq(status, way == 0 ? ASYNC_OK : ASYNC_CANCELLED);
            cr_assert(way != 0 || item == 42);
            async_reader_release(a);
            async_reader_release(b);

            /* the pool can be used on */
            async_reader *more = TASK(pool, .source = range_of(5, 1), .each = each_twice);
            cr_assert_eq(async_reader_read(more, &item, 1, &got, async_forever()), ASYNC_OK);
            cr_assert_eq(item, 10);
            async_reader_release(more);
            async_reader_release(plain);
            async_writer_release(writer);
            pool_end(pool);
        }
    }
}

/* X10: writers that are blocked upstream wake too, and what they got in is discarded, once. */
Test(X, X10_wakes_writers_upstream)
{
    for (unsigned direct = 0; direct < 2; direct++) {
        EACH_SIZE (n) {
            ledger lost;
            ledger_make(&lost, 300);
            probe         p = {.lost = &lost};
            async_pool   *pool = pool_of(n);
            async_writer *writer;
            async_reader *plain, *a, *b;
            writing      *w = calloc(3, sizeof *w);
            size_t        sum = 0;
            cr_assert_not_null(w);
            channel_of(&writer, &plain, 2, &p);
            a = TASK(pool, .input = plain);
            b = TASK(pool, .input = a);
            for (unsigned i = 0; i < 3; i++) {
                writing_start(&w[i], writer, 100 * i, 5, async_forever());
                cr_assert(thread_asleep(&w[i].thread));
            }
            cr_assert_eq(async_reader_cancel(direct ? plain : b), ASYNC_OK);
            for (unsigned i = 0; i < 3; i++) {
                cr_assert(thread_join_within(&w[i].thread, SOON), "N = %u: writer %u sleeps on", n,
                          i);
                cr_assert_eq(w[i].status, ASYNC_CLOSED, "N = %u: %s", n,
                             async_status_name(w[i].status));
                sum += w[i].written;
            }
            cr_assert_leq(sum, 2);
            cr_assert(UNTIL(SOON, atomic_load(&p.discarded) >= sum));
            for (unsigned i = 0; i < 3; i++) {
                cr_assert_eq(ledger_count(&lost, 100 * i, 100 * i + w[i].written, 1), w[i].written);
            }
            uint64_t     item;
            async_status status = async_reader_read(plain, &item, 1, NULL, async_forever());
            cr_assert_eq(status, ASYNC_CANCELLED);
            status = async_reader_read(b, &item, 1, NULL, async_forever());
            cr_assert_eq(status, ASYNC_CANCELLED, "N = %u: %s", n, async_status_name(status));
            async_reader_release(plain);
            async_reader_release(a);
            async_reader_release(b);
            async_writer_release(writer);
            pool_end(pool);
            cr_assert_eq(atomic_load(&p.discarded), sum);
            ledger_free(&lost);
            free(w);
        }
    }
}

/* X10: it starts nothing more; running chunks go through and their results are discarded, once; and
 * nobody waits for them. */
Test(X, X10_starts_nothing_more)
{
    for (unsigned way = 0; way < WAYS; way++) {
        EACH_SIZE (n) {
            gate     shut = {0};
            ledger   lost;
            unsigned running = n > 0 ? n : 1;
            ledger_make(&lost, 1001);
            probe         p = {.hold = &shut, .lost = &lost};
            async_pool   *pool = pool_of(n);
            async_reader *reader = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                                        .context = &p, .discard = probe_discard,
                                        .release = probe_release, .max_chunksize = 1,
                                        .order = way == 1 ? ASYNC_ORDERED : ASYNC_UNORDERED);
            reading      *r = calloc(1, sizeof *r);
            cr_assert_not_null(r);
            reading_start(r, reader, 900, async_forever());
            gate_arrived(&shut, running);
            cr_assert_eq(cancel(way, reader), ASYNC_OK);
            if (n > 0) {
                cr_assert(thread_join_within(&r->thread, SOON), "%s, N = %u: sleeps on", ways[way],
                          n);
                gate_open(&shut);
            } else { /* it runs the chunk itself */
                gate_open(&shut);
                thread_join(&r->thread);
            }
            cr_assert_eq(r->status, ASYNC_CANCELLED);
            cr_assert_eq(r->got, 0);
            async_reader_release(reader);
            pool_end(pool);
            cr_assert_eq(atomic_load(&p.calls), running, "%s, N = %u: %u calls", ways[way], n,
                         (unsigned)atomic_load(&p.calls));
            cr_assert_eq(atomic_load(&p.discarded), running, "%s, N = %u: %u discarded", ways[way],
                         n, (unsigned)atomic_load(&p.discarded));
            cr_assert_eq(ledger_count(&lost, 0, 1001, 1), running);
            cr_assert_eq(atomic_load(&p.released), 1);
            ledger_free(&lost);
            free(r);
        }
    }
}

typedef struct asking {
    gate        begun;
    atomic_bool at_first, at_last;
} asking;

static int ask_until_it_stops(const void *in, void *out, void *context)
{
    asking *a = context;
    atomic_store(&a->at_first, async_stopping());
    atomic_fetch_add(&a->begun.waiting, 1);
    uint64_t end = now_ms() + SOON;
    while (!async_stopping() && now_ms() < end) { sleep_us(100); }
    atomic_store(&a->at_last, async_stopping());
    *(uint64_t *)out = *(const uint64_t *)in;
    return 0;
}

/* X10: a running function can ask whether its results are still wanted. */
Test(X, X10_a_function_can_ask)
{
    cr_assert_not(async_stopping());
    for (unsigned way = 0; way < WAYS; way++) {
        EACH_SIZE (n) {
            asking        ask = {.at_first = true};
            async_pool   *pool = pool_of(n);
            async_reader *reader = TASK(pool, .source = range_of(0, 5), .max_chunksize = 5,
                                        .each = ask_until_it_stops, .context = &ask,
                                        .max_parallel = 1);
            reading      *r = calloc(1, sizeof *r);
            cr_assert_not_null(r);
            reading_start(r, reader, 5, async_forever());
            gate_arrived(&ask.begun, 1);
            cr_assert_not(atomic_load(&ask.at_first));
            cr_assert_eq(cancel(way, reader), ASYNC_OK);
            thread_join(&r->thread);
            cr_assert_eq(r->status, ASYNC_CANCELLED);
            async_reader_release(reader);
            pool_end(pool);
            cr_assert(atomic_load(&ask.at_last), "%s, N = %u", ways[way], n);
            free(r);
        }
    }
}

typedef struct insider {
    unsigned      way;
    async_reader *reader;
    atomic_uint   calls;
    async_status  status;
    atomic_bool   returned; /* from the cancel */
} insider;

static int cancel_at_five(const void *in, void *out, void *context)
{
    insider *i = context;
    uint64_t x = *(const uint64_t *)in;
    atomic_fetch_add(&i->calls, 1);
    if (x == 5) {
        i->status = cancel(i->way, i->reader);
        atomic_store(&i->returned, true);
    }
    *(uint64_t *)out = x;
    return 0;
}

/* X10: from inside a task, of itself and of what is downstream of it. */
Test(X, X10_from_inside_a_task)
{
    for (unsigned way = 0; way < WAYS; way++) {
        for (unsigned of_last = 0; of_last < 2; of_last++) {
            EACH_SIZE (n) {
                insider     i = {.way = way, .status = ASYNC_SYSTEM};
                async_pool *pool = pool_of(n);
                /* more than `b` asks for, or all may be taken before the cancel comes */
                async_reader *a = TASK(pool, .source = range_of(0, 2000), .each = cancel_at_five,
                                       .context = &i, .max_chunksize = 1);
                async_reader *b = TASK(pool, .input = a, .max_chunksize = 1);
                i.reader = of_last ? b : a;
                uint64_t *items = malloc(1000 * sizeof *items);
                size_t    got = 99;
                cr_assert_not_null(items);
                async_status status = async_reader_read(b, items, 1000, &got, async_forever());
                cr_assert_eq(status, ASYNC_CANCELLED, "%s, N = %u: %s", ways[way], n,
                             async_status_name(status));
                cr_assert_lt(got, 1000);
                bool upstream = !of_last || way > 0; /* whether `a` was cancelled, too */
                async_reader_release(b);
                if (n < 2 && upstream) {
                    cr_assert_eq(atomic_load(&i.calls), 6, "%s, N = %u", ways[way], n);
                }
                cr_assert(UNTIL(SOON, atomic_load(&i.returned)));
                status = async_reader_read(a, items, 1, &got, async_forever());
                cr_assert_eq(status, upstream ? ASYNC_CANCELLED : ASYNC_OK, "%s of %s, N = %u: %s",
                             ways[way], of_last ? "b" : "a", n, async_status_name(status));
                async_reader_release(a);
                pool_end(pool);
                cr_assert_eq(i.status, ASYNC_OK);
                free(items);
            }
        }
    }
}

static int cancel_pre(size_t count, void *context)
{
    insider *i = context;
    (void)count;
    atomic_fetch_add(&i->calls, 1);
    i->status = cancel(i->way, i->reader);
    return 0;
}

static void cancel_post(void *items, size_t *count, void *context)
{
    (void)items;
    cancel_pre(*count, context);
}

static int cancel_sink(const void *items, size_t count, void *context)
{
    (void)items;
    return cancel_pre(count, context);
}

/* X10: from a callback, before and after a read, and from a sink. */
Test(X, X10_from_a_callback)
{
    for (unsigned way = 0; way < WAYS; way++) {
        for (unsigned where = 0; where < 3; where++) {
            EACH_SIZE (n) {
                probe         p = {0};
                insider       i = {.way = way, .status = ASYNC_SYSTEM};
                async_pool   *pool = pool_of(n);
                async_reader *reader = TASK(pool, .source = range_of(0, 1000), .each = each_twice,
                                            .context = &p, .max_chunksize = 10,
                                            .order = ASYNC_ORDERED);
                uint64_t      items[10];
                size_t        got = 99;
                i.reader = reader;
                async_status status;
                switch (where) {
                case 0:
                    async_reader_set_pre(reader, cancel_pre, &i, NULL, NULL);
                    status = async_reader_read(reader, items, 10, &got, async_forever());
                    cr_assert_eq(status, ASYNC_CANCELLED, "%s, N = %u", ways[way], n);
                    cr_assert_eq(got, 0);
                    cr_assert_eq(atomic_load(&p.calls), 0);
                    break;
                case 1: /* these items were read */
                    async_reader_set_post(reader, cancel_post, &i, NULL, NULL);
                    status = async_reader_read(reader, items, 10, &got, async_forever());
                    cr_assert_eq(got, 10, "%s, N = %u", ways[way], n);
                    cr_assert_eq(status, ASYNC_OK);
                    cr_assert_eq(items[9], 18);
                    cr_assert_eq(atomic_load(&i.calls), 1);
                    break;
                default:
                    status = async_reader_for_each(reader, cancel_sink, &i, async_forever());
                    cr_assert_eq(status, ASYNC_CANCELLED, "%s, N = %u", ways[way], n);
                    cr_assert_geq(atomic_load(&i.calls), 1);
                    cr_assert_lt(atomic_load(&p.calls), 1000);
                    break;
                }
                cr_assert_eq(i.status, ASYNC_OK, "%s, N = %u, place %u: %s", ways[way], n, where,
                             async_status_name(i.status));
                async_reader_set_pre(reader, NULL, NULL, NULL, NULL);
                async_reader_set_post(reader, NULL, NULL, NULL, NULL);
                status = async_reader_read(reader, items, 1, &got, async_forever());
                cr_assert_eq(status, ASYNC_CANCELLED);
                cr_assert_eq(got, 0);
                async_reader_release(reader);
                pool_end(pool);
            }
        }
    }
}

/* X10: further down a reader gets what its task has, then CANCELLED; no END, and no block. */
Test(X, X10_further_down)
{
    EACH_SIZE (n) {
        async_pool   *pool = pool_of(n);
        probe         p = {0};
        async_reader *a = TASK(pool, .source = range_of(0, 100), .context = &p,
                               .discard = probe_discard, .min_count = 25);
        async_reader *b = TASK(pool, .input = a, .each = each_twice, .min_count = 10);
        async_reader *c = TASK(pool, .input = b, .each = each_add_one);
        uint64_t      items[20];
        size_t        got = 0;
        cr_assert_eq(async_reader_read(b, items, 3, &got, async_forever()), ASYNC_OK);
        /* M is the largest min_count of the task and of everything upstream of it */
        cr_assert(UNTIL(SOON, async_reader_ready(b) == 22), "N = %u: %zu", n,
                  async_reader_ready(b));
        cr_assert_eq(async_task_cancel(async_reader_task(a)), ASYNC_OK);
        cr_assert_eq(async_reader_read(b, items, 2, &got, async_forever()), ASYNC_OK);
        cr_assert_eq(items[0], 6);
        cr_assert_eq(items[1], 8);
        async_status status = async_reader_read(c, items, 10, &got, async_forever());
        cr_assert_eq(status, ASYNC_OK, "N = %u: %s, %zu", n, async_status_name(status), got);
        cr_assert_eq(items[9], 29);
        status = async_reader_read(b, items, 20, &got, async_forever());
        cr_assert_eq(status, ASYNC_CANCELLED);
        cr_assert_leq(got, 10);
        size_t   more = 0;
        uint64_t rest[20];
        status = async_reader_read(c, rest, 20, &more, async_forever());
        cr_assert_eq(status, ASYNC_CANCELLED);
        cr_assert_eq(got + more, 10, "N = %u: %zu and %zu", n, got, more);
        cr_assert_eq(upstream_status(c), ASYNC_CANCELLED);
        async_reader_release(a);
        async_reader_release(b);
        async_reader_release(c);
        pool_end(pool);
    }
}

/* X10: a task, or a channel, that is at its end, with items that nobody has read: they are
 * discarded, and END would say that they were read. Where a reader was told END, that stays. */
Test(X, X10_after_the_end)
{
    EACH_SIZE (n) {
        for (unsigned told = 0; told < 2; told++) {
            async_pool   *pool = pool_of(n);
            probe         p = {0};
            uint64_t      items[20];
            size_t        got = 0;
            async_status  wanted = told ? ASYNC_END : ASYNC_CANCELLED;
            async_reader *r = TASK(pool, .source = range_of(0, 10), .context = &p,
                                   .discard = probe_discard, .min_count = 20);
            cr_assert_eq(async_reader_read(r, items, 3, &got, async_forever()), ASYNC_OK);
            cr_assert(UNTIL(SOON, async_task_done(async_reader_task(r))));
            if (told) {
                cr_assert_eq(async_reader_read(r, items, 8, &got, async_forever()), ASYNC_END);
                cr_assert_eq(got, 7);
            }
            cr_assert_eq(async_task_cancel(async_reader_task(r)), ASYNC_OK);
            cr_assert_eq(atomic_load(&p.discarded), told ? 0 : 7, "N = %u", n);
            cr_assert_eq(async_reader_read(r, items, 1, &got, async_forever()), wanted);
            cr_assert_eq(got, 0);
            cr_assert_eq(upstream_status(r), told ? ASYNC_OK : ASYNC_CANCELLED);
            async_reader_release(r);
            pool_end(pool);
        }
    }
    for (unsigned told = 0; told < 2; told++) {
        async_writer *writer;
        async_reader *r;
        uint64_t      items[6];
        probe         p = {0};
        async_status  wanted = told ? ASYNC_END : ASYNC_CANCELLED;
        channel_of(&writer, &r, 0, &p);
        write_numbers(writer, 0, 5);
        async_writer_release(writer);
        if (told) { cr_assert_eq(async_reader_read(r, items, 6, NULL, async_now()), ASYNC_END); }
        cr_assert_eq(async_reader_cancel(r), ASYNC_OK);
        cr_assert_eq(atomic_load(&p.discarded), told ? 0 : 5);
        cr_assert_eq(async_reader_read(r, items, 1, NULL, async_forever()), wanted);
        async_reader_release(r);
    }
}

typedef struct canceller {
    async_reader *reader;
    gate         *start;
    unsigned      way;
    thread        thread;
} canceller;

static void cancel_body(void *arg)
{
    canceller *c = arg;
    gate_pass(c->start);
    sleep_us(c->way * 150);
    cancel(c->way, c->reader);
}

/* X10: from any thread, all ways at once, at any moment: nobody hangs, and each item is read or
 * discarded, once. */
Test(X, X10_at_any_moment)
{
    for (unsigned round = 0; round < 25; round++) {
        EACH_SIZE (n) {
            gate   start = {0};
            ledger lost;
            ledger_make(&lost, 20001);
            probe         p = {.lost = &lost};
            async_pool   *pool = pool_of(n);
            async_reader *a = TASK(pool, .source = range_of(0, 20000), .max_chunksize = 3);
            async_reader *b = TASK(pool, .input = a, .batch = batch_add_one, .context = &p,
                                   .discard = probe_discard, .max_chunksize = 1 + round % 5,
                                   .order = round % 2 == 0 ? ASYNC_ORDERED : ASYNC_UNORDERED);
            canceller     c[WAYS];
            reading      *r = calloc(2, sizeof *r);
            cr_assert_not_null(r);
            for (unsigned i = 0; i < WAYS; i++) {
                c[i] = (canceller){.reader = b, .start = &start, .way = (i + round) % WAYS};
                thread_start(&c[i].thread, cancel_body, &c[i]);
            }
            gate_arrived(&start, WAYS);
            for (unsigned i = 0; i < 2; i++) { reading_start(&r[i], b, 1000, async_forever()); }
            sleep_us(round * 20);
            gate_open(&start);
            for (unsigned i = 0; i < WAYS; i++) { thread_join(&c[i].thread); }
            for (unsigned i = 0; i < 2; i++) {
                cr_assert(thread_join_within(&r[i].thread, SOON), "N = %u, round %u", n, round);
                cr_assert(r[i].status == ASYNC_CANCELLED ||
                          (r[i].status == ASYNC_OK && r[i].got == 1000));
            }
            uint64_t     item;
            async_status status = async_reader_read(b, &item, 1, NULL, async_forever());
            cr_assert_eq(status, ASYNC_CANCELLED);
            async_reader_release(a);
            async_reader_release(b);
            pool_end(pool);
            for (unsigned i = 0; i < 2; i++) { ledger_add(&lost, r[i].items, r[i].got); }
            cr_assert_eq(ledger_count(&lost, 0, 20001, 0) + ledger_count(&lost, 0, 20001, 1),
                         20001);
            cr_assert_eq(ledger_count(&lost, 0, 20001, 1), atomic_load(&p.items), "N = %u", n);
            ledger_free(&lost);
            free(r);
        }
    }
}
