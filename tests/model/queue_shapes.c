/* queue_shapes.c: the unbounded queue, with segments of four slots. What was accepted is
 * read exactly once, in each writer's order, whatever closes when; a reader that is told the end
 * has missed nothing. */
#include "model.h"
#include "queue_segment.h"

#include <string.h>

#define ITEMS 10 /* of a writer, at most */

static struct queue queue;
static bool         accepted[MODEL_THREADS][ITEMS];                /* by writer */
static unsigned     received[MODEL_THREADS][MODEL_THREADS][ITEMS]; /* by reader, writer */
static unsigned     next_of[MODEL_THREADS][MODEL_THREADS]; /* likewise: the least that may come */
static bool         at_end[MODEL_THREADS];
static unsigned     writers, writes, reads; /* of a shape */
static bool         closes;

static uint64_t item_of(unsigned writer, unsigned i)
{
    return (uint64_t)(writer + 1) << 32 | (i + 1);
}

static enum queue_result put(unsigned writer, unsigned i)
{
    enum queue_result result = queue_put_word(&queue, item_of(writer, i));
    EXPECT(result != QUEUE_NO_MEMORY);
    accepted[writer][i] = result == QUEUE_OK;
    return result;
}

static void receive(unsigned reader, uint64_t item)
{
    unsigned writer = (unsigned)(item >> 32) - 1, i = (unsigned)item - 1;
    EXPECT(writer < MODEL_THREADS && i < ITEMS);
    EXPECT(i >= next_of[reader][writer]);
    next_of[reader][writer] = i + 1;
    received[reader][writer][i]++;
}

/* False: nothing there. */
static bool take(unsigned reader)
{
    uint64_t item;
    bool     end = false;
    if (queue_read_word(&queue, &item, &end) == 1) {
        EXPECT(!at_end[reader]);
        receive(reader, item);
        return true;
    }
    EXPECT(end || !at_end[reader]); /* the end is for good */
    at_end[reader] = end;
    return false;
}

static void start(unsigned writer_count, unsigned put_count, unsigned read_count)
{
    EXPECT(queue_init(&queue, sizeof(uint64_t)));
    writers = writer_count;
    writes = put_count;
    reads = read_count;
}

static void one_three(void) { start(1, 3, 4); }
static void two_two(void) { start(2, 2, 3); }
static void one_three_two(void) { start(1, 3, 2); }
static void one_six(void) { start(1, 6, 6); }
static void two_three(void) { start(2, 3, 4); }

/* Segments are used again at once, by any thread. */
static void one_six_shared(void)
{
    model_keys_failing = 1;
    start(1, 6, 6);
}
static void one_nine_shared(void)
{
    model_keys_failing = 1;
    start(1, 9, 5);
}
static void two_five_shared(void)
{
    model_keys_failing = 1;
    start(2, 5, 6);
}

/* Three of the first segment's four slots are used up. */
static void nearly_full(void)
{
    start(1, 2, 3);
    for (unsigned i = 0; i < 3; i++) {
        put(MODEL_THREADS - 1, i);
        take(MODEL_THREADS - 2);
    }
}

static void two_nearly_full(void)
{
    nearly_full();
    writers = 2;
}

static void plain(unsigned thread)
{
    if (thread < writers) {
        for (unsigned i = 0; i < writes; i++) { EXPECT(put(thread, i) == QUEUE_OK); }
    } else {
        for (unsigned i = 0; i < reads; i++) { take(thread); }
    }
}

/* The last thread closes, the one before it reads, the others write. */
static void closing(unsigned thread)
{
    if (thread < writers) {
        bool closed = false;
        for (unsigned i = 0; i < writes; i++) {
            enum queue_result result = put(thread, i);
            EXPECT(result == QUEUE_CLOSED || !closed);
            closed = result == QUEUE_CLOSED;
        }
    } else if (thread == writers) {
        for (unsigned i = 0; i < reads; i++) { take(thread); }
    } else {
        queue_close(&queue);
        EXPECT(queue_closed(&queue));
        EXPECT(put(thread, 0) == QUEUE_CLOSED);
        closes = true;
    }
}

/* F5: two close. */
static void two_close(unsigned thread)
{
    if (thread == 0) {
        put(0, 0);
        put(0, 1);
        queue_close(&queue);
        closes = true;
    } else if (thread == 1) {
        queue_close(&queue);
        EXPECT(put(1, 0) == QUEUE_CLOSED);
    } else {
        for (unsigned i = 0; i < 3; i++) { take(thread); }
    }
}

/* Who is told that the queue is closed has what was before it: the end comes to its reads. */
static void told_closed(unsigned thread)
{
    if (thread == 0) {
        put(0, 0);
        queue_close(&queue);
        closes = true;
    } else if (queue_closed(&queue)) {
        take(thread);
        EXPECT(!take(thread) && at_end[thread]);
    }
}

static void check_all(void)
{
    const unsigned alone = MODEL_THREADS - 2;
    while (take(alone)) {}
    if (closes) { EXPECT(at_end[alone]); }
    for (unsigned w = 0; w < MODEL_THREADS; w++) {
        for (unsigned i = 0; i < ITEMS; i++) {
            unsigned sum = 0;
            for (unsigned r = 0; r < MODEL_THREADS; r++) { sum += received[r][w][i]; }
            EXPECT(sum == accepted[w][i]);
        }
    }
    EXPECT(queue_available(&queue) == 0);
    queue_destroy(&queue);
}

