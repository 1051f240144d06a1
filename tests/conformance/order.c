/* order.c: rows E1 to E5: in which order items come, and when a stream is at its end. */
#include "pipeline.h"

#include <criterion/criterion.h>

/* A chain of one batch, one emit and one pass-on task, each with a chunk size of its own. */
static async_reader *chain_of(async_pool *pool, uint64_t count, async_order order, probe *p)
{
    async_reader *a = TASK(pool, .source = range_of(0, count), .batch = batch_twice, .context = p,
                           .max_chunksize = 7, .order = order);
    async_reader *b = TASK(pool, .input = a, .emit = emit_pair, .item_size = sizeof(uint64_t),
                           .context = p, .max_chunksize = 3, .order = order);
    async_reader *c = TASK(pool, .input = b, .max_chunksize = 11, .order = order);
    async_reader_release(a);
    async_reader_release(b);
    return c;
}

static bool in_order(const uint64_t *items, size_t count, uint64_t first)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i] != first + i / 2 * 2) { return false; }
    }
    return true;
}

#define MANY ((size_t)1500)

/* E1: with no or one worker the outputs are in the order of the inputs; with more they are the
 * same set. */
Test(E, E1_same_items)
{
    EACH_SIZE (n) {
        async_pool   *pool = pool_of(n);
        async_reader *reader = chain_of(pool, MANY, ASYNC_UNORDERED, NULL);
        uint64_t      items[100];
        size_t        got = 0, count = 0;
        ledger        seen;
        ledger_make(&seen, 2 * MANY);
        cr_assert_eq(async_reader_read(reader, items, 100, &got, async_forever()), ASYNC_OK);
        cr_assert(n > 1 || in_order(items, 100, 0), "N = %u", n);
        ledger_add(&seen, items, got);
        uint64_t *rest = read_rest(reader, &count);
        cr_assert_eq(count, 2 * MANY - 100);
        cr_assert(n > 1 || in_order(rest, count, 100), "N = %u", n);
        ledger_add(&seen, rest, count);
        cr_assert_eq(ledger_count(&seen, 0, 2 * MANY, 2), MANY, "N = %u", n);
        async_free(rest);
        ledger_free(&seen);
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* E1: the same set with a reader that helps. */
Test(E, E1_same_items_with_a_helping_reader)
{
    EACH_SIZE (n) {
        async_pool        *pool = NULL;
        async_pool_options options = {.readers_help = true};
        cr_assert_eq(async_pool_create(&pool, n, &options), ASYNC_OK);
        async_reader *reader = chain_of(pool, MANY, ASYNC_UNORDERED, NULL);
        size_t        count = 0;
        ledger        seen;
        ledger_make(&seen, 2 * MANY);
        uint64_t *rest = read_rest(reader, &count);
        ledger_add(&seen, rest, count);
        cr_assert_eq(count, 2 * MANY);
        cr_assert_eq(ledger_count(&seen, 0, 2 * MANY, 2), MANY, "N = %u", n);
        async_free(rest);
        ledger_free(&seen);
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* Items take different times, so that they don't end in the order in which they began. */
static int each_unevenly(const void *in, void *out, void *context)
{
    uint64_t x = *(const uint64_t *)in;
    (void)context;
    if (x % 7 == 0) {
        sleep_us(300);
    } else if (x % 3 == 0) {
        sleep_us(60);
    }
    *(uint64_t *)out = x;
    return 0;
}

/* x % 4 copies of x, after an uneven time. */
static int emit_unevenly(const void *in, size_t count, size_t *done, async_emitter *out,
                         void *context)
{
    const uint64_t *from = in;
    (void)done, (void)context;
    for (size_t i = 0; i < count; i++) {
        if (from[i] % 5 == 0) { sleep_us(200); }
        for (uint64_t k = 0; k < from[i] % 4; k++) {
            if (async_emit(out, &from[i], 1) != ASYNC_OK) { return 1; }
        }
    }
    return 0;
}

/* E1: of an ordered task the outputs are in the order of its inputs, for every N and every way of
 * reading; and this cannot be so by chance. */
Test(E, E1_ordered)
{
    EACH_SIZE (n) {
        for (size_t chunk = 1; chunk <= 4; chunk += 3) {
            async_pool   *pool = pool_of(n);
            async_reader *reader = TASK(pool, .source = range_of(0, 700), .each = each_unevenly,
                                        .max_chunksize = chunk, .order = ASYNC_ORDERED);
            uint64_t      items[300];
            size_t        count = 0;
            cr_assert_eq(async_reader_read(reader, items, 300, NULL, async_forever()), ASYNC_OK);
            for (size_t i = 0; i < 300; i++) {
                cr_assert_eq(items[i], i, "N = %u, chunk %zu", n, chunk);
            }
            uint64_t *rest = read_rest(reader, &count);
            cr_assert_eq(count, 400);
            for (size_t i = 0; i < 400; i++) {
                cr_assert_eq(rest[i], 300 + i, "N = %u, chunk %zu", n, chunk);
            }
            async_free(rest);
            async_reader_release(reader);
            pool_end(pool);
        }
    }
}

/* E1: of an ordered emit task the outputs of chunk i stand before those of chunk i + 1. */
Test(E, E1_ordered_emit)
{
    EACH_SIZE (n) {
        async_pool   *pool = pool_of(n);
        async_reader *source = TASK(pool, .source = range_of(0, 400), .each = each_unevenly,
                                    .max_chunksize = 3, .order = ASYNC_ORDERED);
        async_reader *reader = TASK(pool, .input = source, .emit = emit_unevenly,
                                    .item_size = sizeof(uint64_t), .max_chunksize = 2,
                                    .order = ASYNC_ORDERED);
        size_t        count = 0, at = 0;
        uint64_t     *items = read_rest(reader, &count);
        cr_assert_eq(count, 600);
        for (uint64_t x = 0; x < 400; x++) {
            for (uint64_t k = 0; k < x % 4; k++) {
                cr_assert_eq(items[at], x, "N = %u, output %zu", n, at);
                at++;
            }
        }
        async_free(items);
        async_reader_release(source);
        async_reader_release(reader);
        pool_end(pool);
    }
}

typedef struct stream {
    async_reader *reader;
    uint64_t      next;
    bool          wrong;
    async_status  status;
    thread        thread;
} stream;

static int expect_next(const void *items, size_t count, void *context)
{
    stream *s = context;
    for (size_t i = 0; i < count; i++) {
        s->wrong = s->wrong || ((const uint64_t *)items)[i] != s->next;
        s->next++;
    }
    return ASYNC_CONTINUE;
}

static void stream_body(void *arg)
{
    stream *s = arg;
    s->status = async_reader_for_each(s->reader, expect_next, s, async_forever());
}

/* E1: the reorder window is bounded: while the first chunk stands still under unbounded demand, no
 * more than the window's chunks have begun; then everything comes, in order. */
Test(E, E1_the_window_is_bounded)
{
    EACH_SIZE (n) {
        for (unsigned window = 0; window <= 6; window += 6) {
            if (n < 2) { continue; }
            gate               shut = {0};
            probe              p = {.hold = &shut, .hold_one = true, .hold_value = 0};
            async_pool        *pool = NULL;
            async_pool_options options = {.window = window};
            cr_assert_eq(async_pool_create(&pool, n, &options), ASYNC_OK);
            stream s = {.next = 1};
            s.reader = TASK(pool, .source = range_of(0, 2000), .each = each_add_one, .context = &p,
                            .max_chunksize = 1, .order = ASYNC_ORDERED);
            thread_start(&s.thread, stream_body, &s);
            gate_arrived(&shut, 1);
            uint64_t bound = window > 0 ? window : 4 * (n + 1), calls;
            cr_assert(UNTIL(SOON, atomic_load(&p.calls) > 1), "N = %u", n);
            cr_assert(pool_asleep(pool, n - 1), "N = %u", n); /* up to the window's end */
            calls = atomic_load(&p.calls);
            cr_assert_leq(calls, bound, "N = %u: %u calls", n, (unsigned)calls);
            cr_assert_eq(s.next, 1);
            gate_open(&shut);
            thread_join(&s.thread);
            cr_assert_eq(s.status, ASYNC_OK);
            cr_assert_not(s.wrong);
            cr_assert_eq(s.next, 2001);
            async_reader_release(s.reader);
            pool_end(pool);
        }
    }
}

/* E2: reading exactly all items doesn't make the task done; the next read gives 0, END, and does.
 * The same for each task of a chain. */
Test(E, E2_done_with_the_read_that_finds_the_end)
{
    static uint64_t array[10];
    for (unsigned kind = 0; kind < 3; kind++) {
        EACH_SIZE (n) {
            for (size_t chunk = 0; chunk <= 5; chunk += 5) {
                numbers       made = {.end = 10};
                async_pool   *pool = pool_of(n);
                async_reader *a = TASK(pool, .max_chunksize = chunk,
                                       .source = kind == 0   ? range_of(0, 10)
                                                 : kind == 1 ? array_of(array, 10)
                                                             : from_numbers(&made));
                async_reader *b = TASK(pool, .input = a, .each = each_twice);
                uint64_t      items[10];
                size_t        got = 0;
                cr_assert_eq(async_reader_read(b, items, 6, &got, async_forever()), ASYNC_OK);
                cr_assert_eq(async_reader_read(b, items, 4, &got, async_forever()), ASYNC_OK);
                cr_assert_eq(got, 4);
                sleep_us(500);
                cr_assert_not(async_task_done(async_reader_task(a)), "kind %u, N = %u", kind, n);
                cr_assert_not(async_task_done(async_reader_task(b)), "kind %u, N = %u", kind, n);
                cr_assert_eq(async_reader_read(b, items, 1, &got, async_forever()), ASYNC_END);
                cr_assert_eq(got, 0);
                cr_assert(async_task_done(async_reader_task(a)), "kind %u, N = %u", kind, n);
                cr_assert(async_task_done(async_reader_task(b)), "kind %u, N = %u", kind, n);
                async_reader_release(a);
                async_reader_release(b);
                pool_end(pool);
            }
        }
    }
}

/* E3: asking for more than there is gives what there is, and END, and the task is done in that
 * read. A done task schedules nothing. */
Test(E, E3_more_than_there_is)
{
    EACH_SIZE (n) {
        probe         p = {0};
        numbers       made = {.end = 10};
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = from_numbers(&made), .batch = batch_twice,
                                    .context = &p, .order = ASYNC_ORDERED);
        uint64_t      items[40];
        size_t        got = 0;
        cr_assert_eq(async_reader_read(reader, items, 40, &got, async_forever()), ASYNC_END);
        cr_assert_eq(got, 10);
        for (uint64_t i = 0; i < 10; i++) { cr_assert_eq(items[i], 2 * i); }
        cr_assert(async_task_done(async_reader_task(reader)));
        unsigned draws = atomic_load(&made.calls), calls = (unsigned)atomic_load(&p.calls);
        for (unsigned again = 0; again < 3; again++) {
            cr_assert_eq(async_reader_read(reader, items, 7, &got, async_forever()), ASYNC_END);
            cr_assert_eq(got, 0);
        }
        cr_assert_eq(atomic_load(&made.calls), draws);
        cr_assert_eq(atomic_load(&p.calls), calls);
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* E3: the ready items of a done task stay readable, and reading them runs nothing. */
Test(E, E3_ready_items_of_a_done_task)
{
    EACH_SIZE (n) {
        probe         p = {0};
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = range_of(0, 10), .batch = batch_twice,
                                    .context = &p, .min_count = 100);
        uint64_t      items[10];
        size_t        got = 0;
        cr_assert_eq(async_reader_read(reader, items, 3, &got, async_forever()), ASYNC_OK);
        cr_assert(UNTIL(SOON, async_task_done(async_reader_task(reader))), "N = %u", n);
        cr_assert_eq(atomic_load(&p.calls), 1);
        cr_assert_eq(async_reader_ready(reader), 7);
        cr_assert_eq(async_reader_read(reader, items, 2, &got, async_forever()), ASYNC_OK);
        cr_assert_eq(items[0], 6);
        cr_assert_eq(async_reader_read(reader, items, 5, &got, async_forever()), ASYNC_OK);
        cr_assert_eq(items[4], 18);
        cr_assert_eq(async_reader_read(reader, items, 1, &got, async_forever()), ASYNC_END);
        cr_assert_eq(atomic_load(&p.calls), 1);
        cr_assert_eq(counts_of(reader).chunks, 1);
        async_reader_release(reader);
        pool_end(pool);
    }
}

static int count_calls(const void *items, size_t count, void *context)
{
    (void)items, (void)count;
    ++*(unsigned *)context;
    return ASYNC_CONTINUE;
}

/* E4: of an empty source any read gives 0 items and END, and none hangs, through any chain. */
Test(E, E4_empty_source)
{
    static uint64_t array[1];
    for (unsigned kind = 0; kind < 4; kind++) {
        EACH_SIZE (n) {
            for (unsigned way = 0; way < 6; way++) {
                probe         p = {0};
                numbers       made = {.end = 0};
                async_writer *writer;
                async_reader *plain;
                async_pool   *pool = pool_of(n);
                channel_of(&writer, &plain, 0, NULL);
                async_writer_close(writer);
                async_task_options first = {.source = kind == 0   ? range_of(5, 0)
                                                      : kind == 1 ? array_of(array, 0)
                                                      : kind == 2 ? from_numbers(&made)
                                                                  : NULL};
                first.input = kind == 3 ? plain : NULL;
                first.max_chunksize = way % 2 == 0 ? 0 : 3;
                first.min_count = way % 3 == 0 ? 0 : 10;
                async_reader *a = task_of(pool, &first);
                async_reader *b = TASK(pool, .input = a, .emit = emit_pair, .context = &p,
                                       .item_size = sizeof(uint64_t),
                                       .order = way % 2 == 0 ? ASYNC_ORDERED : ASYNC_UNORDERED);
                async_reader *c = TASK(pool, .input = b, .batch = batch_twice, .context = &p);
                uint64_t      items[9];
                void         *all = items;
                size_t        got = 99;
                unsigned      sunk = 0;
                async_view    view = {0};
                async_status  status;
                switch (way) {
                case 0:
                    status = async_reader_read(c, items, 9, &got, async_forever());
                    break;
                case 1:
                    status = async_reader_read(c, items, 1, &got, async_within_ms(SOON));
                    break;
                case 2: /* without a wait: as soon as it is known */
                    do {
                        status = async_reader_read(c, items, 9, &got, async_now());
                        cr_assert_eq(got, 0);
                    } while (status == ASYNC_TIMEOUT);
                    break;
                case 3:
                    cr_assert_eq(async_reader_read_all(c, &all, &got, async_forever()), ASYNC_OK);
                    cr_assert_null(all);
                    status = ASYNC_END;
                    break;
                case 4:
                    status = async_reader_for_each(c, count_calls, &sunk, async_forever());
                    cr_assert_eq(status, ASYNC_OK);
                    cr_assert_eq(sunk, 0);
                    got = 0;
                    status = ASYNC_END;
                    break;
                default:
                    status = async_reader_borrow(c, &view, 4, async_forever());
                    got = view.count;
                    break;
                }
                cr_assert_eq(status, ASYNC_END, "kind %u, N = %u, way %u", kind, n, way);
                cr_assert_eq(got, 0);
                cr_assert_eq(async_reader_read(c, items, 2, &got, async_forever()), ASYNC_END);
                cr_assert_eq(got, 0);
                cr_assert(async_task_done(async_reader_task(c)));
                cr_assert_eq(atomic_load(&p.items), 0);
                async_reader_release(a);
                async_reader_release(b);
                async_reader_release(c);
                async_reader_release(plain);
                async_writer_release(writer);
                pool_end(pool);
            }
        }
    }
}

/* E5: a channel closes when its task is done and its last running chunk has finished: the reader
 * waits for a chunk that was running when another one found the end. */
Test(E, E5_closes_behind_the_last_running_chunk)
{
    EACH_SIZE (n) {
        if (n == 1) { continue; /* a chunk that stands still would be the only one */ }
        gate          shut = {0};
        probe         p = {.hold = &shut, .hold_one = true, .hold_value = 0};
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = range_of(0, 2), .each = each_add_one,
                                    .context = &p, .max_chunksize = 1);
        reading      *a = calloc(2, sizeof *a), *b = a + 1;
        cr_assert_not_null(a);
        reading_start(a, reader, 10, async_forever());
        gate_arrived(&shut, 1);
        reading_start(b, reader, 10, async_forever());
        cr_assert(UNTIL(SOON, async_task_done(async_reader_task(reader))), "N = %u", n);
        cr_assert(UNTIL(SOON, async_reader_ready(reader) == 1), "N = %u", n);
        sleep_ms(20);
        cr_assert_not(thread_ended(&a->thread), "N = %u: END before the last chunk", n);
        cr_assert_not(thread_ended(&b->thread), "N = %u: END before the last chunk", n);
        gate_open(&shut);
        thread_join(&a->thread);
        thread_join(&b->thread);
        cr_assert_eq(a->status, ASYNC_END);
        cr_assert_eq(b->status, ASYNC_END);
        cr_assert_eq(a->got + b->got, 2);
        free(a);
        async_reader_release(reader);
        pool_end(pool);
    }
}
