/* channel.c: row C17 for channels, with every instruction of a write, a read, a borrow, a close and
 * the last releases as the instant at which a thread stands still (F55); and a write that is frozen
 * while others close (F4).
 *
 * A scene's operation is successful when it is done as a whole: a batch that was written and a
 * batch that was read, in as many calls as it takes. Where somebody ends the channel, an answer
 * that says so counts: CLOSED for a write, END for a read. */
#include "channel.h"
#include "freezer.h"
#include "queue_segment.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#define BATCH_MAX 64
#define SIZE_MOST 48
#define WRITERS   (3 + OTHERS)                       /* numbers of those who write: */
enum { FILLER, VICTIM, WAITER, OTHER };              /* OTHER + who */
#define ITEMS_MAX (2 * SUCCESSES * BATCH_MAX + 4096) /* of one writer, in one round */

enum {
    MAY_CLOSE = 1,      /* the call ends the channel */
    THEN_CLOSE = 2,     /* the others close after their turns, and read to the end */
    FIRST_CLOSE = 4,    /* they do it before */
    NO_WRITES = 8,      /* the call gives the write end away */
    NO_READS = 16,      /* the call gives the read end away */
    READ_FIRST = 32,    /* full: the others read before they write */
    READER_WAITS = 64,  /* somebody sleeps in a read */
    WRITER_WAITS = 128, /* somebody sleeps in a write */
    SCANS = 256,        /* the victim's next retirement looks at all hazard pointers */
    BY_PARTS = 512      /* the first run is half taken */
};

static async_writer *writer;
static async_reader *reader;
static pthread_t     waiter_thread;
static async_status  waiter_status;
static uint32_t      made[WRITERS];            /* items that a writer has made; its own */
static atomic_uint   accepted[WRITERS];        /* of them, accepted */
static atomic_uchar  seen[WRITERS][ITEMS_MAX]; /* read, or discarded */
static atomic_uint   received;

/* Of a thread that reads: the last item of each writer. */
static _Thread_local uint32_t last[WRITERS];

static size_t size_of(const struct scene *scene)
{
    return scene->item_size == 0 ? sizeof(uint64_t) : scene->item_size;
}

/* ---- items: number of the writer, number of the item from 1 ---- */

static void make_items(const struct scene *scene, unsigned who, unsigned char *items, size_t count)
{
    size_t size = size_of(scene);
    memset(items, (int)who, count * size);
    for (size_t i = 0; i < count; i++) {
        MUST(made[who] + i + 1 < ITEMS_MAX);
        uint64_t item = (uint64_t)who << 32 | (made[who] + i + 1);
        memcpy(items + i * size, &item, sizeof item);
    }
}

/* Those that were refused are made again by the next call. */
static void items_accepted(unsigned who, size_t count)
{
    made[who] += (uint32_t)count;
    atomic_fetch_add(&accepted[who], (unsigned)count);
}

static void check_items(const struct scene *scene, const unsigned char *items, size_t count,
                        bool in_order)
{
    size_t size = size_of(scene);
    for (size_t i = 0; i < count; i++) {
        uint64_t item;
        memcpy(&item, items + i * size, sizeof item);
        uint32_t who = (uint32_t)(item >> 32), number = (uint32_t)item;
        MUST(who < WRITERS && number > 0 && number < ITEMS_MAX);
        for (size_t k = sizeof item; k < size; k++) { MUST_EQ(items[i * size + k], who); }
        MUST_EQ(atomic_exchange(&seen[who][number], 1), 0);
        if (in_order) {
            MUST(number > last[who]);
            last[who] = number;
        }
    }
    atomic_fetch_add(&received, (unsigned)count);
}

static const struct scene *now_playing;

static void discard(void *items, size_t count, void *context)
{
    (void)context;
    check_items(now_playing, items, count, false);
}

/* ---- calls of the threads that are not frozen ---- */

static async_status write_some(const struct scene *scene, unsigned who, size_t count, size_t *done)
{
    alignas(16) unsigned char items[BATCH_MAX * SIZE_MOST];
    make_items(scene, who, items, count);
    async_status status = async_writer_write(writer, items, count, done, async_now());
    MUST(status == ASYNC_OK || status == ASYNC_TIMEOUT || status == ASYNC_CLOSED);
    MUST((status == ASYNC_OK) == (*done == count));
    items_accepted(who, *done);
    return status;
}

static async_status write_batch(const struct scene *scene, unsigned who, size_t count)
{
    while (count > 0) {
        size_t done;
        if (write_some(scene, who, count, &done) == ASYNC_CLOSED) { return ASYNC_CLOSED; }
        count -= done;
        if (done == 0) { sched_yield(); }
    }
    return ASYNC_OK;
}

