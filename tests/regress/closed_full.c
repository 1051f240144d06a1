/* closed_full.c: a write that does not wait, to a channel that is closed and full, was told
 * TIMEOUT instead of CLOSED (C5). So was the rest of one that fitted partly. Found by
 * tests/history. */
#include <async/async.h>

#include <assert.h>

int main(void)
{
    for (size_t capacity = 1; capacity <= 3; capacity++) {
        async_writer *writer;
        async_reader *reader;
        uint64_t      items[3] = {1, 2, 3};
        size_t        written;
        assert(async_channel_create(&writer, &reader, sizeof items[0],
                                    &(async_channel_options){.capacity = capacity}) == ASYNC_OK);
        assert(async_writer_write(writer, items, capacity, NULL, async_now()) == ASYNC_OK);
        assert(async_writer_write(writer, items, 1, NULL, async_now()) == ASYNC_TIMEOUT);
        assert(async_writer_close(writer) == ASYNC_OK);
        async_wait waits[] = {async_now(), async_per_item_ms(0), async_within_ms(1),
                              async_forever()};
        for (unsigned i = 0; i < sizeof waits / sizeof waits[0]; i++) {
            written = 9;
            assert(async_writer_write(writer, items, 3, &written, waits[i]) == ASYNC_CLOSED);
            assert(written == 0);
        }
        async_writer_release(writer);
        async_reader_release(reader);
    }
    return 0;
}
