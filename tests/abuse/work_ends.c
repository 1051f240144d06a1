/* work_ends.c: tasks and channels that are cancelled, that fail and that end, in every way: who
 * gets what, and where the rest goes. Each item that a task made is read once or discarded once. */
#include "abuse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const unsigned pools[] = {0, 1, 3};
#define EACH_POOL(n) for (unsigned n##_at = 0, n; n##_at < 3 && (n = pools[n##_at], true); n##_at++)

/* What a task made went somewhere once: [0, made) are all there, nothing twice. */
static void all_once(ledger *l, uint64_t made)
{
    WANT_EQ(l->strange, 0);
    WANT_EQ(ledger_count(l, 0, l->size, 1), made);
    WANT_EQ(ledger_count(l, 0, l->size, 0), l->size - made);
}

/* ---- F58 ---- */

enum when { BEFORE, DURING, AFTER, TWICE, PARKED, WHENS };
enum whom { READER, TASK_ITSELF, POOL, WHOMS };

static void cancel_it(async_pool *pool, async_reader *reader, enum whom whom)
{
    switch (whom) {
    case READER:
        WANT_STATUS(async_reader_cancel(reader), ASYNC_OK);
        break;
    case TASK_ITSELF:
        WANT_STATUS(async_task_cancel(async_reader_task(reader)), ASYNC_OK);
        break;
    default:
        WANT_STATUS(async_pool_cancel(pool), ASYNC_OK);
        break;
    }
}

/* One task of 400 items in chunks of 10; what it makes is counted by its own probe. */
static void cancel_once(unsigned n, enum when when, enum whom whom)
{
    enum { ITEMS = 400 };
    gate           shut = {0};
    ledger         seen;
    probe          p = {.lost = &seen};
    static reading r;
    uint64_t       items[ITEMS + 1];
    size_t         got = 0;
    ledger_make(&seen, ITEMS);
    memset(&r, 0, sizeof r);
    if (when == DURING || when == PARKED) {
        p.hold = &shut;
        p.hold_one = true;
        p.hold_value = 55;
    }
    async_pool   *pool = pool_of(n);
    async_reader *reader = TASK(pool, .source = range_of(0, ITEMS), .batch = batch_copy,
                                .max_chunksize = 10, .min_count = 100, .discard = probe_discard,
                                .release = probe_release, .context = &p);
    async_status  wanted = ASYNC_CANCELLED;
    switch (when) {
    case BEFORE:
        break;
    case DURING: /* a chunk stands in the middle of it */
    case PARKED:
        reading_start(&r, reader, ITEMS, async_forever());
        gate_arrived(&shut, 1);
        WANT(when == DURING || n == 0 || thread_asleep(&r.thread));
        break;
    case TWICE:
    case AFTER:
        WANT_STATUS(async_reader_read(reader, items, 7, &got, async_forever()), ASYNC_OK);
        ledger_add(&seen, items, got);
        if (when == AFTER) {
            WANT_STATUS(async_reader_read(reader, items, ITEMS + 1, &got, async_forever()),
                        ASYNC_END);
            ledger_add(&seen, items, got);
            WANT(async_task_done(async_reader_task(reader)));
            wanted = ASYNC_END; /* what has ended stays as it ended */
        }
        break;
    default:
        break;
    }
    cancel_it(pool, reader, whom);
    if (when == TWICE) {
        for (unsigned i = 0; i < WHOMS; i++) { cancel_it(pool, reader, (enum whom)i); }
    }
    gate_open(&shut);
    if (when == DURING || when == PARKED) {
        thread_join(&r.thread);
        WANT_STATUS(r.status, ASYNC_CANCELLED);
        ledger_add(&seen, r.items, r.got);
    }
    for (unsigned i = 0; i < 3; i++) {
        WANT_STATUS(async_reader_read(reader, items, 1, &got, async_within_ms(SOON)), wanted);
        WANT_EQ(got, 0);
    }
    WANT(async_task_done(async_reader_task(reader)));
    WANT(UNTIL(SOON, atomic_load(&p.running) == 0));
    uint64_t calls = atomic_load(&p.calls);
    async_reader_release(reader);
    pool_end(pool);
    /* Nothing more has started, but for the chunk that each worker was about to call its function
     * for when the cancel came. */
    WANT(atomic_load(&p.calls) <= calls + n);
    WANT_EQ(atomic_load(&p.released), 1);
    if (when == BEFORE) { WANT_EQ(calls, 0); }
    all_once(&seen, atomic_load(&p.items));
    ledger_free(&seen);
}

