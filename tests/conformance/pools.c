/* pools.c: pools and tasks, rows P1 to P7. */
#define _GNU_SOURCE
#include "crew.h"
#include "expect.h"

#include <string.h>
#include <unistd.h>

/* What a function saw, in the order in which it saw it, and who ran it. */
typedef struct seen {
    atomic_size_t count;
    uint64_t      items[256];
    crew          crew;
} seen;

static int log_batch(const void *in, void *out, size_t count, size_t *done, void *context)
{
    seen *s = context;
    (void)done;
    crew_note(&s->crew);
    for (size_t i = 0; i < count; i++) {
        size_t at = atomic_fetch_add(&s->count, 1);
        if (at < 256) { s->items[at] = ((const uint64_t *)in)[i]; }
    }
    memcpy(out, in, count * sizeof(uint64_t));
    return 0;
}

static int log_next(void *items, size_t count, size_t *got, void *context)
{
    seen *s = context;
    crew_note(&s->crew);
    for (*got = 0; *got < count && atomic_load(&s->count) < 200; ++*got) {
        ((uint64_t *)items)[*got] = atomic_fetch_add(&s->count, 1);
    }
    return 0;
}

/* P1: with size 0 the reading thread does all the work, in order, and there is no other thread. */
Test(P, P1_size_0_is_the_reading_thread, .timeout = 30)
{
    unsigned        threads = threads_at_rest();
    async_pool     *pool = pool_of(0);
    static seen     source, first, second;
    static uint64_t items[200];
    async_source    numbered = async_source_from(log_next, &source, sizeof(uint64_t));
    async_reader   *a = TASK(pool, .source = &numbered, .batch = log_batch, .context = &first,
                             .max_chunksize = 7);
    async_reader   *b = TASK(pool, .input = a, .batch = log_batch, .context = &second,
                             .max_chunksize = 10);
    CHECK_EQ(async_pool_size(pool), 0);

    CHECK_READ(b, items, 100, async_forever(), ASYNC_OK, 100);
    CHECK_RISING(items, 0, 100);
    CHECK_EQ(crew_size(&source.crew), 1);
    CHECK_EQ(crew_size(&first.crew), 1);
    CHECK_EQ(crew_size(&second.crew), 1);
    CHECK(crew_has(&source.crew, gettid()));
    CHECK(crew_has(&first.crew, gettid()));
    CHECK(crew_has(&second.crew, gettid()));
    CHECK_EQ(thread_count(), threads);

    /* Another thread reads: now that one does it. */
    static reading other;
    reading_start(&other, b, 100, async_forever());
    thread_join(&other.thread);
    CHECK_STATUS(other.status, ASYNC_OK);
    CHECK_EQ(other.got, 100);
    CHECK_RISING(other.items, 100, 100);
    CHECK_EQ(crew_size(&source.crew), 2);
    CHECK_EQ(crew_size(&first.crew), 2);
    CHECK_EQ(crew_size(&second.crew), 2);
    CHECK(atomic_load(&source.crew.ids[1]) == atomic_load(&first.crew.ids[1]));
    CHECK(atomic_load(&source.crew.ids[1]) == atomic_load(&second.crew.ids[1]));

    CHECK_EQ(atomic_load(&first.count), 200);
    CHECK_EQ(atomic_load(&second.count), 200);
    CHECK_RISING(first.items, 0, 200);
    CHECK_RISING(second.items, 0, 200);
    async_reader_release(a);
    async_reader_release(b);
    pool_end(pool);
}

/* P1, the other side: where there are workers, the reading thread does none of the work. */
Test(P, P1_workers_do_the_work_where_there_are_any, .timeout = 30)
{
    for (unsigned n = 1; n <= 4; n *= 2) {
        NOTE("N = %u", n);
        unsigned        threads = threads_at_rest();
        async_pool     *pool = pool_of(n);
        static uint64_t items[100];
        seen            s;
        memset(&s, 0, sizeof s);
        async_reader *r = TASK(pool, .source = range_of(0, 100), .batch = log_batch, .context = &s,
                               .max_chunksize = 5);
        CHECK_READ(r, items, 100, async_forever(), ASYNC_OK, 100);
        CHECK_SET(items, 0, 100);
        CHECK(!crew_has(&s.crew, gettid()));
        CHECK_LE(crew_size(&s.crew), n);
        CHECK_EQ(thread_count(), threads + n);
        async_reader_release(r);
        pool_end(pool);
    }
}

