/* channel_load.c: full, crowded and hurried channels. */
#include "abuse.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN(writer, number) ((uint64_t)(writer) << 32 | (number))
#define WRITER(token)         ((unsigned)((token) >> 32))
#define NUMBER(token)         ((uint32_t)(token))

/* ---- F10, F11: small and crowded ---- */

#define CROWD 8 /* writers, and as many readers */

struct crowd {
    async_writer *writer;
    async_reader *reader;
    unsigned      items; /* of each writer */
    unsigned      batch; /* items of one call, at most */
    bool          hurry; /* some calls don't wait, or not for long */
    uint64_t      seed;
    ledger        read; /* writer * items + number */
};

static async_wait some_wait(const struct crowd *c, dice *d)
{
    switch (c->hurry ? roll(d, 6) : 0) {
    case 1:
        return async_now();
    case 2:
        return async_within_ms(1);
    case 3:
        return async_per_item_ms(1);
    default:
        return async_forever();
    }
}

static void crowd_body(void *arg, unsigned index)
{
    struct crowd *c = arg;
    dice          d = {c->seed * 67 + index};
    uint64_t      items[8];
    if (index < CROWD) {
        for (unsigned number = 0; number < c->items;) {
            size_t count = 1 + roll(&d, c->batch), written = 0;
            count = count < c->items - number ? count : c->items - number;
            for (size_t i = 0; i < count; i++) { items[i] = TOKEN(index, number + i); }
            async_status status = async_writer_write(c->writer, items, count, &written,
                                                     some_wait(c, &d));
            WANT(status == ASYNC_OK || (c->hurry && status == ASYNC_TIMEOUT));
            WANT((status == ASYNC_OK) == (written == count) && written <= count);
            number += (unsigned)written;
        }
        async_writer_release(c->writer);
        return;
    }
    int64_t last[CROWD]; /* one writer's items come to one reader in their order */
    for (unsigned i = 0; i < CROWD; i++) { last[i] = -1; }
    async_status status;
    do {
        size_t count = 1 + roll(&d, c->batch), got = 0;
        status = async_reader_read(c->reader, items, count, &got, some_wait(c, &d));
        WANT(status == ASYNC_OK || status == ASYNC_END || (c->hurry && status == ASYNC_TIMEOUT));
        WANT((status == ASYNC_OK) == (got == count) && got <= count);
        for (size_t i = 0; i < got; i++) {
            unsigned writer = WRITER(items[i]);
            WANT(writer < CROWD && NUMBER(items[i]) < c->items);
            WANT((int64_t)NUMBER(items[i]) > last[writer]);
            last[writer] = NUMBER(items[i]);
            items[i] = writer * (uint64_t)c->items + NUMBER(items[i]);
        }
        ledger_add(&c->read, items, got);
    } while (status != ASYNC_END);
    async_reader_release(c->reader);
}

static void crowd_run(size_t capacity, unsigned items, unsigned batch, bool hurry)
{
    struct crowd c = {.items = items, .batch = batch, .hurry = hurry, .seed = abuse_seed()};
    squad        s;
    ledger_make(&c.read, (size_t)items * CROWD);
    channel_of(&c.writer, &c.reader, capacity, NULL);
    for (unsigned i = 1; i < CROWD; i++) {
        async_writer_retain(c.writer);
        async_reader_retain(c.reader);
    }
    squad_start(&s, 2 * CROWD, crowd_body, &c);
    squad_join(&s);
    WANT_EQ(ledger_count(&c.read, 0, c.read.size, 1), c.read.size);
    WANT_EQ(c.read.strange, 0);
    ledger_free(&c.read);
}

static void capacity_of_one(void)
{
    unsigned items = (unsigned)abuse_rounds(2000);
    crowd_run(1, items, 1, false);
    crowd_run(1, items, 5, false);
    crowd_run(1, items, 5, true);
}

static void more_threads_than_capacity(void)
{
    unsigned items = (unsigned)abuse_rounds(1500);
    crowd_run(2, items, 1, false);
    crowd_run(2, items, 7, false);
    crowd_run(2, items, 7, true);
}

/* ---- F18: a deadline and a delivery at the same moment ---- */

