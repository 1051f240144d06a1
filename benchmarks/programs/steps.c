/* steps.c: a token pipeline to count instructions in: ITEMS items through STAGES stages in chunks
 * of one, no workers, read in large counts. Usage: steps ITEMS STAGES, under callgrind; the counts
 * of two numbers of items are subtracted. The user's functions are user_increment, user_sum and
 * main. */
#include <async/async.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 4096 };

__attribute__((noinline)) static int user_increment(const void *in, void *out, size_t count,
                                                    size_t *done, void *context)
{
    (void)done;
    uint64_t       *calls = context;
    const uint64_t *from = in;
    uint64_t       *to = out;
    for (size_t i = 0; i < count; i++) to[i] = from[i] + 1;
    ++*calls;
    return 0;
}

__attribute__((noinline)) static uint64_t user_sum(const uint64_t *items, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++) total += items[i];
    return total;
}

static void must(async_status status, const char *what)
{
    if (status != ASYNC_OK) {
        fprintf(stderr, "steps: %s: %s\n", what, async_status_text(status));
        exit(1);
    }
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: steps ITEMS STAGES\n");
        return 2;
    }
    uint64_t items = strtoull(argv[1], NULL, 10);
    unsigned stages = (unsigned)strtoul(argv[2], NULL, 10);

    uint64_t      calls = 0;
    async_pool   *pool = NULL;
    async_reader *last = NULL;
    async_source  source = async_source_range(0, items);
    must(async_pool_create(&pool, 0, NULL), "async_pool_create");
    for (unsigned i = 0; i < stages; i++) {
        async_reader *next = NULL;
        must(async_pool_add_task(pool, &next,
                                 &(async_task_options){.source = i == 0 ? &source : NULL,
                                                       .input = last,
                                                       .batch = user_increment,
                                                       .context = &calls,
                                                       .in_place = true,
                                                       .max_chunksize = 1}),
             "async_pool_add_task");
        async_reader_release(last);
        last = next;
    }
    static uint64_t buffer[COUNT];
    uint64_t        total = 0;
    size_t          got = 0;
    async_status    status;
    do {
        status = async_reader_read(last, buffer, COUNT, &got, async_forever());
        total += user_sum(buffer, got);
    } while (status == ASYNC_OK);
    if (status != ASYNC_END) must(status, "async_reader_read");
    async_reader_release(last);
    must(async_pool_destroy(pool, ASYNC_DROP), "async_pool_destroy");

    uint64_t expected = (items % 2 == 0 ? items / 2 * (items - 1) : (items - 1) / 2 * items) +
                        stages * items;
    if (total != expected || calls != stages * items) {
        fprintf(stderr, "steps: wrong sum, or not one call for each chunk\n");
        return 1;
    }
    printf("{\"items\": %" PRIu64 ", \"stages\": %u}\n", items, stages);
    return 0;
}
