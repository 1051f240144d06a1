/* readers_callbacks.c: rows R3 to R7: what is called before and after reads, and before writes. */
#include "pipeline.h"

#include <criterion/criterion.h>

/* What the callbacks saw, in their order. */
typedef struct diary {
    unsigned pre, post, write;                       /* how often */
    size_t   asked, count;                           /* of the last pre, of the last post */
    uint64_t ready, chunks, in_flight, asked_before; /* of `watched`, in the last pre callback */
    async_reader *watched;
    int           code;
    uint64_t      add;   /* to each item */
    uint64_t      keep;  /* only items that this divides; 0: all; UINT64_MAX: none */
    bool          wrong; /* a post without its pre */
} diary;

static int pre_read(size_t count, void *context)
{
    diary *d = context;
    d->pre++;
    d->asked = count;
    if (d->watched != NULL) {
        d->ready = async_reader_ready(d->watched);
        if (async_reader_task(d->watched) != NULL) {
            async_task_stats stats = counts_of(d->watched);
            d->chunks = stats.chunks;
            d->in_flight = stats.in_flight;
            d->asked_before = stats.asked;
        }
    }
    return d->code;
}

static void post_read(void *items, size_t *count, void *context)
{
    diary    *d = context;
    uint64_t *values = items;
    size_t    kept = 0;
    d->wrong = d->wrong || d->pre == 0;
    d->post++;
    d->count = *count;
    for (size_t i = 0; i < *count; i++) {
        if (d->keep == 0 || (d->keep != UINT64_MAX && values[i] % d->keep == 0)) {
            values[kept++] = values[i] + d->add;
        }
    }
    *count = kept;
}

static int pre_write(void *items, size_t count, void *context)
{
    diary *d = context;
    d->write++;
    for (size_t i = 0; i < count; i++) { ((uint64_t *)items)[i] += d->add; }
    return d->code;
}

static int other_pre_read(size_t count, void *context)
{
    return count > 0 || context == NULL ? 0 : 1;
}

static void other_post_read(void *items, size_t *count, void *context)
{
    (void)items, (void)count, (void)context;
}

static int other_pre_write(void *items, size_t count, void *context)
{
    return items == NULL || count > 0 || context == NULL ? 0 : 1;
}

static void set_both(async_reader *reader, diary *d)
{
    cr_assert_eq(async_reader_set_pre(reader, pre_read, d, NULL, NULL), ASYNC_OK);
    cr_assert_eq(async_reader_set_post(reader, post_read, d, NULL, NULL), ASYNC_OK);
}

