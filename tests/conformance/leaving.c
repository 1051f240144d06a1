/* leaving.c: a read that leaves takes back what it did not get: row K14. */
#include "expect.h"

#include <string.h>

/* K14: what a read did not get when its wait was over is no longer asked for; the chunk that had
 * its input goes through, and what it makes is ready for the next read. */
Test(K, K14_a_chunk_with_its_input_goes_through, .timeout = 30)
{
    for (unsigned n = 1; n <= 16; n *= 2) {
        NOTE("N = %u", n);
        async_pool   *pool = pool_of(n);
        gate          g = {0};
        probe         p = {.hold = &g};
        uint64_t      items[20];
        async_reader *r = TASK(pool, .source = range_of(0, 1000), .batch = batch_copy,
                               .context = &p);
        CHECK_READ(r, items, 10, async_within_ms(10), ASYNC_TIMEOUT, 0);
        gate_arrived(&g, 1);
        CHECK_EQ(counts_of(r).asked, 0);
        CHECK_EQ(counts_of(r).in_flight, 10);
        gate_open(&g);
        CHECK_SOON(async_reader_ready(r) == 10);
        CHECK_EQ(counts_of(r).in_flight, 0);
        CHECK_READ(r, items, 10, async_now(), ASYNC_OK, 10);
        CHECK_RISING(items, 0, 10);
        CHECK_EQ(atomic_load(&p.calls), 1);
        /* The next one asks for what is missing, as ever. */
        CHECK_READ(r, items, 5, async_forever(), ASYNC_OK, 5);
        CHECK_RISING(items, 10, 5);
        CHECK_EQ(atomic_load(&p.items), 15);
        async_reader_release(r);
        pool_end(pool);
    }
}

/* K14, K11: with nothing asked for any more, no more stays in flight than N chunks. */
Test(K, K14_K11_what_stays_in_flight, .timeout = 30)
{
    enum { CHUNK = 10, COUNT = 400 };
    for (unsigned n = 1; n <= 16; n *= 2) {
        NOTE("N = %u", n);
        async_pool     *pool = pool_of(n);
        gate            g = {0};
        probe           p = {.hold = &g};
        static uint64_t items[COUNT];
        async_reader   *r = TASK(pool, .source = range_of(0, 100000), .batch = batch_copy,
                                 .context = &p, .max_chunksize = CHUNK);
        CHECK_READ(r, items, COUNT, async_within_ms(10), ASYNC_TIMEOUT, 0);
        gate_arrived(&g, 1);
        async_task_stats stats = counts_of(r);
        CHECK_EQ(stats.asked, 0);
        CHECK_LE(stats.ready + stats.in_flight, n * CHUNK);
        gate_open(&g);
        CHECK_SOON(counts_of(r).in_flight == 0);
        CHECK_LE(atomic_load(&p.items), n * CHUNK);
        CHECK_EQ(async_reader_ready(r), atomic_load(&p.items));
        CHECK_READ(r, items, COUNT, async_forever(), ASYNC_OK, COUNT);
        CHECK_SET(items, 0, COUNT);
        CHECK_EQ(atomic_load(&p.items), COUNT);
        async_reader_release(r);
        pool_end(pool);
    }
}

/* K14: a read that doesn't wait leaves too: however often it looks, the work is done once. */
TestEachSize(K, K14_looking_again_and_again_makes_the_items_once)
{
    async_pool   *pool = pool_of(n);
    probe         p = {.delay_us = 2000}, q = {0};
    uint64_t      items[10];
    async_reader *a = TASK(pool, .source = range_of(0, 1000), .batch = batch_copy, .context = &p);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &q);
    size_t        got = 0;
    async_status  status = ASYNC_TIMEOUT;
    uint64_t      end = now_ms() + SOON;
    while (got < 10 && (status == ASYNC_TIMEOUT || status == ASYNC_OK) && now_ms() < end) {
        size_t more = 0;
        status = async_reader_read(b, items + got, 10 - got, &more, async_now());
        got += more;
        sleep_us(100);
    }
    CHECK_STATUS(status, ASYNC_OK);
    CHECK_EQ(got, 10);
    CHECK_RISING(items, 0, 10);
    CHECK_EQ(counts_of(b).asked, 0);
    CHECK_EQ(counts_of(a).asked, 0);
    CHECK_STAYS(10, atomic_load(&p.items) == 10 && atomic_load(&q.items) == 10);
    async_reader_release(a);
    async_reader_release(b);
    pool_end(pool);
}

