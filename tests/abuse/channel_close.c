/* channel_close.c: channels that end while others are at them. */
#include "abuse.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64 /* channels that the threads walk through, each at its own pace */

/* Tokens: the writer, and a number that counts up from 0 on each channel. */
#define TOKEN(writer, number) ((uint64_t)(writer) << 32 | (number))
#define WRITER(token)         ((unsigned)((token) >> 32))
#define NUMBER(token)         ((uint32_t)(token))

/* Item sizes: in a slot, of several slots, and in a block. The token stands in front. */
static const size_t sizes[] = {8, 24, 40};
#define SIZE_MOST 40

static void make_channel(async_writer **writer, async_reader **reader, size_t size, size_t capacity,
                         probe *p)
{
    async_channel_options options = {.capacity = capacity};
    if (p != NULL) {
        options.discard = probe_discard;
        options.release = probe_release;
        options.context = p;
    }
    WANT_STATUS(async_channel_create(writer, reader, size, &options), ASYNC_OK);
}

/* ---- F1, F2: those who sleep on a channel ---- */

#define SLEEPERS 16

/* In what way the channel ends. */
enum ending { CLOSE, RELEASE, REMOVE, ENDINGS };

static void close_while_readers_are_parked(void)
{
    uint64_t longest = 0;
    for (uint64_t round = abuse_rounds(40); round-- > 0;) {
        static reading readings[SLEEPERS];
        enum ending    how = (enum ending)(round % ENDINGS);
        unsigned       count = 1 + (unsigned)(round * 7 % SLEEPERS);
        async_writer  *writer = NULL;
        async_reader  *reader;
        async_pool    *pool = NULL;
        numbers        never = {.end = 1};
        gate           shut = {0};
        probe          held = {.hold = &shut};
        memset(readings, 0, sizeof readings);
        if (how == REMOVE) { /* a task's output, whose one chunk stands still */
            pool = pool_of(1);
            reader = TASK(pool, .source = from_numbers(&never), .batch = batch_copy,
                          .context = &held);
        } else {
            channel_of(&writer, &reader, round % 2 == 0 ? 0 : 100, NULL);
        }
        for (unsigned i = 0; i < count; i++) {
            reading_start(&readings[i], reader, 1 + i % 5, async_forever());
        }
        for (unsigned i = 0; i < count; i++) { WANT(thread_asleep(&readings[i].thread)); }
        if (how == REMOVE) {
            gate_arrived(&shut, 1);
            WANT_STATUS(async_pool_remove_task(pool, async_reader_task(reader)), ASYNC_OK);
            for (unsigned i = 0; i < count; i++) { /* P6: its running chunk comes first */
                WANT(!thread_ended(&readings[i].thread));
            }
        }
        uint64_t began = now_ns();
        if (how == CLOSE) {
            WANT_STATUS(async_writer_close(writer), ASYNC_OK);
        } else if (how == RELEASE) {
            async_writer_release(writer);
        } else {
            gate_open(&shut);
        }
        size_t got = 0;
        for (unsigned i = 0; i < count; i++) {
            thread_join(&readings[i].thread);
            uint64_t took = readings[i].ended > began ? readings[i].ended - began : 0;
            longest = took > longest ? took : longest;
            WANT(readings[i].status == ASYNC_END || (how == REMOVE && readings[i].got == 1));
            got += readings[i].got;
        }
        WANT_EQ(got, how == REMOVE ? 1 : 0);
        if (how == CLOSE) { async_writer_release(writer); }
        async_reader_release(reader);
        if (pool != NULL) { pool_end(pool); }
    }
    printf("       the last reader came back after %.2f ms at most\n", (double)longest / 1e6);
    WANT(longest < UINT64_C(1000000000));
}

