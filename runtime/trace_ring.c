/* trace_ring.c: see trace_ring.h.
 *
 * Event n lies in slot n mod `slots`. The writer stores the words of event n, then head = n + 1. It
 * has one slot more than the events it keeps, so that the newest are whole while it writes the next
 * one. The reader copies the words and looks at the head again.
 *
 * I1 While event m is being written, head is m: the words of slot m mod `slots` may change, and no
 *    others do.
 * I2 A copy of event n is whole if head, looked at after it, is below n + slots. For if a word was
 *    that of a later event m in the slot, so m >= n + slots, the reader has acquired what the
 *    writer did before it stored that word (Y2 -> Y3), and that is head = m; so its look gives m or
 *    more. And no word is that of an earlier one: head was above n when the copy began (Y1 -> Y4).
 *
 * A sequence lock would do with plainer orders and a fence; this needs none, which ThreadSanitizer
 * would not see, and on x86-64 all of these are plain moves.
 *
 * Orders
 *   Y1 put, head (release)   -> Y4 take, head (acquire): the words of the events below it.
 *   Y2 put, words (release)  -> Y3 take, words (acquire): head, as it was before them.
 *
 * Progress: a take looks at each event that is there once, and skips what is overwritten meanwhile.
 * Layer: 1 */
#include "trace_ring.h"

#include "mem.h"

bool ring_prepare(struct trace_ring *ring, size_t events)
{
    size_t slots, bytes;
    if (!size_add(events, 1, &slots) || ring->slots != slots) {
        ring_free(ring);
        if (!size_add(events, 1, &slots) || !size_mul(slots, sizeof *ring->slot, &bytes) ||
            (ring->slot = mem_zalloc(bytes, alignof(struct trace_slot))) == NULL) {
            return false;
        }
        ring->slots = slots;
    }
    store_relaxed(&ring->head, 0); /* relaxed: the caller is the only one */
    ring->at = 0;
    ring->next = ring->passed = 0;
    return true;
}

void ring_free(struct trace_ring *ring)
{
    mem_free(ring->slot);
    *ring = (struct trace_ring){0};
}

void ring_put(struct trace_ring *ring, const async_trace_event *event)
{
    uint64_t head = load_relaxed(&ring->head); /* relaxed: its own */
    if (likely(ring->slots != 0)) {
        uint64_t       who = (uint64_t)event->worker << 32 | (uint32_t)event->kind << 16;
        const uint64_t words[TRACE_WORDS] = {
            event->start,           event->end,      event->task,
            event->sequence,        event->items_in, event->items_out,
            who | event->waited_for};
        shared_u64 *to = ring->slot[ring->at].words;
        for (unsigned i = 0; i < TRACE_WORDS; i++) {
            store_release(&to[i], words[i]);
        } /* Y2 -> Y3 */
        if (++ring->at == ring->slots) { ring->at = 0; }
    }
    store_release(&ring->head, head + 1); /* Y1 -> Y4. LP */
}

static void copy(const struct trace_slot *slot, async_trace_event *event)
{
    uint64_t words[TRACE_WORDS];
    for (unsigned i = 0; i < TRACE_WORDS; i++) {
        words[i] = load_acquire(&slot->words[i]); /* Y3 <- Y2 */
    }
    *event = (async_trace_event){.start = words[0],
                                 .end = words[1],
                                 .task = words[2],
                                 .sequence = words[3],
                                 .items_in = words[4],
                                 .items_out = words[5],
                                 .worker = (uint32_t)(words[6] >> 32),
                                 .kind = (uint16_t)(words[6] >> 16),
                                 .waited_for = (uint16_t)words[6]};
}

/* Passes over what can't be read any more. */
static void skip(struct trace_ring *ring, uint64_t head)
{
    uint64_t kept = ring->slots == 0 ? 0 : ring->slots - 1;
    if (head - ring->next <= kept) { return; }
    ring->passed += head - ring->next - kept;
    ring->next = head - kept;
}

size_t ring_take(struct trace_ring *ring, async_trace_event *events, size_t count)
{
    size_t   got = 0;
    uint64_t head = load_acquire(&ring->head), end = head; /* Y4 <- Y1 */
    for (;;) {
        skip(ring, head);
        if (got == count || ring->next >= end) { return got; }
        copy(&ring->slot[ring->next % ring->slots], &events[got]);
        head = load_acquire(&ring->head); /* Y4 <- Y1 */
        if (head - ring->next < ring->slots) {
            got++;
            ring->next++;
        }
    }
}

uint64_t ring_lost(struct trace_ring *ring)
{
    skip(ring, load_acquire(&ring->head)); /* Y4 <- Y1 */
    return ring->passed;
}
