/* errors.c: rows X1 to X8: what a failure stops, what it leaves, and what is known of it. */
#include "pipeline.h"

#include <criterion/criterion.h>
#include <string.h>

/* The three kinds of function, and a task of each. */
#define KINDS 3
static const char *const kinds[KINDS] = {"each", "batch", "emit"};

static async_reader *kind_task(async_pool *pool, unsigned kind, const async_task_options *rest)
{
    async_task_options options = *rest;
    options.each = kind == 0 ? each_add_one : NULL;
    options.batch = kind == 1 ? batch_add_one : NULL;
    options.emit = kind == 2 ? emit_add_one : NULL;
    options.item_size = sizeof(uint64_t);
    return task_of(pool, &options);
}
#define KIND_TASK(pool, kind, ...) kind_task(pool, kind, &(async_task_options){__VA_ARGS__})

static async_error error_of(async_reader *reader)
{
    async_error error;
    cr_assert_eq(async_task_error(async_reader_task(reader), &error), ASYNC_OK);
    return error;
}

static async_error upstream_error_of(async_reader *reader)
{
    async_error error;
    cr_assert_eq(async_reader_error(reader, &error), ASYNC_OK);
    return error;
}

/* X1: a failure on the first item: 0 items, FAILED, at once and for ever; the task is done and
 * keeps its error. */
Test(X, X1_first_item)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        EACH_SIZE (n) {
            probe         p = {.code = 17, .fail_value = 0};
            async_pool   *pool = pool_of(n);
            async_reader *reader = KIND_TASK(pool, kind, .name = "fails", .context = &p,
                                             .source = range_of(0, 100));
            uint64_t      items[10];
            cr_assert_eq(error_of(reader).status, ASYNC_OK);
            cr_assert_eq(upstream_error_of(reader).status, ASYNC_OK);
            for (size_t count = 10; count > 0; count /= 2) {
                size_t       got = 99;
                async_status status = async_reader_read(reader, items, count, &got,
                                                        async_forever());
                cr_assert_eq(status, ASYNC_FAILED, "%s, N = %u: %s", kinds[kind], n,
                             async_status_name(status));
                cr_assert_eq(got, 0);
            }
            cr_assert(async_task_done(async_reader_task(reader)));
            async_error error = error_of(reader);
            cr_assert_eq(error.status, ASYNC_FAILED);
            cr_assert_eq(error.code, 17);
            cr_assert_eq(error.item, 0);
            cr_assert_str_eq(error.task, "fails");
            cr_assert_neq(error.message[0], 0);
            cr_assert_eq(atomic_load(&p.calls), 1); /* and it isn't called again */
            async_reader_release(reader);
            pool_end(pool);
        }
    }
}

/* X1: no reader is left blocked, whatever it does and whenever it came. */
Test(X, X1_no_block)
{
    EACH_SIZE (n) {
        probe         p = {.code = 17, .fail_value = 0, .delay_us = 3000};
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = range_of(0, 100), .each = each_twice,
                                    .context = &p, .order = ASYNC_ORDERED);
        reading      *r = calloc(3, sizeof *r);
        void         *items = NULL;
        size_t        count = 99;
        cr_assert_not_null(r);
        for (unsigned i = 0; i < 3; i++) {
            reading_start(&r[i], reader, 10 * i + 1, async_forever());
        }
        for (unsigned i = 0; i < 3; i++) {
            thread_join(&r[i].thread);
            cr_assert_eq(r[i].status, ASYNC_FAILED);
            cr_assert_eq(r[i].got, 0);
        }
        async_status status = async_reader_read_all(reader, &items, &count, async_forever());
        cr_assert_eq(status, ASYNC_FAILED);
        cr_assert_eq(count, 0);
        async_free(items);
        async_view view = {0};
        cr_assert_eq(async_reader_borrow(reader, &view, 1, async_forever()), ASYNC_FAILED);
        free(r);
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* X2: a failure after k items of one chunk: exactly k items, then FAILED at once. */
Test(X, X2_after_k_items)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        EACH_SIZE (n) {
            for (uint64_t k = 1; k <= 9; k += 4) {
                probe         p = {.code = 3, .fail_value = k};
                async_pool   *pool = pool_of(n);
                async_reader *reader = KIND_TASK(pool, kind, .context = &p,
                                                 .source = range_of(0, 100));
                uint64_t      items[10];
                size_t        got = 99;
                async_status  status = async_reader_read(reader, items, 10, &got, async_forever());
                cr_assert_eq(status, ASYNC_FAILED);
                cr_assert_eq(got, k, "%s, N = %u: %zu of %u", kinds[kind], n, got, (unsigned)k);
                for (uint64_t i = 0; i < k; i++) { cr_assert_eq(items[i], i + 1); }
                for (int again = 0; again < 3; again++) { /* sticky */
                    status = async_reader_read(reader, items, 1, &got, async_forever());
                    cr_assert_eq(status, ASYNC_FAILED);
                    cr_assert_eq(got, 0);
                }
                cr_assert_eq(error_of(reader).item, k);
                async_reader_release(reader);
                pool_end(pool);
            }
        }
    }
}

