/* buffers.c: where the items of a run lie on their way: the block that becomes the output, scratch
 * blocks for what is between stages, and what becomes of input that was not read.
 * Layer: 3 */
#include "strand.h"

#define GRANULE_BYTES      8192
#define GRANULE_BYTES_MOST 16384 /* of two chunks */

static bool has_callbacks(const struct async_task *head)
{
    /* relaxed: as the callbacks, set before the run */
    if (likely(!load_relaxed(&readers_call_back))) { return false; }
    const struct edge *edge = load_acquire(&head->inputs);   /* G2 <- G1 */
    for (; edge != NULL; edge = load_acquire(&edge->next)) { /* G2 <- G1 */
        if (edge->input->reader.pre != NULL || edge->input->reader.post != NULL) { return true; }
    }
    return false;
}

/* Whether the output is the input's memory, worked on in place. */
static bool inherits(const struct strand *strand)
{
    const struct async_task *head = strand->stage[strand->stages - 1];
    if (head->source.kind > ASYNC_SOURCE_NEXT || strand->called_back) { return false; }
    for (unsigned i = 0; i < strand->stages; i++) {
        if (!task_works_in_place(strand->stage[i])) { return false; }
    }
    return true;
}

bool strand_prepare(struct strand *strand)
{
    const struct async_task *end = strand->stage[0], *head = strand->stage[strand->stages - 1];
    struct store            *store = end->out.store;
    size_t                   largest = head->input_size, bytes;
    strand->called_back = has_callbacks(head);
    if (!queue_prepare(&strand->stage[0]->out.queue)) { return false; }
    /* One for a range's items, for a first copy of what must not be written to, for each stage that
     * needs another place. */
    size_t scratches = head->source.kind > ASYNC_SOURCE_NEXT || strand->called_back ? 1 : 0;
    for (unsigned i = strand->stages; i-- > 0;) {
        largest = max_size(largest, strand->stage[i]->out.item_size);
        if (i > 0 && !task_works_in_place(strand->stage[i])) { scratches++; }
    }
    if (strand->stages == 1) { scratches = head->source.kind == ASYNC_SOURCE_RANGE; }
    strand->granule = strand->limit;
    if (strand->chunk < strand->limit) {
        size_t chunks = GRANULE_BYTES / largest / strand->chunk;
        if (chunks < 2) {
            chunks = min_size(2, max_size(1, GRANULE_BYTES_MOST / largest / strand->chunk));
        }
        strand->granule = chunks * strand->chunk;
        strand->granule = min_size(strand->granule, strand->limit);
    }
    if (__builtin_mul_overflow(strand->granule, largest, &bytes)) { return false; }
    for (unsigned i = 0; i < min_size(scratches, 2); i++) {
        if ((strand->scratch[i] = block_new(store, bytes)) == NULL) { return false; }
    }
    if (inherits(strand)) { return true; }
    size_t items = strand->limit;
    if (end->emit != NULL) {
        size_t expected = load_relaxed(&end->emitted); /* relaxed: an estimate */
        if (expected != 0) { items = expected + expected / 8 + 8; }
        items = min_size(items, max_size(1, STREAM_BYTES / end->out.item_size));
    }
    if (__builtin_mul_overflow(items, end->out.item_size, &bytes)) { return false; }
    return (strand->out = block_new(store, bytes)) != NULL;
}

void strand_free(struct strand *strand)
{
    for (unsigned i = 0; i < 2; i++) {
        if (strand->scratch[i] != NULL) { block_release(strand->scratch[i], 1); }
    }
    if (strand->out != NULL) { block_release(strand->out, 1); }
    if (strand->input.block != NULL) { block_release(strand->input.block, 1); }
}

void strand_discard_input(struct strand *strand, size_t from)
{
    struct async_task *head = strand->stage[strand->stages - 1];
    size_t             size = head->input_size, at = 0;
    /* What a source's function gave, where nothing else was to become of it, is an output of the
     * task. */
    if (head->source.kind == ASYNC_SOURCE_NEXT && task_passes(head) && from < strand->count) {
        channel_discard(&head->out, strand->input.items + from * size, strand->count - from);
    }
    for (unsigned i = 0; i < strand->origin_count; i++) {
        size_t end = at + strand->origins[i].count;
        if (from < end) {
            size_t first = max_size(from, at);
            channel_discard(strand->origins[i].channel, strand->input.items + first * size,
                            end - first);
        }
        at = end;
    }
}
