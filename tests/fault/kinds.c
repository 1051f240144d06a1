/* kinds.c: pipelines of one reader. What is made is what is read: nothing gets lost on the way. */
#include "trials.h"

#include <string.h>

/* A range, a function, a reader. */
static void run_map(trial *t)
{
    uint64_t      items[50];
    async_source  source = async_source_range(0, 200);
    async_pool   *pool = trial_pool(t, NULL);
    async_reader *r = ADD(t, pool, .name = "map", .source = &source, .each = trial_copy_each,
                          .max_chunksize = 16, .context = t, .discard = trial_discard,
                          .release = trial_release);
    for (unsigned i = 0; r != NULL && i < 4; i++) { trial_read(t, r, items, 50, ASYNC_OK, 50); }
    if (r != NULL) { trial_read(t, r, items, 1, ASYNC_END, 0); }
    SURELY(async_reader_release(r));
    trial_end(t, pool, ASYNC_DRAIN);
    trial_all_read(t, 200);
    EXPECT(t, atomic_load(&t->released) == 1);
}

/* Item by item: more results than one part of the output's queue holds. */
static void run_singles(trial *t)
{
    uint64_t      item;
    async_source  source = async_source_range(0, 260);
    async_pool   *pool = trial_pool(t, NULL);
    async_reader *r = ADD(t, pool, .source = &source, .each = trial_copy_each, .context = t,
                          .max_chunksize = 1, .discard = trial_discard);
    for (unsigned i = 0; r != NULL && i < 260; i++) { trial_read(t, r, &item, 1, ASYNC_OK, 1); }
    SURELY(async_reader_release(r));
    trial_end(t, pool, ASYNC_DRAIN);
    trial_all_read(t, 260);
}

/* Three tasks; equal chunks, so that they run as one, then unequal ones. */
static void chain(trial *t, const size_t chunks[3])
{
    uint64_t      items[20];
    async_source  source = async_source_range(0, 200);
    async_pool   *pool = trial_pool(t, &(async_pool_options){.name = "chain"});
    async_reader *a = ADD(t, pool, .source = &source, .each = trial_copy_each, .min_count = 20,
                          .max_chunksize = chunks[0], .context = t, .discard = trial_discard);
    async_reader *b = ADD(t, pool, .input = a, .batch = trial_copy_batch, .context = t,
                          .max_chunksize = chunks[1], .discard = trial_discard);
    async_reader *c = ADD(t, pool, .input = b, .each = trial_copy_each, .context = t,
                          .max_chunksize = chunks[2], .discard = trial_discard);
    SURELY(async_reader_release(a));
    SURELY(async_reader_release(b));
    for (unsigned i = 0; c != NULL && i < 10; i++) { trial_read(t, c, items, 20, ASYNC_OK, 20); }
    if (c != NULL) { trial_read(t, c, items, 1, ASYNC_END, 0); }
    SURELY(async_reader_release(c));
    trial_end(t, pool, ASYNC_DRAIN);
    trial_all_read(t, 200);
}

static void run_chain(trial *t) { chain(t, (const size_t[]){7, 5, 11}); }

static void run_strand(trial *t) { chain(t, (const size_t[]){10, 10, 10}); }

/* Passes on the even numbers, halved, in spite of refusals. */
static int emit_half(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    for (*done = 0; *done < count; ++*done) {
        uint64_t     item = ((const uint64_t *)in)[*done], half = item / 2;
        async_status status = ASYNC_OK;
        if (item % 2 == 0) {
            while (trial_again(context, "async_emit", status = async_emit(out, &half, 1))) {}
        }
        if (status != ASYNC_OK) { return 1; }
    }
    return 0;
}

static void run_filter(trial *t)
{
    uint64_t      items[10];
    async_source  source = async_source_range(0, 200);
    async_pool   *pool = trial_pool(t, NULL);
    async_reader *r = ADD(t, pool, .source = &source, .emit = emit_half, .max_chunksize = 8,
                          .context = t, .discard = trial_discard);
    for (unsigned i = 0; r != NULL && i < 10; i++) { trial_read(t, r, items, 10, ASYNC_OK, 10); }
    if (r != NULL) { trial_read(t, r, items, 1, ASYNC_END, 0); }
    SURELY(async_reader_release(r));
    trial_end(t, pool, ASYNC_DRAIN);
    trial_all_read(t, 100);
}

static int sink_rising(const void *items, size_t count, void *context)
{
    trial *t = context;
    for (size_t i = 0; i < count; i++) {
        EXPECT(t, ((const uint64_t *)items)[i] == t->count);
        t->count++;
    }
    trial_note(t, items, count);
    return ASYNC_CONTINUE;
}

