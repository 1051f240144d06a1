/* queue.c: the lock-free queue of runs: see queue.h for who may call what.
 *
 * Algorithm: a linked list of segments, each an array of one-shot slots and a counter that hands
 * them out by fetch-and-add: the FAAArrayQueue of Ramalhete and Correia (2016), itself after the
 * CRQ of Morrison and Afek (PPoPP 2013). Differences:
 *   - A slot is a state word and one word of data; an entry takes a slot for each of its words. Its
 *     first slot's state stands for all of them.
 *   - Readers take no tickets. A segment has one cursor (slot, items taken of its run), and a
 *     reader claims items by moving it with a CAS. So a batch is one entry that any number of
 *     readers share, an empty read uses nothing up, and readers do not write to slots, but to spoil
 *     one.
 *   - Close: a bit in the tail segment's ticket word, then a sentinel in its `next`.
 *   - A slot is spoiled by a reader only when its ticket is out and was not used for a while.
 *   - Each item of a run is one count of the run's block, so that a reader which claims some of
 *     them has its count by the claim itself.
 *   - Readers remember how many tickets they saw given out, and look at the writers' line again
 *     only when they have used those up.
 *
 * Slot, `state`: PENDING (0) -> items << STATE_COUNT | slots << STATE_WORDS | INLINE or BLOCK: its
 *   writer publishes the entry (CAS). PENDING -> SPOILED: a reader gives up on the writer, or
 *   the writer on a slot that has no entry, or belongs to a spoiled one (CAS). Both are final.
 * Segment, `tickets`: CLOSED | limit << LIMIT | tickets asked for. It grows with each attempt to
 *   put; CLOSED is set once, together with the limit, the number of slots given out until then,
 *   from which the count then goes on. A ticket that was asked for without CLOSED and is below
 *   SEGMENT_SLOTS is a slot; where the entry does not fit behind it, the writer goes on to the next
 *   segment, or to the end. Before the close the number has 63 bits: without memory for a next
 *   segment every attempt adds to it, and that may go on for long. After the close it stays below
 *   2^31: attempts are as many as race with the close, since they set `closed`.
 * Segment, `cursor`: items taken << CURSOR_FROM | slot; grows only, up to SEGMENT_SLOTS.
 * Segment, `next`: NULL -> a segment (a writer appends) or CLOSED_END (the queue is closed); final.
 *
 * Invariants
 *   I1 Slots below the cursor's are finished; so are all slots of segments before `head`.
 *   I2 `head` is at or before `tail`; `tail` is the last segment, or the one before it.
 *   I3 A segment gets a next segment only when all its slots are given out.
 *   I4 Once `next` is CLOSED_END nothing can be appended, and CLOSED was set before it: no slot can
 *      be given out. What is published after that had its ticket from before; the reader that would
 *      report the end spoils such a slot first, and its writer finds the queue closed.
 *   I5 A segment is retired once, by who moved `head` off it, after `tail` had left it.
 *   I6 A slot's word is written before its entry is published, and does not change while the
 *      segment is protected.
 *   I7 The items of a BLOCK slot that are not claimed hold as many counts of the block.
 *   I8 A slot is spoiled once, and who did so takes it off `more_put`; it is passed once, and who
 *      does so takes it off `more_taken` before: the count may be too large meanwhile, not too
 *      small.
 *
 * Linearization: put: the CAS that publishes the slot, or that appends the segment with the item in
 * it. Take: the CAS of the cursor. Empty: the load that finds no ticket given out for the cursor's
 * slot, or no next segment. Close: the CAS of CLOSED_END. A put that publishes after that is
 * ordered just before it: nobody has seen it missing.
 *
 * Progress: put: a slot is lost only to a reader that spoiled it, and a writer that has lost all
 * slots of a segment puts its item together with the next segment; so of the writers some one gets
 * through. Take: a claim is lost only to another claim, and then backs off for a bounded time.
 * Nobody waits for a stopped thread. Not promised: that one certain writer gets through while
 * readers keep spoiling its slots.
 *
 * Reclamation: segments are blocks of the default store, protected by hazard pointers: RECLAIM_HEAD
 * by readers, RECLAIM_TAIL by writers.
 *
 * Orders
 *   U1 publish, state (release)    -> U2: the slot's words, the items, the block's counts.
 *   U2 look, state (acquire)       <- U1.
 *   U4 append, next (acq_rel)      -> U5: the new segment and the item in it.
 *   U5 look, next (acquire)        <- U4, U6.
 *   U6 end, next (acq_rel)         -> U5: CLOSED was set.
 *   U7 move, tail and head (seq_cst) -> U8; before the scan of reclaim.c (its "source = other").
 *   U8 look, tail and head (seq_cst) <- U7: the segment's contents; the second look of reclaim.h.
 *   U9 closed, flag (seq_cst)      -> U10: before the look at who waits.
 *   U10 look, closed (seq_cst)     <- U9: after the announcement of who waits.
 *   U11 close, tickets (acq_rel)   -> U12: coherence: of two operations on the word one is first.
 *   U12 ticket, tickets (seq_cst)  <- U11; -> U13: before the look at who waits.
 *   U13 count, tickets and more (seq_cst) <- U12, U14: after the announcement of who waits.
 *   U14 more, more_put, more_taken, and the cursor past a spoiled slot (seq_cst) -> U13: as U12.
 *   U15 spare (acq_rel) <-> U15: the segment, as it was made.
 * Layer: 2 */