struct race {
    async_writer *writer;
    async_reader *reader;
    uint64_t      rounds, seed;
    uint64_t      base; /* this round's moment */
    meeting       begin;
    uint64_t      sent[4]; /* of this round, accepted */
    size_t        sent_count;
    uint64_t      got[4];
    size_t        got_count;
    async_status  status;
    uint64_t      late, timely;
    unsigned      within; /* ns that thread 1 acts in; moves so that both happen, at any load */
};

static void count_round(struct race *r, bool timely)
{
    if (timely) {
        r->timely++;
        if (r->within < 50000000) { r->within += r->within / 16; }
    } else {
        r->late++;
        if (r->within > 20000) { r->within -= r->within / 16; }
    }
}

/* Leaves the CPU to thread 0. */
static void await(uint64_t at)
{
    while (now_ns() < at) { sched_yield(); }
}

/* Thread 0 waits until about the time at which thread 1 acts; then both compare. */
static void race_delivery(void *arg, unsigned index)
{
    struct race *r = arg;
    dice         d = {r->seed + index};
    uint64_t     next = 0, expected = 0;
    for (uint64_t round = 0; round < r->rounds; round++) {
        dice   both = {r->seed ^ round};
        size_t count = 1 + roll(&both, 3);
        if (index == 0) { r->base = now_ns() + 100000; }
        meet(&r->begin, 2);
        uint64_t at = r->base + roll(&d, index == 0 ? 60000 : r->within);
        if (index == 0) {
            r->status = async_reader_read(r->reader, r->got, count, &r->got_count,
                                          async_until_ns(at));
        } else {
            await(at);
            for (size_t i = 0; i < count; i++) { r->sent[i] = next + i; }
            WANT_STATUS(async_writer_write(r->writer, r->sent, count, &r->sent_count, async_now()),
                        ASYNC_OK);
            next += count;
        }
        meet(&r->begin, 2);
        if (index != 0) { continue; }
        WANT(r->status == ASYNC_OK || r->status == ASYNC_TIMEOUT);
        WANT((r->status == ASYNC_OK) == (r->got_count == count));
        count_round(r, r->status == ASYNC_OK);
        for (size_t i = 0; i < r->got_count; i++) {
            WANT_EQ(r->got[i], expected);
            expected++;
        }
        size_t rest = count - r->got_count; /* kept: all the others */
        size_t more = 0;
        WANT_STATUS(async_reader_read(r->reader, r->got, 4, &more, async_now()), ASYNC_TIMEOUT);
        WANT_EQ(more, rest);
        if (rest > 0) {
            for (size_t i = 0; i < rest; i++) {
                WANT_EQ(r->got[i], expected);
                expected++;
            }
        }
    }
}

/* The same for room: thread 0 writes to a full channel, thread 1 makes room. */
static void race_room(void *arg, unsigned index)
{
    struct race *r = arg;
    dice         d = {r->seed + index};
    uint64_t     next = 2, expected = 0, item; /* the channel holds 0 and 1 */
    for (uint64_t round = 0; round < r->rounds; round++) {
        if (index == 0) { r->base = now_ns() + 100000; }
        meet(&r->begin, 2);
        uint64_t at = r->base + roll(&d, index == 0 ? 60000 : r->within);
        if (index == 0) {
            r->status = async_writer_write(r->writer, &next, 1, &r->sent_count, async_until_ns(at));
            WANT((r->status == ASYNC_OK) == (r->sent_count == 1));
            WANT(r->status == ASYNC_OK || r->status == ASYNC_TIMEOUT);
            next += r->sent_count;
        } else {
            await(at);
            WANT_STATUS(async_reader_read(r->reader, &item, 1, NULL, async_now()), ASYNC_OK);
            WANT_EQ(item, expected);
            expected++;
        }
        meet(&r->begin, 2);
        if (index == 0) {
            WANT_EQ(async_reader_ready(r->reader), 1 + r->sent_count);
            count_round(r, r->sent_count != 0);
            if (r->sent_count == 0) {
                WANT_STATUS(async_writer_write(r->writer, &next, 1, NULL, async_now()), ASYNC_OK);
                next++;
            }
        }
    }
}