static void close_while_writers_are_parked(void)
{
    enum { CAPACITY = 5 };
    for (uint64_t round = abuse_rounds(40); round-- > 0;) {
        static writing writings[SLEEPERS];
        unsigned       count = 1 + (unsigned)(round * 7 % SLEEPERS);
        uint64_t       items[CAPACITY + 1];
        size_t         got;
        async_writer  *writer;
        async_reader  *reader;
        probe          p = {0};
        bool           leave = round % 2 == 0; /* the reader's side ends it */
        memset(writings, 0, sizeof writings);
        channel_of(&writer, &reader, CAPACITY, &p);
        write_numbers(writer, 0, CAPACITY - 2); /* the first of them gets in two of its items */
        for (unsigned i = 0; i < count; i++) {
            writing_start(&writings[i], writer, 100 * (i + 1), 3 + i % 4, async_forever());
        }
        for (unsigned i = 0; i < count; i++) { WANT(thread_asleep(&writings[i].thread)); }
        if (leave) {
            async_reader_release(reader);
        } else {
            WANT_STATUS(async_writer_close(writer), ASYNC_OK);
        }
        size_t written = CAPACITY - 2;
        for (unsigned i = 0; i < count; i++) {
            thread_join(&writings[i].thread);
            WANT_STATUS(writings[i].status, ASYNC_CLOSED);
            WANT(writings[i].written < writings[i].count);
            written += writings[i].written;
        }
        WANT_EQ(written, CAPACITY);
        if (!leave) {
            WANT_STATUS(async_reader_read(reader, items, CAPACITY + 1, &got, async_forever()),
                        ASYNC_END);
            WANT_EQ(got, CAPACITY);
            for (unsigned i = 0; i < CAPACITY; i++) { /* accepted: the first items of each writer */
                WANT(i < CAPACITY - 2 ? items[i] == i : items[i] % 100 < 2);
            }
            async_reader_release(reader);
        }
        WANT_EQ(atomic_load(&p.discarded), leave ? CAPACITY : 0);
        async_writer_release(writer);
        WANT_EQ(atomic_load(&p.released), 1);
    }
}

/* ---- F3, F5, F7, F8: walks ---- */

#define WALKERS 2 /* of each kind, at most */

struct walk {
    async_writer *writer[BATCH];
    async_reader *reader[BATCH];
    probe         probe[BATCH];
    size_t        size[BATCH];
    atomic_uint   accepted[BATCH][WALKERS]; /* items of each writer */
    atomic_uint   read[BATCH];
    atomic_uint   begun[BATCH]; /* somebody has written to it */
    atomic_uint   ends[BATCH];  /* reads that gave END */
    uint64_t      seed;
    meeting       at_close;
};

static struct walk walk;

static void walk_make(uint64_t seed, unsigned round, bool counted)
{
    memset(&walk, 0, sizeof walk);
    walk.seed = seed + round;
    for (unsigned i = 0; i < BATCH; i++) {
        walk.size[i] = sizes[(i + round) % 3];
        make_channel(&walk.writer[i], &walk.reader[i], walk.size[i], i % 4 == 3 ? 1 + i % 7 : 0,
                     counted ? &walk.probe[i] : NULL);
    }
}

/* Writes to channel i until it is closed. */
static void write_until_closed(unsigned i, async_writer *writer, unsigned index, dice *d)
{
    unsigned char items[8 * SIZE_MOST];
    unsigned      number = 0, enough = 20 + roll(d, 300); /* a slow end must not cost memory */
    async_status  status;
    do {
        size_t count = 1 + roll(d, 8), written = 0;
        while (number >= enough && !async_writer_closed(writer)) { sched_yield(); }
        memset(items, 0x5a, sizeof items);
        for (size_t k = 0; k < count; k++) {
            uint64_t token = TOKEN(index, number + k);
            memcpy(items + k * walk.size[i], &token, sizeof token);
        }
        status = async_writer_write(writer, items, count, &written, async_forever());
        WANT(status == ASYNC_OK || status == ASYNC_CLOSED);
        WANT((status == ASYNC_OK) == (written == count));
        number += (unsigned)written;
        atomic_store(&walk.begun[i], 1);
    } while (status == ASYNC_OK);
    WANT(async_writer_closed(writer));
    atomic_store(&walk.accepted[i][index], number);
}

static void close_one(unsigned i, dice *d)
{
    if (roll(d, 4) != 0) {
        while (atomic_load(&walk.begun[i]) == 0) { sched_yield(); }
    }
    linger(roll(d, 3000));
    WANT_STATUS(async_writer_close(walk.writer[i]), ASYNC_OK);
}

