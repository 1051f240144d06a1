/* Uses the installed library from C11: sums the squares of 0..999 on one worker. The functions
 * with the names of the runtime's own must not get in its way. */
#include <async/async.h>

#include <stdio.h>
#include <string.h>

void panic(void);
void deque_push(void);
void panic(void) {}
void deque_push(void) {}

ASYNC_EACH(square, uint64_t, in, uint64_t, out)
{
    *out = *in * *in;
    return 0;
}

int main(void)
{
    async_pool        *pool = NULL;
    async_reader      *squares = NULL;
    async_source       numbers = async_source_range(0, 1000);
    async_task_options task = {
        .name = "square", .source = &numbers, .batch = square, .item_size = 8};
    uint64_t items[1000], sum = 0;
    size_t   got = 0;

    if (strcmp(async_version(), ASYNC_VERSION_STRING) != 0) return 1;
    if (async_pool_create(&pool, 1, NULL) != ASYNC_OK) return 2;
    if (async_pool_add_task(pool, &squares, &task) != ASYNC_OK) return 3;
    if (async_reader_read(squares, items, 1000, &got, async_forever()) != ASYNC_OK) return 4;
    for (size_t i = 0; i < got; i++) sum += items[i];
    async_reader_release(squares);
    if (async_pool_destroy(pool, ASYNC_DROP) != ASYNC_OK) return 5;
    printf("%llu\n", (unsigned long long)sum);
    return sum == 332833500 ? 0 : 6;
}
