/* channels.c: rows C1, C8 and C9: what goes through a channel, in which order, how much of it, and
 * with which status. */
#include "pipeline.h"

#include <criterion/criterion.h>
#include <string.h>

#define WRITERS 4
#define READERS 3

/* Values of writer w: w * PER_WRITER + 0, 1, 2, … */
#define PER_WRITER ((uint64_t)6000)

static const size_t capacities[] = {0, 1, 5, 64};
#define EACH_CAPACITY(c)                                                                           \
    for (size_t c##_at = 0, c = capacities[0]; c##_at < sizeof capacities / sizeof capacities[0];  \
         c##_at++, c = c##_at < sizeof capacities / sizeof capacities[0] ? capacities[c##_at] : 0)

/* C1: what one writer writes is read in that order, whatever the sizes of the writes and reads. */
Test(C, C1_one_writer_one_reader)
{
    EACH_CAPACITY(capacity)
    {
        async_writer *writer;
        async_reader *reader;
        channel_of(&writer, &reader, capacity, NULL);
        writing *sent = calloc(1, sizeof *sent);
        cr_assert_not_null(sent);
        uint64_t next = 0, first = 0;
        for (size_t size = 1; size <= 200; size += 7) {
            writing_start(sent, writer, first, size, async_forever());
            first += size;
            for (size_t left = size, piece = 1; left > 0; piece = piece % 5 + 1) {
                uint64_t     items[5];
                size_t       got = 0, want = left < piece ? left : piece;
                async_status status = async_reader_read(reader, items, want, &got, async_forever());
                cr_assert_eq(status, ASYNC_OK);
                cr_assert_eq(got, want);
                for (size_t i = 0; i < got; i++) {
                    cr_assert_eq(items[i], next, "capacity %zu", capacity);
                    next++;
                }
                left -= got;
            }
            thread_join(&sent->thread);
            cr_assert_eq(sent->status, ASYNC_OK);
            cr_assert_eq(sent->written, size);
        }
        cr_assert_eq(next, first);
        free(sent);
        async_writer_release(writer);
        async_reader_release(reader);
    }
}

/* C1: a write that begins after another has returned comes out behind it, from whatever thread. */
Test(C, C1_writes_one_after_the_other)
{
    EACH_CAPACITY(capacity)
    {
        async_writer *writer;
        async_reader *reader;
        channel_of(&writer, &reader, capacity, NULL);
        uint64_t next = 0, first = 0;
        for (size_t round = 0; round < 60; round++) {
            size_t  size = capacity == 1 ? 1 : 2;
            writing a = {0}, b = {0};
            writing_start(&a, writer, first, size, async_forever());
            thread_join(&a.thread);
            if (capacity != 1) {
                write_numbers(writer, first + size, 1);
                writing_start(&b, writer, first + size + 1, size, async_forever());
                thread_join(&b.thread);
                size = 2 * size + 1;
            }
            first += size;
            while (next < first) {
                uint64_t item;
                cr_assert_eq(async_reader_read(reader, &item, 1, NULL, async_now()), ASYNC_OK);
                cr_assert_eq(item, next);
                next++;
            }
        }
        async_writer_release(writer);
        async_reader_release(reader);
    }
}

typedef struct crowd {
    async_writer *writer;
    async_reader *reader;
    gate          start;
    ledger        written, read;
    atomic_uint   out_of_order, bad_status, kinds;
} crowd;

typedef struct member {
    crowd   *all;
    unsigned number;
    thread   thread;
} member;

static void write_in_batches(void *arg)
{
    member  *me = arg;
    crowd   *all = me->all;
    uint64_t items[16], next = me->number * PER_WRITER, end = next + PER_WRITER;
    gate_pass(&all->start);
    for (size_t size = 1; next < end; size = size % 13 + 1) {
        size_t n = end - next < size ? (size_t)(end - next) : size, written = 0;
        for (size_t i = 0; i < n; i++) { items[i] = next++; }
        if (async_writer_write(all->writer, items, n, &written, async_forever()) != ASYNC_OK ||
            written != n) {
            atomic_fetch_add(&all->bad_status, 1);
        }
        ledger_add(&all->written, items, written);
    }
}

/* Counts what came, and where a writer's items don't come in its order. */
static void look_at(crowd *all, uint64_t *last, const uint64_t *items, size_t count)
{
    ledger_add(&all->read, items, count);
    for (size_t i = 0; i < count; i++) {
        size_t writer = (size_t)(items[i] / PER_WRITER);
        if (writer >= WRITERS || items[i] + 1 <= last[writer]) {
            atomic_fetch_add(&all->out_of_order, 1);
        } else {
            last[writer] = items[i] + 1;
        }
    }
}

static void read_in_batches(void *arg)
{
    member      *me = arg;
    crowd       *all = me->all;
    uint64_t     items[16], last[WRITERS] = {0};
    async_status status = ASYNC_OK;
    gate_pass(&all->start);
    for (size_t size = 1 + me->number; status == ASYNC_OK; size = size % 11 + 1) {
        size_t got = 0;
        status = async_reader_read(all->reader, items, size, &got, async_forever());
        if ((status == ASYNC_OK && got != size) || (status == ASYNC_END && got >= size)) {
            atomic_fetch_add(&all->bad_status, 1);
        }
        look_at(all, last, items, got);
    }
    if (status != ASYNC_END) { atomic_fetch_add(&all->bad_status, 1); }
}

static void crowd_make(crowd *all, size_t capacity)
{
    memset(all, 0, sizeof *all);
    channel_of(&all->writer, &all->reader, capacity, NULL);
    ledger_make(&all->written, WRITERS * PER_WRITER);
    ledger_make(&all->read, WRITERS * PER_WRITER);
}

static void crowd_free(crowd *all)
{
    ledger_free(&all->written);
    ledger_free(&all->read);
    async_writer_release(all->writer);
    async_reader_release(all->reader);
}

/* Runs the writers and readers to the end: the channel is closed once all is written. */
static void crowd_run(crowd *all, void (*write)(void *), void (*read)(void *))
{
    member writers[WRITERS], readers[READERS];
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (member){.all = all, .number = i};
        thread_start(&readers[i].thread, read, &readers[i]);
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (member){.all = all, .number = i};
        thread_start(&writers[i].thread, write, &writers[i]);
    }
    gate_open(&all->start);
    for (unsigned i = 0; i < WRITERS; i++) { thread_join(&writers[i].thread); }
    cr_assert_eq(async_writer_close(all->writer), ASYNC_OK);
    for (unsigned i = 0; i < READERS; i++) { thread_join(&readers[i].thread); }
}