/* A plain channel's sleeping readers are cancelled. */
static void cancel_plain(void)
{
    static reading r[4];
    async_writer  *writer;
    async_reader  *reader;
    probe          p = {0};
    uint64_t       item = 1;
    channel_of(&writer, &reader, 0, &p);
    write_numbers(writer, 0, 3);
    memset(r, 0, sizeof r);
    for (unsigned i = 0; i < 4; i++) { reading_start(&r[i], reader, 10, async_forever()); }
    for (unsigned i = 0; i < 4; i++) { WANT(thread_asleep(&r[i].thread)); }
    WANT_STATUS(async_reader_cancel(reader), ASYNC_OK);
    size_t got = 0;
    for (unsigned i = 0; i < 4; i++) {
        thread_join(&r[i].thread);
        WANT_STATUS(r[i].status, ASYNC_CANCELLED);
        got += r[i].got;
    }
    WANT_EQ(got + p.discarded, 3);
    WANT_STATUS(async_reader_cancel(reader), ASYNC_OK);
    WANT_STATUS(async_writer_write(writer, &item, 1, NULL, async_forever()), ASYNC_CLOSED);
    async_writer_release(writer);
    async_reader_release(reader);
    WANT_EQ(p.released, 1);
    WANT_EQ(got + p.discarded, 3);
}

static void cancel_at_any_time(void)
{
    for (uint64_t round = abuse_rounds(12); round-- > 0;) {
        EACH_POOL(n)
        {
            for (unsigned when = 0; when < WHENS; when++) {
                for (unsigned whom = 0; whom < WHOMS; whom++) {
                    cancel_once(n, (enum when)when, (enum whom)whom);
                }
            }
        }
        cancel_plain();
    }
}

/* ---- F66 ---- */

struct source {
    uint64_t    next, end, gives; /* items of one call, at most; 0: as asked */
    uint64_t    fail_at;          /* fails before this number, where code is not 0 */
    int         code;
    size_t      claims; /* says it gave so many more than it was asked for */
    gate       *gate;   /* stands there in its first call */
    atomic_uint calls, after;
    bool        over;
};

static int source_next(void *items, size_t count, size_t *got, void *context)
{
    struct source *s = context;
    uint64_t      *to = items;
    size_t         made = 0, most = s->gives != 0 && s->gives < count ? s->gives : count;
    if (atomic_fetch_add(&s->calls, 1) == 0 && s->gate != NULL) { gate_pass(s->gate); }
    atomic_fetch_add(&s->after, s->over);
    while (made < most && s->next < s->end) {
        if (s->code != 0 && s->next == s->fail_at) {
            s->over = true;
            *got = made;
            return s->code;
        }
        to[made++] = s->next++;
    }
    s->over = made < count;
    *got = made + s->claims;
    return 0;
}

