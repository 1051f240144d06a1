/* memory.c: hardly any arithmetic, all memory. An item is a page of 4 KiB somewhere in an array
 * that no cache holds; its words are added up. Limited by what the memory can deliver. */
#include "workloads/kernels.h"

#include <stdlib.h>

enum { PAGE_WORDS = 512, PAGES = 1 << 15 }; /* 128 MiB; a power of two */

struct array {
    uint64_t  expected;
    uint64_t *words;
};

/* The pages in an order in which neighbours are not neighbours: an odd factor, modulo 2^15. */
static uint64_t page_of(uint64_t i) { return i * 20011 % PAGES; }

static bool prepare(uint64_t items, uint64_t seed, void **data)
{
    struct array *array = malloc(sizeof *array);
    if (array == NULL) return false;
    array->words = malloc(sizeof(uint64_t) * PAGES * PAGE_WORDS);
    if (array->words == NULL) {
        free(array);
        return false;
    }
    uint64_t all = 0;
    for (uint64_t i = 0; i < (uint64_t)PAGES * PAGE_WORDS; i++)
        all += array->words[i] = random_at(seed, i);

    array->expected = items / PAGES * all;
    for (uint64_t i = 0; i < items % PAGES; i++)
        for (uint64_t word = 0; word < PAGE_WORDS; word++)
            array->expected += array->words[page_of(i) * PAGE_WORDS + word];
    *data = array;
    return true;
}

static void discard(void *data)
{
    struct array *array = data;
    free(array->words);
    free(array);
}

static int add_pages(const void *in, void *out, size_t count, size_t *done, void *context)
{
    (void)done;
    const struct array *array = ((const struct sum *)context)->data;
    const uint64_t     *numbers = in;
    uint64_t           *sums = out;
    for (size_t i = 0; i < count; i++) {
        const uint64_t *page = array->words + page_of(numbers[i]) * PAGE_WORDS;
        uint64_t        sum = 0;
        for (size_t word = 0; word < PAGE_WORDS; word++) sum += page[word];
        sums[i] = sum;
    }
    return 0;
}

static int build(const async_scale_build *build, void *data, async_scale_pipeline *out)
{
    const struct array *array = data;
    struct sum         *sum = sum_new(build->items, array->expected, array);
    return sum_of_one_task(build, "add pages", add_pages, sum, out);
}

const struct workload workload_memory = {
    .name = "memory",
    .summary = "reads pages of 4 KiB all over an array of 128 MiB",
    .item = "a page of 4 KiB",
    .items = 100000,
    .chunks = {1, 16, 256},
    .chunk_count = 3,
    .threads_per_worker = 1,
    .prepare = prepare,
    .discard = discard,
    .build = build,
};