#include "check.h"
#include "queue_segment.h"

#include <string.h>

static void segment_free(struct retired *retired)
{
    struct queue_segment *segment = container_of(retired, struct queue_segment, retired);
    block_release(container_of(segment, struct block, data), 1);
}

/* NULL: no memory. */
static struct queue_segment *segment_new(uint64_t number)
{
    struct block *block = block_new(store_default(), sizeof(struct queue_segment));
    if (block == NULL) { return NULL; }
    struct queue_segment *segment = (struct queue_segment *)(void *)block->data;
    /* relaxed (all): published with the segment (U4, U7) */
    store_relaxed(&segment->tickets, 0);
    store_relaxed(&segment->next, NULL);
    store_relaxed(&segment->cursor, 0);
    store_relaxed(&segment->seen, 0);
    segment->number = number;
    segment->retired.object = segment;
    segment->retired.free = segment_free;
    /* relaxed: as above */
    for (size_t i = 0; i < SEGMENT_SLOTS; i++) { store_relaxed(&segment->slots[i].state, PENDING); }
    return segment;
}

bool queue_init(struct queue *queue, size_t item_size)
{
    struct queue_segment *segment = segment_new(0);
    queue->item_size = item_size;
    atomic_init(&queue->closed, false);
    atomic_init(&queue->head, segment);
    atomic_init(&queue->tail, segment);
    atomic_init(&queue->more_put, 0);
    atomic_init(&queue->more_taken, 0);
    atomic_init(&queue->chase, 0);
    atomic_init(&queue->patience, 0);
    atomic_init(&queue->spare, NULL);
    return segment != NULL;
}

void queue_destroy(struct queue *queue)
{
    struct queue_segment *segment = load_relaxed(&queue->head); /* relaxed: the caller is alone */
    while (segment != NULL && segment != CLOSED_END) {
        struct queue_segment *next = load_relaxed(&segment->next); /* relaxed: as above */
        segment_free(&segment->retired);
        segment = next;
    }
    store_relaxed(&queue->head, NULL);                         /* relaxed: as above */
    struct queue_segment *spare = load_relaxed(&queue->spare); /* relaxed: as above */
    if (spare != NULL) { segment_free(&spare->retired); }
}