/* K14: a chunk that still waits for input is cut to what is there. */
TestEachSize(K, K14_a_waiting_chunk_is_cut_to_what_is_there)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0};
    uint64_t      items[10];
    async_writer *writer;
    async_reader *input;
    channel_of(&writer, &input, 0, NULL);
    async_reader *r = TASK(pool, .input = input, .batch = batch_copy, .context = &p);
    write_numbers(writer, 0, 4);
    size_t       got = SIZE_MAX, more = SIZE_MAX;
    async_status status = async_reader_read(r, items, 10, &got, async_within_ms(10));
    CHECK_STATUS(status, ASYNC_TIMEOUT);
    CHECK_LE(got, 4);
    if (n > 0) { /* it needs nobody who asks again */
        CHECK_SOON(atomic_load(&p.calls) == 1);
    }
    if (got < 4) {
        CHECK_STATUS(async_reader_read(r, items + got, 4 - got, &more, async_forever()), ASYNC_OK);
    }
    CHECK_RISING(items, 0, 4);
    CHECK_EQ(atomic_load(&p.calls), 1);
    CHECK_EQ(p.log[0], 4);
    CHECK_EQ(counts_of(r).asked, 0);
    CHECK_EQ(counts_of(r).in_flight, 0);

    /* Nothing is asked for any more: what comes later stays where it is. */
    write_numbers(writer, 4, 6);
    CHECK_STAYS(10, atomic_load(&p.calls) == 1 && async_reader_ready(r) == 0);
    CHECK_READ(r, items + 4, 6, async_forever(), ASYNC_OK, 6);
    CHECK_RISING(items, 0, 10);
    async_reader_release(r);
    async_reader_release(input);
    async_writer_release(writer);
    pool_end(pool);
}

/* K14: where nothing is there it is dropped, and what comes later starts nothing. */
TestEachSize(K, K14_a_waiting_chunk_without_input_is_dropped)
{
    async_pool   *pool = pool_of(n);
    probe         p = {0}, q = {0};
    uint64_t      items[10];
    async_writer *writer;
    async_reader *input;
    channel_of(&writer, &input, 0, NULL);
    async_reader *a = TASK(pool, .input = input, .batch = batch_copy, .context = &p,
                           .max_chunksize = 3);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &q,
                           .max_chunksize = 4);
    CHECK_READ(b, items, 10, async_within_ms(5), ASYNC_TIMEOUT, 0);
    CHECK_READ(b, items, 10, async_per_item_ms(5), ASYNC_TIMEOUT, 0);
    CHECK_READ(b, items, 10, async_now(), ASYNC_TIMEOUT, 0);
    CHECK_SOON(counts_of(a).in_flight == 0 && counts_of(b).in_flight == 0);
    CHECK_EQ(counts_of(a).asked, 0);
    CHECK_EQ(counts_of(b).asked, 0);
    write_numbers(writer, 0, 10);
    CHECK_STAYS(10, atomic_load(&p.calls) + atomic_load(&q.calls) == 0);
    CHECK_EQ(async_reader_ready(input), 10);
    CHECK_READ(b, items, 10, async_forever(), ASYNC_OK, 10);
    CHECK_SET(items, 0, 10);
    CHECK_EQ(atomic_load(&p.items), 10);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(input);
    async_writer_release(writer);
    pool_end(pool);
}

/* K14: nothing else starts: an unbounded read that leaves leaves at most its window behind. */
TestEachSize(K, K14_nothing_else_starts)
{
    enum { CHUNK = 5 };
    async_pool   *pool = pool_of(n);
    probe         p = {.delay_us = 200};
    async_reader *r = TASK(pool, .source = range_of(0, 100000000), .batch = batch_copy,
                           .context = &p, .max_chunksize = CHUNK, .max_parallel = 1);
    void         *items = NULL;
    size_t        count = 0;
    CHECK_STATUS(async_reader_read_all(r, &items, &count, async_within_ms(20)), ASYNC_TIMEOUT);
    CHECK_EQ(counts_of(r).asked, 0);
    if (n > 0) { /* else what is queued stays for the next reader */
        CHECK_SOON(counts_of(r).in_flight == 0);
    }
    uint64_t before = atomic_load(&p.items);
    CHECK_LE(before - count, 4 * (n + 1) * CHUNK);
    CHECK_STAYS(20, atomic_load(&p.items) == before);
    CHECK_EQ(before, count + async_reader_ready(r));
    async_free(items);
    async_reader_release(r);
    pool_end(pool);
}

