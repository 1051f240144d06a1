/* graph.c: several inputs, cycles, and a graph that changes while it runs: rows P9 and P10. */
#include "expect.h"

#include <string.h>

/* P9: unordered, items come as they come, each once; demand is spread over the inputs and no more
 * is asked of them than of the task. */
TestEachSize(P, P9_unordered_inputs_share_the_demand)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0};
    uint64_t      items[30];
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .each = each_add_one);
    async_reader *b = TASK(pool, .source = range_of(1000, 1000), .each = each_add_one);
    async_reader *c = TASK(pool, .source = range_of(2000, 1000), .each = each_add_one);
    async_reader *all = TASK(pool, .input = a, .batch = batch_copy, .context = &p);
    CHECK_STATUS(async_task_add_input(async_reader_task(all), b), ASYNC_OK);
    CHECK_STATUS(async_task_add_input(async_reader_task(all), c), ASYNC_OK);
    CHECK_READ(all, items, 30, async_forever(), ASYNC_OK, 30);
    uint64_t from_a = counts_of(a).items_out, from_b = counts_of(b).items_out,
             from_c = counts_of(c).items_out;
    CHECK_EQ(from_a + from_b + from_c, 30);
    CHECK(from_a > 0 && from_b > 0 && from_c > 0);
    CHECK_EQ(atomic_load(&p.calls), 1);
    CHECK_EQ(p.log[0], 30);

    size_t    count;
    uint64_t *rest = read_rest(all, &count);
    CHECK_EQ(count, 2970);
    ledger seen;
    ledger_make(&seen, 3001);
    ledger_add(&seen, items, 30);
    ledger_add(&seen, rest, count);
    CHECK_EQ(ledger_count(&seen, 1, 3001, 1), 3000);
    ledger_free(&seen);
    async_free(rest);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(c);
    async_reader_release(all);
    pool_end(pool);
}

/* P9: what an input that has ended cannot give is asked of the others. */
TestEachSize(P, P9_an_input_that_ends_leaves_the_demand_to_the_others)
{
    async_pool   *pool = pool_of(n);
    uint64_t      items[20];
    async_writer *writer;
    async_reader *plain;
    channel_of(&writer, &plain, 0, NULL);
    write_numbers(writer, 0, 2);
    CHECK_STATUS(async_writer_close(writer), ASYNC_OK);
    async_reader *a = TASK(pool, .source = range_of(2, 3));
    async_reader *b = TASK(pool, .source = range_of(5, 1000));
    async_reader *all = TASK(pool, .input = a, .each = each_add_one);
    CHECK_STATUS(async_task_add_input(async_reader_task(all), plain), ASYNC_OK);
    CHECK_STATUS(async_task_add_input(async_reader_task(all), b), ASYNC_OK);
    CHECK_READ(all, items, 20, async_forever(), ASYNC_OK, 20);
    CHECK_SET(items, 1, 20);
    CHECK_EQ(counts_of(a).items_out, 3);
    CHECK_EQ(counts_of(b).items_out, 15);
    CHECK(!async_task_done(async_reader_task(all)));
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(all);
    async_reader_release(plain);
    async_writer_release(writer);
    pool_end(pool);
}

/* P9: ordered, one input after the other, and none before its turn. */
TestEachSize(P, P9_ordered_inputs_come_one_after_the_other)
{
    async_pool   *pool = pool_of(n);
    uint64_t      items[200];
    async_reader *a = TASK(pool, .source = range_of(0, 70), .batch = batch_copy, .max_chunksize = 7,
                           .order = ASYNC_ORDERED);
    async_reader *b = TASK(pool, .source = range_of(70, 50), .batch = batch_copy,
                           .max_chunksize = 3, .order = ASYNC_ORDERED);
    async_reader *c = TASK(pool, .source = range_of(120, 30));
    async_reader *all = TASK(pool, .input = a, .batch = batch_copy, .max_chunksize = 11,
                             .order = ASYNC_ORDERED);
    CHECK_STATUS(async_task_add_input(async_reader_task(all), b), ASYNC_OK);
    CHECK_STATUS(async_task_add_input(async_reader_task(all), c), ASYNC_OK);
    CHECK_READ(all, items, 50, async_forever(), ASYNC_OK, 50);
    CHECK_EQ(counts_of(a).items_out, 50);
    CHECK_EQ(counts_of(b).items_out, 0);
    CHECK_READ(all, items + 50, 40, async_forever(), ASYNC_OK, 40);
    CHECK_EQ(counts_of(c).items_out, 0);
    CHECK_READ(all, items + 90, 110, async_forever(), ASYNC_END, 60);
    CHECK_RISING(items, 0, 150);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(c);
    async_reader_release(all);
    pool_end(pool);
}

