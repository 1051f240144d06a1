/* work_discard.c: handles that come and go while work runs, and what becomes of the items. */
#include "abuse.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- F69 ---- */

#define SHARED_READERS 6
#define THREADS        4

/* Readers that all threads share, each behind a mutex of its own; a thread that works with one has
 * retained it. */
struct shared {
    async_pool     *pool;
    pthread_mutex_t mutex[SHARED_READERS];
    async_reader   *reader[SHARED_READERS];
    atomic_uint     made, gone; /* contexts */
    uint64_t        seed;
    unsigned        steps;
};

struct context {
    struct shared *of;
    atomic_uint    alive; /* 1; whoever finds 0 uses what was freed */
};

static int count_up(const void *in, void *out, void *context)
{
    struct context *c = context;
    WANT_EQ(atomic_load(&c->alive), 1);
    *(uint64_t *)out = *(const uint64_t *)in;
    return 0;
}

static void drop_items(void *items, size_t count, void *context)
{
    struct context *c = context;
    (void)items;
    (void)count;
    WANT_EQ(atomic_load(&c->alive), 1);
}

static void drop_context(void *context)
{
    struct context *c = context;
    WANT_EQ(atomic_exchange(&c->alive, 0), 1);
    atomic_fetch_add(&c->of->gone, 1);
    free(c);
}

static async_reader *new_task(struct shared *s, async_reader *input, dice *d)
{
    struct context *c = malloc(sizeof *c);
    async_source    source = async_source_range(0, 200 + roll(d, 2000));
    WANT(c != NULL);
    c->of = s;
    atomic_init(&c->alive, 1);
    async_task_options options = {.each = count_up,
                                  .context = c,
                                  .release = drop_context,
                                  .discard = drop_items,
                                  .max_chunksize = 1 + roll(d, 20),
                                  .min_count = roll(d, 60),
                                  .input = input,
                                  .order = roll(d, 2) == 0 ? ASYNC_ORDERED : ASYNC_UNORDERED};
    if (input == NULL) { options.source = &source; }
    atomic_fetch_add(&s->made, 1);
    return task_of(s->pool, &options);
}

static async_reader *borrow(struct shared *s, unsigned i)
{
    pthread_mutex_lock(&s->mutex[i]);
    async_reader *reader = async_reader_retain(s->reader[i]);
    pthread_mutex_unlock(&s->mutex[i]);
    return reader;
}

/* The reader behind number i is another one now. */
static void replace(struct shared *s, unsigned i, async_reader *reader)
{
    pthread_mutex_lock(&s->mutex[i]);
    async_reader *old = s->reader[i];
    s->reader[i] = reader;
    pthread_mutex_unlock(&s->mutex[i]);
    async_reader_release(old);
}

static void churn(void *arg, unsigned index)
{
    struct shared *s = arg;
    dice           d = {s->seed * 13 + index};
    uint64_t       items[64];
    for (unsigned step = 0; step < s->steps; step++) {
        unsigned      i = roll(&d, SHARED_READERS);
        async_reader *reader = borrow(s, i);
        size_t        got;
        async_status  status = ASYNC_OK;
        switch (roll(&d, 9)) {
        case 0: /* a new task, alone */
            replace(s, i, new_task(s, NULL, &d));
            break;
        case 1: /* or behind the one that is there */
            if (reader != NULL) { replace(s, i, new_task(s, reader, &d)); }
            break;
        case 2: /* nobody's any more */
            replace(s, i, NULL);
            break;
        case 3:
            if (reader != NULL) {
                status = async_pool_remove_task(s->pool, async_reader_task(reader));
            }
            break;
        case 4:
            if (reader != NULL && roll(&d, 4) == 0) {
                status = async_task_cancel(async_reader_task(reader));
            }
            break;
        default:
            if (reader != NULL) {
                async_reader_retain(reader);
                async_status read = async_reader_read(reader, items, 1 + roll(&d, 64), &got,
                                                      roll(&d, 3) == 0 ? async_now()
                                                                       : async_forever());
                WANT(read == ASYNC_OK || read == ASYNC_END || read == ASYNC_CANCELLED ||
                     read == ASYNC_TIMEOUT);
                async_reader_release(reader);
            }
            break;
        }
        WANT_STATUS(status, ASYNC_OK);
        async_reader_release(reader);
    }
}

