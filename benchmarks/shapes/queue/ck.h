/* ck.h of queue: Concurrency Kit's queues behind functions, as its headers are not C++. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A ring for `size` items, a power of two. */
struct ck_queue_ring *ck_queue_ring_new(unsigned size);
void                  ck_queue_ring_free(struct ck_queue_ring *ring);
bool                  ck_queue_ring_put(struct ck_queue_ring *ring, uint64_t item);
bool                  ck_queue_ring_take(struct ck_queue_ring *ring, uint64_t *item);

/* A list. An item's entry is allocated by who puts it; entries that have left the list are kept in
 * the taker's `garbage` for as long as the list lives, as others may still look at them. */
struct ck_queue_fifo *ck_queue_fifo_new(void);
void                  ck_queue_fifo_free(struct ck_queue_fifo *fifo);
void                  ck_queue_fifo_put(struct ck_queue_fifo *fifo, uint64_t item);
bool ck_queue_fifo_take(struct ck_queue_fifo *fifo, uint64_t *item, void **garbage);
void ck_queue_fifo_collect(void *garbage);

#ifdef __cplusplus
}
#endif
