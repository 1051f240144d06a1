/* overhead.c: what a chunk of power costs beside the work on it, with no workers: the best of
 * many passes of the plain loop and of the pipeline, in turns, in one process, so that a machine
 * with other work to do, or that changes its speed, tells the same. Usage: overhead CHUNK...;
 * prints a line for each. */
#define _POSIX_C_SOURCE 200809L
#include "../support/kernels.h"

#include <async/async.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ITEMS = 1 << 20, PASSES = 300 };

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void must(async_status status, const char *what)
{
    if (status != ASYNC_OK) {
        fprintf(stderr, "overhead: %s: %s\n", what, async_status_text(status));
        exit(1);
    }
}

static uint64_t plain(uint64_t *items, size_t chunk)
{
    uint64_t total = 0;
    for (uint64_t first = 0; first < ITEMS; first += chunk) {
        size_t count = chunk < ITEMS - first ? chunk : ITEMS - first;
        kernel_fill(items, first, count);
        kernel_square(items, items, count);
        total += kernel_sum(items, count);
    }
    return total;
}

static int square(const void *in, void *out, size_t count, size_t *done, void *context)
{
    (void)done;
    (void)context;
    kernel_square(in, out, count);
    return 0;
}

static int sum(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    (void)done;
    (void)context;
    uint64_t partial = kernel_sum(in, count);
    return async_emit(out, &partial, 1) == ASYNC_OK ? 0 : 1;
}

static int add(const void *items, size_t count, void *context)
{
    const uint64_t *values = items;
    uint64_t       *total = context;
    for (size_t i = 0; i < count; i++) *total += values[i];
    return ASYNC_CONTINUE;
}

static uint64_t pipeline(async_pool *pool, size_t chunk)
{
    async_source  source = async_source_range(0, ITEMS);
    async_reader *squares = NULL;
    async_reader *sums = NULL;
    uint64_t      total = 0;
    must(async_pool_add_task(
             pool, &squares,
             &(async_task_options){
                 .source = &source, .batch = square, .max_chunksize = chunk, .in_place = true}),
         "async_pool_add_task");
    must(async_pool_add_task(
             pool, &sums,
             &(async_task_options){.input = squares, .emit = sum, .max_chunksize = chunk}),
         "async_pool_add_task");
    async_reader_release(squares);
    must(async_reader_for_each(sums, add, &total, async_forever()), "async_reader_for_each");
    async_reader_release(sums);
    return total;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: overhead CHUNK...\n");
        return 2;
    }
    async_pool *pool = NULL;
    must(async_pool_create(&pool, 0, NULL), "async_pool_create");
    for (int i = 1; i < argc; i++) {
        size_t    chunk = strtoul(argv[i], NULL, 10);
        uint64_t *items = chunk == 0 ? NULL : malloc(chunk * sizeof *items);
        if (items == NULL) {
            fprintf(stderr, "overhead: no such chunk: %s\n", argv[i]);
            return 1;
        }
        double best_plain = 1e18;
        double best_pipeline = 1e18;
        for (int pass = 0; pass < PASSES; pass++) {
            double   start = now_ns();
            uint64_t expected = plain(items, chunk);
            double   middle = now_ns();
            uint64_t total = pipeline(pool, chunk);
            double   end = now_ns();
            if (total != expected) {
                fprintf(stderr, "overhead: wrong sum\n");
                return 1;
            }
            best_plain = middle - start < best_plain ? middle - start : best_plain;
            best_pipeline = end - middle < best_pipeline ? end - middle : best_pipeline;
        }
        double chunks = (double)ITEMS / (double)chunk;
        printf("chunk %6zu: plain %8.0f ns, pipeline %8.0f ns, ratio %.3f, overhead %6.0f ns a "
               "chunk\n",
               chunk, best_plain / chunks, best_pipeline / chunks, best_plain / best_pipeline,
               (best_pipeline - best_plain) / chunks);
        free(items);
    }
    must(async_pool_destroy(pool, ASYNC_DROP), "async_pool_destroy");
    return 0;
}