/* P2: adding a task gives a reader and adds 1; what the options point to may go away. */
TestEachSize(P, P2_options_and_name_are_copied)
{
    async_pool        *pool = pool_of(n);
    probe              p = {.fail_value = 6, .code = 9};
    char               name[] = "counted";
    async_source       source = async_source_range(0, 10);
    async_reader      *r = NULL, *second = NULL;
    async_task_options options = {
        .name = name, .source = &source, .batch = batch_add_one, .context = &p, .max_chunksize = 3};
    CHECK_EQ(async_pool_num_tasks(pool), 0);
    CHECK_STATUS(async_pool_add_task(pool, &r, &options), ASYNC_OK);
    CHECK(r != NULL);
    CHECK_EQ(async_pool_num_tasks(pool), 1);
    memset(name, 'x', sizeof name - 1);
    memset(&source, 0xff, sizeof source);
    memset(&options, 0xff, sizeof options);
    second = TASK(pool, .source = range_of(0, 1));
    CHECK_EQ(async_pool_num_tasks(pool), 2);

    uint64_t items[6];
    CHECK_READ(r, items, 6, async_forever(), ASYNC_OK, 6);
    CHECK_SET(items, 1, 6);
    CHECK_EQ(atomic_load(&p.calls), 2);
    CHECK_READ(r, items, 3, async_forever(), ASYNC_FAILED, 0);
    async_error error;
    CHECK_STATUS(async_task_error(async_reader_task(r), &error), ASYNC_OK);
    CHECK_EQ(error.code, 9);
    cr_assert_str_eq(error.task, "counted");
    async_reader_release(r);
    async_reader_release(second);
    pool_end(pool);
}

/* P2: the input is retained: the caller's own hold of it may go. */
TestEachSize(P, P2_the_input_is_retained)
{
    async_pool   *pool = pool_of(n);
    async_reader *a = TASK(pool, .source = range_of(0, 100), .each = each_add_one);
    async_reader *b = TASK(pool, .input = a, .each = each_twice);
    async_reader_release(a);
    CHECK_EQ(async_pool_num_tasks(pool), 2);
    size_t    count;
    uint64_t *items = read_rest(b, &count), sum = 0;
    for (size_t i = 0; i < count; i++) { sum += items[i]; }
    CHECK_EQ(count, 100);
    CHECK_EQ(sum, 2 * 5050);
    async_free(items);
    async_reader_release(b);

    /* A plain channel as well: its reader lives in the task. */
    async_writer *writer;
    probe         p = {0};
    channel_of(&writer, &a, 0, &p);
    b = TASK(pool, .input = a, .each = each_add_one);
    async_reader_release(a);
    CHECK(!async_writer_closed(writer));
    write_numbers(writer, 0, 5);
    uint64_t five[5];
    CHECK_READ(b, five, 5, async_forever(), ASYNC_OK, 5);
    CHECK_SET(five, 1, 5);
    async_reader_release(b);
    CHECK_SOON(async_writer_closed(writer));
    async_writer_release(writer);
    CHECK_SOON(atomic_load(&p.released) == 1);
    pool_end(pool);
}