/* Ordered, with an emit task behind, streamed: every item in its place. */
static void run_ordered(trial *t)
{
    async_source  source = async_source_range(0, 200);
    async_pool   *pool = trial_pool(t, NULL);
    async_reader *a = ADD(t, pool, .source = &source, .batch = trial_copy_batch, .context = t,
                          .max_chunksize = 3, .order = ASYNC_ORDERED, .discard = trial_discard);
    async_reader *b = ADD(t, pool, .input = a, .emit = trial_copy_emit, .context = t,
                          .max_chunksize = 6, .order = ASYNC_ORDERED, .max_parallel = 2,
                          .discard = trial_discard);
    SURELY(async_reader_release(a));
    if (b != NULL) {
        TRY(t, ASYNC_OK, async_reader_for_each(b, sink_rising, t, async_forever()));
        EXPECT(t, t->count == 200);
    }
    SURELY(async_reader_release(b));
    trial_end(t, pool, ASYNC_DRAIN);
    trial_all_read(t, 200);
}

/* A source's function, a serial task. */
static void run_serial(trial *t)
{
    t->end = 150;
    uint64_t      items[30];
    async_source  source = async_source_from(trial_next, t, sizeof items[0]);
    async_pool   *pool = trial_pool(t, NULL);
    async_reader *r = ADD(t, pool, .source = &source, .batch = trial_copy_batch, .max_parallel = 1,
                          .max_chunksize = 4, .context = t, .discard = trial_discard);
    for (unsigned i = 0; r != NULL && i < 5; i++) { trial_read(t, r, items, 30, ASYNC_OK, 30); }
    if (r != NULL) { trial_read(t, r, items, 1, ASYNC_END, 0); }
    SURELY(async_reader_release(r));
    trial_end(t, pool, ASYNC_DRAIN);
    trial_all_read(t, 150);
}

/* Each item comes in an array of its own, which a refused call also gives. */
static void run_read_all(trial *t)
{
    t->end = 1000;
    async_source  source = async_source_from(trial_next, t, sizeof(uint64_t));
    async_pool   *pool = trial_pool(t, NULL);
    async_reader *r = ADD(t, pool, .source = &source, .each = trial_copy_each, .context = t,
                          .max_chunksize = 100, .discard = trial_discard);
    async_status  status = r == NULL ? ASYNC_OK : ASYNC_TIMEOUT;
    while (status != ASYNC_OK) {
        void  *items = NULL;
        size_t count = 0;
        inject_enter("async_reader_read_all", true);
        status = async_reader_read_all(r, &items, &count, async_forever());
        trial_note(t, items, count);
        EXPECT(t, (items != NULL) == (count > 0));
        SURELY(async_free(items));
        if (!trial_again(t, "async_reader_read_all", status) && status != ASYNC_OK) {
            trial_wrong(t, "async_reader_read_all", status);
            break;
        }
    }
    SURELY(async_reader_release(r));
    trial_end(t, pool, ASYNC_DRAIN);
    trial_all_read(t, 1000);
}

/* Single items, which lie in the queue's slots, and runs in blocks. */
static void run_borrow(trial *t)
{
    async_writer *writer = NULL;
    async_reader *single = NULL;
    async_source  source = async_source_range(50, 100);
    async_pool   *pool = trial_pool(t, NULL);
    async_view    views[3] = {{0}};
    if (trial_channel(t, 0, &writer, &single)) {
        for (unsigned i = 0; i < 50; i++) { trial_write(t, writer, i, 1); }
        SURELY(async_writer_release(writer));
    }
    async_reader *run = ADD(t, pool, .source = &source, .batch = trial_copy_batch, .context = t,
                            .max_chunksize = 16, .discard = trial_discard);
    async_reader *readers[2] = {single, run};
    for (unsigned i = 0; i < 2; i++) {
        async_status status = readers[i] == NULL ? ASYNC_END : ASYNC_OK;
        for (unsigned at = 0; status == ASYNC_OK; at = (at + 1) % 3) {
            SURELY(async_view_return(&views[at]));
            do {
                inject_enter("async_reader_borrow", true);
                status = async_reader_borrow(readers[i], &views[at], 9, async_forever());
            } while (trial_again(t, "async_reader_borrow", status));
            if (status == ASYNC_OK) {
                EXPECT(t, views[at].count > 0 && views[at].count <= 9);
                trial_note(t, views[at].items, views[at].count);
            }
        }
        if (status != ASYNC_END) { trial_wrong(t, "async_reader_borrow", status); }
        SURELY(async_reader_release(readers[i]));
    }
    trial_end(t, pool, ASYNC_DRAIN);
    for (unsigned i = 0; i < 3; i++) { SURELY(async_view_return(&views[i])); }
    trial_all_read(t, 150);
}

