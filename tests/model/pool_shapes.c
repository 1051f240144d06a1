/* pool_shapes.c: a pool with its worker threads, whole, from its making to its end. */
#include "model.h"
#include "pool.h"

#include <async/async.h>

static int plus_one(const void *in, void *out, void *context)
{
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in + 1;
    return 0;
}

static async_reader *task_of(async_pool *pool)
{
    async_source       source = async_source_range(0, 4);
    async_task_options options = {
        .source = &source, .each = plus_one, .item_size = sizeof(uint64_t), .max_chunksize = 1};
    async_reader *reader;
    EXPECT(async_pool_add_task(pool, &reader, &options) == ASYNC_OK);
    return reader;
}

static void read_two(async_reader *reader)
{
    uint64_t items[2];
    size_t   got;
    EXPECT(async_reader_read(reader, items, 2, &got, async_forever()) == ASYNC_OK && got == 2);
    EXPECT(items[0] != items[1] && items[0] >= 1 && items[0] <= 4 && items[1] >= 1 &&
           items[1] <= 4);
}

static void life_of(unsigned workers)
{
    async_pool *pool;
    EXPECT(async_pool_create(&pool, workers, NULL) == ASYNC_OK);
    pool->left_alone = true;
    async_reader *reader = task_of(pool);
    read_two(reader);
    async_reader_release(reader);
    EXPECT(async_pool_destroy(pool, ASYNC_DRAIN) == ASYNC_OK);
}

static void one_worker(unsigned thread)
{
    (void)thread;
    life_of(1);
}

static void two_workers(unsigned thread)
{
    (void)thread;
    life_of(2);
}

/* The size falls to 0 while a read waits for its items: the reader does the rest itself. */
static async_pool   *shared_pool;
static async_reader *shared_reader;

static void shrinking(unsigned thread)
{
    (void)thread;
    EXPECT(async_pool_create(&shared_pool, 1, NULL) == ASYNC_OK);
    shared_pool->left_alone = true;
    shared_reader = task_of(shared_pool);
    uint64_t item;
    size_t   got;
    EXPECT(async_reader_read(shared_reader, &item, 1, &got, async_forever()) == ASYNC_OK);
    EXPECT(async_pool_set_size(shared_pool, 0) == ASYNC_OK);
    read_two(shared_reader);
    async_reader_release(shared_reader);
    EXPECT(async_pool_destroy(shared_pool, ASYNC_DROP) == ASYNC_OK);
}

const struct model_shape pool_shapes[] = {
    {"pool/one-worker", 1, 1, NULL, one_worker, NULL},
    {"pool/two-workers", 1, 2, NULL, two_workers, NULL},
    {"pool/shrinking", 1, 1, NULL, shrinking, NULL},
    {0},
};
