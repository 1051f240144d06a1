/* close_after_no_memory.c: a writer that went on for long without memory for a next segment of the
 * queue took the ticket count of the last one past 2^31. The close kept its low 31 bits as the
 * number of slots in use, and what lay behind them was lost. */
#include "pipeline.h"

#include "queue_segment.h"

#include "channel.h"

int main(void)
{
    uint64_t      items[SEGMENT_SLOTS], item = 0;
    size_t        got;
    async_writer *writer;
    async_reader *reader;
    channel_of(&writer, &reader, 0, NULL);
    struct queue_segment *segment = load_relaxed(&channel_of_reader(reader)->queue.tail);
    while (load_relaxed(&segment->tickets) < SEGMENT_SLOTS) { write_numbers(writer, item++, 1); }
    add_seq_cst(&segment->tickets, ((uint64_t)1 << 31) - 100); /* attempts that failed */
    async_writer_close(writer);
    async_status status = async_reader_read(reader, items, SEGMENT_SLOTS, &got, async_now());
    if (status != ASYNC_OK) {
        give_up("%zu of %d accepted items, then %s", got, SEGMENT_SLOTS, async_status_name(status));
    }
    async_writer_release(writer);
    async_reader_release(reader);
    return 0;
}