/* items: what the reader must get; status: what comes then. */
static void draw_from(struct source s, unsigned n, size_t chunk, async_order order, size_t wanted,
                      async_status status)
{
    async_source from = async_source_from(source_next, &s, sizeof(uint64_t));
    async_pool  *pool = pool_of(n);
    ledger       seen;
    ledger_make(&seen, 1000);
    async_reader *reader = TASK(pool, .source = &from, .batch = batch_copy, .name = "drawn",
                                .max_chunksize = chunk, .order = order);
    uint64_t      items[1000];
    size_t        got, sum = 0;
    async_status  last;
    do {
        last = async_reader_read(reader, items, 30, &got, async_within_ms(SOON));
        for (size_t i = 0; order == ASYNC_ORDERED && i < got; i++) { WANT_EQ(items[i], sum + i); }
        ledger_add(&seen, items, got);
        sum += got;
    } while (last == ASYNC_OK);
    WANT_STATUS(last, status);
    WANT_EQ(sum, wanted);
    WANT_EQ(ledger_count(&seen, 0, wanted, 1), wanted);
    if (status == ASYNC_FAILED) {
        async_error error;
        WANT_STATUS(async_reader_error(reader, &error), ASYNC_OK);
        WANT_STATUS(error.status, ASYNC_FAILED);
        WANT(s.claims != 0 || (error.code == s.code && error.item == s.fail_at));
        WANT(strcmp(error.task, "drawn") == 0);
    }
    WANT_EQ(s.after, 0); /* it is not called again after its end */
    ledger_free(&seen);
    async_reader_release(reader);
    pool_end(pool);
}

/* While a source stands in its function, the other tasks of the pool go on. */
static void one_source_stands(unsigned n)
{
    gate           shut = {0};
    struct source  s = {.end = 20, .gate = &shut};
    async_source   from = async_source_from(source_next, &s, sizeof(uint64_t));
    async_pool    *pool = pool_of(n);
    async_reader  *still = TASK(pool, .source = &from, .each = each_add_one, .max_chunksize = 2);
    async_reader  *other = TASK(pool, .source = range_of(0, 500), .each = each_twice,
                                .max_chunksize = 3);
    static reading r;
    uint64_t       items[500];
    memset(&r, 0, sizeof r);
    reading_start(&r, still, 20, async_forever());
    gate_arrived(&shut, 1);
    WANT_STATUS(async_reader_read(other, items, 500, NULL, async_within_ms(SOON)), ASYNC_OK);
    WANT(!thread_ended(&r.thread));
    WANT_EQ(atomic_load(&s.calls), 1); /* nobody else is inside, or waits for it */
    gate_open(&shut);
    thread_join(&r.thread);
    WANT(r.status == ASYNC_OK && r.got == 20);
    async_reader_release(still);
    async_reader_release(other);
    pool_end(pool);
}

static void sources_that_misbehave(void)
{
    static const size_t chunks[] = {1, 3, 7, 100, 0};
    for (uint64_t round = abuse_rounds(8); round-- > 0;) {
        EACH_POOL(n)
        {
            for (unsigned i = 0; i < 5; i++) {
                async_order order = round % 2 == 0 ? ASYNC_ORDERED : ASYNC_UNORDERED;
                for (uint64_t k = 0; k < 40; k += 1 + k / 3) {
                    /* it ends, or fails, at item k */
                    draw_from((struct source){.end = k}, n, chunks[i], order, k, ASYNC_END);
                    draw_from((struct source){.end = 100, .fail_at = k, .code = 7}, n, chunks[i],
                              order, k, ASYNC_FAILED);
                }
            }
            /* more than it was asked for: it can't have put them anywhere */
            draw_from((struct source){.end = 100, .claims = 1}, n, 10, ASYNC_ORDERED, 10,
                      ASYNC_FAILED);
            if (n != 1) { /* with one worker, that one stands in it */
                one_source_stands(n);
            }
        }
    }
}

/* ---- F67 ---- */

static int emit_some(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    return emit_copy(in, count, done, out, context);
}

enum kind { EACH, BATCH, EMIT, KINDS };

