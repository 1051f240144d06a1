/* channel_shapes.c: the public calls on plain channels: bounded by 1 and by 2, and unbounded;
 * blocking, timed, closed and abandoned in the middle. What was accepted is read once or discarded
 * once; the memory goes once, after the last call; who sleeps for ever is a deadlock. */
#include "channel.h"
#include "model.h"

#include <async/async.h>

#define ITEMS 4

static async_writer *writer;
static async_reader *reader;
static size_t   accepted[MODEL_THREADS]; /* how many of a thread's items; always the first ones */
static unsigned received[MODEL_THREADS][MODEL_THREADS][ITEMS],
    discarded[MODEL_THREADS][MODEL_THREADS][ITEMS];
static unsigned next_of[MODEL_THREADS][MODEL_THREADS], released;

static uint64_t item_of(unsigned from, unsigned i) { return (uint64_t)(from + 1) << 32 | (i + 1); }

static void discard(void *items, size_t count, void *context)
{
    (void)context;
    for (size_t i = 0; i < count; i++) {
        uint64_t item = ((uint64_t *)items)[i];
        discarded[model_thread()][(item >> 32) - 1][(unsigned)item - 1]++;
    }
}

static void release(void *context)
{
    (void)context;
    released++;
}

static void start(size_t capacity)
{
    async_channel_options options = {.capacity = capacity, .discard = discard, .release = release};
    EXPECT(async_channel_create(&writer, &reader, sizeof(uint64_t), &options) == ASYNC_OK);
}

static void start_0(void) { start(0); }
static void start_1(void) { start(1); }
static void start_2(void) { start(2); }

/* Both ends held twice: a thread has its own. */
static void start_shared(size_t capacity)
{
    start(capacity);
    async_writer_retain(writer);
    async_reader_retain(reader);
}

static void start_shared_0(void) { start_shared(0); }
static void start_shared_1(void) { start_shared(1); }

static async_status write_some(unsigned thread, unsigned count, async_wait wait)
{
    uint64_t items[ITEMS];
    size_t   done = 0;
    for (unsigned i = 0; i < count; i++) {
        items[i] = item_of(thread, (unsigned)accepted[thread] + i);
    }
    async_status status = async_writer_write(writer, items, count, &done, wait);
    EXPECT(status == ASYNC_OK ? done == count : done < count);
    accepted[thread] += done;
    return status;
}

static async_status read_some(unsigned thread, unsigned count, async_wait wait, size_t *got)
{
    uint64_t     items[ITEMS];
    async_status status = async_reader_read(reader, items, count, got, wait);
    for (size_t i = 0; i < *got; i++) {
        unsigned from = (unsigned)(items[i] >> 32) - 1, number = (unsigned)items[i] - 1;
        EXPECT(from < MODEL_THREADS && number < ITEMS);
        EXPECT(number >= next_of[thread][from]);
        next_of[thread][from] = number + 1;
        received[thread][from][number]++;
    }
    EXPECT(status == ASYNC_OK ? *got == count : *got < count);
    return status;
}

static void read_to_end(unsigned thread)
{
    size_t       got;
    async_status status;
    while ((status = read_some(thread, 1, async_forever(), &got)) == ASYNC_OK) {}
    EXPECT(status == ASYNC_END);
}

static void check_counts(void)
{
    for (unsigned from = 0; from < MODEL_THREADS; from++) {
        for (unsigned i = 0; i < ITEMS; i++) {
            unsigned sum = 0;
            for (unsigned t = 0; t < MODEL_THREADS; t++) {
                sum += received[t][from][i] + discarded[t][from][i];
            }
            EXPECT(sum == (i < accepted[from]));
        }
    }
}

/* What is left is read here, then the ends go. */
static void check_all(void)
{
    size_t got;
    while (read_some(MODEL_THREADS - 1, 1, async_now(), &got) == ASYNC_OK) {}
    async_writer_release(writer);
    async_reader_release(reader);
    EXPECT(released == 1);
    check_counts();
}

/* The threads have let go of the ends. */
static void check_gone(void)
{
    EXPECT(released == 1);
    check_counts();
}

/* ---- */

/* A writer that finds it full, a reader that finds it empty. */
static void blocking(unsigned thread)
{
    size_t got;
    if (thread == 0) {
        EXPECT(write_some(0, 3, async_forever()) == ASYNC_OK);
    } else {
        EXPECT(read_some(1, 3, async_forever(), &got) == ASYNC_OK);
    }
}

static void writer_heavy(unsigned thread)
{
    size_t got;
    if (thread < 2) {
        EXPECT(write_some(thread, 2, async_forever()) == ASYNC_OK);
    } else {
        EXPECT(read_some(thread, 4, async_forever(), &got) == ASYNC_OK);
    }
}

static void reader_heavy(unsigned thread)
{
    size_t got;
    if (thread == 0) {
        EXPECT(write_some(thread, 2, async_forever()) == ASYNC_OK);
    } else {
        EXPECT(read_some(thread, 1, async_forever(), &got) == ASYNC_OK);
    }
}

/* F3, F1, F2: a close in the middle of writes and reads. */
static void close_races_write(unsigned thread)
{
    if (thread == 0) {
        async_status status = write_some(0, 2, async_forever());
        EXPECT(status == ASYNC_OK || status == ASYNC_CLOSED);
    } else if (thread == 1) {
        read_to_end(thread);
    } else {
        EXPECT(async_writer_close(writer) == ASYNC_OK);
        EXPECT(async_writer_closed(writer));
        EXPECT(write_some(thread, 1, async_forever()) == ASYNC_CLOSED);
    }
}