static void readers_come_and_go(void)
{
    static const unsigned pools[] = {0, 1, 3};
    for (uint64_t round = 0, rounds = abuse_rounds(40); round < rounds; round++) {
        struct shared s = {.seed = abuse_seed() + round, .steps = 200};
        squad         threads;
        dice          d = {s.seed};
        s.pool = pool_of(pools[round % 3]);
        for (unsigned i = 0; i < SHARED_READERS; i++) {
            pthread_mutex_init(&s.mutex[i], NULL);
            s.reader[i] = new_task(&s, NULL, &d);
        }
        squad_start(&threads, THREADS, churn, &s);
        squad_join(&threads);
        for (unsigned i = 0; i < SHARED_READERS; i++) {
            replace(&s, i, NULL);
            pthread_mutex_destroy(&s.mutex[i]);
        }
        WANT_EQ(async_pool_num_tasks(s.pool), 0);
        pool_end(s.pool);
        WANT_EQ(s.gone, s.made);
    }
}

/* ---- F70 ---- */

/* How a channel ends with items in it. */
enum ending {
    RELEASE_BOTH,
    READER_FIRST,
    CLOSE_THEN_RELEASE,
    CANCEL,
    READ_TO_END,
    LEAVE_PARTLY,
    ENDINGS
};

static void discard_plain(enum ending how, size_t size, size_t capacity, size_t batch)
{
    enum { ITEMS = 700 };
    unsigned char         items[50 * 40] = {0};
    probe                 p = {0};
    async_channel_options options = {
        .capacity = capacity, .discard = probe_discard, .release = probe_release, .context = &p};
    async_writer *writer;
    async_reader *reader;
    uint64_t      accepted = 0, read = 0;
    size_t        done;
    WANT_STATUS(async_channel_create(&writer, &reader, size, &options), ASYNC_OK);
    while (accepted < ITEMS) {
        for (size_t i = 0; i < batch; i++) {
            uint64_t token = accepted + i;
            memcpy(items + i * size, &token, sizeof token);
        }
        size_t       count = batch < ITEMS - accepted ? batch : (size_t)(ITEMS - accepted);
        async_status status = async_writer_write(writer, items, count, &done, async_now());
        accepted += done;
        if (status != ASYNC_OK) { break; /* full */ }
        if (accepted % 3 == 0) {
            WANT(async_reader_read(reader, items, 2, &done, async_now()) != ASYNC_INVALID);
            read += done;
        }
    }
    switch (how) {
    case RELEASE_BOTH:
        async_writer_release(writer);
        WANT_EQ(p.discarded, 0); /* they stay readable */
        async_reader_release(reader);
        break;
    case READER_FIRST:
        async_reader_release(reader);
        WANT_EQ(p.discarded, accepted - read);
        WANT_STATUS(async_writer_write(writer, items, 1, &done, async_forever()), ASYNC_CLOSED);
        async_writer_release(writer);
        break;
    case CLOSE_THEN_RELEASE:
        WANT_STATUS(async_writer_close(writer), ASYNC_OK);
        WANT_STATUS(async_writer_write(writer, items, 1, &done, async_forever()), ASYNC_CLOSED);
        async_reader_release(reader);
        async_writer_release(writer);
        break;
    case CANCEL:
        WANT_STATUS(async_reader_cancel(reader), ASYNC_OK);
        WANT_EQ(p.discarded, accepted - read);
        async_writer_release(writer);
        async_reader_release(reader);
        break;
    case READ_TO_END:
        async_writer_release(writer);
        while (async_reader_read(reader, items, 50, &done, async_forever()) == ASYNC_OK) {
            read += done;
        }
        read += done;
        WANT_EQ(read, accepted);
        async_reader_release(reader);
        break;
    default: { /* a view is out, of items that were read */
        async_view view;
        WANT_STATUS(async_reader_borrow(reader, &view, 5, async_now()), ASYNC_OK);
        read += view.count;
        async_reader_release(reader);
        async_writer_release(writer);
        WANT_STATUS(async_view_return(&view), ASYNC_OK);
        break;
    }
    }
    WANT_EQ(p.discarded, accepted - read);
    WANT_EQ(p.released, 1);
}

/* How a pipeline's output ends. */
enum pipe_ending {
    PIPE_RELEASE,
    PIPE_CANCEL,
    PIPE_REMOVE,
    PIPE_DRAIN,
    PIPE_DROP,
    PIPE_FAIL,
    PIPE_TIMEOUT,
    PIPE_ENDINGS
};