/* P3: a task belongs to one pool; as an input of another pool's task it stays where it is. */
TestEachSize(P, P3_a_task_belongs_to_one_pool)
{
    async_pool   *a = pool_of(n), *b = pool_of(1);
    async_reader *ra = TASK(a, .source = range_of(0, 10), .each = each_add_one);
    async_reader *rb = TASK(b, .input = ra, .each = each_twice);
    CHECK(async_reader_pool(ra) == a);
    CHECK(async_reader_pool(rb) == b);
    CHECK_EQ(async_pool_num_tasks(a), 1);
    CHECK_EQ(async_pool_num_tasks(b), 1);
    CHECK_STATUS(async_pool_remove_task(b, async_reader_task(ra)), ASYNC_INVALID);
    CHECK_STATUS(async_pool_remove_task(a, async_reader_task(rb)), ASYNC_INVALID);
    CHECK_EQ(async_pool_num_tasks(a), 1);
    CHECK_EQ(async_pool_num_tasks(b), 1);
    uint64_t item;
    CHECK_READ(rb, &item, 1, async_forever(), ASYNC_OK, 1);
    CHECK(async_reader_pool(ra) == a);
    CHECK_STATUS(async_pool_remove_task(a, async_reader_task(ra)), ASYNC_OK);
    CHECK_EQ(async_pool_num_tasks(a), 0);
    CHECK_EQ(async_pool_num_tasks(b), 1);
    async_reader_release(ra);
    async_reader_release(rb);
    pool_end(a);
    pool_end(b);
}

/* P4: nothing runs when a task is added; a read makes it run. */
TestEachSize(P, P4_only_demand_starts_work)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0}, q = {0};
    numbers       source = {.end = 100};
    async_reader *a = TASK(pool, .source = from_numbers(&source), .batch = batch_copy,
                           .context = &p, .min_count = 10, .max_chunksize = 5);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &q, .min_count = 20);
    CHECK_STATUS(async_pool_set_size(pool, n + 1), ASYNC_OK);
    CHECK_STATUS(async_pool_set_size(pool, n), ASYNC_OK);
    CHECK_STAYS(20, atomic_load(&source.calls) == 0);
    CHECK_EQ(atomic_load(&p.calls), 0);
    CHECK_EQ(atomic_load(&q.calls), 0);
    CHECK_EQ(async_reader_ready(a), 0);
    async_task_stats stats = counts_of(b);
    CHECK_EQ(stats.asked, 0);
    CHECK_EQ(stats.in_flight, 0);
    CHECK_EQ(stats.chunks, 0);

    uint64_t item;
    CHECK_READ(b, &item, 1, async_forever(), ASYNC_OK, 1);
    CHECK_EQ(atomic_load(&q.items), 20);
    CHECK_STAYS(10, atomic_load(&q.items) == 20 && atomic_load(&p.items) == 20);
    async_reader_release(a);
    async_reader_release(b);
    pool_end(pool);
}

/* P5: removing may be repeated; the reader drains what is ready, then END. */
TestEachSize(P, P5_remove_twice_and_drain)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0};
    async_reader *other = TASK(pool, .source = range_of(0, 3));
    async_reader *r = TASK(pool, .source = range_of(0, 100), .batch = batch_copy, .context = &p,
                           .discard = probe_discard, .min_count = 50);
    async_task   *task = async_reader_task(r);
    uint64_t      items[100];
    CHECK_READ(r, items, 1, async_forever(), ASYNC_OK, 1);
    CHECK_EQ(async_pool_num_tasks(pool), 2);
    CHECK(!async_task_done(task));
    CHECK_STATUS(async_pool_remove_task(pool, task), ASYNC_OK);
    CHECK_STATUS(async_pool_remove_task(pool, task), ASYNC_OK);
    CHECK_EQ(async_pool_num_tasks(pool), 1);
    CHECK(async_task_done(task));
    CHECK_READ(r, items + 1, 9, async_forever(), ASYNC_OK, 9);
    CHECK_READ(r, items + 10, 90, async_forever(), ASYNC_END, 40);
    CHECK_RISING(items, 0, 50);
    CHECK_READ(r, items, 1, async_forever(), ASYNC_END, 0);
    CHECK_STATUS(async_pool_remove_task(pool, task), ASYNC_OK);
    CHECK_EQ(async_pool_num_tasks(pool), 1);
    CHECK_EQ(atomic_load(&p.calls), 1);
    CHECK_EQ(atomic_load(&p.discarded), 0);
    CHECK_READ(other, items, 3, async_forever(), ASYNC_OK, 3);
    async_reader_release(other);
    async_reader_release(r);
    CHECK_EQ(async_pool_num_tasks(pool), 0);
    pool_end(pool);
}

/* P6: a removed task's channel closes once its running chunks are through, and the blocked reader
 * wakes with END; no other chunk has started. */