/* X2: at N = 0 with chunks of any size, in pieces of any size: the k items are OK. */
Test(X, X2_no_workers)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        for (size_t chunk = 1; chunk <= 5; chunk += 2) {
            probe         p = {.code = 3, .fail_value = 23};
            async_pool   *pool = pool_of(0);
            async_reader *reader = KIND_TASK(pool, kind, .context = &p, .max_chunksize = chunk,
                                             .source = range_of(0, 100));
            uint64_t      items[10];
            size_t        got = 0;
            cr_assert_eq(async_reader_read(reader, items, 10, &got, async_forever()), ASYNC_OK);
            cr_assert_eq(async_reader_read(reader, items, 10, &got, async_forever()), ASYNC_OK);
            cr_assert_eq(items[9], 20);
            cr_assert_eq(async_reader_read(reader, items, 10, &got, async_forever()), ASYNC_FAILED);
            cr_assert_eq(got, 3);
            cr_assert_eq(items[2], 23);
            async_reader_release(reader);
            pool_end(pool);
        }
    }
}

/* Fails at 4, after it has emitted two items for it. */
static int emit_then_fail(const void *in, size_t count, size_t *done, async_emitter *out,
                          void *context)
{
    const uint64_t *from = in;
    (void)context;
    for (size_t i = 0; i < count; i++) {
        uint64_t both[2] = {from[i], from[i]};
        if (async_emit(out, both, 2) != ASYNC_OK) { return 1; }
        if (from[i] == 4) {
            *done = i;
            return async_fail(5, "not %u", 4);
        }
    }
    return 0;
}

