/* channel_wrap.c: counters that are about to wrap. With the internal headers, which set them. */
#include "abuse.h"

#include "queue_segment.h"

#include "channel.h"
#include "event.h"
#define slot pool_slot /* the queue has one, too */
#include "pool.h"
#undef slot

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint64_t presets[] = {((uint64_t)1 << 31) - 2, ((uint64_t)1 << 32) - 2,
                                   ((uint64_t)1 << 63) - 2, UINT64_MAX - 1};
#define PRESETS (sizeof presets / sizeof presets[0])

/* ---- F13: indices ---- */

/* A fresh channel whose counters are near the wrap: of items that were put and taken, of segments,
 * of room, of waiters. */
static void preset_channel(struct channel *channel, uint64_t preset)
{
    struct queue_segment *segment = load_relaxed(&channel->queue.head);
    WANT(segment == load_relaxed(&channel->queue.tail));
    store_seq_cst(&channel->reserved, preset);
    store_seq_cst(&channel->taken, preset);
    store_seq_cst(&channel->queue.more_put, preset);
    store_seq_cst(&channel->queue.more_taken, preset);
    segment->number = preset;
    channel->readers.places = channel->writers.places = preset;
}

struct crossing {
    async_writer *writer;
    async_reader *reader;
    size_t        size, batch;
    uint64_t      items;
};

static void cross_writing(void *arg)
{
    struct crossing *c = arg;
    unsigned char    items[16 * 40] = {0};
    for (uint64_t next = 0; next < c->items;) {
        size_t count = 1 + next % c->batch;
        count = count < c->items - next ? count : (size_t)(c->items - next);
        for (size_t i = 0; i < count; i++) {
            uint64_t token = next + i;
            memcpy(items + i * c->size, &token, sizeof token);
        }
        WANT_STATUS(async_writer_write(c->writer, items, count, NULL, async_forever()), ASYNC_OK);
        next += count;
    }
    WANT_STATUS(async_writer_close(c->writer), ASYNC_OK);
}

static void cross(uint64_t preset, size_t size, size_t capacity, size_t batch)
{
    struct crossing       c = {.size = size, .batch = batch, .items = abuse_rounds(10000)};
    async_channel_options options = {.capacity = capacity};
    unsigned char         items[16 * 40];
    uint64_t              next = 0;
    thread                writer;
    async_status          status;
    WANT_STATUS(async_channel_create(&c.writer, &c.reader, size, &options), ASYNC_OK);
    struct channel *channel = channel_of_reader(c.reader);
    preset_channel(channel, preset);
    WANT_EQ(async_reader_ready(c.reader), 0);
    thread_start(&writer, cross_writing, &c);
    do {
        size_t count = 1 + next * 7 % batch, got = 0;
        status = async_reader_read(c.reader, items, count, &got, async_forever());
        WANT((status == ASYNC_OK) == (got == count));
        for (size_t i = 0; i < got; i++, next++) {
            uint64_t token;
            memcpy(&token, items + i * size, sizeof token);
            WANT_EQ(token, next);
        }
        WANT(async_reader_ready(c.reader) <= 4 * c.items); /* off by what is under way, at most */
    } while (status == ASYNC_OK);
    WANT_STATUS(status, ASYNC_END);
    WANT_EQ(next, c.items);
    WANT_EQ(async_reader_ready(c.reader), 0);
    pthread_join(writer.id, NULL);
    if (capacity != 0) { WANT_EQ(load_relaxed(&channel->taken), preset + c.items); }
    async_writer_release(c.writer);
    async_reader_release(c.reader);
}

/* Tickets that were asked for in vain, as by writers that go on without memory for a next segment,
 * leave no mark on how many of them the close finds in use. */
static void tickets_in_vain(void)
{
    static const uint64_t vain[] = {0,
                                    1,
                                    SEGMENT_SLOTS,
                                    ((uint64_t)1 << 31) - 2,
                                    (uint64_t)1 << 31,
                                    ((uint64_t)1 << 31) + 5,
                                    ((uint64_t)1 << 32) - 2,
                                    ((uint64_t)1 << 32) + 5,
                                    ((uint64_t)1 << 40) + ((uint64_t)1 << 31)};
    for (size_t k = 0; k < sizeof vain / sizeof vain[0]; k++) {
        async_writer *writer;
        async_reader *reader;
        uint64_t      items[SEGMENT_SLOTS + 1], item = 0;
        size_t        got;
        channel_of(&writer, &reader, 0, NULL);
        write_numbers(writer, 0, 1); /* so many items to a slot as it likes */
        struct queue_segment *segment = load_relaxed(&channel_of_reader(reader)->queue.tail);
        for (item = 1; load_relaxed(&segment->tickets) < SEGMENT_SLOTS; item++) {
            WANT_STATUS(async_writer_write(writer, &item, 1, NULL, async_now()), ASYNC_OK);
        }
        WANT(segment == load_relaxed(&channel_of_reader(reader)->queue.tail));
        add_seq_cst(&segment->tickets, vain[k]);
        WANT_EQ(async_reader_ready(reader), item);
        WANT_STATUS(async_writer_close(writer), ASYNC_OK);
        WANT_STATUS(async_writer_write(writer, &item, 1, NULL, async_now()), ASYNC_CLOSED);
        WANT_EQ(async_reader_ready(reader), item);
        WANT_STATUS(async_reader_read(reader, items, SEGMENT_SLOTS + 1, &got, async_now()),
                    ASYNC_END);
        WANT_EQ(got, item);
        for (uint64_t i = 0; i < got; i++) { WANT_EQ(items[i], i); }
        async_writer_release(writer);
        async_reader_release(reader);
    }
}

