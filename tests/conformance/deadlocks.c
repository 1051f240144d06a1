/* deadlocks.c: waits that can never end, and such that can: row M13. (That of the only thread of a
 * process: tests/forks/waits.c.) */
#include "expect.h"

#include <string.h>

/* A function that reads one item of another reader first. */
typedef struct nest {
    async_reader *inner;
    async_wait    wait;
    gate         *hold; /* passed before the read, if not NULL */
    atomic_uint   calls;
    atomic_uint   statuses[16];
    async_error   seen;  /* by the function that came first, from async_reader_error */
    atomic_uint   noted; /* 2: it is there */
} nest;

static int reads(const void *in, void *out, void *context)
{
    nest    *self = context;
    uint64_t item = 0;
    atomic_fetch_add(&self->calls, 1);
    if (self->hold != NULL) { gate_pass(self->hold); }
    async_status status = async_reader_read(self->inner, &item, 1, NULL, self->wait);
    unsigned     nobody = 0;
    if (status == ASYNC_DEADLOCK && atomic_compare_exchange_strong(&self->noted, &nobody, 1)) {
        (void)async_reader_error(self->inner, &self->seen);
        atomic_store(&self->noted, 2);
    }
    atomic_fetch_add(&self->statuses[status & 15], 1);
    *(uint64_t *)out = *(const uint64_t *)in + item;
    return (int)status;
}

static void check_chain(async_reader *reader, const char *const *parts)
{
    async_error error;
    CHECK_STATUS(async_reader_error(reader, &error), ASYNC_OK);
    CHECK_STATUS(error.status, ASYNC_FAILED);
    for (; *parts != NULL; parts++) {
        cr_assert(strstr(error.message, *parts) != NULL, "[%s] \"%s\" does not name %s",
                  expect_note, error.message, *parts);
    }
}
#define CHECK_CHAIN(reader, ...) check_chain((reader), (const char *const[]){__VA_ARGS__, NULL})

/* M13: a function that waits for the output of its own task. */
TestEachSize(M, M13_its_own_output)
{
    for (unsigned serial = 0; serial < 2; serial++) {
        async_pool   *pool = pool_of(n);
        nest          s = {.wait = async_forever()};
        uint64_t      items[3];
        async_reader *r = TASK(pool, .name = "self", .source = range_of(0, 1000), .each = reads,
                               .context = &s, .max_parallel = serial, .max_chunksize = 1);
        s.inner = r;
        CHECK_READ(r, items, 3, async_forever(), ASYNC_FAILED, 0);
        CHECK(atomic_load(&s.statuses[ASYNC_DEADLOCK]) >= 1);
        CHECK_CHAIN(r, "task \"self\" waits for task \"self\"");
        async_error error;
        CHECK_STATUS(async_task_error(async_reader_task(r), &error), ASYNC_OK);
        CHECK_EQ(error.code, ASYNC_DEADLOCK);
        CHECK_SOON(atomic_load(&s.noted) == 2);
        CHECK_STATUS(s.seen.status, ASYNC_DEADLOCK);
        CHECK(strstr(s.seen.message, "\"self\"") != NULL);
        async_reader_release(r);
        pool_end(pool);
    }
}

static int reads_what_is_ready(const void *in, void *out, void *context)
{
    nest    *self = context;
    uint64_t item = 0, number = *(const uint64_t *)in;
    *(uint64_t *)out = number;
    if (number != 4) { return 0; }
    return (int)async_reader_read(self->inner, &item, 1, NULL, self->wait);
}

/* M13: what is ready may be read, and a wait with a time-out is nobody's deadlock. */
TestEachSize(M, M13_its_own_output_with_a_way_out)
{
    async_pool   *pool = pool_of(n);
    nest          s = {.wait = async_forever()};
    uint64_t      items[4];
    async_reader *r = TASK(pool, .source = range_of(0, 1000), .each = reads_what_is_ready,
                           .context = &s, .max_parallel = 1, .min_count = 4);
    s.inner = r;
    CHECK_READ(r, items, 1, async_forever(), ASYNC_OK, 1);
    CHECK_SOON(async_reader_ready(r) == 3);
    CHECK_READ(r, items, 4, async_forever(), ASYNC_OK,
               4); /* number 4 takes one of the first four */
    async_reader_release(r);

    nest t = {.wait = async_within_ms(20)};
    r = TASK(pool, .source = range_of(0, 1000), .each = reads, .context = &t, .max_parallel = 1);
    t.inner = r;
    CHECK_READ(r, items, 1, async_forever(), ASYNC_FAILED, 0);
    CHECK_EQ(atomic_load(&t.statuses[ASYNC_TIMEOUT]), 1);
    CHECK_EQ(atomic_load(&t.statuses[ASYNC_DEADLOCK]), 0);
    async_reader_release(r);
    pool_end(pool);
}

