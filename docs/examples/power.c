/* power.c: the first program. Squares the numbers 0 to 9, doubles the squares, prints them:
 * 0 2 8 18 32 50 72 98 128 162 */
#include <async/async.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int power(const void *in, void *out, void *context)
{
    (void)context;
    uint64_t i = *(const uint64_t *)in;
    *(uint64_t *)out = i * i;
    return 0;
}

static int twice(const void *in, void *out, void *context)
{
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in * 2;
    return 0;
}

/* Every call says how it went. */
static void check(async_status status, const char *what)
{
    if (status != ASYNC_OK) {
        fprintf(stderr, "power: %s: %s\n", what, async_status_text(status));
        exit(EXIT_FAILURE);
    }
}

int main(void)
{
    /* A pool of one worker thread. With 0 the thread that reads does the work. */
    async_pool *pool;
    check(async_pool_create(&pool, 1, NULL), "cannot make a pool");

    /* Two tasks. Each gives a reader of its results; the first one's is the second one's input. */
    async_source             ten = async_source_range(0, 10);
    async_reader            *powers, *result;
    const async_task_options power_task = {.name = "power", .source = &ten, .each = power};
    check(async_pool_add_task(pool, &powers, &power_task), "cannot add 'power'");
    const async_task_options twice_task = {.name = "mult", .input = powers, .each = twice};
    check(async_pool_add_task(pool, &result, &twice_task), "cannot add 'mult'");

    /* Nothing has run so far. Reading is what makes anything happen. */
    uint64_t items[10];
    check(async_reader_read(result, items, 10, NULL, async_forever()), "cannot read");
    for (size_t i = 0; i < 10; i++) printf("%" PRIu64 "%c", items[i], i < 9 ? ' ' : '\n');

    async_reader_release(powers);
    async_reader_release(result);
    check(async_pool_destroy(pool, ASYNC_DRAIN), "cannot end the pool");
    return EXIT_SUCCESS;
}
