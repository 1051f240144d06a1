/* queue_read.c: the readers' half of queue.c, whose head has the algorithm, the invariants (I1 to
 * I8) and the orders (U1 to U15).
 * Layer: 2 */
#include "check.h"
#include "queue_segment.h"

#include <string.h>

#ifndef SPINS
#define SPINS 48 /* looks at slots whose tickets are out, in one call, before spoiling */
#endif
#define AHEAD         4   /* slots that a reader fetches ahead, where they are known to be in use */
#define CLOSE         16  /* slots between the reader and the writers, at most, that are a chase */
#define CHASE         3   /* such looks in a row, none in vain, after which a reader falls back */
#define FALL_BACK     128 /* pauses */
#define PATIENCE_MOST 4096 /* looks, at most, between two times of falling back that were in vain */
#define BACK_OFF      32   /* pauses after a claim that was lost, at first */
#define BACK_OFF_MOST 256  /* and at most: what another reader needs for some hundred items */

/* The slot's ticket is out, and it is not published. Its state after a while, not PENDING. */
static NEVER_INLINE uint64_t slot_wait(struct queue *queue, struct slot *slot, unsigned *spins)
{
    for (; *spins > 0; --*spins) {
        cpu_relax();
        uint64_t state = load_acquire(&slot->state); /* U2 <- U1 */
        if (state != PENDING) { return state; }
    }
    uint64_t state = PENDING;
    /* Not published before: its writer's CAS fails, and it takes another ticket. */
    if (!cas_acquire(&slot->state, &state, TAG_SPOILED)) { return state; } /* U2 <- U1 */
    count_spoiled(queue);
    return TAG_SPOILED;
}

/* The cursor stands on a spoiled slot: moves it on, if nobody else has. I8 */
static NEVER_INLINE void slot_pass(struct queue *queue, struct queue_segment *segment,
                                   uint64_t cursor)
{
    sub_seq_cst(&queue->more_taken, 1); /* U14 -> U13 */
    /* U14 -> U13: who sees the cursor past the slot sees the count */
    if (!cas_seq_cst(&segment->cursor, &cursor, cursor + 1)) {
        add_seq_cst(&queue->more_taken, 1); /* U14 -> U13 */
    }
}

/* The protected segment is finished, and `next` follows it. */
static NEVER_INLINE void head_move(struct queue *queue, struct reclaim_record *record,
                                   struct queue_segment *segment, struct queue_segment *next)
{
    STEP("queue_take: next"); /* from here on it may be gone: it is not protected */
    /* U8 <- U7. I5 */
    if (load_seq_cst(&queue->tail) == segment) { tail_move(queue, segment, next); }
    struct queue_segment *expected = segment;
    if (cas_seq_cst(&queue->head, &expected, next)) { /* U7 -> U8 */
        STEP("queue_take: moved");
        /* I5. relaxed: it does not come back to a segment that it has left */
        DEBUG_CHECK(load_relaxed(&queue->tail) != segment);
        reclaim_retire(record, &segment->retired);
    }
}

/* The protected segment's ticket word, when all tickets that were seen are used up.
 *
 * A reader that is as fast as the writers would come here for each item, and each time take their
 * line, and the next slot's, away from them: both would run at the speed of the lines' travel. So
 * when it has come up right behind them several times without finding the queue empty, it
 * lets them get some slots ahead. Where they put nothing meanwhile (they wait for this very read,
 * or are this very thread), it was in vain, and comes again after twice as many looks. */
static NEVER_INLINE uint64_t tickets_look(struct queue *queue, struct queue_segment *segment,
                                          uint64_t index)
{
    /* relaxed (all): coherent with the tickets of all puts that happened before this call; the
     * other two are hints */
    uint64_t tickets = load_relaxed(&segment->tickets); /* LP: empty */
    uint64_t given = given_out(tickets), patience = load_relaxed(&queue->patience);
    uint64_t chase = load_relaxed(&queue->chase);
    if (given <= index) {
        if (chase != 0 && patience == 0) { store_relaxed(&queue->chase, 0); }
        return tickets;
    }
    if (given - index > CLOSE) {
        chase = 0;
    } else if (unlikely(++chase > CHASE + patience)) {
        for (unsigned i = 0; i < FALL_BACK; i++) { cpu_relax(); }
        tickets = load_relaxed(&segment->tickets);
        patience = given_out(tickets) > given ? 0 : min_size(2 * patience + CHASE, PATIENCE_MOST);
        given = given_out(tickets);
        chase = patience == 0 ? CHASE : 0;
        store_relaxed(&queue->patience, patience);
    }
    store_relaxed(&queue->chase, chase);
    store_relaxed(&segment->seen, given);
    return tickets;
}

