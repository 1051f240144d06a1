/* channels_waiters.c: row C16: who waits for a channel is woken for what it needs, in its turn. */
#define _GNU_SOURCE
#include "pipeline.h"

#include <criterion/criterion.h>
#include <sys/resource.h>

#define MS       ((uint64_t)1000000)
#define BLOCKED  4
#define ATTEMPTS 6 /* as in channels_waits.c */

/* C16: a blocked read takes nothing before it can finish; a read that doesn't wait may overtake. */
Test(C, C16_takes_nothing_until_it_can_finish)
{
    async_writer *writer;
    async_reader *reader;
    uint64_t      items[5];
    size_t        got = 0;
    reading       r = {0};
    channel_of(&writer, &reader, 0, NULL);
    reading_start(&r, reader, 10, async_forever());
    cr_assert(thread_asleep(&r.thread));
    write_numbers(writer, 0, 9);
    sleep_ms(20);
    cr_assert_eq(async_reader_ready(reader), 9);
    cr_assert_not(thread_ended(&r.thread));
    cr_assert_eq(async_reader_read(reader, items, 5, &got, async_now()), ASYNC_OK);
    cr_assert_eq(items[0], 0);
    cr_assert_eq(items[4], 4);
    write_numbers(writer, 9, 5); /* 9: with what was overtaken it would be enough */
    sleep_ms(20);
    cr_assert_eq(async_reader_ready(reader), 9);
    cr_assert_not(thread_ended(&r.thread));
    write_numbers(writer, 14, 3);
    thread_join(&r.thread);
    cr_assert_eq(r.status, ASYNC_OK);
    cr_assert_eq(r.got, 10);
    for (uint64_t i = 0; i < 10; i++) { cr_assert_eq(r.items[i], 5 + i); }
    cr_assert_eq(async_reader_ready(reader), 2);
    async_writer_release(writer);
    async_reader_release(reader);
}

/* C16: nor does one that begins when a part is there already. */
Test(C, C16_takes_no_part_that_is_there)
{
    async_writer *writer;
    async_reader *reader;
    uint64_t      items[3];
    reading       r = {0};
    channel_of(&writer, &reader, 0, NULL);
    write_numbers(writer, 0, 3);
    reading_start(&r, reader, 5, async_forever());
    cr_assert(thread_asleep(&r.thread));
    cr_assert_eq(async_reader_ready(reader), 3);
    cr_assert_eq(async_reader_read(reader, items, 3, NULL, async_now()), ASYNC_OK);
    write_numbers(writer, 3, 5);
    thread_join(&r.thread);
    cr_assert_eq(r.status, ASYNC_OK);
    cr_assert_eq(r.items[0], 3);
    async_writer_release(writer);
    async_reader_release(reader);
}

/* C16: when its wait is over, it takes what there is up to its count. */
Test(C, C16_takes_what_there_is_when_the_wait_is_over)
{
    size_t got = 0;
    for (unsigned attempt = 0; attempt < ATTEMPTS && got < 6; attempt++) {
        async_writer *writer;
        async_reader *reader;
        reading       r = {0};
        channel_of(&writer, &reader, 0, NULL);
        uint64_t began = now_ns();
        reading_start(&r, reader, 10, async_within_ms(150));
        sleep_ms(20);
        write_numbers(writer, 0, 6);
        thread_join(&r.thread);
        cr_assert_eq(r.status, ASYNC_TIMEOUT);
        cr_assert_geq(r.ended - began, 150 * MS);
        cr_assert_eq(async_reader_ready(reader), 6 - r.got);
        got = r.got;
        async_writer_release(writer);
        async_reader_release(reader);
    }
    cr_assert_eq(got, 6);
}