/* P9: self-edges and cycles are refused with CYCLE, through other pools too, and change nothing. */
TestEachSize(P, P9_cycles_are_refused)
{
    async_pool   *pool = pool_of(n), *other = pool_of(1);
    async_reader *a = TASK(pool, .source = range_of(0, 10));
    async_reader *b = TASK(pool, .input = a);
    async_reader *c = TASK(other, .input = b);
    async_reader *d = TASK(pool, .input = c);
    CHECK_STATUS(async_task_add_input(async_reader_task(b), b), ASYNC_CYCLE);
    CHECK_STATUS(async_task_add_input(async_reader_task(b), c), ASYNC_CYCLE);
    CHECK_STATUS(async_task_add_input(async_reader_task(b), d), ASYNC_CYCLE);
    CHECK_STATUS(async_task_add_input(async_reader_task(d), d), ASYNC_CYCLE);
    CHECK_STATUS(async_task_add_input(async_reader_task(d), a), ASYNC_OK); /* a shortcut is none */
    uint64_t items[11];
    CHECK_READ(d, items, 11, async_forever(), ASYNC_END, 10);
    CHECK_SET(items, 0, 10);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(c);
    async_reader_release(d);
    CHECK_EQ(async_pool_num_tasks(pool), 0);
    CHECK_EQ(async_pool_num_tasks(other), 0);
    pool_end(pool);
    pool_end(other);
}

/* P9: the same input again is no change: demand is not doubled, nor is the hold on it. */
TestEachSize(P, P9_the_same_input_again_is_no_change)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0};
    uint64_t      items[21];
    async_reader *a = TASK(pool, .source = range_of(0, 20), .batch = batch_copy, .context = &p,
                           .release = probe_release);
    async_reader *b = TASK(pool, .input = a, .each = each_add_one);
    CHECK_STATUS(async_task_add_input(async_reader_task(b), a), ASYNC_OK);
    CHECK_STATUS(async_task_add_input(async_reader_task(b), a), ASYNC_OK);
    CHECK_READ(b, items, 10, async_forever(), ASYNC_OK, 10);
    CHECK_EQ(atomic_load(&p.calls), 1);
    CHECK_EQ(atomic_load(&p.items), 10);
    CHECK_READ(b, items + 10, 11, async_forever(), ASYNC_END, 10);
    CHECK_SET(items, 1, 20);
    async_reader_release(a);
    async_reader_release(b);
    CHECK_EQ(async_pool_num_tasks(pool), 0);
    CHECK_SOON(atomic_load(&p.released) == 1);
    pool_end(pool);
}

/* Which task ran, in the order of the calls. */
typedef struct order_log {
    atomic_size_t at;
    char          names[64];
} order_log;
typedef struct named {
    order_log *log;
    char       name;
} named;

static int named_batch(const void *in, void *out, size_t count, size_t *done, void *context)
{
    named *self = context;
    (void)done;
    size_t at = atomic_fetch_add(&self->log->at, 1);
    if (at < sizeof self->log->names - 1) { self->log->names[at] = self->name; }
    memcpy(out, in, count * sizeof(uint64_t));
    return 0;
}

/* P9: inputs are scheduled ahead of their consumers, each once for a read: a diamond of tasks
 * whose shortest path is not the one that was added first. */
TestEachSize(P, P9_inputs_are_scheduled_ahead_of_consumers)
{
    async_pool   *pool = pool_of(n);
    order_log     log = {.at = 0};
    named         names[] = {{&log, 'a'}, {&log, 'b'}, {&log, 'c'}, {&log, 'd'}};
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .batch = named_batch,
                           .context = &names[0]);
    async_reader *d = TASK(pool, .input = a, .batch = named_batch, .context = &names[3],
                           .order = ASYNC_ORDERED);
    async_reader *b = TASK(pool, .source = range_of(5000, 1000), .batch = named_batch,
                           .context = &names[1]);
    async_reader *c = TASK(pool, .input = b, .batch = named_batch, .context = &names[2]);
    CHECK_STATUS(async_pool_remove_task(pool, async_reader_task(a)), ASYNC_OK);
    CHECK_STATUS(async_task_add_input(async_reader_task(d), c), ASYNC_OK);
    uint64_t items[5];
    for (unsigned i = 0; i < 3; i++) {
        CHECK_READ(d, items, 5, async_forever(), ASYNC_OK, 5);
        CHECK_RISING(items, 5000 + 5 * i, 5);
    }
    cr_assert_str_eq(log.names, "bcdbcdbcd", "[%s] %s", expect_note, log.names);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(c);
    async_reader_release(d);
    pool_end(pool);
}

