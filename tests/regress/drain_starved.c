/* drain_starved.c: destroying a pool with ASYNC_DRAIN runs what was asked for, also where memory is
 * short for a while. A worker whose run was about to end for want of memory kept the destroying
 * thread from the task, and was gone when that looked whether somebody was inside: nothing had
 * changed, and what was asked for was left out.
 *
 * The hook brings the worker into the allocator, under the task's turn, for each look of the drain,
 * and lets it leave, without memory, before the look is judged. */
#include "pipeline.h"
#include "step.h"
#include "task.h"

#include <stdlib.h>
#include <string.h>

#define ITEMS  64
#define LOOKS  20 /* a worker may be inside from before the first ones */
#define LARGER 64 /* bytes of an input item: its block is told from that of the results */

static struct async_task *task;
static atomic_bool        refusing, wanted, held;
static atomic_uint        looks;
static _Thread_local bool drains;

void async_step(const char *site)
{
    if (!drains) { return; }
    if (strcmp(site, "drain: begins a look") == 0 && atomic_load(&refusing)) {
        atomic_store(&wanted, true);
        if (!UNTIL(SOON, atomic_load(&held))) { give_up("the worker does not try again"); }
    }
    if (strcmp(site, "drain: looked") == 0 && atomic_load(&held)) {
        if (atomic_fetch_add(&looks, 1) + 1 == LOOKS) { atomic_store(&refusing, false); }
        atomic_store(&wanted, false);
        /* the hook is called for the runtime's operations, not for this one */
        if (!UNTIL(SOON, atomic_load(&task->running) == 0)) { give_up("the worker stays inside"); }
        atomic_store(&held, false);
    }
}

static void *allocate(size_t size, size_t alignment, void *context)
{
    (void)context;
    if (size >= ITEMS * LARGER && atomic_load(&refusing)) {
        while (!drains && atomic_load(&wanted)) { atomic_store(&held, true); }
        return NULL;
    }
    return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void deallocate(void *memory, size_t size, void *context)
{
    (void)size;
    (void)context;
    free(memory);
}

static int next_large(void *items, size_t count, size_t *got, void *context)
{
    (void)context;
    memset(items, 0, count * LARGER);
    *got = count;
    return 0;
}

static int each_small(const void *in, void *out, void *context)
{
    (void)context;
    memcpy(out, in, sizeof(uint64_t));
    return 0;
}

int main(void)
{
    async_allocator    allocator = {.allocate = allocate, .deallocate = deallocate};
    async_pool_options options = {.allocator = &allocator};
    async_source       source = async_source_from(next_large, NULL, LARGER);
    async_pool        *pool;
    uint64_t           items[ITEMS + 1];
    size_t             got;
    if (async_pool_create(&pool, 1, &options) != ASYNC_OK) { give_up("no pool"); }
    async_reader *reader = TASK(pool, .source = &source, .each = each_small, .item_size = 8,
                                .max_chunksize = ITEMS, .min_count = ITEMS);
    task = task_of_reader(reader);
    atomic_store(&refusing, true);
    if (async_reader_read(reader, items, 1, &got, async_now()) == ASYNC_OK) { give_up("an item"); }
    drains = true;
    async_status status = async_pool_destroy(pool, ASYNC_DRAIN);
    drains = false;
    if (status != ASYNC_OK) { give_up("destroy: %s", async_status_name(status)); }
    if (atomic_load(&looks) == 0) { give_up("the drain never looked beside the worker"); }
    status = async_reader_read(reader, items, ITEMS + 1, &got, async_forever());
    if (status != ASYNC_END || got != ITEMS) {
        give_up("%zu items instead of %d after %u looks", got, ITEMS, atomic_load(&looks));
    }
    async_reader_release(reader);
    return 0;
}