/* As a compressor's: big blocks from a file, worked on in parallel, written in their order. */
struct piece {
    uint64_t      number;
    unsigned char bytes[32 * 1024];
};

static int next_piece(void *items, size_t count, size_t *got, void *context)
{
    trial        *t = context;
    struct piece *pieces = items;
    for (; *got < count && t->next < t->end; ++*got) {
        pieces[*got].number = t->next++;
        memset(pieces[*got].bytes, (int)pieces[*got].number, sizeof pieces->bytes);
    }
    return 0;
}

static int sum_pieces(const void *in, void *out, size_t count, size_t *done, void *context)
{
    (void)done;
    const struct piece *from = in;
    struct piece       *to = out;
    for (size_t i = 0; i < count; i++) {
        to[i].number = from[i].number;
        for (size_t k = 0; k < sizeof from->bytes; k++) {
            to[i].bytes[k] = from[i].bytes[k] ^ 0xff;
        }
    }
    (void)context;
    return 0;
}

static int write_piece(const void *items, size_t count, void *context)
{
    trial              *t = context;
    const struct piece *pieces = items;
    for (size_t i = 0; i < count; i++) {
        EXPECT(t, pieces[i].number == t->count);
        EXPECT(t, pieces[i].bytes[100] == (~t->count & 0xff));
        t->count++;
        trial_note(t, &pieces[i].number, 1);
    }
    return ASYNC_CONTINUE;
}

static void run_compressor(trial *t)
{
    t->end = 20;
    async_source  source = async_source_from(next_piece, t, sizeof(struct piece));
    async_pool   *pool = trial_pool(t, &(async_pool_options){.readers_help = true});
    async_reader *a = ADD(t, pool, .name = "read", .source = &source, .max_chunksize = 1,
                          .max_parallel = 1, .context = t, .order = ASYNC_ORDERED);
    async_reader *b = ADD(t, pool, .name = "deflate", .input = a, .batch = sum_pieces,
                          .max_chunksize = 1, .order = ASYNC_ORDERED, .context = t);
    SURELY(async_reader_release(a));
    if (b != NULL) { TRY(t, ASYNC_OK, async_reader_for_each(b, write_piece, t, async_forever())); }
    SURELY(async_reader_release(b));
    trial_end(t, pool, ASYNC_DROP);
    trial_all_read(t, 20);
}

/* Recorded: what there was no memory for is counted, and what is recorded was done. */
static void run_recorded(trial *t)
{
    uint64_t      items[50];
    async_source  source = async_source_range(0, 200);
    async_pool   *pool = trial_pool(t, NULL);
    async_reader *r = ADD(t, pool, .source = &source, .each = trial_copy_each, .context = t,
                          .max_chunksize = 16, .discard = trial_discard);
    for (unsigned i = 0; r != NULL && i < 4; i++) {
        static async_trace_event events[300];
        size_t                   got = 0, chunks = 0;
        uint64_t                 lost = 0;
        TRY(t, ASYNC_OK, async_trace_start(pool, 100 + i));
        trial_read(t, r, items, 50, ASYNC_OK, 50);
        EXPECT(t, async_trace_stop(pool) == ASYNC_OK);
        EXPECT(t, async_trace_read(pool, events, 300, &got, &lost) == ASYNC_OK);
        for (size_t at = 0; at < got; at++) {
            EXPECT(t, events[at].kind <= ASYNC_TRACE_PARK && events[at].start <= events[at].end);
            if (events[at].kind == ASYNC_TRACE_CHUNK) { chunks++; }
        }
        EXPECT(t, chunks <= 4 && chunks + lost >= 4);
    }
    SURELY(async_reader_release(r));
    trial_end(t, pool, ASYNC_DRAIN);
    trial_all_read(t, 200);
}

const trial_kind pipeline_kinds[] = {
    {"map", run_map},           {"singles", run_singles},
    {"chain", run_chain},       {"strand", run_strand},
    {"filter", run_filter},     {"ordered", run_ordered},
    {"serial", run_serial},     {"read_all", run_read_all},
    {"borrow", run_borrow},     {"compressor", run_compressor},
    {"recorded", run_recorded}, {NULL, NULL},
};