size_t queue_available(const struct queue *queue)
{
    struct reclaim_record *record = reclaim_enter();
    /* First what was put, then what was taken: what is taken in between is left out twice, not
     * counted twice. */
    const struct queue_segment *tail = protect(record, RECLAIM_TAIL, &queue->tail);
    uint64_t                    put = given_out(load_seq_cst(&tail->tickets)); /* U13 <- U12 */
    put = tail->number * SEGMENT_SLOTS + (put < SEGMENT_SLOTS ? put : SEGMENT_SLOTS);
    put += load_seq_cst(&queue->more_put); /* U13 <- U14 */
    const struct queue_segment *head = protect(record, RECLAIM_HEAD, &queue->head);
    /* U13 */
    uint64_t taken = head->number * SEGMENT_SLOTS + (load_seq_cst(&head->cursor) & CURSOR_SLOT);
    taken += load_seq_cst(&queue->more_taken); /* U13 <- U14 */
    reclaim_leave(record);
    int64_t available = (int64_t)(put - taken);
    return available > 0 ? (size_t)available : 0;
}

/* ---- writers ---- */

/* The next `count` tickets of the protected segment: the first of them. */
ALWAYS_INLINE uint64_t ticket_take(struct queue_segment *segment, size_t count)
{
    uint64_t ticket = add_seq_cst(&segment->tickets, count); /* U12 -> U13, <- U11 */
    STEP("queue_put: ticket");
    return ticket;
}

ALWAYS_INLINE void entry_fill(struct queue_segment *segment, uint64_t index, const uint64_t *words,
                              size_t word_count)
{
    for (size_t i = 0; i < word_count; i++) {
        /* relaxed: published by the state word, or with the segment */
        store_relaxed(&segment->slots[index + i].word, words[i]);
    }
}

/* False: a reader has spoiled the slot. */
ALWAYS_INLINE bool entry_publish(struct queue_segment *segment, uint64_t index, uint64_t state,
                                 const uint64_t *words, size_t word_count)
{
    uint64_t pending = PENDING;
    entry_fill(segment, index, words, word_count);
    return cas_release(&segment->slots[index].state, &pending, state); /* U1 -> U2. LP: put */
}

/* Slots of the caller's that will have no entry: no reader shall wait for them. */
static void spoil_own(struct queue *queue, struct queue_segment *segment, uint64_t from,
                      uint64_t to)
{
    for (uint64_t i = from; i < to && i < SEGMENT_SLOTS; i++) {
        uint64_t pending = PENDING;
        /* relaxed: nothing is published by it. A failure: a reader has done the same */
        if (cas_relaxed(&segment->slots[i].state, &pending, TAG_SPOILED)) { count_spoiled(queue); }
    }
}

/* CLOSED is set in the protected segment. True: the queue is closed. False: there was a next
 * segment. */
static bool finish_close(struct queue *queue, struct queue_segment *segment)
{
    struct queue_segment *next = NULL;
    /* U6 -> U5. LP: close */
    if (!cas_acq_rel(&segment->next, &next, CLOSED_END) && next != CLOSED_END) {
        tail_move(queue, segment, next);
        return false;
    }
    store_seq_cst(&queue->closed, true); /* U9 -> U10 */
    return true;
}

enum attempt { ATTEMPT_OK, ATTEMPT_CLOSED, ATTEMPT_NO_MEMORY, ATTEMPT_AGAIN };

/* The entry does not fit behind the protected segment's ticket, or it is CLOSED. */
static enum attempt put_beyond(struct queue *queue, struct queue_segment *segment, uint64_t ticket,
                               uint64_t state, const uint64_t *words, size_t word_count)
{
    if ((ticket & CLOSED) != 0) {
        return finish_close(queue, segment) ? ATTEMPT_CLOSED : ATTEMPT_AGAIN;
    }
    spoil_own(queue, segment, ticket, SEGMENT_SLOTS);
    struct queue_segment *next = load_acquire(&segment->next); /* U5 <- U4, U6 */
    if (next == NULL) {
        struct queue_segment *fresh = NULL;
        /* relaxed: only saves the exchange */
        if (load_relaxed(&queue->spare) != NULL) {
            fresh = exchange_acq_rel(&queue->spare, NULL); /* U15 <-> U15 */
        }
        if (fresh == NULL) { fresh = segment_new(0); }
        if (fresh == NULL) { return ATTEMPT_NO_MEMORY; }
        fresh->number = segment->number + 1;
        entry_fill(fresh, 0, words, word_count);
        store_relaxed(&fresh->slots[0].state, state); /* relaxed (both): published by U4 */
        store_relaxed(&fresh->tickets, word_count);
        if (cas_acq_rel(&segment->next, &next, fresh)) { /* U4 -> U5. LP: put */
            STEP("queue_put: appended");
            tail_move(queue, segment, fresh);
            return ATTEMPT_OK;
        }
        segment_free(&fresh->retired);
    }
    if (next == CLOSED_END) {
        store_seq_cst(&queue->closed, true); /* U9 -> U10 */
        return ATTEMPT_CLOSED;
    }
    tail_move(queue, segment, next);
    return ATTEMPT_AGAIN;
}

