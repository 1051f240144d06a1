/* plugin.c: a shared object with a pool of its own, for life_plugin.c. With PLUGIN_ENDS its
 * destructor destroys the pool; without, the pool goes on when the object is closed. */
#include <async/async.h>

#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

int  plugin_start(int with_code);
long plugin_items(void);

static async_pool   *pool;
static async_reader *reader;
static atomic_long   items;

static int slow_each(const void *in, void *out, void *context)
{
    struct timespec pause = {.tv_nsec = 100000};
    (void)context;
    nanosleep(&pause, NULL);
    *(uint64_t *)out = *(const uint64_t *)in;
    atomic_fetch_add(&items, 1);
    return 0;
}

/* Work for a while: 0 where that went well. */
int plugin_start(int with_code)
{
    async_source source = async_source_range(0, UINT64_MAX);
    uint64_t     item;
    size_t       got;
    if (async_pool_create(&pool, 2, NULL) != ASYNC_OK) { return 1; }
    async_task_options task = {.name = "plugin",
                               .source = &source,
                               .each = with_code ? slow_each : NULL,
                               .max_chunksize = 1,
                               .min_count = with_code ? 5000 : 50000000};
    if (async_pool_add_task(pool, &reader, &task) != ASYNC_OK) { return 2; }
    return async_reader_read(reader, &item, 1, &got, async_within_ms(20)) == ASYNC_INVALID;
}

long plugin_items(void) { return atomic_load(&items); }

#ifdef PLUGIN_ENDS
__attribute__((destructor)) static void end(void)
{
    async_pool_destroy(pool, ASYNC_DROP);
    async_reader_release(reader);
    pool = NULL;
    reader = NULL;
}
#endif