/* X2: of an emit function what was emitted before. */
Test(X, X2_what_was_emitted)
{
    EACH_SIZE (n) {
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = range_of(0, 100), .emit = emit_then_fail,
                                    .item_size = sizeof(uint64_t), .min_count = 20);
        uint64_t      items[40];
        size_t        got = 0;
        cr_assert_eq(async_reader_read(reader, items, 40, &got, async_forever()), ASYNC_FAILED);
        cr_assert_eq(got, 10, "N = %u: %zu", n, got);
        for (uint64_t i = 0; i < 10; i++) { cr_assert_eq(items[i], i / 2); }
        cr_assert_eq(error_of(reader).item, 4);
        cr_assert_str_eq(error_of(reader).message, "not 4");
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* X3: in the middle of a chain: the k items, then FAILED though the last task has no error of its
 * own; upstream isn't failed, and can be read on. */
Test(X, X3_middle_of_a_chain)
{
    for (unsigned kind = 0; kind < KINDS; kind++) {
        EACH_SIZE (n) {
            probe         p = {.code = 8, .fail_value = 16};
            async_pool   *pool = pool_of(n);
            async_reader *a = TASK(pool, .source = range_of(0, 100), .each = each_add_one);
            async_reader *b = KIND_TASK(pool, kind, .name = "middle", .input = a, .context = &p);
            async_reader *c = TASK(pool, .input = b, .each = each_twice);
            uint64_t      items[40];
            size_t        got = 0;
            cr_assert_eq(async_reader_read(c, items, 10, &got, async_forever()), ASYNC_OK);
            cr_assert_eq(async_reader_read(c, items, 20, &got, async_forever()), ASYNC_FAILED);
            cr_assert_eq(got, 5, "%s, N = %u: %zu", kinds[kind], n, got); /* 11 … 15 */
            cr_assert_eq(items[4], 32);
            cr_assert_eq(async_reader_read(c, items, 1, &got, async_forever()), ASYNC_FAILED);
            cr_assert_eq(got, 0);
            cr_assert_eq(error_of(a).status, ASYNC_OK);
            cr_assert_eq(error_of(b).status, ASYNC_FAILED);
            cr_assert_eq(error_of(c).status, ASYNC_OK);
            cr_assert_not(async_task_done(async_reader_task(a)));
            cr_assert(async_task_done(async_reader_task(b)));
            cr_assert_eq(async_reader_read(b, items, 1, &got, async_forever()), ASYNC_FAILED);
            cr_assert_eq(async_reader_read(a, items, 10, &got, async_forever()), ASYNC_OK);
            cr_assert_eq(items[0], 31); /* behind the failed chunk of 20 */
            async_reader_release(a);
            async_reader_release(b);
            async_reader_release(c);
            pool_end(pool);
        }
    }
}

static int fail_loudly(const void *in, void *out, void *context)
{
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in;
    return *(const uint64_t *)in == 105 ? async_fail(-6, "line %d: no %s", 12, "comma") : 0;
}

/* X4: the final reader learns it: task name, item index, code and message. The index is the
 * position in which the failing task drew its inputs, whatever the items are. */
Test(X, X4_what_the_final_reader_learns)
{
    EACH_SIZE (n) {
        for (size_t chunk = 0; chunk <= 3; chunk++) {
            async_pool   *pool = pool_of(n);
            async_reader *a = TASK(pool, .name = "a", .source = range_of(90, 100),
                                   .each = each_add_one, .max_chunksize = 4,
                                   .order = ASYNC_ORDERED);
            async_reader *b = TASK(pool, .name = "the one", .input = a, .each = fail_loudly,
                                   .max_chunksize = chunk, .order = ASYNC_ORDERED);
            async_reader *c = TASK(pool, .name = "c", .input = b, .max_chunksize = 5,
                                   .order = ASYNC_ORDERED);
            uint64_t      items[50];
            size_t        got = 0;
            cr_assert_eq(async_reader_read(c, items, 50, &got, async_forever()), ASYNC_FAILED);
            cr_assert_eq(got, 14, "N = %u, chunk %zu: %zu", n, chunk, got);
            async_error errors[2] = {upstream_error_of(c), upstream_error_of(b)};
            for (unsigned i = 0; i < 2; i++) {
                cr_assert_eq(errors[i].status, ASYNC_FAILED);
                cr_assert_eq(errors[i].code, -6);
                cr_assert_eq(errors[i].item, 14, "N = %u: item %u", n, (unsigned)errors[i].item);
                cr_assert_str_eq(errors[i].task, "the one");
                cr_assert_str_eq(errors[i].message, "line 12: no comma");
            }
            cr_assert_eq(upstream_error_of(a).status, ASYNC_OK);
            async_reader_release(a);
            async_reader_release(b);
            async_reader_release(c);
            pool_end(pool);
        }
    }
}

static int fail_at_length(const void *in, void *out, void *context)
{
    char text[600];
    (void)in, (void)out, (void)context;
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = 0;
    return async_fail(1, "%s", text);
}

/* X4: names and messages are cut to fit; without a message there is a text. */
Test(X, X4_names_and_messages_that_are_too_long)
{
    char     name[100];
    uint64_t item;
    memset(name, 'n', sizeof name);
    name[99] = 0;
    async_pool   *pool = pool_of(1);
    async_reader *reader = TASK(pool, .name = name, .source = range_of(0, 9),
                                .each = fail_at_length);
    memset(name, '-', sizeof name); /* it was copied */
    cr_assert_eq(async_reader_read(reader, &item, 1, NULL, async_forever()), ASYNC_FAILED);
    async_error error = upstream_error_of(reader);
    cr_assert_eq(strlen(error.task), sizeof error.task - 1);
    cr_assert_eq(error.task[0], 'n');
    cr_assert_eq(strlen(error.message), sizeof error.message - 1);
    cr_assert_eq(error.message[0], 'x');
    async_reader_release(reader);

    probe p = {.code = 1};
    reader = TASK(pool, .source = range_of(0, 9), .each = each_twice, .context = &p);
    cr_assert_eq(async_reader_read(reader, &item, 1, NULL, async_forever()), ASYNC_FAILED);
    error = upstream_error_of(reader);
    cr_assert_str_eq(error.task, "");
    cr_assert_str_eq(error.message, async_status_text(ASYNC_FAILED));
    async_reader_release(reader);
    pool_end(pool);
    cr_assert_eq(async_fail(9, "outside"), 9);
}

/* Fails at 2, slowly, and at 5 before that. */
typedef struct pair {
    gate                 late;
    atomic_bool          early;
    atomic_uint_fast64_t calls;
} pair;

static int fail_twice(const void *in, void *out, void *context)
{
    pair    *p = context;
    uint64_t x = *(const uint64_t *)in;
    atomic_fetch_add(&p->calls, 1);
    if (x == 2) {
        gate_pass(&p->late);
        return async_fail(2, "late");
    }
    if (x == 5) { /* once 2 has begun, so that it will fail too */
        gate_arrived(&p->late, 1);
        atomic_store(&p->early, true);
        return async_fail(5, "early");
    }
    *(uint64_t *)out = x;
    return 0;
}

/* X4: of several errors it is the first: of an ordered task that of the smallest item, else the
 * first in time. */
Test(X, X4_the_first_of_two)
{
    for (unsigned ordered = 0; ordered < 2; ordered++) {
        EACH_SIZE (n) {
            if (n < 2) { continue; /* one at a time */ }
            pair          p = {.calls = 0};
            async_pool   *pool = pool_of(n);
            async_reader *reader = TASK(pool, .source = range_of(0, 1000), .each = fail_twice,
                                        .context = &p, .max_chunksize = 1,
                                        .order = ordered ? ASYNC_ORDERED : ASYNC_UNORDERED);
            reading      *r = calloc(1, sizeof *r);
            cr_assert_not_null(r);
            reading_start(r, reader, 900, async_forever());
            cr_assert(UNTIL(SOON, atomic_load(&p.early)), "N = %u", n);
            sleep_ms(10); /* until the error is known */
            cr_assert(ordered || error_of(reader).item == 5);
            gate_open(&p.late);
            thread_join(&r->thread);
            cr_assert_eq(r->status, ASYNC_FAILED);
            async_error error = upstream_error_of(reader);
            cr_assert_eq(error.item, ordered ? 2 : 5, "ordered %u, N = %u: item %u", ordered, n,
                         (unsigned)error.item);
            cr_assert_eq(error.code, ordered ? 2 : 5);
            cr_assert_str_eq(error.message, ordered ? "late" : "early");
            if (ordered) {
                cr_assert_eq(r->got, 2);
                cr_assert_eq(r->items[0], 0);
                cr_assert_eq(r->items[1], 1);
            }
            free(r);
            async_reader_release(reader);
            pool_end(pool);
        }
    }
}

/* X4: "anywhere upstream": a failure of an input of an input, of another pool. */
Test(X, X4_of_another_pool)
{
    EACH_SIZE (n) {
        probe         p = {.code = 4, .fail_value = 7};
        async_pool   *first = pool_of(n), *second = pool_of(1);
        async_reader *a = TASK(first, .name = "far", .source = range_of(0, 100),
                               .each = each_add_one, .context = &p);
        async_reader *b = TASK(second, .input = a);
        async_reader *c = TASK(second, .input = b, .each = each_twice);
        uint64_t      items[20];
        size_t        got = 0;
        cr_assert_eq(async_reader_read(c, items, 20, &got, async_forever()), ASYNC_FAILED);
        cr_assert_eq(got, 7);
        cr_assert_eq(upstream_error_of(c).item, 7);
        cr_assert_str_eq(upstream_error_of(c).task, "far");
        cr_assert_eq(error_of(b).status, ASYNC_OK);
        async_reader_release(a);
        async_reader_release(b);
        async_reader_release(c);
        pool_end(first);
        pool_end(second);
    }
}
