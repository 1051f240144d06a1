/* ck_queues.c of queue: see ck.h. */
#include "ck.h"

#include <ck_fifo.h>
#include <ck_ring.h>
#include <stdlib.h>
#include <string.h>

struct ck_queue_ring {
    _Alignas(128) ck_ring_t ring;
    ck_ring_buffer_t *buffer;
};

struct ck_queue_fifo {
    _Alignas(128) ck_fifo_mpmc_t fifo;
};

static void *allocate(size_t size)
{
    void *memory = aligned_alloc(128, (size + 127) / 128 * 128);
    if (memory == NULL) abort();
    memset(memory, 0, size); /* the pages are there before the clock runs */
    return memory;
}

struct ck_queue_ring *ck_queue_ring_new(unsigned size)
{
    struct ck_queue_ring *ring = allocate(sizeof *ring);
    ring->buffer = allocate(size * sizeof *ring->buffer);
    ck_ring_init(&ring->ring, size);
    return ring;
}

void ck_queue_ring_free(struct ck_queue_ring *ring)
{
    free(ring->buffer);
    free(ring);
}

bool ck_queue_ring_put(struct ck_queue_ring *ring, uint64_t item)
{
    return ck_ring_enqueue_mpmc(&ring->ring, ring->buffer, (void *)(uintptr_t)item);
}

bool ck_queue_ring_take(struct ck_queue_ring *ring, uint64_t *item)
{
    void *value;
    if (!ck_ring_dequeue_mpmc(&ring->ring, ring->buffer, &value)) return false;
    *item = (uint64_t)(uintptr_t)value;
    return true;
}

/* An entry that has left the list is linked to the next one through its value. */
void ck_queue_fifo_collect(void *garbage)
{
    while (garbage != NULL) {
        ck_fifo_mpmc_entry_t *entry = garbage;
        garbage = entry->value;
        free(entry);
    }
}

static ck_fifo_mpmc_entry_t *new_entry(void)
{
    ck_fifo_mpmc_entry_t *entry = malloc(sizeof *entry); /* aligned for its pair of words */
    if (entry == NULL) abort();
    return entry;
}

struct ck_queue_fifo *ck_queue_fifo_new(void)
{
    struct ck_queue_fifo *fifo = allocate(sizeof *fifo);
    ck_fifo_mpmc_init(&fifo->fifo, new_entry());
    return fifo;
}

void ck_queue_fifo_free(struct ck_queue_fifo *fifo)
{
    ck_fifo_mpmc_entry_t *last;
    ck_fifo_mpmc_deinit(&fifo->fifo, &last);
    free(last);
    free(fifo);
}

void ck_queue_fifo_put(struct ck_queue_fifo *fifo, uint64_t item)
{
    ck_fifo_mpmc_enqueue(&fifo->fifo, new_entry(), (void *)(uintptr_t)item);
}

bool ck_queue_fifo_take(struct ck_queue_fifo *fifo, uint64_t *item, void **garbage)
{
    void                 *value;
    ck_fifo_mpmc_entry_t *left;
    if (!ck_fifo_mpmc_dequeue(&fifo->fifo, &value, &left)) return false;
    *item = (uint64_t)(uintptr_t)value;
    left->value = *garbage;
    *garbage = left;
    return true;
}
