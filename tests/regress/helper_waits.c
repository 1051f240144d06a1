/* helper_waits.c: M13. With readers_help a waiting reader runs functions, too. One of those that
 * waited itself, for what a worker of the pool was about to give, was told DEADLOCK at once, as if
 * the pool had no workers.
 *
 * Two items: the reader makes one, and waits in it for what the worker writes in the other. */
#include "pipeline.h"

#define ROUNDS 5

static _Thread_local bool reads;
static gate               helping;
static async_writer      *writer;
static async_reader      *written;
static atomic_uint        by_reader, by_worker;

static int each_waits(const void *in, void *out, void *context)
{
    uint64_t item;
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in;
    if (reads) {
        atomic_fetch_add(&by_reader, 1);
        gate_open(&helping);
        return (int)async_reader_read(written, &item, 1, NULL, async_forever());
    }
    atomic_fetch_add(&by_worker, 1);
    gate_pass(&helping); /* so that the other item is left to the reader */
    sleep_ms(20);
    write_numbers(writer, 0, 1);
    return 0;
}

static void try_it(void)
{
    async_pool        *pool;
    async_pool_options options = {.readers_help = true};
    uint64_t           items[2];
    size_t             got;
    async_error        error;
    helping = (gate){0};
    atomic_store(&by_reader, 0);
    atomic_store(&by_worker, 0);
    channel_of(&writer, &written, 0, NULL);
    if (async_pool_create(&pool, 1, &options) != ASYNC_OK) { give_up("no pool"); }
    async_reader *reader = TASK(pool, .source = range_of(0, 2), .each = each_waits,
                                .max_chunksize = 1);
    async_status  status = async_reader_read(reader, items, 2, &got, async_forever());
    if (status != ASYNC_OK) {
        if (async_reader_error(reader, &error) != ASYNC_OK) { give_up("no error"); }
        give_up("%s, %zu items, code %d: %s", async_status_name(status), got, error.code,
                error.message);
    }
    if (atomic_load(&by_reader) != 1 || atomic_load(&by_worker) != 1) {
        give_up("%u items by the reader, %u by the worker", atomic_load(&by_reader),
                atomic_load(&by_worker));
    }
    async_reader_release(reader);
    async_reader_release(written);
    async_writer_release(writer);
    pool_end(pool);
}

int main(void)
{
    reads = true;
    for (unsigned round = 0; round < ROUNDS; round++) { try_it(); }
    return 0;
}
