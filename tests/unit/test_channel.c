/* test_channel.c: the channel of runtime/channel.c and its write end, with threads stopped in
 * their middle. What the public interface promises is tested in conformance/. */
#include "freezer.h"

#include "../../runtime/channel.c"
#include "../../runtime/queue.c"
#include "../../runtime/queue_read.c"

#include <async/async.h>

#include <criterion/criterion.h>

static uint64_t discarded, discarded_sum, released;

static void discard(void *items, size_t count, void *context)
{
    cr_assert_eq(context, (void *)&released);
    for (size_t i = 0; i < count; i++) {
        uint64_t item;
        memcpy(&item, (unsigned char *)items + i * 8, 8);
        discarded_sum += item;
    }
    discarded += count;
}
static void release(void *context) { ++*(uint64_t *)context; }

static async_writer *writer;
static async_reader *reader;

static void make(size_t capacity)
{
    async_channel_options options = {
        .capacity = capacity, .discard = discard, .release = release, .context = &released};
    discarded = discarded_sum = released = 0;
    cr_assert_eq(async_channel_create(&writer, &reader, 8, &options), ASYNC_OK);
}

static size_t       written;
static async_status write_items(uint64_t first, size_t count, async_wait wait)
{
    uint64_t items[20000];
    for (size_t i = 0; i < count; i++) { items[i] = first + i; }
    return async_writer_write(writer, items, count, &written, wait);
}

static void read_items(uint64_t first, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t item = UINT64_MAX;
        cr_assert_eq(channel_read(channel_of_reader(reader), &item, 1, NULL), 1);
        cr_assert_eq(item, first + i);
    }
}

/* F21, F19, C12 */
Test(channel, a_full_channel_takes_what_fits)
{
    make(10);
    cr_assert_eq(write_items(0, 7, async_now()), ASYNC_OK);
    cr_assert_eq(write_items(7, 7, async_now()), ASYNC_TIMEOUT);
    cr_assert_eq(written, 3);
    cr_assert_eq(write_items(10, 1, async_now()), ASYNC_TIMEOUT);
    cr_assert_eq(written, 0);
    cr_assert_eq(channel_available(channel_of_writer(writer)), 10);
    read_items(0, 4);
    cr_assert_eq(write_items(10, 9, async_within_ms(5)), ASYNC_TIMEOUT);
    cr_assert_eq(written, 4);
    read_items(4, 10);
    cr_assert_eq(async_writer_close(writer), ASYNC_OK);
    cr_assert_eq(write_items(0, 1, async_forever()), ASYNC_CLOSED);
    async_writer_release(writer);
    async_reader_release(reader);
    cr_assert_eq(released, 1);
    cr_assert_eq(discarded, 0);
}

Test(channel, large_writes_are_cut_and_keep_their_order)
{
    make(0);
    cr_assert_eq(write_items(0, 20000, async_now()), ASYNC_OK);
    cr_assert_eq(written, 20000);
    cr_assert_eq(channel_available(channel_of_writer(writer)), 20000);
    struct run                run;
    alignas(16) unsigned char bounce[QUEUE_INLINE];
    cr_assert_leq(channel_take(channel_of_writer(writer), 20000, 1, &run, bounce, NULL) * 8, 65536);
    size_t first = run.count;
    block_release(run.block, 1);
    read_items(first, 20000 - first);
    async_writer_release(writer);
    async_reader_release(reader);
}

static int add_one(void *items, size_t count, void *context)
{
    for (size_t i = 0; i < count; i++) { ++((uint64_t *)items)[i]; }
    return *(int *)context;
}

/* R3, R4 */
Test(channel, the_pre_callback_sees_a_copy_of_everything_first)
{
    make(0);
    int                 code = 0;
    async_pre_write_fn *old = add_one;
    void               *old_context = &code;
    cr_assert_eq(async_writer_set_pre(writer, add_one, &code, &old, &old_context), ASYNC_OK);
    cr_assert(old == NULL && old_context == NULL);
    uint64_t item = 5;
    cr_assert_eq(async_writer_write(writer, &item, 1, NULL, async_now()), ASYNC_OK);
    cr_assert_eq(item, 5);
    cr_assert_eq(write_items(100, 15000, async_now()), ASYNC_OK);
    read_items(6, 1);
    read_items(101, 15000);
    code = 7;
    cr_assert_eq(write_items(0, 3, async_now()), ASYNC_FAILED);
    cr_assert_eq(written, 0);
    cr_assert_eq(channel_available(channel_of_writer(writer)), 0);
    cr_assert_eq(async_writer_set_pre(writer, NULL, NULL, &old, &old_context), ASYNC_OK);
    cr_assert(old == add_one && old_context == &code);
    async_writer_release(writer);
    async_reader_release(reader);
}

