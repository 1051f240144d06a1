/* channel_limits.c: arguments that nobody should pass, and calls that come too late. With the
 * internal headers, to see that they change nothing. */
#define _GNU_SOURCE
#include "abuse.h"

#include "queue_segment.h"

#include "channel.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- what is allocated: the linker passes all calls of this program here ---- */

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void  __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void  __wrap_free(void *memory);

static atomic_long live;

static void *counted(void *memory)
{
    atomic_fetch_add(&live, memory != NULL);
    return memory;
}

void *__wrap_malloc(size_t size) { return counted(__real_malloc(size)); }
void *__wrap_calloc(size_t count, size_t size) { return counted(__real_calloc(count, size)); }
void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return counted(__real_aligned_alloc(alignment, size));
}
void __wrap_free(void *memory)
{
    atomic_fetch_sub(&live, memory != NULL);
    __real_free(memory);
}

/* ---- F6: for ever ---- */

/* All that a call which does nothing may not change. */
struct state {
    uint64_t words[13];
};

static struct state state_of(struct channel *channel)
{
    struct queue_segment *tail = load_seq_cst(&channel->queue.tail);
    struct queue_segment *head = load_seq_cst(&channel->queue.head);
    return (struct state){{load_seq_cst(&channel->refs), load_seq_cst(&channel->ended),
                           load_seq_cst(&channel->alarms), load_seq_cst(&channel->reserved),
                           load_seq_cst(&channel->taken), load_seq_cst(&channel->queue.more_put),
                           load_seq_cst(&channel->queue.more_taken), load_seq_cst(&tail->tickets),
                           load_seq_cst(&head->cursor), (uintptr_t)tail, (uintptr_t)head,
                           load_seq_cst(&channel->readers.count),
                           load_seq_cst(&channel->writers.count)}};
}

static int sink(const void *items, size_t count, void *context)
{
    (void)items;
    (void)count;
    (void)context;
    return ASYNC_CONTINUE;
}

static void after_the_end(size_t capacity, size_t size, bool cancel)
{
    async_channel_options options = {.capacity = capacity};
    async_writer         *writer;
    async_reader         *reader;
    unsigned char         items[200] = {0};
    const async_wait      waits[] = {async_forever(), async_now(), async_per_item_ms(1000),
                                     async_within_ms(1000), async_until_ns(1)};
    WANT_STATUS(async_channel_create(&writer, &reader, size, &options), ASYNC_OK);
    WANT_STATUS(async_writer_write(writer, items, 3, NULL, async_now()), ASYNC_OK);
    WANT_STATUS(async_reader_read(reader, items, 2, NULL, async_now()), ASYNC_OK);
    if (cancel) {
        WANT_STATUS(async_reader_cancel(reader), ASYNC_OK);
    } else {
        WANT_STATUS(async_writer_close(writer), ASYNC_OK);
        WANT_STATUS(async_reader_read(reader, items, 1, NULL, async_now()), ASYNC_OK);
    }
    async_status end = cancel ? ASYNC_CANCELLED : ASYNC_END;
    async_reader_read(reader, items, 1, NULL, async_now()); /* the end is found, once */
    struct state before = state_of(channel_of_reader(reader));
    for (uint64_t i = abuse_rounds(30000); i-- > 0;) {
        async_wait wait = waits[i % 5];
        size_t     count = 1 + i % 5, done = 99;
        WANT_STATUS(async_reader_read(reader, items, count, &done, wait), end);
        WANT_EQ(done, 0);
        WANT_STATUS(async_writer_write(writer, items, count, &done, wait), ASYNC_CLOSED);
        WANT_EQ(done, 0);
        WANT(async_writer_closed(writer));
        WANT_STATUS(async_writer_close(writer), ASYNC_OK);
        WANT_EQ(async_reader_ready(reader), 0);
        if (i % 16 == 0) {
            void      *all = items;
            async_view view;
            WANT_STATUS(async_reader_read_all(reader, &all, &done, wait), cancel ? end : ASYNC_OK);
            WANT(all == NULL && done == 0);
            WANT_STATUS(async_reader_borrow(reader, &view, count, wait), end);
            WANT(view.items == NULL && view.count == 0);
            WANT_STATUS(async_reader_for_each(reader, sink, NULL, wait), cancel ? end : ASYNC_OK);
        }
    }
    struct state after = state_of(channel_of_reader(reader));
    for (size_t i = 0; i < sizeof after.words / sizeof after.words[0]; i++) {
        WANT_EQ(after.words[i], before.words[i]);
    }
    async_writer_release(writer);
    async_reader_release(reader);
}

