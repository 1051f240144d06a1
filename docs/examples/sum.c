/* sum.c: adds up the squares of the numbers below a million, on all CPUs, in bounded memory. */
#include <async/async.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Written for one item; the macro makes a function for a whole chunk of it. */
ASYNC_EACH(square, uint64_t, in, uint64_t, out)
{
    *out = *in * *in;
    return 0;
}

/* Called by one thread at a time, with as many items as are at hand. */
static int add(const void *items, size_t count, void *context)
{
    const uint64_t *squares = items;
    uint64_t       *sum = context;
    for (size_t i = 0; i < count; i++) *sum += squares[i];
    return ASYNC_CONTINUE;
}

static void check(async_status status, const char *what)
{
    if (status != ASYNC_OK) {
        fprintf(stderr, "sum: %s: %s\n", what, async_status_text(status));
        exit(EXIT_FAILURE);
    }
}

int main(void)
{
    async_pool *pool;
    check(async_pool_create(&pool, ASYNC_ALL_CPUS, NULL), "cannot make a pool");

    async_source             million = async_source_range(0, 1000000);
    async_reader            *squares;
    const async_task_options square_task = {
        .name = "square", .source = &million, .batch = square, .max_chunksize = 4096};
    check(async_pool_add_task(pool, &squares, &square_task), "cannot add 'square'");

    uint64_t sum = 0;
    check(async_reader_for_each(squares, add, &sum, async_forever()), "cannot read");
    printf("%" PRIu64 "\n", sum);

    async_reader_release(squares);
    check(async_pool_destroy(pool, ASYNC_DRAIN), "cannot end the pool");
    return EXIT_SUCCESS;
}