/* Another reader was faster. Letting it go on for a while costs less than fighting for the line. */
static NEVER_INLINE void back_off(unsigned *pauses)
{
    for (unsigned i = 0; i < *pauses; i++) { cpu_relax(); }
    if (*pauses < BACK_OFF_MOST) { *pauses *= 2; }
}

/* What follows a segment that has no more tickets says whether the queue has ended. Who tells of
 * the end has set `closed` first, as who tells of the close has. */
static bool ends(struct queue *queue, const struct queue_segment *next)
{
    if (next != CLOSED_END) { return false; }
    if (!queue_closed(queue)) { store_seq_cst(&queue->closed, true); } /* U9 -> U10 */
    return true;
}

/* `count` items, from item `from` of the run, of a slot in the segment that RECLAIM_HEAD protects.
 * */
struct claim {
    struct queue_segment *segment;
    uint64_t              index;
    uint64_t              state;
    size_t                from;
    size_t                count;
};

/* Claims up to count items of the first unfinished slot. 0: empty, and *end says whether for good.
 * */
ALWAYS_INLINE size_t claim_next(struct queue *queue, struct reclaim_record *record, size_t count,
                                size_t unit, struct claim *claim, bool *end)
{
    unsigned spins = SPINS, pauses = BACK_OFF;
    for (;;) {
        struct queue_segment *segment = protect(record, RECLAIM_HEAD, &queue->head);
        /* relaxed (cursor, here and below): it says who claims what; the slot is acquired through
         * its state (U2) */
        uint64_t cursor = load_relaxed(&segment->cursor), index;
        while (likely((index = cursor & CURSOR_SLOT) < SEGMENT_SLOTS)) {
            /* relaxed: any number that was given out will do */
            uint64_t seen = load_relaxed(&segment->seen);
            if (unlikely(seen <= index)) {
                uint64_t tickets = tickets_look(queue, segment, index);
                seen = given_out(tickets);
                if (seen <= index) {
                    *end = (tickets & CLOSED) != 0 &&
                           ends(queue, load_acquire(&segment->next)); /* U5 <- U6 */
                    return 0;
                }
            }
            struct slot *slot = &segment->slots[index];
            if (index + AHEAD < min_size(seen, SEGMENT_SLOTS)) {
                prefetch_read(&segment->slots[index + AHEAD]);
            }
            uint64_t state = load_acquire(&slot->state); /* U2 <- U1 */
            if (unlikely(state == PENDING)) { state = slot_wait(queue, slot, &spins); }
            if (unlikely(state == TAG_SPOILED)) {
                slot_pass(queue, segment, cursor);
                cursor = load_relaxed(&segment->cursor);
                continue;
            }
            size_t from = (size_t)(cursor >> CURSOR_FROM);
            size_t left = (size_t)(state >> STATE_COUNT) - from;
            size_t take = min_size(left, count);
            if (unlikely(unit > 1 && left >= unit)) { take -= take % unit; }
            uint64_t slots = STATE_SLOTS(state);
            uint64_t after = take == left ? index + slots
                                          : cursor + ((uint64_t)take << CURSOR_FROM);
            /* LP: take. relaxed: as above */
            if (likely(cas_relaxed(&segment->cursor, &cursor, after))) {
                uint64_t more = take == left ? take - slots : take;
                if (more != 0) { add_seq_cst(&queue->more_taken, more); } /* U14 -> U13 */
                claim->segment = segment;
                claim->index = index;
                claim->state = state;
                claim->from = from;
                claim->count = take;
                return take;
            }
            back_off(&pauses);
            cursor = load_relaxed(&segment->cursor);
        }
        /* U5 <- U4, U6. LP: empty, where it is NULL */
        struct queue_segment *next = load_acquire(&segment->next);
        if (next == NULL || next == CLOSED_END) {
            *end = ends(queue, next);
            return 0;
        }
        head_move(queue, record, segment, next);
    }
}