/* R3: setting a callback gives what was there; NULL uninstalls. */
Test(R, R3_the_old_callback_comes_back)
{
    async_pool   *pool = pool_of(1);
    async_writer *writer;
    async_reader *readers[2];
    diary         d = {0}, e = {0};
    channel_of(&writer, &readers[0], 0, NULL);
    readers[1] = TASK(pool, .source = range_of(0, 10));
    for (unsigned i = 0; i < 2; i++) {
        async_reader       *r = readers[i];
        async_pre_read_fn  *pre = other_pre_read;
        async_post_read_fn *post = other_post_read;
        void               *context = &e;
        cr_assert_eq(async_reader_set_pre(r, pre_read, &d, &pre, &context), ASYNC_OK);
        cr_assert(pre == NULL && context == NULL);
        cr_assert_eq(async_reader_set_pre(r, other_pre_read, &e, &pre, &context), ASYNC_OK);
        cr_assert(pre == pre_read && context == &d);
        cr_assert_eq(async_reader_set_pre(r, NULL, NULL, &pre, &context), ASYNC_OK);
        cr_assert(pre == other_pre_read && context == &e);
        cr_assert_eq(async_reader_set_pre(r, NULL, NULL, &pre, &context), ASYNC_OK);
        cr_assert(pre == NULL && context == NULL);

        context = &e;
        cr_assert_eq(async_reader_set_post(r, post_read, &d, &post, &context), ASYNC_OK);
        cr_assert(post == NULL && context == NULL);
        cr_assert_eq(async_reader_set_post(r, other_post_read, &e, &post, &context), ASYNC_OK);
        cr_assert(post == post_read && context == &d);
        cr_assert_eq(async_reader_set_post(r, NULL, NULL, &post, &context), ASYNC_OK);
        cr_assert(post == other_post_read && context == &e);
    }
    async_pre_write_fn *pre = other_pre_write;
    void               *context = &e;
    cr_assert_eq(async_writer_set_pre(writer, pre_write, &d, &pre, &context), ASYNC_OK);
    cr_assert(pre == NULL && context == NULL);
    cr_assert_eq(async_writer_set_pre(writer, other_pre_write, &e, &pre, &context), ASYNC_OK);
    cr_assert(pre == pre_write && context == &d);
    cr_assert_eq(async_writer_set_pre(writer, NULL, NULL, &pre, &context), ASYNC_OK);
    cr_assert(pre == other_pre_write && context == &e);

    /* uninstalled is not called */
    uint64_t item;
    write_numbers(writer, 5, 1);
    cr_assert_eq(async_reader_read(readers[0], &item, 1, NULL, async_forever()), ASYNC_OK);
    cr_assert_eq(async_reader_read(readers[1], &item, 1, NULL, async_forever()), ASYNC_OK);
    cr_assert_eq(d.pre + d.post + d.write + e.pre + e.post + e.write, 0);
    cr_assert_eq(async_reader_set_pre(NULL, pre_read, &d, NULL, NULL), ASYNC_INVALID);
    cr_assert_eq(async_reader_set_post(NULL, post_read, &d, NULL, NULL), ASYNC_INVALID);
    cr_assert_eq(async_writer_set_pre(NULL, pre_write, &d, NULL, NULL), ASYNC_INVALID);
    async_writer_release(writer);
    async_reader_release(readers[0]);
    async_reader_release(readers[1]);
    pool_end(pool);
}

/* R4: write 5, both ends add 1: 7. The writer's own items stay as they are. */
Test(R, R4_five_becomes_seven)
{
    async_writer *writer;
    async_reader *reader;
    diary         in = {.add = 1}, out = {.add = 1};
    uint64_t      items[2] = {5, 15}, read[2];
    channel_of(&writer, &reader, 0, NULL);
    out.watched = reader;
    async_writer_set_pre(writer, pre_write, &in, NULL, NULL);
    set_both(reader, &out);
    cr_assert_eq(async_writer_write(writer, items, 2, NULL, async_forever()), ASYNC_OK);
    cr_assert_eq(items[0], 5);
    cr_assert_eq(items[1], 15);
    cr_assert_eq(async_reader_read(reader, read, 2, NULL, async_forever()), ASYNC_OK);
    cr_assert_eq(read[0], 7);
    cr_assert_eq(read[1], 17);
    cr_assert_eq(in.write, 1);
    cr_assert_eq(out.pre, 1);
    cr_assert_eq(out.post, 1);
    cr_assert_eq(out.asked, 2);
    cr_assert_eq(out.count, 2);
    cr_assert_eq(out.ready, 2); /* nothing taken before the pre callback */
    cr_assert_not(out.wrong);
    async_writer_release(writer);
    async_reader_release(reader);
}

/* R4: a writer's pre callback that fails: the write fails with FAILED and writes nothing; the next
 * one may succeed. */
Test(R, R4_a_write_that_is_refused)
{
    async_writer *writer;
    async_reader *reader;
    diary         in = {.code = 3};
    uint64_t      item = 5;
    size_t        written = 99;
    channel_of(&writer, &reader, 0, NULL);
    async_writer_set_pre(writer, pre_write, &in, NULL, NULL);
    cr_assert_eq(async_writer_write(writer, &item, 1, &written, async_forever()), ASYNC_FAILED);
    cr_assert_eq(written, 0);
    cr_assert_eq(async_reader_ready(reader), 0);
    in.code = 0;
    cr_assert_eq(async_writer_write(writer, &item, 1, &written, async_forever()), ASYNC_OK);
    cr_assert_eq(async_reader_ready(reader), 1);
    async_writer_release(writer);
    async_reader_release(reader);
}