bool queue_prepare(struct queue *queue)
{
    if (load_relaxed(&queue->spare) != NULL) { return true; } /* relaxed: a look, no access */
    struct reclaim_record      *record = reclaim_enter();
    const struct queue_segment *tail = protect(record, RECLAIM_TAIL, &queue->tail);
    /* relaxed: half a segment is room enough for who comes too late to see it */
    bool room = given_out(load_relaxed(&tail->tickets)) < SEGMENT_SLOTS / 2;
    reclaim_leave(record);
    if (room) { return true; }
    struct queue_segment *fresh = segment_new(0), *none = NULL;
    if (fresh == NULL) { return false; }
    /* U15 <-> U15 */
    if (!cas_acq_rel(&queue->spare, &none, fresh)) { segment_free(&fresh->retired); }
    return true;
}

/* One attempt after another until the words are in a slot, or the queue is found closed. */
static NEVER_INLINE enum queue_result put(struct queue *queue, uint64_t state,
                                          const uint64_t *words, size_t word_count)
{
    if (queue_closed(queue)) { return QUEUE_CLOSED; }
    enum attempt           attempt;
    struct reclaim_record *record = reclaim_enter();
    do {
        struct queue_segment *segment = protect(record, RECLAIM_TAIL, &queue->tail);
        uint64_t              ticket = ticket_take(segment, word_count);
        if (unlikely(ticket > SEGMENT_SLOTS - word_count)) {
            attempt = put_beyond(queue, segment, ticket, state, words, word_count);
        } else if (likely(entry_publish(segment, ticket, state, words, word_count))) {
            attempt = ATTEMPT_OK;
        } else {
            spoil_own(queue, segment, ticket + 1, ticket + word_count);
            attempt = ATTEMPT_AGAIN;
        }
    } while (attempt == ATTEMPT_AGAIN);
    reclaim_leave(record);
    if (likely(attempt == ATTEMPT_OK)) { return QUEUE_OK; }
    return attempt == ATTEMPT_CLOSED ? QUEUE_CLOSED : QUEUE_NO_MEMORY;
}

/* `count` items were published in so many slots. */
ALWAYS_INLINE void count_put(struct queue *queue, size_t count, size_t slots)
{
    if (count != slots) { add_seq_cst(&queue->more_put, count - slots); } /* U14 -> U13 */
}

enum queue_result queue_put(struct queue *queue, const struct run *run)
{
    DEBUG_CHECK(run->count > 0);
    uint64_t words[BLOCK_WORDS];
    words[WORD_ITEMS] = (uintptr_t)run->items;
    words[WORD_BLOCK] = (uintptr_t)run->block;
    block_retain_own(run->block, run->count - 1); /* I7 */
    size_t            word_count = run->items == run->block->data ? BLOCK_WORDS - 1 : BLOCK_WORDS;
    uint64_t          state = STATE(TAG_BLOCK, word_count, run->count);
    enum queue_result result = put(queue, state, words, word_count);
    if (likely(result == QUEUE_OK)) {
        count_put(queue, run->count, word_count);
    } else {
        block_release(run->block, run->count - 1);
    }
    return result;
}

