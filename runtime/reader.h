/* reader.h: a read in progress, for reader.c and stream.c.
 * Layer: 3 */
#ifndef ASYNC_RUNTIME_READER_H
#define ASYNC_RUNTIME_READER_H

#include "help.h"
#include "mem.h"
#include "wait.h"

struct reading {
    struct channel    *channel;
    struct async_task *task; /* NULL: a plain channel */
    async_wait         wait;
    uint64_t           deadline;
    uint32_t           starved; /* the pool's count at the last look */
    /* in the channel's list; keeps its place there from wait to wait */
    struct thread_waiter waiter;
    struct helping       helping; /* where there is a task */
    unsigned             vain;    /* times in a row that it was told and came away with nothing */
};

bool reading_begin(struct reading *reading, struct channel *channel, async_wait wait);
/* Helps, or sleeps until the channel holds `need` items. OK: look again. Else why not. */
async_status reading_wait(struct reading *reading, size_t need);
/* What the reading was told of in reading_wait has been taken, or will not be: others may have it.
 * The next wait does it too, and so does reading_end; it is called before anything that may
 * last. */
void reading_settle(struct reading *reading);
void reading_end(struct reading *reading);
/* Whether what is ready is about to be discarded: the channel, or the task whose output it is, was
 * cancelled itself. */
bool reading_cancelled(const struct channel *channel);
bool reading_late(const struct reading *reading); /* its deadline has passed */
/* Something was read: a per-item wait starts anew. */
void reading_progress(struct reading *reading);
/* `count` items that were asked for have been taken. */
void reading_asked_off(struct reading *reading, size_t count);
/* The callbacks of a reader, if it has them: before `count` items are read, and what of them is
 * kept afterwards. */
async_status reader_before(async_reader *reader, size_t count);
size_t       reader_after(async_reader *reader, void *items, size_t count);

#endif