static void indices(void)
{
    for (size_t i = 0; i < PRESETS; i++) {
        cross(presets[i], 8, 0, 1);
        cross(presets[i], 8, 3, 1);
        cross(presets[i], 24, 5, 3);
        cross(presets[i], 40, 0, 16);
        cross(presets[i], 40, 100, 16);
    }
    tickets_in_vain();
}

/* ---- F14: futex words ---- */

struct ping {
    struct event event;
    shared_u32   balls; /* sent */
    uint32_t     rounds;
};

static void ping_waiter(void *arg)
{
    struct ping *p = arg;
    for (uint32_t taken = 0; taken < p->rounds; taken++) {
        while (load_seq_cst(&p->balls) == taken) {
            uint32_t key = event_prepare(&p->event);
            if (load_seq_cst(&p->balls) != taken) {
                event_cancel(&p->event);
            } else {
                event_wait(&p->event, key, OS_NEVER);
            }
        }
    }
}

/* The waiter sleeps before each change, so that the word moves with each of them. */
static void event_across_the_wrap(void)
{
    struct ping p = {.rounds = 40};
    thread      waiter;
    store_seq_cst(&p.event.epoch, UINT32_MAX - 19);
    thread_start(&waiter, ping_waiter, &p);
    for (uint32_t i = 0; i < p.rounds; i++) {
        WANT(UNTIL(SOON, load_seq_cst(&p.event.waiters) == 1));
        WANT(thread_asleep(&waiter));
        add_seq_cst(&p.balls, 1);
        WANT(event_notify(&p.event, 1));
        WANT(UNTIL(SOON, i + 1 == p.rounds || load_seq_cst(&p.event.waiters) == 1));
    }
    thread_join(&waiter);
    WANT_EQ(load_seq_cst(&p.event.epoch), UINT32_MAX - 19 + p.rounds);
}

/* The workers' word, and those that tell readers of a pool's troubles. */
static void pool_across_the_wrap(void)
{
    async_pool   *pool = pool_of(2);
    async_reader *reader = TASK(pool, .source = range_of(0, 200), .each = each_add_one,
                                .max_chunksize = 1);
    uint64_t      items[4], next = 1;
    WANT(UNTIL(SOON, load_seq_cst(&pool->idle.waiters) == 2));
    store_seq_cst(&pool->idle.epoch, UINT32_MAX - 10);
    event_notify(&pool->idle, UINT32_MAX); /* those with an older key come again */
    store_seq_cst(&pool->starved, UINT32_MAX);
    store_seq_cst(&channel_of_reader(reader)->alarms, UINT32_MAX - 10);
    for (unsigned i = 0; i < 50; i++) {
        WANT(UNTIL(SOON, load_seq_cst(&pool->idle.waiters) == 2));
        WANT_STATUS(async_reader_read(reader, items, 4, NULL, async_within_ms(SOON)), ASYNC_OK);
        for (unsigned k = 0; k < 4; k++) { next += items[k]; }
        channel_poke(channel_of_reader(reader));
    }
    WANT_EQ(next, 1 + 200 * 201 / 2);
    WANT(load_seq_cst(&pool->idle.epoch) < UINT32_MAX - 10);
    WANT_EQ(load_seq_cst(&channel_of_reader(reader)->alarms), 39);
    async_reader_release(reader);
    pool_end(pool);
}

/* A sleeping reader is poked across the wrap: it looks up and sleeps again. */
static void alarm_across_the_wrap(void)
{
    async_writer  *writer;
    async_reader  *reader;
    static reading r;
    channel_of(&writer, &reader, 0, NULL);
    struct channel *channel = channel_of_reader(reader);
    store_seq_cst(&channel->alarms, UINT32_MAX - 2);
    memset(&r, 0, sizeof r);
    reading_start(&r, reader, 2, async_forever());
    for (unsigned i = 0; i < 6; i++) {
        WANT(thread_asleep(&r.thread));
        channel_poke(channel);
    }
    WANT(thread_asleep(&r.thread));
    WANT_EQ(load_seq_cst(&channel->alarms), 3);
    write_numbers(writer, 5, 2);
    thread_join(&r.thread);
    WANT_STATUS(r.status, ASYNC_OK);
    WANT(r.got == 2 && r.items[0] == 5 && r.items[1] == 6);
    async_writer_release(writer);
    async_reader_release(reader);
}

static void futex_words(void)
{
    event_across_the_wrap();
    pool_across_the_wrap();
    alarm_across_the_wrap();
}

static const watched rows[] = {
    {"F13_indices_across_the_wrap", indices, ABUSE_SECONDS, 0, NULL},
    {"F14_futex_words_across_the_wrap", futex_words, ABUSE_SECONDS, 0, NULL},
};

int main(int argc, char **argv) { return WATCHED_MAIN(argc, argv, rows); }
