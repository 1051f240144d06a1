/* callbacks_mixed.c: a task with several inputs, whose readers have callbacks. Where a chunk was
 * put together from the items of two inputs, the callbacks of the first one were given all of it:
 * they ran on the other input's items, and that one's own never saw these.
 *
 * Each input's callback adds a mark of its own to every item that it is given; its chunks are of
 * other sizes than those of the task. */
#include "pipeline.h"

enum { INPUTS = 2, OF_EACH = 5000, FIRST = 100000, MARK = 1000000 };

static const size_t chunks[] = {4, 7, 64};

struct input {
    uint64_t      mark;
    size_t        count; /* of its items: not the same for all */
    atomic_size_t announced;
};

static int pre_count(size_t count, void *context)
{
    struct input *input = context;
    atomic_fetch_add(&input->announced, count);
    return 0;
}

static void post_mark(void *items, size_t *count, void *context)
{
    const struct input *input = context;
    uint64_t           *all = items;
    for (size_t i = 0; i < *count; i++) { all[i] += input->mark; }
}

static void mix(unsigned n, size_t chunk)
{
    struct input  inputs[INPUTS] = {{.mark = MARK, .count = OF_EACH + 1},
                                    {.mark = 2 * MARK, .count = OF_EACH + 3}};
    async_reader *readers[INPUTS];
    async_pool   *pool = pool_of(n);
    size_t        count, wrong = 0, all = 0;
    for (unsigned i = 0; i < INPUTS; i++) {
        readers[i] = TASK(pool, .source = range_of(i * FIRST, inputs[i].count), .max_chunksize = 3);
        if (async_reader_set_pre(readers[i], pre_count, &inputs[i], NULL, NULL) != ASYNC_OK ||
            async_reader_set_post(readers[i], post_mark, &inputs[i], NULL, NULL) != ASYNC_OK) {
            give_up("no callbacks");
        }
        all += inputs[i].count;
    }
    async_reader *mixed = TASK(pool, .input = readers[0], .batch = batch_copy,
                               .max_chunksize = chunk);
    if (async_task_add_input(async_reader_task(mixed), readers[1]) != ASYNC_OK) {
        give_up("no second input");
    }
    uint64_t *items = read_rest(mixed, &count);
    for (size_t i = 0; i < count; i++) {
        const struct input *input = &inputs[items[i] % MARK / FIRST];
        wrong += items[i] / MARK * MARK != input->mark;
    }
    if (count != all || wrong > 0) {
        give_up("N = %u, chunks of %zu: %zu of %zu items, %zu went through the wrong callback", n,
                chunk, count, all, wrong);
    }
    for (unsigned i = 0; i < INPUTS; i++) {
        if (atomic_load(&inputs[i].announced) != inputs[i].count) {
            give_up("N = %u, chunks of %zu: input %u has %zu items, but %zu were announced", n,
                    chunk, i, inputs[i].count, atomic_load(&inputs[i].announced));
        }
        async_reader_release(readers[i]);
    }
    async_free(items);
    async_reader_release(mixed);
    pool_end(pool);
}

int main(void)
{
    for (unsigned n = 0; n <= 2; n++) {
        for (unsigned i = 0; i < sizeof chunks / sizeof *chunks; i++) { mix(n, chunks[i]); }
    }
    return 0;
}
