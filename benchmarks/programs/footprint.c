/* footprint.c: how far the peak memory of a process grows while for_each streams ITEMS items
 * through a chain of two tasks, in a pool of WORKERS workers, and how many allocations are made
 * after the first tenth of them. Usage: footprint WORKERS ITEMS [CHUNK]; prints a line of JSON.
 * Linked with --wrap for malloc, calloc, realloc and aligned_alloc. */
#include <async/async.h>

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic(uint64_t) allocations;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void *__wrap_malloc(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_calloc(count, size);
}

void *__wrap_realloc(void *memory, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_realloc(memory, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return __real_aligned_alloc(alignment, size);
}

/* What the sink, a serial stage, knows. */
struct sum {
    uint64_t total;
    uint64_t seen;
    uint64_t warm;        /* so many items are the first tenth */
    uint64_t allocations; /* until then */
};

static int increment(const void *in, void *out, size_t count, size_t *done, void *context)
{
    (void)done;
    (void)context;
    const uint64_t *from = in;
    uint64_t       *to = out;
    for (size_t i = 0; i < count; i++) to[i] = from[i] + 1;
    return 0;
}

static int add(const void *items, size_t count, void *context)
{
    const uint64_t *values = items;
    struct sum     *sum = context;
    for (size_t i = 0; i < count; i++) sum->total += values[i];
    if (sum->seen < sum->warm && sum->seen + count >= sum->warm)
        sum->allocations = atomic_load(&allocations);
    sum->seen += count;
    return ASYNC_CONTINUE;
}

/* VmHWM of this process, in KiB; 0 where it can't be read. */
static long peak_memory(void)
{
    FILE *file = fopen("/proc/self/status", "r");
    if (file == NULL) return 0;
    char line[256];
    long peak = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "VmHWM:", 6) == 0) peak = strtol(line + 6, NULL, 10);
    }
    fclose(file);
    return peak;
}

static void must(async_status status, const char *what)
{
    if (status != ASYNC_OK) {
        fprintf(stderr, "footprint: %s: %s\n", what, async_status_text(status));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3 && argc != 4) {
        fprintf(stderr, "usage: footprint WORKERS ITEMS [CHUNK]\n");
        return 2;
    }
    unsigned workers = (unsigned)strtoul(argv[1], NULL, 10);
    uint64_t items = strtoull(argv[2], NULL, 10);
    size_t   chunk = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;

    async_pool   *pool = NULL;
    async_reader *first = NULL;
    async_reader *last = NULL;
    async_source  source = async_source_range(0, items);
    must(async_pool_create(&pool, workers, NULL), "async_pool_create");
    must(async_pool_add_task(
             pool, &first,
             &(async_task_options){.source = &source, .batch = increment, .max_chunksize = chunk}),
         "async_pool_add_task");
    must(async_pool_add_task(
             pool, &last,
             &(async_task_options){.input = first, .batch = increment, .max_chunksize = chunk}),
         "async_pool_add_task");
    async_reader_release(first);

    long       before = peak_memory();
    struct sum sum = {.warm = items / 10};
    must(async_reader_for_each(last, add, &sum, async_forever()), "async_reader_for_each");
    uint64_t allocated = atomic_load(&allocations) - sum.allocations;
    long     after = peak_memory();

    async_reader_release(last);
    must(async_pool_destroy(pool, ASYNC_DRAIN), "async_pool_destroy");
    uint64_t a = items % 2 == 0 ? items / 2 : items;
    uint64_t b = items % 2 == 0 ? items - 1 : (items - 1) / 2;
    if (sum.total != a * b + 2 * items) {
        fprintf(stderr, "footprint: wrong sum\n");
        return 1;
    }
    printf("{\"workers\": %u, \"items\": %" PRIu64
           ", \"before_kib\": %ld, \"after_kib\": %ld, \"growth_kib\": %ld, "
           "\"allocations\": %" PRIu64 "}\n",
           workers, items, before, after, after - before, allocated);
    return 0;
}
