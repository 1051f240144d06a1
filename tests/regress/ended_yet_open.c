/* ended_yet_open.c: between a close and its flag a reader was told END, and whoever then asked
 * was told that the channel is not closed. Found by tests/history.
 *
 * The hook reads and asks at every step of the close. */
#include "step.h"

#include <async/async.h>

#include <assert.h>

static async_writer *writer;
static async_reader *reader;
static bool          closing;
static unsigned      looks, ends;

void async_step(const char *site)
{
    (void)site;
    if (!closing) { return; }
    uint64_t item;
    closing = false; /* not again, from within */
    async_status status = async_reader_read(reader, &item, 1, NULL, async_now());
    assert(status == ASYNC_END || status == ASYNC_TIMEOUT);
    assert(status != ASYNC_END || async_writer_closed(writer));
    ends += status == ASYNC_END;
    looks++;
    closing = true;
}

int main(void)
{
    assert(async_channel_create(&writer, &reader, sizeof(uint64_t), NULL) == ASYNC_OK);
    closing = true;
    assert(async_writer_close(writer) == ASYNC_OK);
    closing = false;
    assert(looks > ends && ends > 0);
    async_writer_release(writer);
    async_reader_release(reader);
    return 0;
}