static async_status read_batch(const struct scene *scene, size_t count)
{
    alignas(16) unsigned char items[BATCH_MAX * SIZE_MOST];
    while (count > 0) {
        size_t       got;
        async_status status = async_reader_read(reader, items, count, &got, async_now());
        MUST(status == ASYNC_OK || status == ASYNC_TIMEOUT || status == ASYNC_END);
        MUST((status == ASYNC_OK) == (got == count));
        check_items(scene, items, got, true);
        if (status == ASYNC_END) { return ASYNC_END; }
        count -= got;
        if (got == 0) { sched_yield(); }
    }
    return ASYNC_OK;
}

static void close_and_read_all(const struct scene *scene)
{
    MUST_EQ(async_writer_close(writer), ASYNC_OK);
    while (read_batch(scene, scene->batch) != ASYNC_END) {}
}

static void other(const struct scene *scene, unsigned who, unsigned turn)
{
    unsigned flags = scene->flags;
    bool     may_end = (flags & (MAY_CLOSE | THEN_CLOSE | FIRST_CLOSE)) != 0;
    if (turn == 0) {
        memset(last, 0, sizeof last);
        if ((flags & FIRST_CLOSE) != 0) { close_and_read_all(scene); }
        /* Whoever sleeps in a call may take as much as it waits for: there is enough for all. */
        if ((flags & READER_WAITS) != 0) { write_batch(scene, OTHER + who, scene->batch); }
        if ((flags & (WRITER_WAITS | READ_FIRST)) != 0 && (flags & NO_READS) == 0) {
            read_batch(scene, 2 * scene->batch);
        }
    }
    for (int step = 0; step < 2; step++) {
        if ((step == 0) == ((flags & READ_FIRST) != 0)) {
            if ((flags & NO_READS) == 0) {
                MUST(read_batch(scene, scene->batch) == ASYNC_OK || may_end);
            }
        } else if ((flags & NO_WRITES) == 0) {
            MUST(write_batch(scene, OTHER + who, scene->batch) == ASYNC_OK || may_end);
        }
    }
    if (turn == SUCCESSES - 1 && (flags & THEN_CLOSE) != 0) { close_and_read_all(scene); }
}

/* While the only holder of the read end is frozen, the channel may be full: that is an answer. */
static void other_writes(const struct scene *scene, unsigned who, unsigned turn)
{
    size_t done;
    (void)turn;
    async_status status = write_some(scene, OTHER + who, scene->batch, &done);
    MUST(status != ASYNC_TIMEOUT || scene->capacity != 0);
}

/* ---- who waits ---- */

static void *wait_in_read(void *argument)
{
    const struct scene       *scene = argument;
    alignas(16) unsigned char items[SIZE_MOST];
    size_t                    got;
    waiter_status = async_reader_read(reader, items, 1, &got, async_forever());
    memset(last, 0, sizeof last);
    check_items(scene, items, got, true);
    return NULL;
}

static void *wait_in_write(void *argument)
{
    const struct scene       *scene = argument;
    alignas(16) unsigned char items[SIZE_MOST];
    size_t                    done;
    make_items(scene, WAITER, items, 1);
    waiter_status = async_writer_write(writer, items, 1, &done, async_forever());
    items_accepted(WAITER, done);
    return NULL;
}

static void start_waiter(const struct scene *scene)
{
    struct channel *channel = channel_of_reader(reader);
    bool            reads = (scene->flags & READER_WAITS) != 0;
    if ((scene->flags & (READER_WAITS | WRITER_WAITS)) == 0) { return; }
    MUST(pthread_create(&waiter_thread, NULL, reads ? wait_in_read : wait_in_write,
                        (void *)(uintptr_t)scene) == 0);
    struct waitlist *list = reads ? &channel->readers : &channel->writers;
    while (load_seq_cst(&list->count) == 0 || load_acquire(&list->turn) != 0 ||
           load_acquire(&list->arriving) != NULL) {
        sched_yield();
    }
}

/* ---- the state ---- */

