/* misuse_channels.c: what is wrong about channels and their ends is an error code at the call: row
 * M12. */
#include "expect.h"

#include <string.h>

#define RUBBISH(type) ((type *)(uintptr_t)64)

static const async_wait bad_wait = {(async_wait_kind)99, 0};

/* M12: async_channel_create: on failure both ends are NULL, and release is not called. */
Test(M, M12_channel_create, .timeout = 30)
{
    async_writer         *writer = RUBBISH(async_writer);
    async_reader         *reader = RUBBISH(async_reader);
    probe                 p = {0};
    async_channel_options options = {.release = probe_release, .context = &p};
    CHECK_STATUS(async_channel_create(NULL, &reader, 8, &options), ASYNC_INVALID);
    CHECK(reader == NULL);
    CHECK_STATUS(async_channel_create(&writer, NULL, 8, &options), ASYNC_INVALID);
    CHECK(writer == NULL);
    CHECK_STATUS(async_channel_create(NULL, NULL, 8, &options), ASYNC_INVALID);

    static const struct {
        const char *why;
        size_t      item_size, capacity;
        unsigned    reserved; /* which of the words isn't 0, from 1 */
    } bad[] = {
        {"items of 0 bytes", 0, 0, 0},
        {"items of 0 bytes, bounded", 0, 10, 0},
        {"reserved word 0", 8, 0, 1},
        {"reserved word 1", 8, 0, 2},
        {"reserved word 2", 8, 0, 3},
        {"reserved word 3", 8, 0, 4},
        {"an item that overflows", SIZE_MAX, 0, 0},
        {"a capacity that overflows", 16, SIZE_MAX / 2, 0},
        {"a capacity of SIZE_MAX", 8, SIZE_MAX, 0},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        NOTE("%s", bad[i].why);
        async_channel_options wrong = options;
        wrong.capacity = bad[i].capacity;
        if (bad[i].reserved > 0) { wrong.reserved[bad[i].reserved - 1] = 1; }
        writer = RUBBISH(async_writer);
        reader = RUBBISH(async_reader);
        CHECK_STATUS(async_channel_create(&writer, &reader, bad[i].item_size, &wrong),
                     ASYNC_INVALID);
        CHECK(writer == NULL && reader == NULL);
    }
    CHECK_EQ(atomic_load(&p.released), 0);
}

static int pre_write_fails(void *items, size_t count, void *context)
{
    (void)items;
    (void)count;
    (void)context;
    return 1;
}

/* M12: the calls of a write end. */
Test(M, M12_writer_calls, .timeout = 30)
{
    async_writer       *writer;
    async_reader       *reader;
    uint64_t            item = 1;
    size_t              written;
    async_pre_write_fn *old = pre_write_fails;
    void               *old_context = &item;
    channel_of(&writer, &reader, 4, NULL);

    written = 77;
    CHECK_STATUS(async_writer_write(NULL, &item, 1, &written, async_now()), ASYNC_INVALID);
    CHECK_EQ(written, 0);
    written = 77;
    CHECK_STATUS(async_writer_write(writer, NULL, 1, &written, async_now()), ASYNC_INVALID);
    CHECK_EQ(written, 0);
    written = 77;
    CHECK_STATUS(async_writer_write(writer, &item, 1, &written, bad_wait), ASYNC_INVALID);
    CHECK_EQ(written, 0);
    written = 77;
    CHECK_STATUS(async_writer_write(writer, &item, SIZE_MAX / 2, &written, async_now()),
                 ASYNC_INVALID);
    CHECK_EQ(written, 0);
    CHECK_EQ(async_reader_ready(reader), 0);
    CHECK_STATUS(async_writer_write(writer, NULL, 0, &written, async_now()), ASYNC_OK);
    CHECK_EQ(written, 0);
    CHECK_STATUS(async_writer_write(writer, &item, 1, NULL, async_now()), ASYNC_OK);
    CHECK_EQ(async_reader_ready(reader), 1);

    CHECK_STATUS(async_writer_close(NULL), ASYNC_INVALID);
    CHECK(async_writer_closed(NULL));
    CHECK(async_writer_retain(NULL) == NULL);
    async_writer_release(NULL);
    CHECK_STATUS(async_writer_set_pre(NULL, pre_write_fails, NULL, &old, &old_context),
                 ASYNC_INVALID);
    CHECK_STATUS(async_writer_set_pre(writer, pre_write_fails, NULL, NULL, NULL), ASYNC_OK);
    CHECK_STATUS(async_writer_set_pre(writer, NULL, NULL, NULL, NULL), ASYNC_OK);
    CHECK_STATUS(async_writer_write(writer, &item, 1, &written, async_now()), ASYNC_OK);
    CHECK_EQ(written, 1);
    async_writer_release(writer);
    async_reader_release(reader);
}

static int sink_none(const void *items, size_t count, void *context)
{
    (void)items;
    (void)count;
    (void)context;
    return ASYNC_CONTINUE;
}

static void post_none(void *items, size_t *count, void *context)
{
    (void)items;
    (void)count;
    (void)context;
}