/* C16: a full channel wakes a read that wants more than the capacity. */
Test(C, C16_woken_when_full)
{
    async_writer *writer;
    async_reader *reader;
    reading       r = {0};
    channel_of(&writer, &reader, 4, NULL);
    reading_start(&r, reader, 10, async_forever());
    cr_assert(thread_asleep(&r.thread));
    write_numbers(writer, 0, 3);
    sleep_ms(20);
    cr_assert_eq(async_reader_ready(reader), 3);
    write_numbers(writer, 3, 1); /* full */
    cr_assert(UNTIL(SOON, async_reader_ready(reader) == 0));
    cr_assert_not(thread_ended(&r.thread));
    write_numbers(writer, 4, 5);
    cr_assert(UNTIL(SOON, async_reader_ready(reader) <= 1));
    write_numbers(writer, 9, 1);
    thread_join(&r.thread);
    cr_assert_eq(r.status, ASYNC_OK);
    cr_assert_eq(r.got, 10);
    for (uint64_t i = 0; i < 10; i++) { cr_assert_eq(r.items[i], i); }
    async_writer_release(writer);
    async_reader_release(reader);
}

/* C16: the longest-waiting is served first. */
Test(C, C16_longest_waiting_first)
{
    async_writer *writer;
    async_reader *reader;
    channel_of(&writer, &reader, 0, NULL);
    reading *r = calloc(BLOCKED, sizeof *r);
    cr_assert_not_null(r);
    for (unsigned k = 0; k < BLOCKED; k++) {
        reading_start(&r[k], reader, 2, async_forever());
        cr_assert(thread_asleep(&r[k].thread));
    }
    for (unsigned k = 0; k < BLOCKED; k++) {
        write_numbers(writer, 2 * k, 2);
        bool served = thread_join_within(&r[k].thread, SOON);
        for (unsigned other = k + 1; other < BLOCKED && !served; other++) {
            cr_assert_not(thread_ended(&r[other].thread), "reader %u before %u", other, k);
        }
        cr_assert(served, "reader %u", k);
        cr_assert_eq(r[k].status, ASYNC_OK);
        cr_assert_eq(r[k].items[0], 2 * k);
        cr_assert(k + 1 == BLOCKED || !thread_ended(&r[k + 1].thread));
    }
    free(r);
    async_writer_release(writer);
    async_reader_release(reader);
}

/* C16: and so are writers that wait for room. */
Test(C, C16_longest_waiting_writer_first)
{
    async_writer *writer;
    async_reader *reader;
    uint64_t      item;
    channel_of(&writer, &reader, 1, NULL);
    write_numbers(writer, 0, 1);
    writing *w = calloc(BLOCKED, sizeof *w);
    cr_assert_not_null(w);
    for (unsigned k = 0; k < BLOCKED; k++) {
        writing_start(&w[k], writer, k + 1, 1, async_forever());
        cr_assert(thread_asleep(&w[k].thread));
    }
    for (unsigned k = 0; k < BLOCKED; k++) {
        cr_assert_eq(async_reader_read(reader, &item, 1, NULL, async_forever()), ASYNC_OK);
        cr_assert_eq(item, k);
        thread_join(&w[k].thread);
        cr_assert_eq(w[k].status, ASYNC_OK);
    }
    free(w);
    async_writer_release(writer);
    async_reader_release(reader);
}

typedef struct sleeper {
    async_reader *reader;
    uint64_t      items[1000];
    async_status  status;
    long          sleeps;
    thread        thread;
} sleeper;

static void sleeper_body(void *arg)
{
    sleeper      *s = arg;
    struct rusage before, after;
    getrusage(RUSAGE_THREAD, &before);
    s->status = async_reader_read(s->reader, s->items, 1000, NULL, async_forever());
    getrusage(RUSAGE_THREAD, &after);
    s->sleeps = after.ru_nvcsw - before.ru_nvcsw;
}

/* C16: who waits for 1000 items is not woken for each of them. */
Test(C, C16_not_once_per_item)
{
    async_writer *writer;
    async_reader *reader;
    channel_of(&writer, &reader, 0, NULL);
    sleeper *s = calloc(1, sizeof *s);
    cr_assert_not_null(s);
    s->reader = reader;
    thread_start(&s->thread, sleeper_body, s);
    cr_assert(thread_asleep(&s->thread));
    for (unsigned i = 0; i < 1000; i++) {
        write_numbers(writer, i, 1);
        sleep_us(200);
    }
    thread_join(&s->thread);
    cr_assert_eq(s->status, ASYNC_OK);
    cr_assert_leq(s->sleeps, 50, "slept %ld times", s->sleeps);
    free(s);
    async_writer_release(writer);
    async_reader_release(reader);
}
