/* came_apart.c: tasks that were run as one, from the source to the end, come apart when one that is
 * not the end is read. A run that began before draws from the source still, or is about to, and so
 * do the runs of the one that is read: they share the source's turn, and who finds it taken relies
 * on being told. Whoever gave it back told its own end only, and the other read waited for ever.
 *
 * First the end's run is inside the source's function when another one is read. Then the end's run
 * stands in the allocator, before it takes the turn, while the other one's takes it. */
#include "pipeline.h"

#include <stdlib.h>

enum { ITEMS = 512, BYTES = ITEMS * sizeof(uint64_t) };

static async_pool   *pool;
static async_reader *chain[3]; /* the head, the middle and the end */
static reading       of_end, of_other;
static gate          in_source, in_allocator;
static atomic_bool   armed; /* the next run that needs a block stops at the gate */

static int next_held(void *items, size_t count, size_t *got, void *context)
{
    (void)context;
    gate_pass(&in_source);
    for (; *got < count; ++*got) { ((uint64_t *)items)[*got] = *got; }
    return 0;
}

static void *allocate(size_t size, size_t alignment, void *context)
{
    (void)context;
    if (size >= BYTES && atomic_exchange(&armed, false)) { gate_pass(&in_allocator); }
    return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}

static void deallocate(void *memory, size_t size, void *context)
{
    (void)size, (void)context;
    free(memory);
}

static void make(unsigned n)
{
    async_allocator allocator = {.allocate = allocate, .deallocate = deallocate};
    async_source    source = async_source_from(next_held, NULL, sizeof(uint64_t));
    async_status made = async_pool_create(&pool, n, &(async_pool_options){.allocator = &allocator});
    if (made != ASYNC_OK) { give_up("no pool"); }
    chain[0] = TASK(pool, .source = &source, .each = each_add_one);
    chain[1] = TASK(pool, .input = chain[0], .each = each_add_one);
    chain[2] = TASK(pool, .input = chain[1], .each = each_add_one);
    of_end = of_other = (reading){0};
    in_source = in_allocator = (gate){0};
}

/* Waits until what runs for the read has found the turn taken, and sleeps, beside who has it. */
static void settle(unsigned n, reading *r)
{
    if (!thread_asleep(&r->thread)) { give_up("N = %u: a reader does not sleep", n); }
    if (n > 1 && !pool_asleep(pool, n - 1)) { give_up("N = %u: workers do not sleep", n); }
}

/* The source goes on, and both reads end. */
static void end(unsigned n, const char *title, unsigned other)
{
    gate_open(&in_source);
    bool ended = thread_join_within(&of_end.thread, SOON);
    if (!ended || !thread_join_within(&of_other.thread, SOON)) {
        give_up("%s, and task %u of the chain is read, N = %u: the read of %s waits for ever",
                title, other, n, ended ? "that task" : "the end");
    }
    if (of_end.status != ASYNC_OK || of_other.status != ASYNC_OK) {
        give_up("N = %u: the end: %s, the other: %s", n, async_status_name(of_end.status),
                async_status_name(of_other.status));
    }
    for (unsigned i = 0; i < 3; i++) { async_reader_release(chain[i]); }
    pool_end(pool);
}

static void end_draws(unsigned n, unsigned other)
{
    make(n);
    reading_start(&of_end, chain[2], ITEMS, async_forever());
    gate_arrived(&in_source, 1);
    reading_start(&of_other, chain[other], ITEMS, async_forever());
    settle(n, &of_other);
    end(n, "the end draws", other);
}

static void other_draws(unsigned n, unsigned other)
{
    make(n);
    atomic_store(&armed, true);
    reading_start(&of_end, chain[2], ITEMS, async_forever());
    gate_arrived(&in_allocator, 1);
    reading_start(&of_other, chain[other], ITEMS, async_forever());
    gate_arrived(&in_source, 1);
    gate_open(&in_allocator);
    settle(n, &of_end);
    end(n, "the end is about to draw", other);
}

int main(void)
{
    for (unsigned n = 0; n <= 4; n = n == 0 ? 1 : 2 * n) {
        for (unsigned other = 0; other <= 1; other++) {
            end_draws(n, other);
            if (n != 1) { other_draws(n, other); } /* takes two threads */
        }
    }
    return 0;
}