/* C1, C9: each writer's own order holds at each reader; each item goes to exactly one of them. */
Test(C, C1_C9_each_writers_order_at_each_reader)
{
    EACH_CAPACITY(capacity)
    {
        crowd all;
        crowd_make(&all, capacity);
        crowd_run(&all, write_in_batches, read_in_batches);
        cr_assert_eq(atomic_load(&all.bad_status), 0, "capacity %zu", capacity);
        cr_assert_eq(atomic_load(&all.out_of_order), 0, "capacity %zu", capacity);
        cr_assert_eq(atomic_load(&all.read.strange), 0);
        cr_assert_eq(ledger_count(&all.read, 0, WRITERS * PER_WRITER, 1), WRITERS * PER_WRITER);
        crowd_free(&all);
    }
}

/* Writes as full as it can without waiting, or for a short time; gives up what was not accepted. */
static void write_what_fits(void *arg)
{
    member  *me = arg;
    crowd   *all = me->all;
    uint64_t items[16], next = me->number * PER_WRITER, end = next + PER_WRITER;
    gate_pass(&all->start);
    for (size_t size = 1; next < end; size = size % 13 + 1) {
        size_t n = end - next < size ? (size_t)(end - next) : size, written = 99;
        for (size_t i = 0; i < n; i++) { items[i] = next++; }
        async_wait   wait = size % 3 == 0 ? async_within_ms(1) : async_now();
        async_status status = async_writer_write(all->writer, items, n, &written, wait);
        if (written > n || (status == ASYNC_OK) != (written == n) ||
            (status != ASYNC_OK && status != ASYNC_TIMEOUT)) {
            atomic_fetch_add(&all->bad_status, 1);
            return;
        }
        if (status == ASYNC_TIMEOUT) { atomic_fetch_or(&all->kinds, 16); }
        ledger_add(&all->written, items, written);
    }
}

typedef struct sight {
    crowd    *all;
    uint64_t *last;
} sight;

static int look_at_sink(const void *items, size_t count, void *context)
{
    sight *s = context;
    look_at(s->all, s->last, items, count);
    return ASYNC_STOP;
}