/* C14, C15, F70 */
Test(channel, what_nobody_reads_is_discarded_once)
{
    make(0);
    cr_assert_eq(write_items(0, 1000, async_now()), ASYNC_OK);
    cr_assert_eq(write_items(1000, 1, async_now()), ASYNC_OK);
    read_items(0, 10);
    async_reader_release(reader);
    cr_assert_eq(discarded, 991);
    cr_assert_eq(discarded_sum, 1000 * 1001 / 2 - 45);
    cr_assert_eq(released, 0);
    cr_assert(async_writer_closed(writer));
    cr_assert_eq(write_items(0, 1, async_forever()), ASYNC_CLOSED);
    async_writer_release(writer);
    cr_assert_eq(released, 1);
    cr_assert_eq(discarded, 991);
}

static async_status frozen_status;
static size_t       frozen_written;

static void write_frozen(void *argument)
{
    uint64_t items[100];
    size_t   count = *(size_t *)argument;
    for (size_t i = 0; i < count; i++) { items[i] = i; }
    frozen_status = async_writer_write(writer, items, count, &frozen_written, async_now());
}

/* F8: the last reader leaves while a write is anywhere */
Test(channel, a_write_that_meets_the_end_is_refused_or_discarded)
{
    for (size_t count = 1; count <= 100; count += 33) {
        make(0);
        struct freezer freezer;
        cr_assert(freezer_start(&freezer, "queue_put: ticket", write_frozen, &count));
        async_reader_release(reader);
        freezer_thaw(&freezer);
        cr_assert_eq(frozen_status, ASYNC_CLOSED);
        cr_assert_eq(frozen_written, discarded);
        async_writer_release(writer);
        cr_assert_eq(released, 1);
    }
}

static void release_reader(void *argument)
{
    (void)argument;
    async_reader_release(reader);
}

Test(channel, a_reader_that_is_frozen_while_it_leaves_loses_nothing)
{
    static const char *const sites[] = {"channel_end: status", "queue_close: bit",
                                        "channel_abandon: ended"};
    for (size_t i = 0; i < 3; i++) {
        make(0);
        struct freezer freezer;
        cr_assert_eq(write_items(0, 50, async_now()), ASYNC_OK);
        cr_assert(freezer_start(&freezer, sites[i], release_reader, NULL));
        size_t       accepted = 50;
        async_status status = write_items(50, 20, async_now());
        cr_assert(status == ASYNC_OK || status == ASYNC_CLOSED);
        accepted += written;
        freezer_thaw(&freezer);
        cr_assert_eq(discarded, accepted);
        async_writer_release(writer);
        cr_assert_eq(discarded, accepted);
        cr_assert_eq(released, 1);
    }
}

/* M12, F12, F22 */
Test(channel, mistakes_are_refused)
{
    async_writer *w = (async_writer *)&released;
    async_reader *r = (async_reader *)&released;
    cr_assert_eq(async_channel_create(&w, &r, 0, NULL), ASYNC_INVALID);
    cr_assert(w == NULL && r == NULL);
    cr_assert_eq(async_channel_create(NULL, &r, 8, NULL), ASYNC_INVALID);
    cr_assert_eq(async_channel_create(&w, NULL, 8, NULL), ASYNC_INVALID);
    async_channel_options huge = {.capacity = SIZE_MAX};
    cr_assert_eq(async_channel_create(&w, &r, 8, &huge), ASYNC_INVALID);
    cr_assert_eq(async_channel_create(&w, &r, 1, &huge), ASYNC_INVALID);
    cr_assert_eq(async_channel_create(&w, &r, SIZE_MAX, NULL), ASYNC_INVALID);
    for (size_t i = 0; i < 4; i++) {
        async_channel_options options = {0};
        options.reserved[i] = 1;
        cr_assert_eq(async_channel_create(&w, &r, 8, &options), ASYNC_INVALID);
    }
    make(0);
    uint64_t item = 1;
    cr_assert_eq(async_writer_write(NULL, &item, 1, &written, async_now()), ASYNC_INVALID);
    cr_assert_eq(async_writer_write(writer, NULL, 1, &written, async_now()), ASYNC_INVALID);
    cr_assert_eq(async_writer_write(writer, &item, SIZE_MAX, &written, async_now()), ASYNC_INVALID);
    async_wait strange = {(async_wait_kind)9, 0};
    cr_assert_eq(async_writer_write(writer, &item, 1, &written, strange), ASYNC_INVALID);
    cr_assert_eq(async_writer_write(writer, NULL, 0, NULL, async_now()), ASYNC_OK);
    cr_assert_eq(async_writer_close(NULL), ASYNC_INVALID);
    cr_assert(async_writer_closed(NULL));
    cr_assert_eq(async_writer_retain(NULL), NULL);
    cr_assert_eq(async_writer_set_pre(NULL, NULL, NULL, NULL, NULL), ASYNC_INVALID);
    async_writer_release(NULL);
    async_free(NULL);
    async_writer_release(writer);
    async_reader_release(reader);
    cr_assert_eq(released, 1);
}
