/* lifetime.c: who keeps a task alive, and when its context is released: rows O1 to O7. */
#include "arena.h"
#include "expect.h"

#include <string.h>

/* O1: a task lives while a reader of it is held or a live task consumes it, and no longer. */
TestEachSize(O, O1_a_task_lives_while_it_is_held_or_consumed)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0}, q = {0};
    uint64_t      item;
    async_reader *a = TASK(pool, .source = range_of(0, 10), .batch = batch_copy, .context = &p,
                           .release = probe_release);
    /* Held twice. */
    CHECK(async_reader_retain(a) == a);
    async_reader_release(a);
    CHECK_EQ(async_pool_num_tasks(pool), 1);
    CHECK_READ(a, &item, 1, async_forever(), ASYNC_OK, 1);
    /* Consumed by a live task. */
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &q,
                           .release = probe_release);
    async_reader_release(a);
    CHECK_EQ(async_pool_num_tasks(pool), 2);
    CHECK_READ(b, &item, 1, async_forever(), ASYNC_OK, 1);
    CHECK_EQ(item, 1);
    CHECK_EQ(atomic_load(&p.released), 0);
    /* The consumer is live no more: removed, though its reader is held. */
    CHECK_STATUS(async_pool_remove_task(pool, async_reader_task(b)), ASYNC_OK);
    CHECK_EQ(async_pool_num_tasks(pool), 0);
    CHECK_SOON(atomic_load(&p.released) == 1);
    async_reader_release(b);
    CHECK_SOON(atomic_load(&q.released) == 1);
    pool_end(pool);
}

/* O1: the last reader goes while a chunk runs: no task any more at once, its context stays until
 * the chunk is through, and what that made is discarded once. */
Test(O, O1_released_while_a_chunk_runs, .timeout = 30)
{
    for (unsigned n = 1; n <= 16; n *= 2) {
        NOTE("N = %u", n);
        async_pool   *pool = pool_of(n);
        gate          g = {0};
        probe         p = {.hold = &g};
        uint64_t      items[10];
        async_reader *r = TASK(pool, .source = range_of(0, 100), .batch = batch_copy, .context = &p,
                               .discard = probe_discard, .release = probe_release);
        CHECK_READ(r, items, 10, async_within_ms(1), ASYNC_TIMEOUT, 0);
        gate_arrived(&g, 1);
        async_reader_release(r);
        CHECK_EQ(async_pool_num_tasks(pool), 0);
        CHECK_STAYS(5, atomic_load(&p.released) == 0);
        gate_open(&g);
        CHECK_SOON(atomic_load(&p.released) == 1);
        CHECK_EQ(atomic_load(&p.discarded), 10);
        CHECK_EQ(atomic_load(&p.calls), 1);
        pool_end(pool);
        CHECK_EQ(atomic_load(&p.released), 1);
    }
}

/* O2: removal cascades upstream: 3 tasks with the last reader held, none without it. */
TestEachSize(O, O2_removal_cascades_upstream)
{
    for (unsigned read = 0; read < 3; read++) {
        NOTE("N = %u, read %u", n, read);
        arena       memory = {0};
        async_pool *pool = arena_pool(&memory, n, NULL);
        probe       p[3] = {0};
        uint64_t    items[101];
        CHECK(pool != NULL);
        async_reader *r = TASK(pool, .source = range_of(0, 100), .batch = batch_copy,
                               .context = &p[0], .release = probe_release, .discard = probe_discard,
                               .min_count = 50);
        for (unsigned i = 1; i < 3; i++) {
            async_reader *next = TASK(pool, .input = r, .batch = batch_copy, .context = &p[i],
                                      .release = probe_release, .discard = probe_discard,
                                      .max_chunksize = 7);
            async_reader_release(r);
            r = next;
        }
        CHECK_EQ(async_pool_num_tasks(pool), 3);
        if (read == 1) { /* something is ready when it goes */
            CHECK_READ(r, items, 10, async_forever(), ASYNC_OK, 10);
        } else if (read == 2) {
            CHECK_READ(r, items, 101, async_forever(), ASYNC_END, 100);
            CHECK_SOON(async_pool_num_tasks(pool) == 1);
        }
        if (read < 2) {
            CHECK_EQ(async_pool_num_tasks(pool), 3);
            CHECK_EQ(atomic_load(&p[0].released) + atomic_load(&p[1].released), 0);
        }
        async_reader_release(r);
        CHECK_EQ(async_pool_num_tasks(pool), 0);
        for (unsigned i = 0; i < 3; i++) { CHECK_SOON(atomic_load(&p[i].released) == 1); }
        uint64_t discarded = atomic_load(&p[0].discarded) + atomic_load(&p[1].discarded) +
                             atomic_load(&p[2].discarded);
        CHECK_EQ(discarded, read == 1 ? 40 : 0);
        pool_end(pool);
        CHECK_EQ(atomic_load(&memory.blocks), 0);
        CHECK_EQ(atomic_load(&p[0].released), 1);
    }
}