static void reads_and_writes_after_the_end(void)
{
    static const size_t sizes[] = {8, 24, 40};
    for (unsigned i = 0; i < 3; i++) {
        after_the_end(0, sizes[i], false);
        after_the_end(3, sizes[i], false);
        after_the_end(3, sizes[i], true);
    }
}

/* ---- F12: sizes ---- */

static void try_sizes(void)
{
    static const struct {
        size_t       size, capacity;
        async_status status;
    } tries[] = {
        {0, 0, ASYNC_INVALID},
        {0, 10, ASYNC_INVALID},
        {1, SIZE_MAX, ASYNC_INVALID},
        {8, SIZE_MAX, ASYNC_INVALID},
        {2, (size_t)1 << 63, ASYNC_INVALID},
        {(size_t)1 << 32, (size_t)1 << 32, ASYNC_INVALID},
        {((size_t)1 << 32) + 1, (size_t)1 << 32, ASYNC_INVALID},
        {SIZE_MAX, 1, ASYNC_INVALID},
        {SIZE_MAX, 0, ASYNC_INVALID},
        {(size_t)1 << 63, 0, ASYNC_INVALID},
        {SIZE_MAX / 8 + 2, 8, ASYNC_INVALID}, /* 8 bytes, after the overflow */
        {1, PTRDIFF_MAX, ASYNC_OK},           /* a bound is no memory */
        {PTRDIFF_MAX, 1, ASYNC_OK},
        {8, 0, ASYNC_OK},
    };
    for (size_t i = 0; i < sizeof tries / sizeof tries[0]; i++) {
        async_channel_options options = {.capacity = tries[i].capacity};
        async_writer         *writer = (async_writer *)(uintptr_t)8;
        async_reader         *reader = (async_reader *)(uintptr_t)8;
        async_status          status;
        status = async_channel_create(&writer, &reader, tries[i].size, &options);
        WANT_STATUS(status, tries[i].status);
        WANT((status == ASYNC_OK) == (writer != NULL) && (writer == NULL) == (reader == NULL));
        if (status == ASYNC_OK) {
            uint64_t item = 5;
            size_t   count = 9;
            WANT_STATUS(async_writer_write(writer, &item, SIZE_MAX, &count, async_now()),
                        ASYNC_INVALID);
            WANT_EQ(count, 0);
            if (tries[i].size == PTRDIFF_MAX) { /* one item is more than there is memory */
#ifndef ABUSE_SANITIZED                         /* whose allocators end the process there */
                WANT_STATUS(async_writer_write(writer, &item, 1, &count, async_now()),
                            ASYNC_NO_MEMORY);
                WANT_EQ(count, 0);
                WANT_EQ(async_reader_ready(reader), 0);
#endif
            } else {
                WANT_STATUS(async_writer_write(writer, &item, 1, &count, async_now()), ASYNC_OK);
                WANT_STATUS(async_reader_read(reader, &item, 1, &count, async_now()), ASYNC_OK);
            }
            WANT_STATUS(async_reader_read(reader, &item, SIZE_MAX, &count, async_now()),
                        ASYNC_INVALID);
            WANT_EQ(count, 0);
        }
        async_writer_release(writer);
        async_reader_release(reader);
    }
}

static void sizes_that_cannot_be(void)
{
    try_sizes(); /* what a thread allocates once */
    long before = atomic_load(&live);
    for (unsigned i = 0; i < 100; i++) { try_sizes(); }
    WANT_EQ(atomic_load(&live), before);

    async_writer *writer; /* capacity 0 is unbounded */
    async_reader *reader;
    channel_of(&writer, &reader, 0, NULL);
    write_numbers(writer, 0, 100000);
    WANT_EQ(async_reader_ready(reader), 100000);
    async_writer_release(writer);
    async_reader_release(reader);
}

