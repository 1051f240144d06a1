/* closed_then_written.c: while the last reader left, async_writer_closed said yes before the queue
 * was closed, and a write that began after that was accepted. Found by tests/history.
 *
 * The hook asks, and writes, at the named window of channel_end. */
#include "step.h"

#include <async/async.h>

#include <assert.h>
#include <string.h>

static async_writer *writer;
static unsigned      looks, discarded;

void async_step(const char *site)
{
    if (writer == NULL || strcmp(site, "channel_end: status") != 0) { return; }
    async_writer *w = writer;
    uint64_t      item = 7;
    writer = NULL; /* not again, from within */
    looks++;
    bool         closed = async_writer_closed(w);
    async_status status = async_writer_write(w, &item, 1, NULL, async_now());
    assert(status == (closed ? ASYNC_CLOSED : ASYNC_OK));
    discarded -= status == ASYNC_OK; /* it will be */
}

static void discard(void *items, size_t count, void *context)
{
    (void)items;
    (void)context;
    discarded += (unsigned)count;
}

int main(void)
{
    async_writer *w;
    async_reader *reader;
    assert(async_channel_create(&w, &reader, sizeof(uint64_t),
                                &(async_channel_options){.discard = discard}) == ASYNC_OK);
    writer = w;
    async_reader_release(reader);
    assert(looks == 1 && discarded == 0);
    assert(async_writer_closed(w));
    async_writer_release(w);
    return 0;
}