/* Two readers sleep, and both must learn of the end. */
static void close_races_read(unsigned thread)
{
    if (thread < 2) {
        read_to_end(thread);
    } else {
        write_some(thread, 1, async_forever());
        async_writer_close(writer);
    }
}

/* Two writers sleep on a full channel: both must learn that it is closed. */
static void full_1(void)
{
    start(1);
    write_some(3, 1, async_now());
}

static void close_on_full(unsigned thread)
{
    if (thread < 2) {
        EXPECT(write_some(thread, 1, async_forever()) == ASYNC_CLOSED);
    } else {
        async_writer_close(writer);
    }
}

/* F18: a reader's deadline races the delivery. */
static void timeout_races_delivery(unsigned thread)
{
    size_t got;
    if (thread == 0) {
        EXPECT(write_some(0, 1, async_forever()) == ASYNC_OK);
    } else {
        async_status status = read_some(1, 1, async_within_ms(100), &got);
        EXPECT(status == ASYNC_OK || status == ASYNC_TIMEOUT);
    }
}

/* The item for which one was told, and that it left, must come to the other. */
static void timeout_passes_on(unsigned thread)
{
    size_t got;
    if (thread == 0) {
        EXPECT(write_some(0, 1, async_forever()) == ASYNC_OK);
        EXPECT(write_some(0, 1, async_forever()) == ASYNC_OK);
    } else if (thread == 1) {
        read_some(1, 1, async_within_ms(100), &got);
    } else {
        EXPECT(read_some(2, 1, async_forever(), &got) == ASYNC_OK);
    }
}

static void write_timeout(unsigned thread)
{
    size_t got;
    if (thread == 0) {
        async_status status = write_some(0, 2, async_within_ms(100));
        EXPECT(status == ASYNC_OK || status == ASYNC_TIMEOUT);
    } else {
        EXPECT(read_some(1, 1, async_forever(), &got) == ASYNC_OK);
    }
}

/* F8: the last reader leaves while others write: refused, or discarded once. */
static void reader_leaves(unsigned thread)
{
    if (thread < 2) {
        async_status status = write_some(thread, 2, async_forever());
        EXPECT(status == ASYNC_OK || status == ASYNC_CLOSED);
        async_writer_release(writer);
    } else {
        size_t got;
        read_some(thread, 1, async_now(), &got);
        async_reader_release(reader);
    }
}

static void two_writers_own(size_t capacity)
{
    start(capacity);
    async_writer_retain(writer);
}
static void two_writers_own_0(void) { two_writers_own(0); }
static void two_writers_own_2(void) { two_writers_own(2); }

/* F7: the end is released by another thread while a call through it waits. */
static void released_within(unsigned thread)
{
    if (thread == 0) {
        size_t       got;
        async_status status = read_some(0, 2, async_forever(), &got);
        EXPECT(status == ASYNC_END || status == ASYNC_OK);
        async_reader_release(reader);
    } else if (thread == 1) {
        write_some(1, 1, async_forever());
        async_writer_release(writer);
    } else {
        async_reader_release(reader);
        async_writer_release(writer);
    }
}

/* F9: the reader that got the last item frees the channel while the writer still tells. */
static void freed_at_once(unsigned thread)
{
    if (thread == 0) {
        write_some(0, 1, async_forever());
        async_writer_release(writer);
    } else {
        size_t got;
        read_some(1, 1, async_forever(), &got);
        async_reader_release(reader);
    }
}

const struct model_shape channel_shapes[] = {
    {"channel/close-races-write-1", 3, 0, start_1, close_races_write, check_all},
    {"channel/close-races-write-2", 3, 0, start_2, close_races_write, check_all},
    {"channel/close-races-write-unbounded", 3, 0, start_0, close_races_write, check_all},
    {"channel/close-races-read", 3, 0, start_1, close_races_read, check_all},
    {"channel/close-on-full", 3, 0, full_1, close_on_full, check_all},
    {"channel/blocking-1", 2, 0, start_1, blocking, check_all},
    {"channel/blocking-2", 2, 0, start_2, blocking, check_all},
    {"channel/blocking-unbounded", 2, 0, start_0, blocking, check_all},
    {"channel/writer-heavy-1", 3, 0, start_1, writer_heavy, check_all},
    {"channel/writer-heavy-2", 3, 0, start_2, writer_heavy, check_all},
    {"channel/reader-heavy-1", 3, 0, start_1, reader_heavy, check_all},
    {"channel/reader-heavy-unbounded", 3, 0, start_0, reader_heavy, check_all},
    {"channel/timeout-races-delivery", 2, 0, start_1, timeout_races_delivery, check_all},
    {"channel/timeout-passes-on", 3, 0, start_2, timeout_passes_on, check_all},
    {"channel/write-timeout", 2, 0, start_1, write_timeout, check_all},
    {"channel/reader-leaves-2", 3, 0, two_writers_own_2, reader_leaves, check_gone},
    {"channel/reader-leaves-unbounded", 3, 0, two_writers_own_0, reader_leaves, check_gone},
    {"channel/released-within-1", 3, 0, start_shared_1, released_within, check_gone},
    {"channel/released-within-unbounded", 3, 0, start_shared_0, released_within, check_gone},
    {"channel/freed-at-once", 2, 0, start_1, freed_at_once, check_gone},
    {0},
};