/* R4: of a task's reader: the pre callback gets the count before anything is scheduled, the post
 * callback the items, and the caller what it leaves. */
Test(R, R4_of_a_task)
{
    EACH_SIZE (n) {
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = range_of(0, 100), .each = each_twice);
        diary         d = {.add = 1000, .watched = reader};
        uint64_t      items[20];
        size_t        got = 0;
        set_both(reader, &d);
        cr_assert_eq(async_reader_read(reader, items, 20, &got, async_forever()), ASYNC_OK);
        cr_assert_eq(d.pre, 1);
        cr_assert_eq(d.asked, 20);
        cr_assert_eq(d.chunks + d.in_flight + d.ready + d.asked_before, 0, "N = %u", n);
        cr_assert_geq(d.post, 1);
        cr_assert_eq(got, 20);
        for (uint64_t i = 0; i < 20; i++) { cr_assert_eq(items[i], 1000 + 2 * i); }
        /* a read of nothing does nothing; one at the end has no items to show */
        cr_assert_eq(async_reader_read(reader, items, 0, &got, async_forever()), ASYNC_OK);
        cr_assert_eq(counts_of(reader).chunks, 1);
        async_free(read_rest(reader, &got));
        cr_assert_eq(got, 80);
        async_view   view = {0};
        async_status status = async_reader_borrow(reader, &view, 1, async_forever());
        cr_assert_eq(status, ASYNC_UNSUPPORTED);
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* R4: what is read on the way out of a read that fails is seen by the post callback, too. */
Test(R, R4_a_short_read)
{
    async_writer *writer;
    async_reader *reader;
    diary         d = {.add = 10};
    uint64_t      items[9];
    size_t        got = 0;
    channel_of(&writer, &reader, 0, NULL);
    set_both(reader, &d);
    write_numbers(writer, 0, 5);
    cr_assert_eq(async_reader_read(reader, items, 9, &got, async_within_ms(20)), ASYNC_TIMEOUT);
    cr_assert_eq(got, 5);
    cr_assert_eq(d.asked, 9);
    for (uint64_t i = 0; i < 5; i++) { cr_assert_eq(items[i], 10 + i); }
    async_writer_release(writer);
    async_reader_release(reader);
}

/* What one thread does last, to see that callbacks and function belong together. */
typedef enum act { ACT_NONE, ACT_PRE, ACT_POST } act;
static _Thread_local act      last_act;
static _Thread_local size_t   last_count;
static _Thread_local uint64_t last_first;

typedef struct inner {
    atomic_uint          pre, post, calls, wrong;
    atomic_uint_fast64_t asked, seen;
    uint64_t             drop; /* the post callback drops items that this divides; 0: none */
} inner;

static int inner_pre(size_t count, void *context)
{
    inner *in = context;
    atomic_fetch_add(&in->pre, 1);
    atomic_fetch_add(&in->asked, count);
    atomic_fetch_add(&in->wrong, last_act == ACT_POST);
    last_act = ACT_PRE;
    last_count = count;
    return 0;
}

static void inner_post(void *items, size_t *count, void *context)
{
    inner    *in = context;
    uint64_t *values = items;
    size_t    kept = 0;
    atomic_fetch_add(&in->post, 1);
    atomic_fetch_add(&in->seen, *count);
    atomic_fetch_add(&in->wrong, last_act != ACT_PRE || *count > last_count);
    for (size_t i = 0; i < *count; i++) {
        if (in->drop == 0 || values[i] % in->drop != 0) { values[kept++] = values[i] + 1000000; }
    }
    *count = kept;
    last_act = kept > 0 ? ACT_POST : ACT_NONE;
    last_count = kept;
    last_first = kept > 0 ? values[0] : 0;
}

static int inner_batch(const void *items, void *out, size_t count, size_t *done, void *context)
{
    inner *in = context;
    (void)done;
    if (count > 0) {
        atomic_fetch_add(&in->calls, 1);
        atomic_fetch_add(&in->wrong, last_act != ACT_POST || last_count != count ||
                                         last_first != *(const uint64_t *)items);
    }
    for (size_t i = 0; i < count; i++) {
        ((uint64_t *)out)[i] = ((const uint64_t *)items)[i] - 1000000;
    }
    last_act = ACT_NONE;
    return 0;
}

/* R5: the callbacks of an intermediate reader: once a chunk, in the thread that runs the consumer's
 * chunk, right before its function, on its own run of items. */
Test(R, R5_once_a_chunk)
{
    EACH_SIZE (n) {
        inner         in = {.drop = 0};
        async_pool   *pool = pool_of(n);
        async_reader *first = TASK(pool, .source = range_of(0, 500), .max_chunksize = 7);
        async_reader *reader = TASK(pool, .input = first, .batch = inner_batch, .context = &in,
                                    .max_chunksize = 5);
        cr_assert_eq(async_reader_set_pre(first, inner_pre, &in, NULL, NULL), ASYNC_OK);
        cr_assert_eq(async_reader_set_post(first, inner_post, &in, NULL, NULL), ASYNC_OK);
        uint64_t items[100];
        size_t   got = 0;
        ledger   seen;
        ledger_make(&seen, 500);
        cr_assert_eq(async_reader_read(reader, items, 100, &got, async_forever()), ASYNC_OK);
        ledger_add(&seen, items, got);
        cr_assert_eq(atomic_load(&in.pre), 20, "N = %u: %u", n, atomic_load(&in.pre));
        cr_assert_eq(atomic_load(&in.post), 20);
        cr_assert_eq(atomic_load(&in.calls), 20);
        cr_assert_eq(atomic_load(&in.asked), 100);
        cr_assert_eq(atomic_load(&in.seen), 100);
        cr_assert_eq(counts_of(reader).chunks, 20);
        cr_assert_eq(counts_of(first).items_out, 100);
        uint64_t *rest = read_rest(reader, &got);
        cr_assert_eq(got, 400);
        ledger_add(&seen, rest, got);
        async_free(rest);
        cr_assert_eq(atomic_load(&in.wrong), 0, "N = %u: %u wrong", n, atomic_load(&in.wrong));
        cr_assert_eq(ledger_count(&seen, 0, 500, 1), 500);
        ledger_free(&seen);
        async_reader_release(first);
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* R5: the post callback may lower the count: as of an emit task, the rest is asked again, until the
 * reader has its count or the end is there. */
Test(R, R5_may_lower_the_count)
{
    EACH_SIZE (n) {
        for (size_t chunk = 0; chunk < 9; chunk += 4) {
            inner         in = {.drop = 3};
            async_pool   *pool = pool_of(n);
            async_reader *first = TASK(pool, .source = range_of(0, 300), .order = ASYNC_ORDERED);
            cr_assert_eq(async_reader_set_pre(first, inner_pre, &in, NULL, NULL), ASYNC_OK);
            cr_assert_eq(async_reader_set_post(first, inner_post, &in, NULL, NULL), ASYNC_OK);
            async_reader *reader = TASK(pool, .input = first, .batch = inner_batch, .context = &in,
                                        .max_chunksize = chunk, .order = ASYNC_ORDERED);
            async_reader_release(first);
            uint64_t     items[100];
            size_t       got = 0;
            async_status status = async_reader_read(reader, items, 100, &got, async_forever());
            cr_assert_eq(status, ASYNC_OK, "N = %u, chunk %zu: %zu", n, chunk, got);
            for (uint64_t i = 0; i < 100; i++) { cr_assert_eq(items[i], i / 2 * 3 + 1 + i % 2); }
            uint64_t *rest = read_rest(reader, &got);
            cr_assert_eq(got, 100);
            cr_assert_eq(rest[99], 299);
            async_free(rest);
            cr_assert_eq(atomic_load(&in.seen), 300);
            cr_assert_eq(atomic_load(&in.wrong), 0);
            async_reader_release(reader);
            pool_end(pool);
        }
    }
}

/* R6: a pre callback that fails aborts the read with its code, and no work was done. */
Test(R, R6_a_failing_pre_callback)
{
    EACH_SIZE (n) {
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = range_of(0, 100), .each = each_twice);
        diary         d = {.code = 42};
        uint64_t      items[20];
        size_t        got = 99;
        async_error   error;
        set_both(reader, &d);
        cr_assert_eq(async_reader_read(reader, items, 20, &got, async_forever()), ASYNC_FAILED);
        cr_assert_eq(got, 0);
        cr_assert_eq(d.pre, 1);
        cr_assert_eq(d.post, 0);
        async_task_stats stats = counts_of(reader);
        cr_assert_eq(stats.chunks + stats.items_in + stats.in_flight + stats.ready, 0);
        cr_assert_eq(stats.asked, 0);
        cr_assert_eq(async_reader_error(reader, &error), ASYNC_OK);
        cr_assert_eq(error.code, 42, "N = %u: code %d", n, error.code);
        cr_assert_not(async_task_done(async_reader_task(reader)));
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* R6: it is that read which is aborted, not the stream. */
Test(R, R6_the_stream_goes_on)
{
    EACH_SIZE (n) {
        async_pool   *pool = pool_of(n);
        async_writer *writer;
        async_reader *plain, *task;
        channel_of(&writer, &plain, 0, NULL);
        write_numbers(writer, 0, 10);
        task = TASK(pool, .source = range_of(0, 10), .min_count = 10);
        async_reader *readers[2] = {plain, task};
        for (unsigned i = 0; i < 2; i++) {
            diary    d = {.code = 42};
            uint64_t items[20];
            size_t   got = 99;
            cr_assert_eq(async_reader_read(readers[i], items, 1, NULL, async_forever()), ASYNC_OK);
            cr_assert(UNTIL(SOON, async_reader_ready(readers[i]) == 9));
            set_both(readers[i], &d);
            async_status status = async_reader_read(readers[i], items, 4, &got, async_forever());
            cr_assert_eq(status, ASYNC_FAILED);
            cr_assert_eq(got, 0);
            cr_assert_eq(async_reader_ready(readers[i]), 9);
            d.code = 0;
            status = async_reader_read(readers[i], items, 4, &got, async_forever());
            cr_assert_eq(status, ASYNC_OK);
            cr_assert_eq(items[0], 1);
            cr_assert_eq(items[3], 4);
        }
        async_reader_release(plain);
        async_reader_release(task);
        async_writer_release(writer);
        pool_end(pool);
    }
}

static int failing_pre(size_t count, void *context)
{
    atomic_uint *calls = context;
    (void)count;
    return atomic_fetch_add(calls, 1) == 1 ? 77 : 0;
}

/* R6: on an intermediate reader it fails the consumer: what was done before is delivered, then
 * FAILED with its code, and the producer isn't failed. */
Test(R, R6_fails_the_consumer)
{
    EACH_SIZE (n) {
        atomic_uint calls;
        atomic_init(&calls, 0);
        async_pool   *pool = pool_of(n);
        probe         p = {0};
        async_reader *first = TASK(pool, .source = range_of(0, 100));
        async_reader *reader = TASK(pool, .name = "consumer", .input = first, .each = each_twice,
                                    .context = &p);
        cr_assert_eq(async_reader_set_pre(first, failing_pre, &calls, NULL, NULL), ASYNC_OK);
        uint64_t items[20];
        size_t   got = 0;
        cr_assert_eq(async_reader_read(reader, items, 10, &got, async_forever()), ASYNC_OK);
        cr_assert_eq(items[9], 18);
        cr_assert_eq(async_reader_read(reader, items, 10, &got, async_forever()), ASYNC_FAILED);
        cr_assert_eq(got, 0);
        cr_assert_eq(async_reader_read(reader, items, 10, &got, async_forever()), ASYNC_FAILED);
        cr_assert_eq(atomic_load(&p.calls), 10); /* its function didn't see the second chunk */
        async_error error;
        cr_assert_eq(async_task_error(async_reader_task(reader), &error), ASYNC_OK);
        cr_assert_eq(error.status, ASYNC_FAILED);
        cr_assert_eq(error.code, 77);
        cr_assert_str_eq(error.task, "consumer");
        cr_assert(async_task_done(async_reader_task(reader)));
        cr_assert_eq(async_task_error(async_reader_task(first), &error), ASYNC_OK);
        cr_assert_eq(error.status, ASYNC_OK);
        async_reader_release(first);
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* R7: a post callback that drops items doesn't end the stream: a read goes on until it has its
 * count; dropping all of them, until the end. */
Test(R, R7_goes_on_until_the_count)
{
    EACH_SIZE (n) {
        async_pool   *pool = pool_of(n);
        async_reader *reader = TASK(pool, .source = range_of(0, 100), .max_chunksize = 4,
                                    .order = ASYNC_ORDERED);
        diary         d = {.keep = 3};
        uint64_t      items[40];
        size_t        got = 0;
        set_both(reader, &d);
        cr_assert_eq(async_reader_read(reader, items, 10, &got, async_forever()), ASYNC_OK);
        for (uint64_t i = 0; i < 10; i++) { cr_assert_eq(items[i], 3 * i); }
        uint64_t *rest = read_rest(reader, &got);
        cr_assert_eq(got, 24, "N = %u: %zu", n, got);
        cr_assert_eq(rest[0], 30);
        cr_assert_eq(rest[23], 99);
        async_free(rest);
        cr_assert_eq(async_reader_read(reader, items, 1, &got, async_forever()), ASYNC_END);
        async_reader_release(reader);

        reader = TASK(pool, .source = range_of(0, 100));
        diary none = {.keep = UINT64_MAX};
        set_both(reader, &none);
        cr_assert_eq(async_reader_read(reader, items, 10, &got, async_forever()), ASYNC_END);
        cr_assert_eq(got, 0);
        async_reader_release(reader);
        pool_end(pool);
    }
}

/* R7: of a plain channel, where more is written while the read waits. */
Test(R, R7_of_a_channel)
{
    async_writer *writer;
    async_reader *reader;
    diary         d = {.keep = 2};
    uint64_t      item[3];
    size_t        got = 0;
    channel_of(&writer, &reader, 0, NULL);
    set_both(reader, &d);
    write_numbers(writer, 0, 5); /* 0 2 4 */
    cr_assert_eq(async_reader_read(reader, item, 3, &got, async_now()), ASYNC_OK);
    cr_assert_eq(item[2], 4);
    write_numbers(writer, 0, 2); /* 0 */
    cr_assert_eq(async_reader_read(reader, item, 3, &got, async_now()), ASYNC_TIMEOUT);
    cr_assert_eq(got, 1);
    reading r = {0};
    reading_start(&r, reader, 4, async_forever());
    cr_assert(thread_asleep(&r.thread));
    write_numbers(writer, 10, 4); /* 10 12 */
    cr_assert(UNTIL(SOON, async_reader_ready(reader) == 0));
    sleep_ms(10);
    cr_assert_not(thread_ended(&r.thread));
    write_numbers(writer, 14, 4); /* 14 16 */
    thread_join(&r.thread);
    cr_assert_eq(r.status, ASYNC_OK);
    for (uint64_t i = 0; i < 4; i++) { cr_assert_eq(r.items[i], 10 + 2 * i); }
    async_writer_release(writer);
    async_reader_release(reader);
}
