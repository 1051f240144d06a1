/* channels.c: two threads write into a channel with room for 64 numbers, a task squares what comes,
 * the main thread adds up the squares. */
#include <async/async.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static void check(async_status status, const char *what)
{
    if (status != ASYNC_OK) {
        fprintf(stderr, "channels: %s: %s\n", what, async_status_text(status));
        exit(EXIT_FAILURE);
    }
}

/* Each thread holds the write end, and lets go of it when it is done. */
static void *produce(void *argument)
{
    async_writer *writer = argument;
    for (uint64_t i = 0; i < 1000; i++)
        check(async_writer_write(writer, &i, 1, NULL, async_forever()), "cannot write");
    async_writer_release(writer);
    return NULL;
}

ASYNC_EACH(square, uint64_t, in, uint64_t, out)
{
    *out = *in * *in;
    return 0;
}

int main(void)
{
    async_writer               *writer;
    async_reader               *numbers, *squares;
    const async_channel_options bounded = {.name = "numbers", .capacity = 64};
    check(async_channel_create(&writer, &numbers, sizeof(uint64_t), &bounded),
          "cannot make a channel");

    async_pool *pool;
    check(async_pool_create(&pool, 1, NULL), "cannot make a pool");
    const async_task_options square_task = {
        .name = "square", .input = numbers, .batch = square, .max_chunksize = 16};
    check(async_pool_add_task(pool, &squares, &square_task), "cannot add 'square'");

    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        if (pthread_create(&threads[i], NULL, produce, async_writer_retain(writer)) != 0) {
            fprintf(stderr, "channels: cannot start a thread\n");
            return EXIT_FAILURE;
        }
    }
    async_writer_release(writer); /* the threads hold it now; the last one closes the channel */

    uint64_t     items[100], sum = 0;
    size_t       got;
    async_status status;
    do {
        status = async_reader_read(squares, items, 100, &got, async_forever());
        for (size_t i = 0; i < got; i++) sum += items[i];
    } while (status == ASYNC_OK);
    if (status != ASYNC_END) check(status, "cannot read");
    printf("%" PRIu64 "\n", sum);

    for (size_t i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    async_reader_release(numbers);
    async_reader_release(squares);
    check(async_pool_destroy(pool, ASYNC_DRAIN), "cannot end the pool");
    return EXIT_SUCCESS;
}