/* One task; with `chained` a second one behind it, of the same or another chunk size. */
static void discard_task(enum pipe_ending how, unsigned n, bool chained, size_t chunk,
                         async_order order, size_t read_first)
{
    enum { ITEMS = 300 };
    ledger      seen;
    probe       p = {.lost = &seen, .delay_us = how == PIPE_TIMEOUT ? 20 : 0};
    probe       below = {.lost = &seen};
    uint64_t    items[ITEMS];
    size_t      got;
    async_pool *pool = pool_of(n);
    ledger_make(&seen, ITEMS);
    if (how == PIPE_FAIL) {
        (chained ? &below : &p)->fail_value = 150;
        (chained ? &below : &p)->code = 3;
    }
    async_reader *first = TASK(pool, .source = range_of(0, ITEMS), .batch = batch_copy,
                               .min_count = 120, .max_chunksize = 10, .order = order,
                               .discard = probe_discard, .release = probe_release, .context = &p);
    async_reader *last = first;
    if (chained) {
        last = TASK(pool, .input = first, .batch = batch_copy, .max_chunksize = chunk,
                    .order = order, .discard = probe_discard, .release = probe_release,
                    .context = &below);
        async_reader_release(first);
    }
    WANT_STATUS(async_reader_read(last, items, read_first, &got, async_forever()), ASYNC_OK);
    ledger_add(&seen, items, got);
    switch (how) {
    case PIPE_CANCEL:
        WANT_STATUS(async_reader_cancel(last), ASYNC_OK);
        break;
    case PIPE_REMOVE:
        WANT_STATUS(async_pool_remove_task(pool, async_reader_task(last)), ASYNC_OK);
        break;
    case PIPE_FAIL:
    case PIPE_TIMEOUT: {
        async_status status = async_reader_read(
            last, items, ITEMS, &got, how == PIPE_FAIL ? async_forever() : async_within_ms(1));
        WANT(status == ASYNC_FAILED || how == PIPE_TIMEOUT);
        ledger_add(&seen, items, got);
        break;
    }
    case PIPE_DRAIN:
    case PIPE_DROP:
        WANT_STATUS(async_pool_destroy(pool, how == PIPE_DRAIN ? ASYNC_DRAIN : ASYNC_DROP),
                    ASYNC_OK);
        pool = NULL;
        break;
    default:
        break;
    }
    async_reader_release(last);
    WANT_STATUS(async_pool_destroy(pool, ASYNC_DROP), ASYNC_OK);
    WANT_EQ(p.released, 1);
    WANT_EQ(below.released, chained ? 1 : 0);
    /* What the first task completed was read or discarded, or had its turn in the function of the
     * second one, as the failing item had. */
    uint64_t made = p.items;
    if (how == PIPE_FAIL && !chained) {
        made = ledger_count(&seen, 0, ITEMS, 1); /* the failing call completed some */
        WANT_EQ(ledger_count(&seen, 150, 151, 1), 0);
    }
    uint64_t lost_turn = how == PIPE_FAIL && chained; /* item 150: the function had it */
    WANT_EQ(ledger_count(&seen, 0, ITEMS, 1), made - lost_turn);
    for (unsigned twice = 2; twice < 5; twice++) {
        WANT_EQ(ledger_count(&seen, 0, ITEMS, twice), 0);
    }
    WANT_EQ(seen.strange, 0);
    ledger_free(&seen);
}

static void discarded_once(void)
{
    static const size_t sizes[] = {8, 24, 40};
    for (unsigned how = 0; how < ENDINGS; how++) {
        for (unsigned i = 0; i < 3; i++) {
            for (size_t batch = 1; batch < 50; batch += 1 + batch) {
                discard_plain((enum ending)how, sizes[i], 0, batch);
                discard_plain((enum ending)how, sizes[i], 50, batch);
                discard_plain((enum ending)how, sizes[i], 6, batch);
            }
        }
    }
    static const unsigned pools[] = {0, 1, 3};
    for (uint64_t round = abuse_rounds(8); round-- > 0;) {
        for (unsigned how = 0; how < PIPE_ENDINGS; how++) {
            for (unsigned n = 0; n < 3; n++) {
                for (unsigned order = 0; order < 2; order++) {
                    size_t      first = 1 + (round * 37 + how * 5) % 99;
                    async_order o = order == 0 ? ASYNC_UNORDERED : ASYNC_ORDERED;
                    discard_task((enum pipe_ending)how, pools[n], false, 0, o, first);
                    discard_task((enum pipe_ending)how, pools[n], true, 10, o, first);
                    discard_task((enum pipe_ending)how, pools[n], true, 7, o, first);
                }
            }
        }
    }
}

static const watched rows[] = {
    {"F69_readers_come_and_go", readers_come_and_go, ABUSE_SECONDS, 0, NULL},
    {"F70_discarded_once", discarded_once, ABUSE_SECONDS, 0, NULL},
};

int main(int argc, char **argv) { return WATCHED_MAIN(argc, argv, rows); }
