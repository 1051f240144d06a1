/* order_shapes.c: the reorder window, two runs long: outputs pass in the order of their numbers,
 * whoever finishes when, and a run is let in only where its place is free. */
#include "model.h"
#include "pool.h"
#include "strand.h"

#include <string.h>

static struct async_pool pool;
static struct async_task task;

static struct pieces pieces_of(uint64_t value)
{
    struct pieces pieces = {{NULL, NULL, 0}, NULL, NULL, false};
    pieces.first.block = block_new(store_default(), sizeof value);
    EXPECT(pieces.first.block != NULL);
    pieces.first.items = pieces.first.block->data;
    pieces.first.count = 1;
    *(uint64_t *)(void *)pieces.first.items = value;
    return pieces;
}

static void start(uint64_t sequence)
{
    EXPECT(channel_init(&task.out, sizeof(uint64_t), SIZE_MAX, store_default()));
    task.out.task = &task;
    task.pool = &pool;
    task.order = order_create();
    EXPECT(task.order != NULL);
    atomic_init(&task.sequence, sequence);
}

static void start_2(void) { start(2); }
static void start_0(void) { start(0); }

static void finish(uint64_t number)
{
    struct pieces pieces = pieces_of(number);
    order_put(&task, number, &pieces);
}

/* Under the draw turn, as draw.c does it. False: no room. */
static bool draw(uint64_t *number)
{
    while (!turn_take(&task.turn)) { return false; }
    bool room = order_has_room(&task);
    if (room) { *number = add_relaxed(&task.sequence, 1); }
    turn_give(&task.turn);
    return room;
}

/* Runs 0 and 1 are inside. */
static void two_finish(unsigned thread) { finish(1 - thread); }

/* The place of run 0 is used again for run 2. */
static void wrap(unsigned thread)
{
    if (thread < 2) {
        finish(thread);
    } else {
        uint64_t number;
        if (draw(&number)) {
            EXPECT(number == 2);
            finish(number);
        }
    }
}

static void each_draws(unsigned thread)
{
    (void)thread;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t number;
        if (draw(&number)) { finish(number); }
    }
}

static void in_order(void)
{
    uint64_t items[8], sequence = load_relaxed(&task.sequence);
    bool     end;
    size_t   count = channel_read(&task.out, items, 8, &end);
    EXPECT(count == sequence);
    for (uint64_t i = 0; i < count; i++) { EXPECT(items[i] == i); }
    order_destroy(&task);
}

const struct model_shape order_shapes[] = {
    {"order/two-finish", 2, 0, start_2, two_finish, in_order},
    {"order/wrap", 3, 0, start_2, wrap, in_order},
    {"order/each-draws", 2, 0, start_0, each_draws, in_order},
    {"order/three-draw", 3, 0, start_0, each_draws, in_order},
    {0},
};