/* K14: of several readers only the one that leaves takes back its part. */
TestEachSize(K, K14_others_keep_what_they_asked_for)
{
    async_pool    *pool = pool_of(n);
    probe          p = {0};
    static reading stays, leaves;
    memset(&stays, 0, sizeof stays);
    memset(&leaves, 0, sizeof leaves);
    async_writer *writer;
    async_reader *input;
    channel_of(&writer, &input, 0, NULL);
    async_reader *r = TASK(pool, .input = input, .batch = batch_copy, .context = &p);
    reading_start(&stays, r, 6, async_forever());
    CHECK_SOON(counts_of(r).asked == 6);
    reading_start(&leaves, r, 20, async_within_ms(30));
    CHECK_SOON(counts_of(r).asked == 26 || thread_ended(&leaves.thread));
    thread_join(&leaves.thread);
    CHECK_STATUS(leaves.status, ASYNC_TIMEOUT);
    CHECK_EQ(leaves.got, 0);
    CHECK_EQ(counts_of(r).asked, 6);
    CHECK(!thread_ended(&stays.thread));
    write_numbers(writer, 0, 10);
    thread_join(&stays.thread);
    CHECK_STATUS(stays.status, ASYNC_OK);
    CHECK_EQ(stays.got, 6);
    CHECK_RISING(stays.items, 0, 6);
    CHECK_STAYS(5, atomic_load(&p.items) == 6);
    CHECK_EQ(counts_of(r).asked, 0);
    async_reader_release(r);
    async_reader_release(input);
    async_writer_release(writer);
    pool_end(pool);
}

/* K14: a cancelled consumer takes back what it asked of its input, which goes on for others. */
TestEachSize(K, K14_a_cancelled_consumer_takes_back_its_part)
{
    async_pool    *pool = pool_of(n);
    probe          p = {0}, q = {0};
    static reading cancelled;
    memset(&cancelled, 0, sizeof cancelled);
    uint64_t      items[10];
    async_writer *writer;
    async_reader *input;
    channel_of(&writer, &input, 0, NULL);
    async_reader *a = TASK(pool, .input = input, .batch = batch_copy, .context = &p);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &q);
    async_reader *c = TASK(pool, .input = a, .batch = batch_copy);
    reading_start(&cancelled, b, 10, async_forever());
    CHECK_SOON(counts_of(b).asked == 10 && counts_of(a).asked == 10);
    CHECK_STATUS(async_task_cancel(async_reader_task(b)), ASYNC_OK);
    thread_join(&cancelled.thread);
    CHECK_STATUS(cancelled.status, ASYNC_CANCELLED);
    CHECK_EQ(cancelled.got, 0);
    CHECK_SOON(counts_of(a).asked == 0);
    write_numbers(writer, 0, 10);
    CHECK_STAYS(5, atomic_load(&p.calls) == 0);
    CHECK_READ(c, items, 4, async_forever(), ASYNC_OK, 4);
    CHECK_RISING(items, 0, 4);
    CHECK_EQ(atomic_load(&p.items), 4);
    CHECK_EQ(atomic_load(&q.calls), 0);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(c);
    async_reader_release(input);
    async_writer_release(writer);
    pool_end(pool);
}

/* K14: reads that leave lose nothing: a stream that is read with waits far too short. */
TestEachSize(K, K14_short_waits_lose_nothing)
{
    enum { COUNT = 300 };
    async_pool   *pool = pool_of(n);
    probe         p = {.delay_us = 300}, q = {.delay_us = 300};
    uint64_t      items[COUNT + 1];
    async_reader *a = TASK(pool, .source = range_of(0, COUNT), .batch = batch_copy, .context = &p,
                           .max_chunksize = 7);
    async_reader *b = TASK(pool, .input = a, .batch = batch_copy, .context = &q,
                           .max_chunksize = 5);
    size_t        count = 0, timeouts = 0;
    async_status  status = ASYNC_OK;
    uint64_t      end = now_ms() + SOON;
    for (size_t i = 0; status != ASYNC_END && now_ms() < end; i++) {
        size_t     got = 0, left = COUNT - count, want = 1 + i % 50;
        async_wait wait = i % 3 == 0 ? async_now() : async_until_ns(now_ns() + 100000 * (i % 7));
        if (want > left) { want = left > 0 ? left : 1; }
        status = async_reader_read(b, items + count, want, &got, wait);
        CHECK(status == ASYNC_OK || status == ASYNC_TIMEOUT || status == ASYNC_END);
        timeouts += status == ASYNC_TIMEOUT;
        count += got;
        CHECK_LE(count, COUNT);
    }
    CHECK_STATUS(status, ASYNC_END);
    CHECK_EQ(count, COUNT);
    CHECK_SET(items, 0, COUNT);
    CHECK_EQ(atomic_load(&p.items), COUNT);
    CHECK_EQ(atomic_load(&q.items), COUNT);
    CHECK(timeouts > 0);
    async_reader_release(a);
    async_reader_release(b);
    pool_end(pool);
}