/* What is wrong about reading, on a reader with 10 items (11 where it is the end of a task). */
static void misread(async_reader *reader)
{
    uint64_t   item;
    size_t     got = 77, count = 77;
    void      *items = RUBBISH(void);
    async_view view = {0};
    CHECK_STATUS(async_reader_read(reader, NULL, 1, &got, async_now()), ASYNC_INVALID);
    CHECK_EQ(got, 0);
    got = 77;
    CHECK_STATUS(async_reader_read(reader, &item, 1, &got, bad_wait), ASYNC_INVALID);
    CHECK_EQ(got, 0);
    got = 77;
    CHECK_STATUS(async_reader_read(reader, &item, SIZE_MAX / 2, &got, async_now()), ASYNC_INVALID);
    CHECK_EQ(got, 0);
    CHECK_STATUS(async_reader_read(reader, NULL, 0, &got, async_now()), ASYNC_OK);
    CHECK_EQ(got, 0);
    CHECK_STATUS(async_reader_read_all(reader, NULL, &count, async_now()), ASYNC_INVALID);
    CHECK_STATUS(async_reader_read_all(reader, &items, NULL, async_now()), ASYNC_INVALID);
    items = RUBBISH(void);
    CHECK_STATUS(async_reader_read_all(reader, &items, &count, bad_wait), ASYNC_INVALID);
    CHECK(items == NULL && count == 0);
    CHECK_STATUS(async_reader_for_each(reader, NULL, NULL, async_now()), ASYNC_INVALID);
    CHECK_STATUS(async_reader_for_each(reader, sink_none, NULL, bad_wait), ASYNC_INVALID);
    CHECK_STATUS(async_reader_borrow(reader, NULL, 1, async_now()), ASYNC_INVALID);
    CHECK_STATUS(async_reader_borrow(reader, &view, 1, bad_wait), ASYNC_INVALID);
    CHECK_STATUS(async_reader_borrow(reader, &view, SIZE_MAX / 2, async_now()), ASYNC_INVALID);
    CHECK(view.items == NULL && view.count == 0);
    CHECK_STATUS(async_view_return(&view), ASYNC_OK);
    CHECK_STATUS(async_reader_error(reader, NULL), ASYNC_INVALID);

    /* Borrowing and a callback that may drop items don't go together. */
    CHECK_STATUS(async_reader_set_pre(reader, NULL, NULL, NULL, NULL), ASYNC_OK);
    CHECK_STATUS(async_reader_set_post(reader, post_none, NULL, NULL, NULL), ASYNC_OK);
    CHECK_STATUS(async_reader_borrow(reader, &view, 1, async_now()), ASYNC_UNSUPPORTED);
    CHECK_STATUS(async_reader_set_post(reader, NULL, NULL, NULL, NULL), ASYNC_OK);
}

/* M12: the calls of a read end: NULL. */
Test(M, M12_reader_calls_without_a_reader, .timeout = 30)
{
    uint64_t            item;
    size_t              got = 77, count = 77;
    void               *items = RUBBISH(void), *context = &item;
    async_view          view = {0};
    async_error         error;
    async_pre_read_fn  *pre = NULL;
    async_post_read_fn *post = NULL;
    CHECK_STATUS(async_reader_read(NULL, &item, 1, &got, async_now()), ASYNC_INVALID);
    CHECK_EQ(got, 0);
    CHECK_STATUS(async_reader_read_all(NULL, &items, &count, async_now()), ASYNC_INVALID);
    CHECK(items == NULL && count == 0);
    CHECK_STATUS(async_reader_for_each(NULL, sink_none, NULL, async_now()), ASYNC_INVALID);
    CHECK_STATUS(async_reader_borrow(NULL, &view, 1, async_now()), ASYNC_INVALID);
    CHECK_STATUS(async_view_return(NULL), ASYNC_INVALID);
    CHECK_STATUS(async_view_return(&view), ASYNC_OK);
    CHECK_EQ(async_reader_ready(NULL), 0);
    CHECK_STATUS(async_reader_error(NULL, &error), ASYNC_INVALID);
    CHECK_STATUS(async_reader_cancel(NULL), ASYNC_INVALID);
    CHECK(async_reader_task(NULL) == NULL);
    CHECK(async_reader_pool(NULL) == NULL);
    CHECK(async_reader_retain(NULL) == NULL);
    async_reader_release(NULL);
    CHECK_STATUS(async_reader_set_pre(NULL, NULL, NULL, &pre, &context), ASYNC_INVALID);
    CHECK_STATUS(async_reader_set_post(NULL, NULL, NULL, &post, &context), ASYNC_INVALID);
    async_free(NULL);
}

/* M12: the calls of a read end: of a plain channel. None of it took anything. */
Test(M, M12_reader_calls, .timeout = 30)
{
    async_writer *writer;
    async_reader *reader;
    uint64_t      items[10];
    channel_of(&writer, &reader, 0, NULL);
    write_numbers(writer, 0, 10);
    misread(reader);
    CHECK(async_reader_task(reader) == NULL);
    CHECK(async_reader_pool(reader) == NULL);
    CHECK_EQ(async_reader_ready(reader), 10);
    CHECK_READ(reader, items, 10, async_now(), ASYNC_OK, 10);
    CHECK_RISING(items, 0, 10);
    async_writer_release(writer);
    async_reader_release(reader);
}

/* M12: the calls of a read end: of a task. None of it made the task run. */
TestEachSize(M, M12_reader_calls_of_a_task)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0};
    uint64_t      items[11];
    async_reader *r = TASK(pool, .source = range_of(0, 10), .batch = batch_copy, .context = &p);
    misread(r);
    CHECK_STAYS(5, atomic_load(&p.calls) == 0);
    CHECK_EQ(counts_of(r).asked, 0);
    CHECK_READ(r, items, 11, async_forever(), ASYNC_END, 10);
    CHECK_RISING(items, 0, 10);
    async_reader_release(r);
    pool_end(pool);
}
