/* queue_segment.h: what a segment of the queue looks like, for queue.c and queue_read.c. The words'
 * transitions, the invariants and the orders stand at the head of queue.c.
 * Layer: 2 */
#ifndef ASYNC_RUNTIME_QUEUE_SEGMENT_H
#define ASYNC_RUNTIME_QUEUE_SEGMENT_H

#include "queue.h"
#include "reclaim.h"

#ifndef SEGMENT_SLOTS
#define SEGMENT_SLOTS 240 /* so that it is one block of 4 KiB */
#endif
#define INLINE_WORDS (QUEUE_INLINE / sizeof(uint64_t))

#define CLOSED ((uint64_t)1 << 63) /* in `tickets` */
enum { LIMIT = 32, LIMIT_MASK = 0x7fffffff };
#define CLOSED_END ((struct queue_segment *)(uintptr_t)1)

#define PENDING ((uint64_t)0)
enum { TAG_SPOILED = 1, TAG_INLINE = 2, TAG_BLOCK = 3, TAG_MASK = 3 };
enum { STATE_WORDS = 2, WORDS_MASK = 3, STATE_COUNT = 4 };

#define STATE(tag, words, count)                                                                   \
    ((uint64_t)(count) << STATE_COUNT | (uint64_t)(words) << STATE_WORDS | (tag))
#define STATE_SLOTS(state) ((state) >> STATE_WORDS & WORDS_MASK)

enum { CURSOR_FROM = 8, CURSOR_SLOT = 255 };
_Static_assert(SEGMENT_SLOTS <= CURSOR_SLOT, "a cursor past the last slot fits");

/* One word of an entry. Written by its writer, or by the reader that spoils it, and only read after
 * that. An entry of several words takes as many slots, of which the first has the state; the
 * others stay PENDING, or are spoiled with it. */
struct slot {
    shared_u64 state;
    shared_u64 word;
};

/* Words of a BLOCK entry; the second one is left out where the items begin at the block's data. */
enum { WORD_BLOCK, WORD_ITEMS, BLOCK_WORDS };

struct queue_segment {
    /* The writers' line; all but `tickets` is written once. */
    shared_u64                     tickets;
    SHARED(struct queue_segment *) next;
    uint64_t                       number; /* segments before it; set before it is published */
    struct retired                 retired;
    unsigned char gap[FALSE_SHARING - 3 * sizeof(uint64_t) - sizeof(struct retired)];
    /* The readers' line. */
    shared_u64 cursor;
    /* tickets that were given out at some time: stored, not maximized, it may fall back */
    shared_u64    seen;
    unsigned char gap_too[FALSE_SHARING - 2 * sizeof(uint64_t)];
    struct slot   slots[SEGMENT_SLOTS];
};

_Static_assert(SEGMENT_SLOTS != 240 || sizeof(struct queue_segment) == 4096,
               "a segment fills its block");

/* What *source holds, protected until the slot is used again. */
ALWAYS_INLINE struct queue_segment *protect(struct reclaim_record *record, enum reclaim_slot slot,
                                            const SHARED(struct queue_segment *) *source)
{
    struct queue_segment *segment = load_seq_cst(source); /* U8 <- U7 */
    while (unlikely(!reclaim_holds(record, slot, segment))) {
        reclaim_hold(record, slot, segment);
        segment = load_seq_cst(source); /* U8 <- U7 */
    }
    return segment;
}

/* Of a ticket word: the tickets that were asked for before the close: more than there are slots,
 * perhaps, while it is open. */
ALWAYS_INLINE uint64_t given_out(uint64_t tickets)
{
    return likely((tickets & CLOSED) == 0) ? tickets : tickets >> LIMIT & LIMIT_MASK;
}

/* The caller has spoiled a slot, which was counted with its ticket (I8). */
static inline void count_spoiled(struct queue *queue)
{
    sub_seq_cst(&queue->more_put, 1); /* U14 -> U13 */
}

/* Moves `tail` on, if it has not been moved. */
static inline void tail_move(struct queue *queue, struct queue_segment *from,
                             struct queue_segment *to)
{
    cas_seq_cst(&queue->tail, &from, to); /* U7 -> U8; a failure: somebody else has moved it */
}

#endif