/* O3: dropping the client's handle of an intermediate task keeps it while a task consumes it. */
TestEachSize(O, O3_an_intermediate_task_is_kept_by_its_consumer)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0};
    uint64_t      items[101];
    async_reader *a = TASK(pool, .source = range_of(0, 100), .batch = batch_copy);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &p,
                           .release = probe_release);
    async_reader *c = TASK(pool, .input = b, .batch = batch_copy);
    async_reader *d = TASK(pool, .input = b, .batch = batch_copy);
    CHECK_READ(c, items, 10, async_forever(), ASYNC_OK, 10);
    async_reader_release(b);
    CHECK_EQ(async_pool_num_tasks(pool), 4);
    CHECK_READ(c, items, 10, async_forever(), ASYNC_OK, 10);
    async_reader_release(c); /* d still consumes it */
    CHECK_EQ(async_pool_num_tasks(pool), 3);
    CHECK_READ(d, items, 101, async_forever(), ASYNC_END, 80);
    CHECK_SET(items, 20, 80);
    async_reader_release(d);
    CHECK_EQ(async_pool_num_tasks(pool), 1);
    CHECK_SOON(atomic_load(&p.released) == 1);
    async_reader_release(a);
    CHECK_EQ(async_pool_num_tasks(pool), 0);
    pool_end(pool);
}

/* O4: a done task stays counted while a handle is held, but lets go of its inputs at once. */
TestEachSize(O, O4_a_done_task_lets_go_of_its_inputs)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0}, q = {0};
    uint64_t      items[101];
    async_writer *writer;
    async_reader *plain;
    probe         channel = {0};
    channel_of(&writer, &plain, 0, &channel);
    write_numbers(writer, 100, 5);
    async_writer_release(writer);
    async_reader *a = TASK(pool, .source = range_of(0, 100), .batch = batch_copy, .context = &p,
                           .release = probe_release);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &q,
                           .release = probe_release, .min_count = 50);
    async_reader *c = TASK(pool, .input = plain, .batch = batch_copy);
    async_reader_release(a);
    async_reader_release(plain);
    CHECK_READ(b, items, 100, async_forever(), ASYNC_OK, 100);
    CHECK_EQ(async_pool_num_tasks(pool), 3);
    CHECK_EQ(atomic_load(&p.released), 0);
    CHECK_READ(b, items, 1, async_forever(), ASYNC_END, 0);
    CHECK(async_task_done(async_reader_task(b)));
    CHECK_SOON(async_pool_num_tasks(pool) == 2); /* b and c */
    CHECK_SOON(atomic_load(&p.released) == 1);
    CHECK_STAYS(5, async_pool_num_tasks(pool) == 2);
    CHECK_EQ(atomic_load(&q.released), 0);
    CHECK_READ(c, items, 6, async_forever(), ASYNC_END, 5);
    CHECK_SOON(atomic_load(&channel.released) == 1);
    CHECK_EQ(async_pool_num_tasks(pool), 2);
    async_reader_release(b);
    CHECK_EQ(async_pool_num_tasks(pool), 1);
    async_reader_release(c);
    CHECK_EQ(async_pool_num_tasks(pool), 0);
    CHECK_SOON(atomic_load(&q.released) == 1);
    pool_end(pool);
}

/* O4: not before its last chunk has finished: a second chunk finds the end while the first one
 * still runs on the input's items. */
