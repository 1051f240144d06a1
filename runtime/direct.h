/* direct.h: a read that makes its items itself: see direct.c.
 * Layer: 3 */
#ifndef ASYNC_RUNTIME_DIRECT_H
#define ASYNC_RUNTIME_DIRECT_H

#include "task.h"

/* How many items of the task can be read so at a time; 0: none. It does not change. */
size_t direct_most(const struct async_task *task);

/* The calling thread, which holds the reader of such a task, makes and takes count items (> 0).
 * Returns how many: 0 where it has to go the long way, fewer where the function failed. */
size_t direct_read(struct async_task *task, unsigned char *items, size_t count);

#endif