/* Reads channel i to its end, and looks at every item. */
static unsigned read_until_end(unsigned i, dice *d)
{
    unsigned char items[8 * SIZE_MOST];
    uint32_t      next[WALKERS] = {0};
    unsigned      sum = 0;
    async_status  status;
    do {
        size_t count = 1 + roll(d, 8), got = 0;
        status = async_reader_read(walk.reader[i], items, count, &got, async_forever());
        WANT(status == ASYNC_OK || status == ASYNC_END);
        for (size_t k = 0; k < got; k++) {
            uint64_t token;
            memcpy(&token, items + k * walk.size[i], sizeof token);
            WANT(WRITER(token) < WALKERS);
            WANT_EQ(NUMBER(token), next[WRITER(token)]);
            next[WRITER(token)]++;
        }
        sum += (unsigned)got;
    } while (status == ASYNC_OK);
    return sum;
}

/* Threads 0 and 1 write, 2 closes, 3 reads. */
static void race_close(void *arg, unsigned index)
{
    (void)arg;
    dice d = {walk.seed * 31 + index};
    for (unsigned i = 0; i < BATCH; i++) {
        if (index < WALKERS) {
            write_until_closed(i, walk.writer[i], index, &d);
        } else if (index == WALKERS) {
            close_one(i, &d);
        } else {
            atomic_store(&walk.read[i], read_until_end(i, &d));
        }
    }
}

#ifdef ABUSE_SANITIZED
#define RACES 8000
#else
#define RACES 1000000
#endif

static void a_write_races_close(void)
{
    uint64_t items = 0;
    for (uint64_t round = 0, rounds = abuse_rounds(RACES); round < rounds; round += BATCH) {
        squad s;
        walk_make(abuse_seed(), (unsigned)round, true);
        squad_start(&s, WALKERS + 2, race_close, NULL);
        squad_join(&s);
        for (unsigned i = 0; i < BATCH; i++) {
            WANT_EQ(walk.read[i], walk.accepted[i][0] + walk.accepted[i][1]);
            items += walk.read[i];
            async_writer_release(walk.writer[i]);
            async_reader_release(walk.reader[i]);
            WANT_EQ(walk.probe[i].discarded, 0);
            WANT_EQ(walk.probe[i].released, 1);
        }
    }
    printf("       %llu items\n", (unsigned long long)items);
}

/* Threads 0 and 1 close each channel at the same time, twice; 2 and 3 sleep on it, or come late. */
static void close_at_once(void *arg, unsigned index)
{
    (void)arg;
    dice d = {walk.seed * 31 + index};
    for (unsigned i = 0; i < BATCH; i++) {
        if (index < 2) {
            meet(&walk.at_close, 2);
            linger(roll(&d, 300));
            WANT_STATUS(async_writer_close(walk.writer[i]), ASYNC_OK);
            WANT(async_writer_closed(walk.writer[i]));
            WANT_STATUS(async_writer_close(walk.writer[i]), ASYNC_OK);
        } else {
            unsigned char item[SIZE_MOST];
            size_t        got = 1;
            WANT_STATUS(async_reader_read(walk.reader[i], item, 1, &got, async_forever()),
                        ASYNC_END);
            WANT_EQ(got, 0);
            atomic_fetch_add(&walk.ends[i], 1);
        }
    }
}

static void two_close_at_once(void)
{
    for (uint64_t round = 0, rounds = abuse_rounds(8000); round < rounds; round += BATCH) {
        squad s;
        walk_make(abuse_seed(), (unsigned)round, true);
        squad_start(&s, 4, close_at_once, NULL);
        squad_join(&s);
        for (unsigned i = 0; i < BATCH; i++) {
            WANT_EQ(walk.ends[i], 2);
            async_writer_release(walk.writer[i]);
            async_reader_release(walk.reader[i]);
            WANT_EQ(walk.probe[i].released, 1);
        }
    }
}

/* Threads 0 and 1 write, each through a handle of its own, 2 reads through one of its own; 3 holds
 * the ones that the channel was made with, and drops them while the others are inside. */
static void drop_handles(void *arg, unsigned index)
{
    async_writer *const(*own)[BATCH] = arg; /* the writers' */
    dice d = {walk.seed * 31 + index};
    for (unsigned i = 0; i < BATCH; i++) {
        if (index < WALKERS) {
            write_until_closed(i, own[index][i], index, &d);
            async_writer_release(own[index][i]);
        } else if (index == WALKERS) {
            size_t        count = roll(&d, 20), got = 0;
            unsigned char items[20 * SIZE_MOST];
            async_status  status = async_reader_read(walk.reader[i], items, count, &got,
                                                     async_forever());
            WANT_STATUS(status, ASYNC_OK);
            atomic_store(&walk.read[i], (unsigned)got);
            async_reader_release(walk.reader[i]); /* the last one: the writers learn it */
        } else {
            linger(roll(&d, 3000));
            async_writer_release(walk.writer[i]);
        }
    }
}

