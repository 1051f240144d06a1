/* order.c: the reorder window of an ordered task.
 *
 * Runs are numbered when they are drawn and finish in any order; their outputs are put into a ring
 * by number, and whoever finds the next one there, and the turn free, passes on all that stand in
 * line. Nobody waits: who comes too early leaves its outputs in the ring. No run is drawn whose
 * number would lie a whole ring ahead of the oldest that is missing, so a place is free when its
 * run comes.
 *
 * Orders
 *   R1 place, filled (release) -> R2 place, found (acquire): the outputs in it.
 *   R3 next (release) -> R4 draw, room (acquire): the place is empty again.
 *   turn.h orders those who pass on.
 * Layer: 3 */
#include "mem.h"
#include "strand.h"

struct place {
    struct pieces pieces;
    shared_u32    filled;
};

struct order {
    shared_u32 turn;
    shared_u64 next; /* the oldest run that was not passed on; written under the turn */
    /* a run was stopped early: nothing behind it is passed on; under the turn */
    bool         broken;
    struct place places[ORDER_RUNS];
};

struct order *order_create(void) { return mem_zalloc(sizeof(struct order), alignof(struct order)); }

bool order_has_room(struct async_task *task)
{
    if (task->order == NULL) { return true; }
    /* relaxed: numbers are given under the draw turn, which the caller has */
    /* R4 <- R3 */
    return load_relaxed(&task->sequence) - load_acquire(&task->order->next) < ORDER_RUNS;
}

static void pass_on(struct async_task *task)
{
    struct order *order = task->order;
    /* relaxed: written under the turn, which the caller has */
    uint64_t next = load_relaxed(&order->next);
    for (;; next++) {
        struct place *place = &order->places[next % ORDER_RUNS];
        if (load_acquire(&place->filled) == 0) { break; } /* R2 <- R1 */
        struct pieces pieces = place->pieces;
        place->pieces = (struct pieces){0};
        store_relaxed(&place->filled, 0);      /* relaxed: R3 publishes it */
        store_release(&order->next, next + 1); /* R3 -> R4. LP: the run's place in the stream */
        bool cut = pieces.cut;
        /* relaxed: a moment later does as well */
        if (order->broken || load_relaxed(&task->dropped)) {
            pieces_discard(task, &pieces);
        } else {
            pieces_publish(task, &pieces);
            order->broken = cut;
        }
    }
}

void order_put(struct async_task *task, uint64_t number, struct pieces *pieces)
{
    struct order *order = task->order;
    struct place *place = &order->places[number % ORDER_RUNS];
    place->pieces = *pieces;
    store_release(&place->filled, 1); /* R1 -> R2 */
    do {
        if (!turn_take(&order->turn)) { return; }
        pass_on(task);
    } while (turn_give(&order->turn));
    task_runnable(task); /* there may be room for a run that was refused */
}

void order_destroy(struct async_task *task)
{
    if (task->order == NULL) { return; }
    /* All runs have left, so all have been passed on: the ring is empty. */
    mem_free(task->order);
    task->order = NULL;
}
