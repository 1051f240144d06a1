/* given_up_slots.c: three small items that are written together take three slots of the queue
 * that follow each other. Where a segment has no three any more, the writer gives up those that are
 * left, and goes on in the next one. async_reader_ready took them for items until a reader had
 * passed them. */
#include "pipeline.h"

#include <inttypes.h>

enum { ROUNDS = 400 }; /* some segments */

static void look(const async_reader *reader, uint64_t wanted, const char *after)
{
    size_t ready = async_reader_ready(reader);
    if (ready != wanted) {
        give_up("%zu items ready, not %" PRIu64 ", after %s", ready, wanted, after);
    }
}

int main(void)
{
    for (uint64_t alone = 0; alone < 3; alone++) { /* at the end, 0, 2 and 1 slots are left */
        async_writer *writer;
        async_reader *reader;
        uint64_t      written = alone, item;
        channel_of(&writer, &reader, 0, NULL);
        for (uint64_t i = 0; i < alone; i++) { write_numbers(writer, i, 1); }
        for (unsigned round = 0; round < ROUNDS; round++) {
            write_numbers(writer, written, 3);
            written += 3;
            look(reader, written, "a write");
        }
        for (uint64_t i = 0; i < written; i++) {
            if (async_reader_read(reader, &item, 1, NULL, async_now()) != ASYNC_OK || item != i) {
                give_up("item %" PRIu64 " is not there", i);
            }
            look(reader, written - i - 1, "a read");
        }
        /* and where more is written after the reader has come past them */
        write_numbers(writer, written, 1);
        look(reader, 1, "a write to the empty channel");
        async_writer_release(writer);
        async_reader_release(reader);
    }
    return 0;
}
