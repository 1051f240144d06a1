/* channel_memory.c: what channels keep of the memory that they took. */
#define _GNU_SOURCE
#include "abuse.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Bytes that the library has from the allocator: the linker passes its calls here. */
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
    if (memory != NULL) { atomic_fetch_add(&live, (long)malloc_usable_size(memory)); }
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
    if (memory != NULL) { atomic_fetch_sub(&live, (long)malloc_usable_size(memory)); }
    __real_free(memory);
}

/* Of the process; a sanitizer's own would hide the library's. */
static long resident(void)
{
    char  text[128];
    FILE *file = fopen("/proc/self/statm", "r");
    long  pages = 0;
    WANT(file != NULL);
    WANT(fgets(text, sizeof text, file) != NULL && sscanf(text, "%*s %ld", &pages) == 1);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

#define MIB (1L << 20)

struct flow {
    async_writer *writer;
    async_reader *reader;
    size_t        size, batch;
    uint64_t      items;
};

static void flow_out(void *arg)
{
    struct flow   *f = arg;
    unsigned char *items = calloc(f->batch, f->size);
    WANT(items != NULL);
    for (uint64_t left = f->items; left > 0;) {
        size_t count = left < f->batch ? (size_t)left : f->batch;
        WANT_STATUS(async_writer_write(f->writer, items, count, NULL, async_forever()), ASYNC_OK);
        left -= count;
    }
    WANT_STATUS(async_writer_close(f->writer), ASYNC_OK);
    free(items);
}

/* A writer that is stopped by nothing but the bound. */
static void bounded(size_t size, size_t capacity, size_t batch)
{
    struct flow           f = {.size = size, .batch = batch, .items = abuse_rounds(100000)};
    async_channel_options options = {.capacity = capacity};
    unsigned char        *items = calloc(64, size);
    thread                writer;
    uint64_t              read = 0;
    long                  base = 0, rss = 0, most = 0, most_rss = 0;
    async_status          status;
    WANT(items != NULL);
    WANT_STATUS(async_channel_create(&f.writer, &f.reader, size, &options), ASYNC_OK);
    thread_start(&writer, flow_out, &f);
    do {
        size_t got;
        status = async_reader_read(f.reader, items, 64, &got, async_forever());
        read += got;
        if (read % 640 == 0) { /* slower than the writer: it is always at the bound */
            sleep_us(200);
            long now = atomic_load(&live), now_rss = resident();
            if (read * 8 < f.items) {
                base = now > base ? now : base;
                rss = now_rss > rss ? now_rss : rss;
            } else {
                most = now > most ? now : most;
                most_rss = now_rss > most_rss ? now_rss : most_rss;
            }
        }
    } while (status == ASYNC_OK);
    WANT_STATUS(status, ASYNC_END);
    WANT_EQ(read, f.items);
    pthread_join(writer.id, NULL);
    long allowance = MIB + 2 * (long)(size * capacity); /* free lists that fill */
    WANT(base > 0 && most > 0);
    WANT(most <= base + allowance);
#ifndef ABUSE_SANITIZED
    WANT(most_rss <= rss + 2 * MIB + allowance);
#else
    (void)rss;
#endif
    free(items);
    async_writer_release(f.writer);
    async_reader_release(f.reader);
}

/* Everything is written before anything is read. */
static void unbounded(size_t size, size_t batch)
{
    async_writer  *writer;
    async_reader  *reader;
    unsigned char *items = calloc(batch, size);
    uint64_t       left = abuse_rounds(24 * (uint64_t)MIB / size), count = left / batch;
    WANT(items != NULL);
    WANT_STATUS(async_channel_create(&writer, &reader, size, NULL), ASYNC_OK);
    long base = atomic_load(&live), rss = resident();
    for (uint64_t i = 0; i < count; i++) {
        WANT_STATUS(async_writer_write(writer, items, batch, NULL, async_now()), ASYNC_OK);
    }
    long full = atomic_load(&live), full_rss = resident();
    WANT(full > base + (long)(count * batch * size) / 2);
    for (uint64_t i = 0; i < count; i++) {
        WANT_STATUS(async_reader_read(reader, items, batch, NULL, async_now()), ASYNC_OK);
    }
    long after = atomic_load(&live), after_rss = resident();
    printf("       %zu bytes: live %.1f, %.1f, %.1f MiB; resident %.1f, %.1f, %.1f MiB\n", size,
           (double)base / MIB, (double)full / MIB, (double)after / MIB, (double)rss / MIB,
           (double)full_rss / MIB, (double)after_rss / MIB);
    WANT(after < base + 3 * MIB); /* the free lists' bound: 1 MiB a size, and the loose rest */
#ifndef ABUSE_SANITIZED
    WANT(after_rss < 2 * rss + 3 * MIB);
    WANT(full_rss > rss + (full - base) / 2);
#endif
    free(items);
    async_writer_release(writer);
    async_reader_release(reader);
}

static void memory_in_proportion(void)
{
    bounded(8, 100, 7);
    bounded(8, 5000, 400);
    bounded(200, 300, 50);
    unbounded(8, 1);
    unbounded(8, 1000);
    unbounded(200, 7);
    unbounded(64 << 10, 1);
}

static const watched rows[] = {
    {"F20_memory_in_proportion", memory_in_proportion, ABUSE_SECONDS, 0, NULL},
};

int main(int argc, char **argv) { return WATCHED_MAIN(argc, argv, rows); }