/* ---- F22: handles ---- */

static void no_handles(void)
{
    uint64_t      item = 1;
    size_t        count = 9;
    void         *items = &item;
    async_view    view;
    async_error   error;
    async_writer *writer;
    async_reader *reader;
    async_wait    wait = async_forever();
    WANT_STATUS(async_channel_create(NULL, &reader, 8, NULL), ASYNC_INVALID);
    WANT_STATUS(async_channel_create(&writer, NULL, 8, NULL), ASYNC_INVALID);
    WANT_STATUS(async_writer_write(NULL, &item, 1, &count, wait), ASYNC_INVALID);
    WANT_EQ(count, 0);
    WANT_STATUS(async_writer_close(NULL), ASYNC_INVALID);
    WANT(async_writer_closed(NULL));
    WANT_STATUS(async_writer_set_pre(NULL, NULL, NULL, NULL, NULL), ASYNC_INVALID);
    WANT_STATUS(async_reader_read(NULL, &item, 1, &count, wait), ASYNC_INVALID);
    WANT_STATUS(async_reader_read_all(NULL, &items, &count, wait), ASYNC_INVALID);
    WANT_STATUS(async_reader_for_each(NULL, sink, NULL, wait), ASYNC_INVALID);
    WANT_STATUS(async_reader_borrow(NULL, &view, 1, wait), ASYNC_INVALID);
    WANT_STATUS(async_view_return(NULL), ASYNC_INVALID);
    WANT_EQ(async_reader_ready(NULL), 0);
    WANT_STATUS(async_reader_error(NULL, &error), ASYNC_INVALID);
    WANT_STATUS(async_reader_cancel(NULL), ASYNC_INVALID);
    WANT(async_reader_task(NULL) == NULL && async_reader_pool(NULL) == NULL);
    WANT(async_reader_retain(NULL) == NULL && async_writer_retain(NULL) == NULL);
    WANT_STATUS(async_reader_set_pre(NULL, NULL, NULL, NULL, NULL), ASYNC_INVALID);
    WANT_STATUS(async_reader_set_post(NULL, NULL, NULL, NULL, NULL), ASYNC_INVALID);
    async_writer_release(NULL);
    async_reader_release(NULL);
    channel_of(&writer, &reader, 4, NULL);
    WANT_STATUS(async_writer_write(writer, NULL, 1, &count, wait), ASYNC_INVALID);
    WANT_STATUS(async_reader_read(reader, NULL, 1, &count, wait), ASYNC_INVALID);
    WANT_STATUS(async_reader_read_all(reader, NULL, &count, wait), ASYNC_INVALID);
    WANT_STATUS(async_reader_for_each(reader, NULL, NULL, wait), ASYNC_INVALID);
    WANT_STATUS(async_reader_borrow(reader, NULL, 1, wait), ASYNC_INVALID);
    WANT_STATUS(async_reader_error(reader, NULL), ASYNC_INVALID);
    WANT_STATUS(async_writer_write(writer, &item, 1, &count, (async_wait){77, 0}), ASYNC_INVALID);
    WANT_STATUS(async_reader_read(reader, &item, 1, &count, (async_wait){77, 0}), ASYNC_INVALID);
    async_writer_release(writer);
    async_reader_release(reader);
}

enum misuse {
    WRITER_TWICE,
    READER_TWICE,
    WRITE_RELEASED,
    READ_RELEASED,
    CLOSE_RELEASED,
    WRITE_FREED,
    READ_FREED,
    WRITE_TO_READER,
    READ_FROM_WRITER,
    MISUSES
};