Test(O, O4_inputs_stay_until_the_last_chunk_has_finished, .timeout = 30)
{
    for (unsigned n = 2; n <= 16; n *= 2) {
        NOTE("N = %u", n);
        async_pool   *pool = pool_of(n);
        gate          g = {0};
        probe         p = {0}, q = {.hold = &g, .hold_one = true, .hold_value = 0};
        reading       blocked = {0};
        async_reader *a = TASK(pool, .source = range_of(0, 15), .batch = batch_copy, .context = &p,
                               .release = probe_release, .max_chunksize = 10);
        async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &q,
                               .max_chunksize = 10);
        async_reader_release(a);
        reading_start(&blocked, b, 20, async_forever());
        gate_arrived(&g, 1);
        CHECK_SOON(atomic_load(&q.items) == 15 && atomic_load(&q.running) == 1);
        CHECK_STAYS(10, async_pool_num_tasks(pool) == 2 && atomic_load(&p.released) == 0);
        gate_open(&g);
        thread_join(&blocked.thread);
        CHECK_STATUS(blocked.status, ASYNC_END);
        CHECK_EQ(blocked.got, 15);
        CHECK_SET(blocked.items, 0, 15);
        CHECK_SOON(async_pool_num_tasks(pool) == 1);
        CHECK_SOON(atomic_load(&p.released) == 1);
        async_reader_release(b);
        pool_end(pool);
    }
}

/* O5: dropping the final handle keeps a middle task whose reader is held, and its inputs. */
TestEachSize(O, O5_dropping_the_final_handle_keeps_what_is_held)
{
    async_pool   *pool = pool_of(n);
    probe         p[3] = {0};
    uint64_t      items[101];
    async_reader *a = TASK(pool, .source = range_of(0, 100), .batch = batch_copy, .context = &p[0],
                           .release = probe_release);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &p[1],
                           .release = probe_release);
    async_reader *c = TASK(pool, .input = b, .batch = batch_copy, .context = &p[2],
                           .release = probe_release);
    async_reader_release(a);
    CHECK_READ(c, items, 10, async_forever(), ASYNC_OK, 10);
    async_reader_release(c);
    CHECK_EQ(async_pool_num_tasks(pool), 2);
    CHECK_SOON(atomic_load(&p[2].released) == 1);
    CHECK_READ(b, items, 101, async_forever(), ASYNC_END, 90);
    CHECK_SET(items, 10, 90);
    CHECK_EQ(atomic_load(&p[1].released), 0);
    async_reader_release(b);
    CHECK_EQ(async_pool_num_tasks(pool), 0);
    CHECK_SOON(atomic_load(&p[0].released) == 1 && atomic_load(&p[1].released) == 1);
    pool_end(pool);
}

/* O6: the order in which connected pools' handles are dropped doesn't matter: all 24 of them. */
static void drop_in_order(unsigned n, unsigned m, const unsigned order[4])
{
    arena       memory = {0};
    probe       p = {0}, q = {0};
    ledger      lost;
    uint64_t    items[10];
    async_pool *a = arena_pool(&memory, n, NULL), *b = arena_pool(&memory, m, NULL);
    CHECK(a != NULL && b != NULL);
    ledger_make(&lost, 1000);
    p.lost = q.lost = &lost;
    async_reader *ra = TASK(a, .source = range_of(0, 1000), .batch = batch_copy, .context = &p,
                            .discard = probe_discard, .release = probe_release, .min_count = 50);
    async_reader *rb = TASK(b, .input = ra, .batch = batch_copy, .context = &q,
                            .discard = probe_discard, .release = probe_release, .max_chunksize = 7);
    CHECK_READ(rb, items, 10, async_forever(), ASYNC_OK, 10);
    for (unsigned i = 0; i < 4; i++) {
        switch (order[i]) {
        case 0:
            async_reader_release(ra);
            break;
        case 1:
            async_reader_release(rb);
            break;
        case 2:
            CHECK_STATUS(async_pool_destroy(a, ASYNC_DRAIN), ASYNC_OK);
            break;
        default:
            CHECK_STATUS(async_pool_destroy(b, ASYNC_DRAIN), ASYNC_OK);
        }
    }
    CHECK_EQ(atomic_load(&p.released), 1);
    CHECK_EQ(atomic_load(&q.released), 1);
    CHECK_EQ(atomic_load(&p.discarded) + atomic_load(&q.discarded), 40);
    ledger_add(&lost, items, 10);
    CHECK_EQ(ledger_count(&lost, 0, 50, 1), 50);
    CHECK_EQ(atomic_load(&memory.blocks), 0);
    CHECK_EQ(atomic_load(&memory.wrong), 0);
    ledger_free(&lost);
}