/* The function fails at item k of 24 in chunks of `chunk`; below is a task that passes on. */
static void fail_at(unsigned n, enum kind kind, size_t chunk, uint64_t k, async_order order)
{
    enum { ITEMS = 24 };
    ledger        seen;
    probe         p = {.lost = &seen, .fail_value = k, .code = 5};
    async_pool   *pool = pool_of(n);
    async_reader *first = TASK(pool, .source = range_of(0, ITEMS), .name = "upstream",
                               .batch = batch_copy, .max_chunksize = chunk, .order = order);
    async_reader *second = TASK(
        pool, .input = first, .name = "failing", .item_size = 8, .max_chunksize = chunk,
        .order = order, .batch = kind == BATCH ? batch_copy : NULL,
        .emit = kind == EMIT ? emit_some : NULL, .each = kind == EACH ? each_add_one : NULL,
        .discard = probe_discard, .context = &p);
    async_reader *last = TASK(pool, .input = second, .name = "last", .batch = batch_copy,
                              .max_chunksize = 5, .order = order);
    uint64_t      items[ITEMS + 1];
    size_t        got;
    ledger_make(&seen, ITEMS + 1);
    WANT_STATUS(async_reader_read(last, items, ITEMS + 1, &got, async_within_ms(SOON)),
                ASYNC_FAILED);
    uint64_t shift = kind == EACH; /* it adds one */
    bool     alone = n == 0 || chunk == 0;
    if (order == ASYNC_ORDERED || alone) { /* X1, X2, X6: all before it and nothing behind */
        WANT_EQ(got, k);
        ledger_add(&seen, items, got);
        WANT_EQ(ledger_count(&seen, (size_t)shift, (size_t)(k + shift), 1), k);
        for (size_t i = 0; (order == ASYNC_ORDERED || n <= 1) && i < got; i++) { /* E1 */
            WANT_EQ(items[i], i + shift);
        }
    } else { /* the failing chunk's items before it came; of others, what was computed */
        ledger_add(&seen, items, got);
        uint64_t from = k - k % chunk;
        WANT_EQ(ledger_count(&seen, (size_t)(from + shift), (size_t)(k + shift), 1), k - from);
        WANT_EQ(ledger_count(&seen, (size_t)(k + shift), (size_t)(k + shift) + 1, 0), 1);
        WANT_EQ(ledger_count(&seen, 0, ITEMS + 1, 1), got);
    }
    async_error error;
    WANT_STATUS(async_reader_error(last, &error), ASYNC_OK); /* X4 */
    WANT(error.status == ASYNC_FAILED && error.code == 5 && error.item == k);
    WANT(strcmp(error.task, "failing") == 0);
    WANT_STATUS(async_task_error(async_reader_task(last), &error), ASYNC_OK); /* X3 */
    WANT_STATUS(error.status, ASYNC_OK);
    WANT_STATUS(async_task_error(async_reader_task(first), &error), ASYNC_OK);
    WANT_STATUS(error.status, ASYNC_OK);
    WANT_STATUS(async_reader_read(last, items, 1, &got, async_forever()), ASYNC_FAILED);
    WANT_EQ(got, 0);
    async_reader_release(first);
    async_reader_release(second);
    async_reader_release(last);
    pool_end(pool);
    ledger_free(&seen);
}

static void a_failure_at_every_item(void)
{
    static const size_t chunks[] = {1, 4, 24, 0};
    for (uint64_t round = abuse_rounds(4); round-- > 0;) {
        EACH_POOL(n)
        {
            for (unsigned kind = 0; kind < KINDS; kind++) {
                for (unsigned c = 0; c < 4; c++) {
                    for (uint64_t k = 0; k < 24; k += round == 0 ? 1 : 3) {
                        fail_at(n, (enum kind)kind, chunks[c], k,
                                (k + round) % 2 == 0 ? ASYNC_ORDERED : ASYNC_UNORDERED);
                    }
                }
            }
        }
    }
}

static const watched rows[] = {
    {"F58_cancel_at_any_time", cancel_at_any_time, ABUSE_SECONDS, 0, NULL},
    {"F66_sources_that_misbehave", sources_that_misbehave, ABUSE_SECONDS, 0, NULL},
    {"F67_a_failure_at_every_item", a_failure_at_every_item, ABUSE_SECONDS, 0, NULL},
};

int main(int argc, char **argv) { return WATCHED_MAIN(argc, argv, rows); }