enum queue_result queue_put_inline(struct queue *queue, const void *items, size_t count)
{
    uint64_t words[INLINE_WORDS];
    size_t   bytes = count * queue->item_size;
    size_t   word_count = (bytes + sizeof words[0] - 1) / sizeof words[0];
    DEBUG_CHECK(count > 0 && bytes <= QUEUE_INLINE);
    words[word_count - 1] = 0;
    memcpy(words, items, bytes);
    enum queue_result result = put(queue, STATE(TAG_INLINE, word_count, count), words, word_count);
    if (likely(result == QUEUE_OK)) { count_put(queue, count, word_count); }
    return result;
}

enum queue_result queue_put_word(struct queue *queue, uint64_t word)
{
    /* The short way, of a thread that uses this queue again: nothing but the ticket and the slot.
     * */
    struct reclaim_record *record = reclaim_own;
    if (likely(record != NULL && !queue_closed(queue))) {
        struct queue_segment *segment = load_seq_cst(&queue->tail); /* U8 <- U7 */
        if (likely(reclaim_holds(record, RECLAIM_TAIL, segment))) {
            uint64_t ticket = ticket_take(segment, 1);
            if (likely(ticket < SEGMENT_SLOTS &&
                       entry_publish(segment, ticket, STATE(TAG_INLINE, 1, 1), &word, 1))) {
                return QUEUE_OK;
            }
        }
    }
    return put(queue, STATE(TAG_INLINE, 1, 1), &word, 1);
}

void queue_close(struct queue *queue)
{
    if (queue_closed(queue)) { return; }
    struct queue_segment  *segment;
    struct reclaim_record *record = reclaim_enter();
    do {
        segment = protect(record, RECLAIM_TAIL, &queue->tail);
        uint64_t tickets = load_relaxed(&segment->tickets); /* relaxed: the CAS decides */
        while ((tickets & CLOSED) == 0) {
            uint64_t limit = min_size(tickets, SEGMENT_SLOTS);
            uint64_t closed = CLOSED | limit << LIMIT | limit;
            if (cas_acq_rel(&segment->tickets, &tickets, closed)) { break; } /* U11 -> U12 */
        }
        STEP("queue_close: bit");
    } while (!finish_close(queue, segment));
    reclaim_leave(record);
}

bool queue_closed(const struct queue *queue)
{
    return load_seq_cst(&queue->closed); /* U10 <- U9 */
}

/* Of one segment: how many items are not taken; slots that were given out and have no entry are
 * spoiled. */
static size_t segment_after_fork(struct queue_segment *segment)
{
    /* relaxed (all): there is one thread */
    uint64_t cursor = load_relaxed(&segment->cursor), index = cursor & CURSOR_SLOT;
    uint64_t given = given_out(load_relaxed(&segment->tickets));
    size_t   items = 0, from = (size_t)(cursor >> CURSOR_FROM);
    while (index < min_size(given, SEGMENT_SLOTS)) {
        struct slot *slot = &segment->slots[index];
        uint64_t     state = load_relaxed(&slot->state);
        if (state == PENDING || state == TAG_SPOILED) {
            store_relaxed(&slot->state, TAG_SPOILED);
            index++;
        } else {
            items += (size_t)(state >> STATE_COUNT) - from;
            index += STATE_SLOTS(state);
        }
        from = 0;
    }
    return items;
}

size_t queue_after_fork(struct queue *queue)
{
    /* relaxed (all): there is one thread */
    struct queue_segment *head = load_relaxed(&queue->head), *tail = head, *next;
    size_t                items = segment_after_fork(head);
    while ((next = load_relaxed(&tail->next)) != NULL && next != CLOSED_END) {
        tail = next;
        items += segment_after_fork(tail);
    }
    store_relaxed(&queue->tail, tail);
    if ((load_relaxed(&tail->tickets) & CLOSED) != 0) {
        store_relaxed(&tail->next, CLOSED_END);
        store_relaxed(&queue->closed, true);
    }
    /* As queue_available counts. */
    uint64_t slots = (tail->number - head->number) * SEGMENT_SLOTS;
    slots += min_size(given_out(load_relaxed(&tail->tickets)), SEGMENT_SLOTS);
    slots -= load_relaxed(&head->cursor) & CURSOR_SLOT;
    store_relaxed(&queue->more_put, load_relaxed(&queue->more_taken) + items - slots);
    return items;
}