TestEachSize(O, O6_handles_are_dropped_in_any_order)
{
    for (unsigned code = 0; code < 256; code++) {
        const unsigned order[4] = {code & 3, code >> 2 & 3, code >> 4 & 3, code >> 6};
        if (((1u << order[0]) | (1u << order[1]) | (1u << order[2]) | (1u << order[3])) == 15) {
            NOTE("N = %u, order %u %u %u %u", n, order[0], order[1], order[2], order[3]);
            drop_in_order(n, n == 2 ? 0 : 2, order);
        }
    }
}

/* O6: the pool of the input goes first, and the other one's task still gets what was ready. */
TestEachSize(O, O6_the_upstream_pool_goes_first)
{
    async_pool   *a = pool_of(n), *b = pool_of(n);
    uint64_t      items[100];
    async_reader *ra = TASK(a, .source = range_of(0, 1000), .batch = batch_copy, .min_count = 50);
    async_reader *rb = TASK(b, .input = ra, .batch = batch_copy, .max_chunksize = 7);
    CHECK_READ(ra, items, 10, async_forever(), ASYNC_OK, 10);
    async_reader_release(ra);
    pool_end(a);
    CHECK_READ(rb, items, 100, async_forever(), ASYNC_END, 40);
    CHECK_SET(items, 10, 40);
    async_reader_release(rb);
    pool_end(b);
}

/* A context that knows what came after its release. */
typedef struct context_log {
    atomic_uint released, discarded, late;
    uint64_t   *array; /* spoilt on release, as its owner's free would */
    size_t      count;
} context_log;

static int context_batch(const void *in, void *out, size_t count, size_t *done, void *context)
{
    context_log *c = context;
    (void)done;
    atomic_fetch_add(&c->late, atomic_load(&c->released));
    memcpy(out, in, count * sizeof(uint64_t));
    atomic_fetch_add(&c->late, atomic_load(&c->released));
    return 0;
}

static void context_discard(void *items, size_t count, void *context)
{
    context_log *c = context;
    (void)items;
    atomic_fetch_add(&c->discarded, (unsigned)count);
    atomic_fetch_add(&c->late, atomic_load(&c->released));
}

static void context_release(void *context)
{
    context_log *c = context;
    for (size_t i = 0; i < c->count; i++) { c->array[i] = UINT64_MAX; }
    atomic_fetch_add(&c->released, 1);
}

/* O7: a task's release is called once, after the last use of its context: ready items that
 * outlive task and pool may still be discarded. */
TestEachSize(O, O7_a_task_releases_its_context_once_and_last)
{
    async_pool   *pool = pool_of(n);
    context_log   c = {.released = 0};
    uint64_t      items[10];
    async_reader *r = TASK(pool, .source = range_of(0, 100), .batch = context_batch, .context = &c,
                           .discard = context_discard, .release = context_release, .min_count = 50);
    CHECK_READ(r, items, 10, async_forever(), ASYNC_OK, 10);
    CHECK_STATUS(async_pool_remove_task(pool, async_reader_task(r)), ASYNC_OK);
    pool_end(pool);
    CHECK_EQ(atomic_load(&c.released), 0);
    async_reader_release(r);
    CHECK_EQ(atomic_load(&c.discarded), 40);
    CHECK_EQ(atomic_load(&c.released), 1);
    CHECK_EQ(atomic_load(&c.late), 0);
}