static void misuse(void *argument)
{
    enum misuse   kind = *(enum misuse *)argument;
    async_writer *writer, *keep_writer;
    async_reader *reader, *keep_reader;
    uint64_t      item = 1;
    size_t        count = 0;
    async_status  status = ASYNC_OK;
    channel_of(&writer, &reader, 0, NULL);
    keep_writer = writer;
    keep_reader = reader;
    switch (kind) {
    case WRITER_TWICE:
        async_writer_release(writer);
        async_writer_release(keep_writer);
        break;
    case READER_TWICE:
        async_reader_release(reader);
        async_reader_release(keep_reader);
        break;
    case WRITE_RELEASED:
        async_writer_release(writer);
        status = async_writer_write(keep_writer, &item, 1, &count, async_within_ms(10));
        break;
    case READ_RELEASED:
        async_reader_release(reader);
        status = async_reader_read(keep_reader, &item, 1, &count, async_within_ms(10));
        break;
    case CLOSE_RELEASED:
        async_writer_release(writer);
        status = async_writer_close(keep_writer);
        break;
    case WRITE_FREED:
        async_writer_release(writer);
        async_reader_release(reader);
        status = async_writer_write(keep_writer, &item, 1, &count, async_within_ms(10));
        break;
    case READ_FREED:
        async_writer_release(writer);
        async_reader_release(reader);
        status = async_reader_read(keep_reader, &item, 1, &count, async_within_ms(10));
        break;
    case WRITE_TO_READER:
        status = async_writer_write((async_writer *)(void *)reader, &item, 1, &count,
                                    async_within_ms(10));
        break;
    case READ_FROM_WRITER:
        status = async_reader_read((async_reader *)(void *)writer, &item, 1, &count,
                                   async_within_ms(10));
        break;
    case MISUSES:
        break;
    }
    _exit(status == ASYNC_OK && count > 0 ? 3 : 0);
}

/* Where the invariants are checked each of them ends the process with a message that says what was
 * wrong; in other builds it is undefined, and the two that count down to below 0 end it too. */
static void wrong_handles(void)
{
    for (unsigned i = 0; i < MISUSES; i++) {
        enum misuse   kind = (enum misuse)i;
        child_options options = {.seconds = 60, .capture = true};
        bool          checked = kind == WRITER_TWICE || kind == READER_TWICE;
#ifdef ABUSE_CHECKED
        checked = true;
#endif
        if (!checked) { continue; }
        child_end end = child_run(misuse, &kind, &options);
        WANT(!end.hung);
        if (end.signal != SIGABRT && end.code != 1) { /* 1: AddressSanitizer's */
            watched_failed(__FILE__, __LINE__, "misuse %u: exit status %d, signal %d: %s", i,
                           end.code, end.signal, end.said);
        }
        WANT(strstr(end.said, "async: ") != NULL || strstr(end.said, "Sanitizer: ") != NULL);
        free(end.said);
    }
}

static void handles(void)
{
    no_handles();
    wrong_handles();
}

/* ---- F60: buffers ---- */

static void misaligned(void)
{
    for (size_t size = 1; size <= 70; size++) {
        for (size_t shift = 0; shift < 9; shift++) {
            enum { COUNT = 9 };
            unsigned char *from = malloc(COUNT * size + shift), *to = malloc(COUNT * size + shift);
            async_writer  *writer;
            async_reader  *reader;
            WANT(from != NULL && to != NULL);
            for (size_t i = 0; i < COUNT * size; i++) {
                from[shift + i] = (unsigned char)(i * 7 + size);
            }
            WANT_STATUS(async_channel_create(&writer, &reader, size, NULL), ASYNC_OK);
            WANT_STATUS(async_writer_write(writer, from + shift, 1, NULL, async_now()), ASYNC_OK);
            WANT_STATUS(
                async_writer_write(writer, from + shift + size, COUNT - 1, NULL, async_now()),
                ASYNC_OK);
            WANT_STATUS(async_reader_read(reader, to + shift, COUNT - 1, NULL, async_now()),
                        ASYNC_OK);
            WANT_STATUS(
                async_reader_read(reader, to + shift + (COUNT - 1) * size, 1, NULL, async_now()),
                ASYNC_OK);
            WANT(memcmp(from + shift, to + shift, COUNT * size) == 0);
            memset(to, 0, COUNT * size + shift);
            for (size_t i = 0; i < COUNT * size; i += size) {
                WANT_STATUS(async_writer_write(writer, from + shift + i, 1, NULL, async_now()),
                            ASYNC_OK);
            }
            for (size_t i = 0; i < COUNT * size; i += size) {
                WANT_STATUS(async_reader_read(reader, to + shift + i, 1, NULL, async_now()),
                            ASYNC_OK);
            }
            WANT(memcmp(from + shift, to + shift, COUNT * size) == 0);
            async_writer_release(writer);
            async_reader_release(reader);
            free(from);
            free(to);
        }
    }
}