/* Reads with every call there is. */
static void read_in_all_ways(void *arg)
{
    member      *me = arg;
    crowd       *all = me->all;
    uint64_t     items[16], last[WRITERS] = {0};
    async_status status = ASYNC_OK;
    sight        s = {all, last};
    gate_pass(&all->start);
    for (unsigned turn = me->number; status == ASYNC_OK || status == ASYNC_TIMEOUT; turn++) {
        size_t     got = 0;
        void      *rest = NULL;
        async_view view = {0};
        switch (turn % 6) {
        case 0:
            status = async_reader_read(all->reader, items, 5, &got, async_now());
            look_at(all, last, items, got);
            break;
        case 1:
            status = async_reader_read(all->reader, items, 16, &got, async_within_ms(2));
            look_at(all, last, items, got);
            break;
        case 2:
            status = async_reader_read(all->reader, items, 3, &got, async_per_item_ms(1));
            look_at(all, last, items, got);
            break;
        case 3:
            status = async_reader_borrow(all->reader, &view, 9, async_forever());
            look_at(all, last, view.items, view.count);
            got = view.count;
            async_view_return(&view);
            break;
        case 4:
            status = async_reader_for_each(all->reader, look_at_sink, &s, async_within_ms(2));
            break;
        default:
            status = async_reader_read_all(all->reader, &rest, &got, async_now());
            look_at(all, last, rest, got);
            async_free(rest);
            status = status == ASYNC_OK ? ASYNC_END : status;
            break;
        }
        if (got > 0) { atomic_fetch_or(&all->kinds, 1u << (turn % 6 == 3)); }
    }
    if (status != ASYNC_END) { atomic_fetch_add(&all->bad_status, 1); }
}

/* C9: of a write, exactly the first *written items come out, once, whatever the status; the others
 * never; by whatever calls they are written and read. */
Test(C, C9_accepted_once_refused_never)
{
    EACH_CAPACITY(capacity)
    {
        crowd all;
        crowd_make(&all, capacity);
        crowd_run(&all, write_what_fits, read_in_all_ways);
        cr_assert_eq(atomic_load(&all.bad_status), 0, "capacity %zu", capacity);
        cr_assert_eq(atomic_load(&all.out_of_order), 0, "capacity %zu", capacity);
        cr_assert_eq(atomic_load(&all.read.strange), 0);
        for (size_t i = 0; i < all.read.size; i++) {
            cr_assert_eq(atomic_load(&all.read.seen[i]), atomic_load(&all.written.seen[i]),
                         "capacity %zu, item %zu: accepted %u, read %u", capacity, i,
                         atomic_load(&all.written.seen[i]), atomic_load(&all.read.seen[i]));
        }
        /* the test is about refused writes: with a capacity of one there were some */
        cr_assert(capacity != 1 || (atomic_load(&all.kinds) & 16) != 0);
        cr_assert(capacity != 0 || (atomic_load(&all.kinds) & 16) == 0);
        crowd_free(&all);
    }
}

/* C8: OK only with exactly the count asked for; else what there is, and why there is no more. */
Test(C, C8_ok_means_exactly_the_count)
{
    async_writer *writer;
    async_reader *reader;
    uint64_t      items[16];
    size_t        got = 99;
    channel_of(&writer, &reader, 0, NULL);
    cr_assert_eq(async_reader_read(reader, items, 0, &got, async_forever()), ASYNC_OK);
    cr_assert_eq(got, 0);
    got = 99;
    cr_assert_eq(async_reader_read(reader, items, 1, &got, async_now()), ASYNC_TIMEOUT);
    cr_assert_eq(got, 0);

    write_numbers(writer, 0, 8);
    cr_assert_eq(async_reader_read(reader, items, 3, &got, async_now()), ASYNC_OK);
    cr_assert_eq(got, 3);
    cr_assert_eq(async_reader_read(reader, items + 3, 6, &got, async_now()), ASYNC_TIMEOUT);
    cr_assert_eq(got, 5);
    for (uint64_t i = 0; i < 8; i++) { cr_assert_eq(items[i], i); }

    /* got may be NULL */
    write_numbers(writer, 8, 2);
    cr_assert_eq(async_reader_read(reader, items, 1, NULL, async_now()), ASYNC_OK);
    cr_assert_eq(items[0], 8);
    cr_assert_eq(async_reader_read(reader, items, 2, NULL, async_now()), ASYNC_TIMEOUT);
    cr_assert_eq(items[0], 9);

    write_numbers(writer, 10, 4);
    async_writer_close(writer);
    cr_assert_eq(async_reader_read(reader, items, 2, &got, async_forever()), ASYNC_OK);
    cr_assert_eq(got, 2);
    cr_assert_eq(async_reader_read(reader, items, 3, &got, async_forever()), ASYNC_END);
    cr_assert_eq(got, 2);
    cr_assert_eq(items[1], 13);
    for (int again = 0; again < 3; again++) { /* sticky */
        cr_assert_eq(async_reader_read(reader, items, 1, &got, async_forever()), ASYNC_END);
        cr_assert_eq(got, 0);
        cr_assert_eq(async_reader_read(reader, items, 0, &got, async_forever()), ASYNC_OK);
    }
    void *rest = items;
    cr_assert_eq(async_reader_read_all(reader, &rest, &got, async_forever()), ASYNC_OK);
    cr_assert_eq(got, 0);
    cr_assert_null(rest);
    async_writer_release(writer);
    async_reader_release(reader);
}

