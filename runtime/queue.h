/* queue.h: a lock-free, unbounded, closable MPMC first-in first-out queue of runs of items.
 *
 * A linked list of segments of one-shot slots (fetch-and-add array queue: Ramalhete and Correia
 * 2016, after Morrison and Afek, LCRQ, PPoPP 2013). One slot = one run: either a piece of a block,
 * or up to QUEUE_INLINE bytes of items inside the slot. Readers claim items of the first
 * unfinished slot through the segment's cursor. A slot whose writer took a ticket and
 * was not seen to publish is spoiled by the reader that needs to pass it, and the writer takes a
 * new one: nobody waits for a stopped thread. Close is a bit in the ticket word of the last
 * segment: a ticket is from before or after it, and what is accepted is what was published.
 * docs/design/queue.md.
 *
 * Progress: all operations lock-free (allocator excepted: one segment in some dozens of puts, from
 * a recycled list on the steady path). Freed segments are protected by hazard pointers (reclaim.h).
 *
 * Layer: 2 */
#ifndef ASYNC_RUNTIME_QUEUE_H
#define ASYNC_RUNTIME_QUEUE_H

#include "block.h"

#define QUEUE_INLINE 24 /* bytes of items that fit into a slot */

struct queue_segment;

struct queue {
    size_t      item_size;
    shared_bool closed; /* set before any call answers that the queue is closed; never cleared */
    /* Items of a run beyond its first are not in the segments' counts: they are counted here,
     * after the publication and after the claim. */
    /* moved by readers, once a segment */
    alignas(FALSE_SHARING) SHARED(struct queue_segment *) head;
    shared_u64 more_taken; /* readers */
    /* Hints of theirs: looks in a row that found hardly more than one slot, and how many more than
     * usual it takes. */
    shared_u64 chase, patience;
    /* moved by writers, once a segment */
    alignas(FALSE_SHARING) SHARED(struct queue_segment *) tail;
    shared_u64                     more_put; /* writers */
    SHARED(struct queue_segment *) spare;    /* of queue_prepare; whoever appends takes it whole */
};

enum queue_result { QUEUE_OK, QUEUE_CLOSED, QUEUE_NO_MEMORY };

bool queue_init(struct queue *queue, size_t item_size); /* false: no memory */
/* No other thread uses it any more; it must be empty of blocks (drain it with queue_take). */
void queue_destroy(struct queue *queue);

/* Puts a whole run at the end: all of it or, on CLOSED and NO_MEMORY, nothing, and the run stays
 * the caller's. On OK the queue has taken over the run's count of its block. */
enum queue_result queue_put(struct queue *queue, const struct run *run);

/* Sees to it that a put which comes next needs no memory, unless others put too. False: there is
 * none. */
bool queue_prepare(struct queue *queue);

/* The same for items that are copied: count > 0, count * item_size <= QUEUE_INLINE. */
enum queue_result queue_put_inline(struct queue *queue, const void *items, size_t count);

/* The same for one item of 8 bytes. */
enum queue_result queue_put_word(struct queue *queue, uint64_t word);

/* No more puts. May be repeated. */
void queue_close(struct queue *queue);
bool queue_closed(const struct queue *queue);

/* Takes up to `count` items (count > 0) that lie in one run, from the front. With unit > 1: where
 * the run holds at least `unit` more items, a multiple of `unit` (count is one too). A block run:
 * *run gets a count of the block of its own. An inline run: run->block is NULL and the items were
 * copied to `bounce` (QUEUE_INLINE bytes, 16-aligned), where run->items points. Returns the number
 * of items, 0: empty. *end (may be NULL): set to whether the queue was closed, and empty for good,
 * at that moment. */
size_t queue_take(struct queue *queue, size_t count, size_t unit, struct run *run, void *bounce,
                  bool *end);

/* Takes up to `count` items (count > 0) by copy, from as many runs as that needs. Returns how many;
 * *end (may be NULL) as above, false where it was not seen. */
size_t queue_read(struct queue *queue, void *items, size_t count, bool *end);

/* The same for one item of 8 bytes. */
size_t queue_read_word(struct queue *queue, void *item, bool *end);

/* The number of items: exact while nobody puts or takes; else it may be off by what is under way.
 * An item that is put with queue_put_word or as the first of its run counts from when its writer
 * has its ticket. It is seq_cst: what a put counted before a seq_cst operation of its thread is
 * seen after that. */
size_t queue_available(const struct queue *queue);

/* In the child of a fork, by its only thread: what threads that are gone have begun is completed
 * (a close) or given up (a put), and the counts are right again. Returns the number of items. */
size_t queue_after_fork(struct queue *queue);

#endif