/* Reads into memory that can't be written, or over the items that it reads. */
static void bad_target(void *argument)
{
    bool          overlap = *(bool *)argument;
    async_writer *writer;
    async_reader *reader;
    uint64_t      items[8] = {0};
    void         *target = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    async_view    view = {0};
    WANT(target != MAP_FAILED);
    channel_of(&writer, &reader, 0, NULL);
    WANT_STATUS(async_writer_write(writer, items, 8, NULL, async_now()), ASYNC_OK);
    if (overlap) {
        WANT_STATUS(async_reader_borrow(reader, &view, 4, async_now()), ASYNC_OK);
        target = (uint64_t *)(uintptr_t)view.items + 2;
    }
    async_reader_read(reader, target, 4, NULL, async_within_ms(10));
    _exit(0);
}

static void buffers(void)
{
    misaligned();

    /* A view's items may be written, to the same channel too: a write only reads them. */
    async_writer *writer;
    async_reader *reader;
    async_view    view;
    uint64_t      items[8] = {1, 2, 3, 4, 5, 6, 7, 8}, back[8];
    channel_of(&writer, &reader, 0, NULL);
    WANT_STATUS(async_writer_write(writer, items, 8, NULL, async_now()), ASYNC_OK);
    WANT_STATUS(async_reader_borrow(reader, &view, 8, async_now()), ASYNC_OK);
    WANT_STATUS(async_writer_write(writer, view.items, view.count, NULL, async_now()), ASYNC_OK);
    WANT_STATUS(async_view_return(&view), ASYNC_OK);
    WANT_STATUS(async_reader_read(reader, back, 8, NULL, async_now()), ASYNC_OK);
    WANT(memcmp(items, back, sizeof items) == 0);
    /* a source and a target that are the same memory */
    WANT_STATUS(async_writer_write(writer, back, 8, NULL, async_now()), ASYNC_OK);
    WANT_STATUS(async_reader_read(reader, back + 0, 4, NULL, async_now()), ASYNC_OK);
    WANT_STATUS(async_reader_read(reader, back + 4, 4, NULL, async_now()), ASYNC_OK);
    WANT(memcmp(items, back, sizeof items) == 0);
    async_writer_release(writer);
    async_reader_release(reader);

    /* Read-only: the reader's own fault, at once, and not a hang. */
    bool          overlap = false;
    child_options options = {.seconds = 60, .capture = true};
    child_end     end = child_run(bad_target, &overlap, &options);
    WANT(!end.hung && end.code != 0);
    WANT(end.signal == SIGSEGV || strstr(end.said, "Sanitizer: ") != NULL ||
         strstr(end.said, "Sanitizer:DEADLYSIGNAL") != NULL);
    free(end.said);
#ifdef ABUSE_ASAN
    /* Over the items themselves: undefined, and found by AddressSanitizer. */
    overlap = true;
    end = child_run(bad_target, &overlap, &options);
    WANT(!end.hung && end.code != 0 && strstr(end.said, "memcpy-param-overlap") != NULL);
    free(end.said);
#endif
}

static const watched rows[] = {
    {"F6_reads_and_writes_after_the_end", reads_and_writes_after_the_end, ABUSE_SECONDS, 0, NULL},
    {"F12_sizes_that_cannot_be", sizes_that_cannot_be, ABUSE_SECONDS, 0, NULL},
    {"F22_handles", handles, ABUSE_SECONDS, 0, NULL},
    {"F60_buffers", buffers, ABUSE_SECONDS, 0, NULL},
};

int main(int argc, char **argv) { return WATCHED_MAIN(argc, argv, rows); }