/* P9: items come as they come: an input that has none and has not ended holds nobody up. */
TestEachSize(P, P9_an_input_without_items_holds_up_nobody)
{
    async_pool   *pool = pool_of(n);
    uint64_t      items[10];
    async_writer *writer;
    async_reader *plain;
    channel_of(&writer, &plain, 0, NULL);
    async_reader *a = TASK(pool, .source = range_of(0, 1000));
    async_reader *all = TASK(pool, .input = a, .each = each_add_one);
    CHECK_STATUS(async_task_add_input(async_reader_task(all), plain), ASYNC_OK);
    CHECK_READ(all, items, 10, async_within_ms(SOON), ASYNC_OK, 10);
    CHECK_SET(items, 1, 10);
    CHECK_EQ(counts_of(a).items_out, 10);
    async_reader_release(a);
    async_reader_release(all);
    async_reader_release(plain);
    async_writer_release(writer);
    pool_end(pool);
}

/* A client that reads 64 items at a time until it is told to stop. */
typedef struct streaming {
    async_reader *reader;
    atomic_bool   stop;
    ledger        seen;
    atomic_size_t count; /* of those that belong in the ledger */
    async_status  status;
    thread        thread;
} streaming;

static void stream_body(void *arg)
{
    streaming *s = arg;
    uint64_t   items[64];
    s->status = ASYNC_OK;
    while (!atomic_load(&s->stop) && s->status == ASYNC_OK) {
        size_t got;
        s->status = async_reader_read(s->reader, items, 64, &got, async_forever());
        ledger_add(&s->seen, items, got);
        for (size_t i = 0; i < got; i++) { atomic_fetch_add(&s->count, items[i] < s->seen.size); }
    }
}

/* P10: tasks and inputs are added, tasks removed, readers dropped, while the graph runs. Nothing
 * is lost, and what was added is there. */
TestEachSize(P, P10_the_graph_changes_while_it_runs)
{
    enum { INPUTS = 40, PER_INPUT = 25, ALL = INPUTS * PER_INPUT };
    async_pool      *pool = pool_of(n);
    static streaming s;
    memset(&s, 0, sizeof s);
    ledger_make(&s.seen, ALL);
    async_reader *endless = TASK(pool, .source = range_of(1u << 30, UINT64_MAX / 2));
    async_reader *all = TASK(pool, .input = endless, .batch = batch_copy, .max_chunksize = 3);
    async_reader_release(endless);
    s.reader = TASK(pool, .input = all, .batch = batch_copy);
    thread_start(&s.thread, stream_body, &s);

    for (unsigned i = 0; i < INPUTS; i++) {
        /* One more input of the task that runs. */
        async_reader *more = TASK(pool, .source = range_of((uint64_t)i * PER_INPUT, PER_INPUT),
                                  .batch = batch_copy, .max_chunksize = 1 + i % 5);
        CHECK_STATUS(async_task_add_input(async_reader_task(all), more), ASYNC_OK);
        async_reader_release(more);
        /* A chain beside it, read, removed in the middle or at its end, dropped. */
        uint64_t      items[9];
        async_reader *x = TASK(pool, .source = range_of(0, 100), .batch = batch_copy);
        async_reader *y = TASK(pool, .input = x, .batch = batch_copy, .min_count = 8);
        CHECK_READ(y, items, 4, async_forever(), ASYNC_OK, 4);
        CHECK_STATUS(async_pool_remove_task(pool, async_reader_task(i % 2 ? x : y)), ASYNC_OK);
        CHECK_READ(y, items + 4, 5, async_forever(), ASYNC_END, 4);
        CHECK_SET(items, 0, 8);
        async_reader_release(i % 3 ? x : y);
        async_reader_release(i % 3 ? y : x);
    }
    CHECK_SOON(atomic_load(&s.count) == ALL);
    atomic_store(&s.stop, true);
    thread_join(&s.thread);
    CHECK_STATUS(s.status, ASYNC_OK);
    CHECK_EQ(ledger_count(&s.seen, 0, ALL, 1), ALL);
    async_reader_release(all);
    async_reader_release(s.reader);
    CHECK_EQ(async_pool_num_tasks(pool), 0);
    ledger_free(&s.seen);
    pool_end(pool);
}