/* C8: borrow alone may give a shorter run with OK; never an empty one. */
Test(C, C8_borrow_may_be_shorter)
{
    async_writer *writer;
    async_reader *reader;
    async_view    view = {0};
    channel_of(&writer, &reader, 0, NULL);
    cr_assert_eq(async_reader_borrow(reader, &view, 4, async_now()), ASYNC_TIMEOUT);
    cr_assert_eq(view.count, 0);
    write_numbers(writer, 0, 7);
    uint64_t next = 0;
    while (next < 7) {
        cr_assert_eq(async_reader_borrow(reader, &view, 4, async_now()), ASYNC_OK);
        cr_assert(view.count >= 1 && view.count <= 4);
        for (size_t i = 0; i < view.count; i++) {
            cr_assert_eq(((const uint64_t *)view.items)[i], next);
            next++;
        }
        cr_assert_eq(async_view_return(&view), ASYNC_OK);
        cr_assert_null(view.items);
        cr_assert_eq(view.count, 0);
    }
    async_writer_close(writer);
    cr_assert_eq(async_reader_borrow(reader, &view, 4, async_forever()), ASYNC_END);
    cr_assert_eq(view.count, 0);
    cr_assert_eq(async_view_return(&view), ASYNC_OK);
    async_writer_release(writer);
    async_reader_release(reader);
}

static int stop_at_seven(const void *items, size_t count, void *context)
{
    uint64_t *next = context;
    for (size_t i = 0; i < count; i++) {
        if (((const uint64_t *)items)[i] != (*next)++) { return 1; }
    }
    return *next < 7 ? ASYNC_CONTINUE : ASYNC_STOP;
}

/* C8: read_all and for_each are OK at the end (for_each: also when its sink stopped). */
Test(C, C8_all_is_ok_at_the_end)
{
    async_writer *writer;
    async_reader *reader;
    void         *rest = NULL;
    size_t        count = 0;
    uint64_t      next = 0;
    channel_of(&writer, &reader, 0, NULL);
    write_numbers(writer, 0, 5);
    cr_assert_eq(async_reader_read_all(reader, &rest, &count, async_now()), ASYNC_TIMEOUT);
    cr_assert_eq(count, 5);
    async_free(rest);
    write_numbers(writer, 0, 5);
    cr_assert_eq(async_reader_for_each(reader, stop_at_seven, &next, async_now()), ASYNC_TIMEOUT);
    cr_assert_eq(next, 5);
    write_numbers(writer, 5, 2);
    cr_assert_eq(async_reader_for_each(reader, stop_at_seven, &next, async_forever()), ASYNC_OK);
    cr_assert_eq(next, 7);
    next = 0;
    write_numbers(writer, 0, 3);
    async_writer_close(writer);
    cr_assert_eq(async_reader_for_each(reader, stop_at_seven, &next, async_forever()), ASYNC_OK);
    cr_assert_eq(next, 3);
    cr_assert_eq(async_reader_for_each(reader, stop_at_seven, &next, async_forever()), ASYNC_OK);
    cr_assert_eq(next, 3);
    async_writer_release(writer);
    async_reader_release(reader);
}
