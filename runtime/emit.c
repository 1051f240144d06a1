/* emit.c: where the outputs of an emit function go: behind each other into the run's output block,
 * and then into further ones.
 * Layer: 3 */
#include "strand.h"

#include <string.h>

void emit_into(struct async_emitter *emitter, struct block *block, size_t used)
{
    size_t size = emitter->item_size;
    emitter->block = block;
    emitter->holds = block->capacity / size;
    emitter->room = emitter->holds - used;
    emitter->at = block->data + used * size;
}

void emit_settle(struct strand *strand)
{
    struct async_emitter *emitter = &strand->emitter;
    size_t                used = emitter->holds - emitter->room;
    if (emitter->block == strand->out) {
        strand->produced = used;
    } else {
        emitter->block->used = used;
    }
}

static void emit_copy(struct async_emitter *emitter, const unsigned char *items, size_t n)
{
    size_t bytes = n * emitter->item_size;
    if (likely(bytes == sizeof(uint64_t))) {
        memcpy(emitter->at, items, sizeof(uint64_t));
    } else {
        memcpy(emitter->at, items, bytes);
    }
    emitter->at += bytes;
    emitter->room -= n;
}

/* First the room for all of them, so that none is taken where memory runs out. */
static NEVER_INLINE async_status emit_beyond(struct async_emitter *emitter,
                                             const unsigned char *items, size_t n)
{
    struct strand *strand = emitter->strand;
    struct pieces *pieces = &strand->pieces;
    size_t         size = emitter->item_size, part = emitter->room, rest = n - part, bytes;
    if (__builtin_mul_overflow(max_size(rest, max_size(1, STREAM_BYTES / size)), size, &bytes)) {
        return ASYNC_NO_MEMORY;
    }
    struct block *fresh = block_new(strand->stage[0]->out.store, bytes);
    if (fresh == NULL) { return ASYNC_NO_MEMORY; }
    fresh->used = 0;
    fresh->next = NULL;
    emit_copy(emitter, items, part);
    emit_settle(strand);
    if (pieces->last != NULL) {
        pieces->last->next = fresh;
    } else {
        pieces->more = fresh;
    }
    pieces->last = fresh;
    emit_into(emitter, fresh, 0);
    emit_copy(emitter, items + part * size, rest);
    return ASYNC_OK;
}

async_status async_emit(async_emitter *out, const void *items, size_t n)
{
    if (unlikely(out == NULL || items == NULL)) {
        return out != NULL && n == 0 ? ASYNC_OK : ASYNC_INVALID;
    }
    if (unlikely(n > out->room)) { return emit_beyond(out, items, n); }
    emit_copy(out, items, n);
    return ASYNC_OK;
}