/* A run of three in one entry, taken by two readers bit by bit. */
static void batch(unsigned thread)
{
    if (thread == 0) {
        uint64_t items[3] = {item_of(0, 0), item_of(0, 1), item_of(0, 2)};
        EXPECT(queue_put_inline(&queue, items, 3) == QUEUE_OK);
        memset(accepted[0], true, 3);
        put(0, 3);
    } else {
        for (unsigned n = 0; n < 2; n++) {
            uint64_t items[2];
            size_t   got = queue_read(&queue, items, 2, NULL);
            for (size_t i = 0; i < got; i++) { receive(thread, items[i]); }
        }
    }
}

/* A block with four items: readers share it, and it goes back to its store once. */
static struct block *whole;

static void block_run(unsigned thread)
{
    if (thread == 0) {
        struct run run = {block_new(store_default(), 4 * sizeof(uint64_t)), NULL, 3};
        EXPECT(run.block != NULL);
        whole = run.block;
        uint64_t *items = (uint64_t *)(void *)run.block->data;
        for (unsigned i = 0; i < 4; i++) { items[i] = item_of(0, i); }
        run.items = run.block->data;
        block_retain(run.block, 1);
        EXPECT(queue_put(&queue, &run) == QUEUE_OK);
        memset(accepted[0], true, 4);
        run.items += 3 * sizeof(uint64_t);
        run.count = 1;
        EXPECT(queue_put(&queue, &run) == QUEUE_OK);
    } else {
        for (unsigned n = 0; n < 2; n++) {
            struct run                run;
            alignas(16) unsigned char bounce[QUEUE_INLINE];
            size_t                    got = queue_take(&queue, 2, 1, &run, bounce, NULL);
            const uint64_t           *items = (const uint64_t *)(const void *)run.items;
            for (size_t i = 0; i < got; i++) { receive(thread, items[i]); }
            if (got != 0) { block_release(run.block, 1); }
        }
    }
}

static void check_block(void)
{
    check_all();
    EXPECT(load_relaxed(&whole->refs) == 0);
}

/* queue_available and a seq_cst flag: not both miss the other. What a waiter's look rests on. */
static shared_u32 announced;
static bool       saw_item, saw_waiter;

static void counted(unsigned thread)
{
    if (thread == 0) {
        put(0, 0);
        saw_waiter = load_seq_cst(&announced) != 0;
    } else {
        add_seq_cst(&announced, 1);
        saw_item = queue_available(&queue) != 0;
    }
}

/* The same with a run whose items beyond the first are counted after the publication. */
static void counted_batch(unsigned thread)
{
    if (thread == 0) {
        unsigned char bytes[QUEUE_INLINE] = {0};
        EXPECT(queue_put_inline(&queue, bytes, 3) == QUEUE_OK);
        saw_waiter = load_seq_cst(&announced) != 0;
    } else {
        add_seq_cst(&announced, 1);
        saw_item = queue_available(&queue) >= 3;
    }
}

static void counted_closed(unsigned thread)
{
    if (thread == 0) {
        queue_close(&queue);
        saw_waiter = load_seq_cst(&announced) != 0;
    } else {
        add_seq_cst(&announced, 1);
        saw_item = queue_closed(&queue);
    }
}

static void one_saw(void) { EXPECT(saw_item || saw_waiter); }

static void bytes_of_one(void) { EXPECT(queue_init(&queue, 1)); }

const struct model_shape queue_shapes[] = {
    {"queue/close-races-write", 3, 0, one_three, closing, check_all},
    {"queue/close-races-two-writes", 4, 0, two_two, closing, check_all},
    {"queue/close-at-segment-end", 3, 0, nearly_full, closing, check_all},
    {"queue/close-two-at-segment-end", 4, 0, two_nearly_full, closing, check_all},
    {"queue/two-close", 3, 0, one_three, two_close, check_all},
    {"queue/told-closed", 2, 0, one_three, told_closed, check_all},
    {"queue/one-and-one", 2, 0, one_three, plain, check_all},
    {"queue/writer-heavy", 3, 0, two_two, plain, check_all},
    {"queue/reader-heavy", 3, 0, one_three_two, plain, check_all},
    {"queue/growth", 2, 0, one_six, plain, check_all},
    {"queue/growth-two-writers", 3, 0, two_three, plain, check_all},
    {"queue/growth-two-readers", 3, 0, nearly_full, plain, check_all},
    {"queue/reuse", 2, 0, one_six_shared, plain, check_all},
    {"queue/reuse-two-readers", 3, 0, one_nine_shared, plain, check_all},
    {"queue/reuse-two-writers", 3, 0, two_five_shared, plain, check_all},
    {"queue/growth-at-end", 3, 0, two_nearly_full, plain, check_all},
    {"queue/batch", 3, 0, one_three, batch, check_all},
    {"queue/block-run", 3, 0, one_three, block_run, check_block},
    {"queue/counted", 2, 0, one_three, counted, one_saw},
    {"queue/counted-batch", 2, 0, bytes_of_one, counted_batch, one_saw},
    {"queue/counted-closed", 2, 0, one_three, counted_closed, one_saw},
    {0},
};