TestEachSize(P, P6_remove_waits_for_the_running_chunk_only)
{
    async_pool   *pool = pool_of(n);
    gate          g = {0};
    probe         p = {.hold = &g};
    async_reader *r = TASK(pool, .source = range_of(0, 1000), .batch = batch_copy, .context = &p,
                           .max_chunksize = 5, .max_parallel = 1);
    reading       blocked = {0};
    reading_start(&blocked, r, 100, async_forever());
    gate_arrived(&g, 1);
    CHECK_STATUS(async_pool_remove_task(pool, async_reader_task(r)), ASYNC_OK);
    CHECK_EQ(async_pool_num_tasks(pool), 0);
    CHECK_STAYS(20, !thread_ended(&blocked.thread));
    gate_open(&g);
    thread_join(&blocked.thread);
    CHECK_STATUS(blocked.status, ASYNC_END);
    CHECK_EQ(blocked.got, 5);
    CHECK_RISING(blocked.items, 0, 5);
    CHECK_EQ(atomic_load(&p.calls), 1);
    async_reader_release(r);
    pool_end(pool);
}

/* P6: nothing runs, the task only waits for input that does not come: END at once. */
TestEachSize(P, P6_remove_wakes_a_reader_that_waits_for_input)
{
    async_pool   *pool = pool_of(n);
    async_writer *writer;
    async_reader *input;
    probe         p = {0};
    channel_of(&writer, &input, 0, NULL);
    async_reader *a = TASK(pool, .input = input, .batch = batch_copy, .context = &p);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &p);
    reading       blocked = {0};
    reading_start(&blocked, b, 10, async_forever());
    CHECK_SOON(counts_of(b).asked == 10);
    CHECK_STAYS(10, !thread_ended(&blocked.thread));
    CHECK_STATUS(async_pool_remove_task(pool, async_reader_task(b)), ASYNC_OK);
    thread_join(&blocked.thread);
    CHECK_STATUS(blocked.status, ASYNC_END);
    CHECK_EQ(blocked.got, 0);
    CHECK_EQ(atomic_load(&p.calls), 0);
    CHECK(!async_task_done(async_reader_task(a)));
    CHECK_EQ(async_pool_num_tasks(pool), 1);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(input);
    async_writer_release(writer);
    pool_end(pool);
}

/* P7: a removed or done task never runs again, also as the input of a new task. */
TestEachSize(P, P7_a_removed_or_done_task_never_runs_again)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0}, q = {0};
    uint64_t      items[100];
    async_reader *done = TASK(pool, .source = range_of(0, 10), .batch = batch_copy, .context = &p);
    CHECK_READ(done, items, 20, async_forever(), ASYNC_END, 10);
    CHECK(async_task_done(async_reader_task(done)));
    uint64_t      calls = atomic_load(&p.calls);
    async_reader *next = TASK(pool, .input = done, .batch = batch_copy, .context = &q);
    CHECK_READ(next, items, 5, async_forever(), ASYNC_END, 0);
    CHECK_READ(done, items, 5, async_forever(), ASYNC_END, 0);
    CHECK_EQ(atomic_load(&p.calls), calls);
    CHECK_EQ(atomic_load(&p.items), 10);
    CHECK_EQ(atomic_load(&q.calls), 0);

    probe         r = {0};
    async_reader *removed = TASK(pool, .source = range_of(0, 100), .batch = batch_copy,
                                 .context = &r, .min_count = 20);
    CHECK_READ(removed, items, 1, async_forever(), ASYNC_OK, 1);
    CHECK_STATUS(async_pool_remove_task(pool, async_reader_task(removed)), ASYNC_OK);
    async_reader *after = TASK(pool, .input = removed, .batch = batch_copy, .context = &q);
    CHECK_READ(after, items, 100, async_forever(), ASYNC_END, 19);
    CHECK_SET(items, 1, 19);
    CHECK_EQ(atomic_load(&r.calls), 1);
    CHECK_EQ(atomic_load(&r.items), 20);
    async_reader_release(done);
    async_reader_release(next);
    async_reader_release(removed);
    async_reader_release(after);
    CHECK_EQ(async_pool_num_tasks(pool), 0);
    pool_end(pool);
}
