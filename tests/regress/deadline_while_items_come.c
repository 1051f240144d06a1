/* deadline_while_items_come.c: a deadline for the whole call was not kept by read_all and for_each
 * as long as items kept coming: they looked at the clock only where they found nothing. Here each
 * item that is taken brings another one. */
#include "expect.h"

enum { DEADLINE = 50, FOR_EVER = SOON / 2 };

static async_writer *writer;
static async_reader *reader;
static uint64_t      until; /* when no more come, where the deadline is not kept */

static void write_one(void)
{
    uint64_t item = 7;
    sleep_us(100); /* bounds the memory */
    if (now_ms() >= until) {
        (void)async_writer_close(writer);
    } else if (async_writer_write(writer, &item, 1, NULL, async_now()) != ASYNC_OK) {
        give_up("an item does not fit");
    }
}

static void begin(void)
{
    NOTE("%d ms", DEADLINE);
    channel_of(&writer, &reader, 0, NULL);
    until = now_ms() + FOR_EVER;
    write_one();
}

static void end(void)
{
    async_reader_release(reader);
    async_writer_release(writer);
}

static void post_writes(void *items, size_t *count, void *context)
{
    (void)items;
    (void)count;
    (void)context;
    write_one();
}

Test(regress, deadline_of_read_all, .timeout = 60)
{
    void  *items = NULL;
    size_t count = 0;
    begin();
    CHECK_STATUS(async_reader_set_post(reader, post_writes, NULL, NULL, NULL), ASYNC_OK);
    CHECK_STATUS(async_reader_read_all(reader, &items, &count, async_within_ms(DEADLINE)),
                 ASYNC_TIMEOUT);
    CHECK(count > 0);
    async_free(items);
    end();
}

static int sink_writes(const void *items, size_t count, void *context)
{
    (void)items;
    *(size_t *)context += count;
    write_one();
    return 0;
}

Test(regress, deadline_of_for_each, .timeout = 60)
{
    size_t count = 0;
    begin();
    CHECK_STATUS(async_reader_for_each(reader, sink_writes, &count, async_within_ms(DEADLINE)),
                 ASYNC_TIMEOUT);
    CHECK(count > 0);
    end();
}