static inline uint64_t claim_word(const struct claim *claim, size_t word)
{
    /* relaxed: words do not change once they are published, which the claim has acquired (I6) */
    return load_relaxed(&claim->segment->slots[claim->index + word].word);
}

/* The claimed items, out of the slots. */
static void claim_copy(const struct claim *claim, size_t item_size, void *items)
{
    uint64_t words[INLINE_WORDS];
    for (size_t i = 0; i < STATE_SLOTS(claim->state); i++) { words[i] = claim_word(claim, i); }
    memcpy(items, (unsigned char *)words + claim->from * item_size, claim->count * item_size);
}

static inline bool claim_is_block(const struct claim *claim)
{
    return (claim->state & TAG_MASK) == TAG_BLOCK;
}

/* The claimed items, in their block; the claim has one count of it for each of them (I7). */
static struct block *claim_block(const struct claim *claim, size_t item_size, unsigned char **items)
{
    struct block *block = (struct block *)(uintptr_t)claim_word(claim, WORD_BLOCK);
    *items = STATE_SLOTS(claim->state) == BLOCK_WORDS
                 ? (unsigned char *)(uintptr_t)claim_word(claim, WORD_ITEMS)
                 : block->data;
    *items += claim->from * item_size;
    return block;
}

size_t queue_take(struct queue *queue, size_t count, size_t unit, struct run *run, void *bounce,
                  bool *end)
{
    struct claim           claim;
    bool                   ended = false;
    struct reclaim_record *record = reclaim_enter();
    size_t                 taken = claim_next(queue, record, count, unit, &claim, &ended);
    if (taken != 0) {
        run->count = taken;
        if (claim_is_block(&claim)) {
            run->block = claim_block(&claim, queue->item_size, &run->items);
            block_fold(run->block, taken);
        } else {
            run->block = NULL;
            run->items = bounce;
            claim_copy(&claim, queue->item_size, bounce);
        }
    }
    reclaim_leave(record);
    if (end != NULL) { *end = ended; }
    return taken;
}

size_t queue_read(struct queue *queue, void *items, size_t count, bool *end)
{
    unsigned char         *to = items;
    size_t                 item_size = queue->item_size, left = count;
    bool                   ended = false;
    struct reclaim_record *record = reclaim_enter();
    while (left > 0) {
        struct claim claim;
        size_t       taken = claim_next(queue, record, left, 1, &claim, &ended);
        if (taken == 0) { break; }
        if (claim_is_block(&claim)) {
            unsigned char *from;
            struct block  *block = claim_block(&claim, item_size, &from);
            memcpy(to, from, taken * item_size);
            block_release(block, taken);
        } else {
            claim_copy(&claim, item_size, to);
        }
        to += taken * item_size;
        left -= taken;
    }
    reclaim_leave(record);
    if (end != NULL) { *end = ended; }
    return count - left;
}

size_t queue_read_word(struct queue *queue, void *item, bool *end)
{
    /* The short way, of a thread that uses this queue again, for a slot that is known to be in use
     * and has one item. */
    struct reclaim_record *record = reclaim_own;
    if (likely(record != NULL)) {
        struct queue_segment *segment = load_seq_cst(&queue->head); /* U8 <- U7 */
        if (likely(reclaim_holds(record, RECLAIM_HEAD, segment))) {
            /* relaxed (all): as in claim_next and claim_copy */
            uint64_t cursor = load_relaxed(&segment->cursor);
            uint64_t seen = min_size(load_relaxed(&segment->seen), SEGMENT_SLOTS);
            if (likely(cursor < seen)) {
                const struct slot *slot = &segment->slots[cursor];
                if (cursor + AHEAD < seen) { prefetch_read(&segment->slots[cursor + AHEAD]); }
                uint64_t state = load_acquire(&slot->state); /* U2 <- U1 */
                /* relaxed: I6, once the state is known */
                uint64_t word = load_relaxed(&slot->word);
                if (likely(state == STATE(TAG_INLINE, 1, 1))) {
                    /* LP: take. relaxed: as above */
                    if (likely(cas_relaxed(&segment->cursor, &cursor, cursor + 1))) {
                        memcpy(item, &word, sizeof word);
                        if (end != NULL) { *end = false; }
                        return 1;
                    }
                    unsigned pauses = BACK_OFF;
                    back_off(&pauses);
                }
            }
        }
    }
    return queue_read(queue, item, 1, end);
}