/* O7: so is a source's context, which is the task's. */
TestEachSize(O, O7_a_source_releases_its_context_once)
{
    async_pool   *pool = pool_of(n);
    numbers       source = {.end = 100};
    uint64_t      items[101];
    async_reader *r = TASK(pool, .source = from_numbers(&source), .context = &source,
                           .release = numbers_release);
    async_reader *next = TASK(pool, .input = r, .each = each_add_one);
    async_reader_release(r);
    CHECK_READ(next, items, 60, async_forever(), ASYNC_OK, 60);
    CHECK_EQ(atomic_load(&source.released), 0);
    CHECK_READ(next, items, 101, async_forever(), ASYNC_END, 40);
    CHECK_SOON(atomic_load(&source.released) == 1);
    async_reader_release(next);
    pool_end(pool);
    CHECK_EQ(atomic_load(&source.released), 1);
}

/* O7: an array is used as long as a view or ready items may point into it. */
TestEachSize(O, O7_an_array_stays_until_its_release)
{
    enum { COUNT = 1000 };
    static uint64_t array[COUNT];
    for (uint64_t i = 0; i < COUNT; i++) { array[i] = i; }
    async_pool   *pool = pool_of(n);
    context_log   c = {.array = array, .count = COUNT};
    uint64_t      items[COUNT];
    async_view    view = {0};
    async_reader *r = TASK(pool, .source = array_of(array, COUNT), .context = &c,
                           .release = context_release, .min_count = 500);
    async_reader *next = TASK(pool, .input = r);
    CHECK_READ(r, items, 1, async_forever(), ASYNC_OK, 1);
    CHECK_READ(next, items + 1, 1, async_forever(), ASYNC_OK, 1); /* as r's, it schedules 500 */
    CHECK_STATUS(async_reader_borrow(r, &view, 50, async_forever()), ASYNC_OK);
    uint64_t first = *(const uint64_t *)view.items;
    CHECK(view.count > 0);
    async_reader_release(r);
    CHECK_STATUS(async_pool_remove_task(pool, async_reader_task(next)), ASYNC_OK);
    pool_end(pool);
    CHECK_READ(next, items + 2, COUNT - 2, async_forever(), ASYNC_END, 499);
    CHECK_SET(items + 1, 1, 500);
    CHECK_RISING((const uint64_t *)view.items, first, view.count);
    CHECK_STATUS(async_view_return(&view), ASYNC_OK);
    async_reader_release(next);
    CHECK_EQ(atomic_load(&c.released), 1);
}

/* O7: a channel's release is called once, after both ends are gone and what was left has been
 * discarded with the same context. */
Test(O, O7_a_channel_releases_its_context_once_and_last, .timeout = 30)
{
    for (unsigned order = 0; order < 2; order++) {
        NOTE("order %u", order);
        context_log           c = {.released = 0};
        async_channel_options options = {
            .discard = context_discard, .release = context_release, .context = &c};
        async_writer *writer;
        async_reader *reader;
        uint64_t      item;
        CHECK_STATUS(async_channel_create(&writer, &reader, sizeof item, &options), ASYNC_OK);
        write_numbers(writer, 0, 10);
        CHECK_READ(reader, &item, 1, async_forever(), ASYNC_OK, 1);
        CHECK(async_reader_retain(reader) == reader);
        CHECK(async_writer_retain(writer) == writer);
        async_reader_release(reader);
        async_writer_release(writer);
        if (order == 0) {
            async_writer_release(writer);
            CHECK_EQ(atomic_load(&c.released) + atomic_load(&c.discarded), 0);
            async_reader_release(reader);
        } else {
            async_reader_release(reader);
            CHECK_EQ(atomic_load(&c.released), 0);
            CHECK_EQ(atomic_load(&c.discarded), 9);
            async_writer_release(writer);
        }
        CHECK_EQ(atomic_load(&c.discarded), 9);
        CHECK_EQ(atomic_load(&c.released), 1);
        CHECK_EQ(atomic_load(&c.late), 0);
    }
}

/* O7: an adding that fails does not release; the context stays the caller's. */
TestEachSize(O, O7_no_release_where_adding_failed)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0};
    async_reader *r = NULL;
    async_source  source = async_source_range(0, 10);
    CHECK_STATUS(async_pool_add_task(pool, &r,
                                     &(async_task_options){.source = &source,
                                                           .input_size = 3,
                                                           .context = &p,
                                                           .release = probe_release}),
                 ASYNC_INVALID);
    CHECK(r == NULL);
    pool_end(pool);
    CHECK_EQ(atomic_load(&p.released), 0);
}