/* M13: functions that wait for each other's tasks, in one thread or in several. */
TestEachSize(M, M13_a_cycle_of_reads)
{
    enum { LENGTH = 3 };
    for (unsigned round = 0; round < 20; round++) {
        async_pool   *pool = pool_of(n);
        nest          nests[LENGTH];
        async_reader *tasks[LENGTH];
        uint64_t      item;
        memset(nests, 0, sizeof nests);
        for (unsigned i = 0; i < LENGTH; i++) {
            static const char *const names[LENGTH] = {"first", "second", "third"};
            nests[i].wait = async_forever();
            tasks[i] = TASK(pool, .name = names[i], .source = range_of(0, 1000), .each = reads,
                            .context = &nests[i], .max_chunksize = 1, .max_parallel = round % 2);
        }
        for (unsigned i = 0; i < LENGTH; i++) { nests[i].inner = tasks[(i + 1) % LENGTH]; }
        CHECK_READ(tasks[0], &item, 1, async_forever(), ASYNC_FAILED, 0);
        unsigned deadlocks = 0, others = 0;
        CHECK_STATUS(async_pool_destroy(pool, ASYNC_DROP), ASYNC_OK);
        for (unsigned i = 0; i < LENGTH; i++) {
            deadlocks += atomic_load(&nests[i].statuses[ASYNC_DEADLOCK]);
            others += atomic_load(&nests[i].statuses[ASYNC_OK]) +
                      atomic_load(&nests[i].statuses[ASYNC_BUSY]);
        }
        CHECK(deadlocks >= 1);
        CHECK_EQ(others, 0);
        for (unsigned i = 0; i < LENGTH; i++) { async_reader_release(tasks[i]); }
    }
}

/* M13: one that leads through the graph: a serial task waits for what is made of its own output. */
TestEachSize(M, M13_a_cycle_through_inputs)
{
    async_pool   *pool = pool_of(n);
    nest          s = {.wait = async_forever()};
    uint64_t      item;
    async_reader *up = TASK(pool, .name = "upper", .source = range_of(0, 1000), .each = reads,
                            .context = &s, .max_parallel = 1, .max_chunksize = 1);
    async_reader *middle = TASK(pool, .name = "middle", .input = up, .each = each_add_one,
                                .max_chunksize = 3);
    s.inner = TASK(pool, .name = "lower", .input = middle, .each = each_add_one,
                   .max_chunksize = 2);
    CHECK_READ(up, &item, 1, async_forever(), ASYNC_FAILED, 0);
    CHECK_EQ(atomic_load(&s.statuses[ASYNC_DEADLOCK]), 1);
    CHECK_CHAIN(up, "\"upper\"", "\"lower\"");
    async_reader_release(up);
    async_reader_release(middle);
    async_reader_release(s.inner);
    pool_end(pool);
}

/* M13: with workers, a wait that something may still end is no deadlock: another run of the task, a
 * slow task upstream, a client that writes. */
Test(M, M13_waits_that_end, .timeout = 60)
{
    for (unsigned n = 1; n <= 4; n *= 2) {
        for (unsigned help = 0; help < 2; help++) {
            NOTE("N = %u, readers_help %u", n, help);
            async_pool        *pool;
            async_pool_options options = {.readers_help = help != 0};
            CHECK_STATUS(async_pool_create(&pool, n, &options), ASYNC_OK);
            uint64_t       items[4];
            gate           g = {.open = false};
            probe          slow = {.hold = &g};
            static reading blocked[2];
            memset(blocked, 0, sizeof blocked);
            async_writer *writer;
            nest          s = {.wait = async_forever()}, t = s;
            channel_of(&writer, &s.inner, 0, NULL);
            t.inner = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                           .context = &slow, .max_parallel = 1, .max_chunksize = 1);
            /* The slow task is at work elsewhere when the function begins to wait for it. */
            static reading first;
            memset(&first, 0, sizeof first);
            reading_start(&first, t.inner, 1, async_forever());
            gate_arrived(&g, 1);
            async_reader *plain = TASK(pool, .source = range_of(0, 1000), .each = reads,
                                       .context = &s, .max_parallel = 1, .max_chunksize = 1);
            async_reader *nested = TASK(pool, .source = range_of(0, 1000), .each = reads,
                                        .context = &t, .max_parallel = 1, .max_chunksize = 1);
            reading_start(&blocked[0], plain, 2, async_forever());
            if (n > 1 || help != 0) {
                reading_start(&blocked[1], nested, 2, async_forever());
                CHECK_SOON(atomic_load(&t.calls) == 1);
            }
            CHECK_STAYS(300, atomic_load(&s.statuses[ASYNC_DEADLOCK]) == 0 &&
                                 atomic_load(&t.statuses[ASYNC_DEADLOCK]) == 0);
            gate_open(&g);
            write_numbers(writer, 0, 2);
            thread_join(&first.thread);
            thread_join(&blocked[0].thread);
            CHECK_STATUS(blocked[0].status, ASYNC_OK);
            if (n > 1 || help != 0) {
                thread_join(&blocked[1].thread);
                CHECK_STATUS(blocked[1].status, ASYNC_OK);
            }
            CHECK_READ(t.inner, items, 4, async_forever(), ASYNC_OK, 4);
            async_reader_release(plain);
            async_reader_release(nested);
            async_reader_release(s.inner);
            async_reader_release(t.inner);
            async_writer_release(writer);
            pool_end(pool);
        }
    }
}