static void a_deadline_races_delivery(void)
{
    void (*const bodies[])(void *, unsigned) = {race_delivery, race_room};
    for (unsigned i = 0; i < 2; i++) {
        struct race r = {.rounds = abuse_rounds(3000), .seed = abuse_seed(), .within = 200000};
        squad       s;
        channel_of(&r.writer, &r.reader, 2 * i, NULL);
        if (i == 1) { write_numbers(r.writer, 0, 2); }
        squad_start(&s, 2, bodies[i], &r);
        squad_join(&s);
        async_writer_release(r.writer);
        async_reader_release(r.reader);
        printf("       %s: %llu in time, %llu late\n", i == 0 ? "items" : "room",
               (unsigned long long)r.timely, (unsigned long long)r.late);
        WANT(r.timely > 0 && r.late > 0);
    }
}

/* ---- F19, F21: fewer than asked for ---- */

static void slow_reader(void *arg)
{
    async_reader *reader = arg;
    uint64_t      item;
    for (uint64_t i = 0; i < 30; i++) {
        sleep_ms(1);
        WANT_STATUS(async_reader_read(reader, &item, 1, NULL, async_forever()), ASYNC_OK);
        WANT_EQ(item, i);
    }
}

static void parts_of_a_batch(void)
{
    uint64_t      items[64], back[64];
    size_t        count;
    async_writer *writer;
    async_reader *reader;
    thread        helper;
    for (size_t i = 0; i < 64; i++) { items[i] = i; }
    channel_of(&writer, &reader, 0, NULL);
    write_numbers(writer, 0, 3);
    WANT_STATUS(async_reader_read(reader, back, 64, &count, async_now()), ASYNC_TIMEOUT);
    WANT_EQ(count, 3);
    WANT(back[0] == 0 && back[1] == 1 && back[2] == 2);
    async_writer_release(writer);
    async_reader_release(reader);

    channel_of(&writer, &reader, 10, NULL);
    WANT_STATUS(async_writer_write(writer, items, 64, &count, async_within_ms(20)), ASYNC_TIMEOUT);
    WANT_EQ(count, 10);
    /* 30 go out while the rest is being written; 30 + 10 are in, whatever the clock says */
    thread_start(&helper, slow_reader, reader);
    size_t more = 0;
    while (count < 40) {
        async_status status = async_writer_write(writer, items + count, 64 - count, &more,
                                                 async_within_ms(5));
        WANT_STATUS(status, ASYNC_TIMEOUT);
        count += more;
    }
    thread_join(&helper);
    WANT_EQ(count, 40);
    WANT_STATUS(async_reader_read(reader, back, 64, &count, async_now()), ASYNC_TIMEOUT);
    WANT_EQ(count, 10);
    for (size_t i = 0; i < 10; i++) { WANT_EQ(back[i], 30 + i); }
    async_writer_release(writer);
    async_reader_release(reader);
}

static void full_and_not_waiting(void)
{
    uint64_t      items[64];
    size_t        count;
    async_writer *writer;
    async_reader *reader;
    for (size_t i = 0; i < 64; i++) { items[i] = i; }
    for (size_t capacity = 1; capacity < 64; capacity++) {
        channel_of(&writer, &reader, capacity, NULL);
        WANT_STATUS(async_writer_write(writer, items, 64, &count, async_now()), ASYNC_TIMEOUT);
        WANT_EQ(count, capacity);
        for (unsigned i = 0; i < 10; i++) {
            WANT_STATUS(async_writer_write(writer, items, 1 + i, &count, async_now()),
                        ASYNC_TIMEOUT);
            WANT_EQ(count, 0);
        }
        uint64_t back[64];
        WANT_STATUS(async_reader_read(reader, back, capacity, NULL, async_now()), ASYNC_OK);
        WANT(memcmp(back, items, capacity * sizeof *items) == 0);
        WANT_STATUS(async_writer_write(writer, items, capacity, &count, async_now()), ASYNC_OK);
        async_writer_release(writer);
        async_reader_release(reader);
    }
}

static const watched rows[] = {
    {"F10_capacity_of_one", capacity_of_one, ABUSE_SECONDS, 0, NULL},
    {"F11_more_threads_than_capacity", more_threads_than_capacity, ABUSE_SECONDS, 0, NULL},
    {"F18_a_deadline_races_delivery", a_deadline_races_delivery, ABUSE_SECONDS, 0, NULL},
    {"F19_parts_of_a_batch", parts_of_a_batch, ABUSE_SECONDS, 0, NULL},
    {"F21_full_and_not_waiting", full_and_not_waiting, ABUSE_SECONDS, 0, NULL},
};

int main(int argc, char **argv) { return WATCHED_MAIN(argc, argv, rows); }