/* P10: no change of the graph stops the workers, nor waits for what they run: all of this happens
 * while a chunk of the same graph stands still. */
TestEachSize(P, P10_no_change_waits_for_a_running_chunk)
{
    async_pool   *pool = pool_of(n);
    gate          g = {0};
    probe         p = {.hold = &g};
    async_reader *a = TASK(pool, .source = range_of(0, 100), .batch = batch_copy, .context = &p,
                           .release = probe_release);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy);
    reading       blocked = {0};
    uint64_t      items[10];
    reading_start(&blocked, b, 10, async_forever());
    gate_arrived(&g, 1);

    uint64_t      began = now_ms();
    async_reader *more = TASK(pool, .source = range_of(100, 100));
    async_reader *c = TASK(pool, .input = b, .each = each_add_one);
    CHECK_STATUS(async_task_add_input(async_reader_task(b), more), ASYNC_OK);
    CHECK_EQ(async_pool_num_tasks(pool), 4);
    if (n != 1) { /* the only worker stands at the gate */
        async_reader *d = TASK(pool, .source = range_of(0, 10), .each = each_add_one);
        CHECK_READ(d, items, 10, async_forever(), ASYNC_OK, 10);
        async_reader_release(d);
    }
    CHECK_STATUS(async_pool_remove_task(pool, async_reader_task(c)), ASYNC_OK);
    CHECK_STATUS(async_pool_remove_task(pool, async_reader_task(a)), ASYNC_OK);
    async_reader_release(a);
    async_reader_release(c);
    async_reader_release(more);
    CHECK_EQ(async_pool_num_tasks(pool), 2);
    CHECK_LE(now_ms() - began, 2000);
    CHECK_EQ(atomic_load(&g.waiting), 1);
    CHECK_EQ(atomic_load(&p.released), 0);

    gate_open(&g);
    thread_join(&blocked.thread);
    CHECK_STATUS(blocked.status, ASYNC_OK);
    CHECK_EQ(blocked.got, 10);
    async_reader_release(b);
    CHECK_EQ(async_pool_num_tasks(pool), 0);
    CHECK_SOON(atomic_load(&p.released) == 1);
    pool_end(pool);
}

/* P10, from inside a task: a function adds a task to its own pool, reads nothing of it, makes it
 * an input of a running task and removes another. */
typedef struct inside {
    async_pool   *pool;
    async_reader *all;
    async_reader *victim;
    async_status  added, input, removed;
    bool          done;
} inside;

static int changes_graph(const void *in, void *out, void *context)
{
    inside *self = context;
    if (!self->done) {
        self->done = true;
        async_source  source = async_source_range(100, 10);
        async_reader *reader = NULL;
        self->added = async_pool_add_task(self->pool, &reader,
                                          &(async_task_options){.source = &source});
        self->input = async_task_add_input(async_reader_task(self->all), reader);
        async_reader_release(reader);
        self->removed = async_pool_remove_task(self->pool, async_reader_task(self->victim));
    }
    *(uint64_t *)out = *(const uint64_t *)in;
    return 0;
}

TestEachSize(P, P10_a_function_changes_its_own_graph)
{
    inside        self = {.pool = pool_of(n), .added = ASYNC_SYSTEM};
    uint64_t      items[21];
    async_reader *a = TASK(self.pool, .source = range_of(0, 10), .each = changes_graph,
                           .context = &self, .max_parallel = 1);
    self.all = TASK(self.pool, .input = a);
    self.victim = TASK(self.pool, .source = range_of(0, 10));
    async_reader *result = TASK(self.pool, .input = self.all);
    CHECK_READ(result, items, 21, async_forever(), ASYNC_END, 20);
    CHECK_STATUS(self.added, ASYNC_OK);
    CHECK_STATUS(self.input, ASYNC_OK);
    CHECK_STATUS(self.removed, ASYNC_OK);
    ledger seen;
    ledger_make(&seen, 110);
    ledger_add(&seen, items, 20);
    CHECK_EQ(ledger_count(&seen, 0, 10, 1) + ledger_count(&seen, 100, 110, 1), 20);
    ledger_free(&seen);
    CHECK_READ(self.victim, items, 1, async_forever(), ASYNC_END, 0);
    async_reader_release(a);
    async_reader_release(self.all);
    async_reader_release(self.victim);
    async_reader_release(result);
    CHECK_EQ(async_pool_num_tasks(self.pool), 0);
    pool_end(self.pool);
}