static void walk_dropping(uint64_t usual)
{
    static async_writer *own[WALKERS][BATCH];
    uint64_t             items = 0, lost = 0;
    for (uint64_t round = 0, rounds = abuse_rounds(usual); round < rounds; round += BATCH) {
        squad s;
        walk_make(abuse_seed(), (unsigned)round, true);
        for (unsigned i = 0; i < BATCH; i++) {
            own[0][i] = async_writer_retain(walk.writer[i]);
            own[1][i] = async_writer_retain(walk.writer[i]);
        }
        squad_start(&s, WALKERS + 2, drop_handles, own);
        squad_join(&s);
        for (unsigned i = 0; i < BATCH; i++) {
            WANT_EQ(walk.read[i] + walk.probe[i].discarded,
                    walk.accepted[i][0] + walk.accepted[i][1]);
            WANT_EQ(walk.probe[i].released, 1);
            items += walk.read[i];
            lost += walk.probe[i].discarded;
        }
    }
    printf("       %llu items read, %llu discarded\n", (unsigned long long)items,
           (unsigned long long)lost);
    WANT(items > 0 && lost > 0);
}

/* A thread that is blocked in a call is the channel's last user. */
static void block_in_own_handle(void *arg)
{
    struct walk *w = arg;
    uint64_t     items[2] = {1, 2};
    size_t       count = 0;
    if (w->reader[0] != NULL) {
        WANT_STATUS(async_reader_read(w->reader[0], items, 1, &count, async_forever()), ASYNC_END);
    } else {
        WANT_STATUS(async_writer_write(w->writer[0], items, 2, &count, async_forever()),
                    ASYNC_CLOSED);
        WANT_EQ(count, 1);
    }
    WANT_EQ(atomic_load(&w->probe[0].released), 0);
    async_reader_release(w->reader[0]);
    async_writer_release(w->writer[0]);
}

static void the_last_handle_is_dropped_beside_a_blocked_call(void)
{
    for (unsigned k = 0; k < 20; k++) {
        async_writer *writer;
        async_reader *reader;
        thread        blocked;
        bool          reads = k % 2 == 0;
        memset(&walk, 0, sizeof walk);
        channel_of(&writer, &reader, 1, &walk.probe[0]);
        walk.reader[0] = reads ? async_reader_retain(reader) : NULL;
        walk.writer[0] = reads ? NULL : async_writer_retain(writer);
        thread_start(&blocked, block_in_own_handle, &walk);
        WANT(thread_asleep(&blocked));
        if (reads) {
            async_reader_release(reader);
            async_writer_release(writer);
        } else {
            async_writer_release(writer);
            async_reader_release(reader);
        }
        thread_join(&blocked);
        WANT_EQ(atomic_load(&walk.probe[0].discarded), reads ? 0 : 1);
        WANT_EQ(atomic_load(&walk.probe[0].released), 1);
    }
    walk_dropping(15000);
}

static void the_last_reader_leaves(void) { walk_dropping(16000); }

static const watched rows[] = {
    {"F1_close_while_readers_are_parked", close_while_readers_are_parked, ABUSE_SECONDS, 0, NULL},
    {"F2_close_while_writers_are_parked", close_while_writers_are_parked, ABUSE_SECONDS, 0, NULL},
    {"F3_a_write_races_close", a_write_races_close, 3 * ABUSE_SECONDS, 0, NULL},
    {"F5_two_close_at_once", two_close_at_once, ABUSE_SECONDS, 0, NULL},
    {"F7_the_last_handle_is_dropped_beside_a_blocked_call",
     the_last_handle_is_dropped_beside_a_blocked_call, ABUSE_SECONDS, 0, NULL},
    {"F8_the_last_reader_leaves", the_last_reader_leaves, ABUSE_SECONDS, 0, NULL},
};

int main(int argc, char **argv) { return WATCHED_MAIN(argc, argv, rows); }