static void prepare(const struct scene *scene)
{
    async_channel_options options = {.capacity = scene->capacity, .discard = discard};
    memset(last, 0, sizeof last);
    now_playing = scene;
    MUST_EQ(async_channel_create(&writer, &reader, size_of(scene), &options), ASYNC_OK);
    for (size_t i = 0; i < scene->lost; i++) {
        /* A writer that took its ticket and stands still. */
        add_seq_cst(&load_seq_cst(&channel_of_reader(reader)->queue.tail)->tickets, 1);
    }
    for (size_t i = 0; i < scene->slots; i++) { MUST_EQ(write_batch(scene, FILLER, 1), ASYNC_OK); }
    for (size_t i = 0; i < scene->slots_taken; i++) { MUST_EQ(read_batch(scene, 1), ASYNC_OK); }
    for (size_t i = 0; i < scene->filled; i += scene->batch) {
        MUST_EQ(write_batch(scene, FILLER, min_size(scene->batch, scene->filled - i)), ASYNC_OK);
    }
    if ((scene->flags & BY_PARTS) != 0) { MUST_EQ(read_batch(scene, scene->batch / 2), ASYNC_OK); }
    /* So that each round takes the same way (the first look gives the thread its record). */
    (void)async_reader_ready(reader);
    reclaim_scan(reclaim_own);
    if ((scene->flags & SCANS) != 0) { reclaim_own->scan_at = reclaim_own->retired_count + 1; }
    start_waiter(scene);
}

static void finish(const struct scene *scene)
{
    memset(last, 0, sizeof last);
    if ((scene->flags & NO_WRITES) == 0) { async_writer_close(writer); }
    if ((scene->flags & (READER_WAITS | WRITER_WAITS)) != 0) {
        pthread_join(waiter_thread, NULL);
        MUST(waiter_status == ASYNC_OK ||
             ((scene->flags & READER_WAITS) != 0 ? waiter_status == ASYNC_END
                                                 : waiter_status == ASYNC_CLOSED));
    }
    if ((scene->flags & NO_READS) == 0) {
        while (read_batch(scene, BATCH_MAX) != ASYNC_END) {}
        async_reader_release(reader);
    }
    if ((scene->flags & NO_WRITES) == 0) { async_writer_release(writer); }
    unsigned sum = 0;
    for (unsigned who = 0; who < WRITERS; who++) {
        sum += atomic_load(&accepted[who]);
        for (uint32_t number = 1; number <= made[who]; number++) {
            MUST_EQ(atomic_load(&seen[who][number]), 1);
        }
        memset(&seen[who], 0, made[who] + 1);
        atomic_store(&accepted[who], 0);
        made[who] = 0;
    }
    MUST_EQ(atomic_load(&received), sum);
    atomic_store(&received, 0);
}

/* ---- what is stepped through: one call, as a user's program makes it ---- */

static alignas(16) unsigned char victims[BATCH_MAX * SIZE_MOST];
static size_t       victims_count;
static async_status victims_status;
static async_view   view;

static void prepare_write(const struct scene *scene)
{
    prepare(scene);
    make_items(scene, VICTIM, victims, scene->batch);
}

static void call_write(const struct scene *scene)
{
    victims_status = async_writer_write(writer, victims, scene->batch, &victims_count, async_now());
}

static void finish_write(const struct scene *scene)
{
    bool may_close = (scene->flags & (FIRST_CLOSE | THEN_CLOSE)) != 0;
    MUST(victims_status == ASYNC_OK ||
         (victims_status == ASYNC_TIMEOUT && scene->capacity == scene->filled &&
          scene->capacity != 0) ||
         (victims_status == ASYNC_CLOSED && may_close));
    MUST((victims_status == ASYNC_OK) == (victims_count == scene->batch));
    items_accepted(VICTIM, victims_count);
    finish(scene);
}

static void call_read(const struct scene *scene)
{
    victims_status = async_reader_read(reader, victims, scene->batch, &victims_count, async_now());
}

static void finish_read(const struct scene *scene)
{
    MUST(victims_status == ASYNC_OK || victims_status == ASYNC_TIMEOUT ||
         (victims_status == ASYNC_END && (scene->flags & THEN_CLOSE) != 0));
    memset(last, 0, sizeof last);
    check_items(scene, victims, victims_count, true);
    finish(scene);
}

static void call_borrow(const struct scene *scene)
{
    victims_count = 0;
    victims_status = async_reader_borrow(reader, &view, scene->batch, async_now());
    if (victims_status == ASYNC_OK) {
        victims_count = view.count;
        memcpy(victims, view.items, view.count * size_of(scene));
        async_view_return(&view);
    }
}

static void call_close(const struct scene *scene)
{
    (void)scene;
    async_writer_close(writer);
}

static void call_writer_release(const struct scene *scene)
{
    (void)scene;
    async_writer_release(writer);
}

static void call_reader_release(const struct scene *scene)
{
    (void)scene;
    async_reader_release(reader);
}

#include "channel_scenes.h"

int main(int argc, char **argv)
{
    freezer_skip((void (*)(void))discard);
    return freezer_main(scenes, sizeof scenes / sizeof scenes[0], NONE_BLOCKS, argc, argv);
}
