/* long_wait.c: a long chain of tasks that all wait for input, without workers. What came told the
 * first of them, which poked whoever waited for its output: the next one's edge, which was told,
 * and so on, three frames of the writer's stack for each task: a thousand overran 64 KiB. */
#include "abuse.h"
#include "pipeline.h"

#ifdef ABUSE_SANITIZED
#define STACK ((size_t)512 << 10)
#define TASKS 8000
#else
#define STACK ((size_t)64 << 10)
#define TASKS 2000
#endif

static async_writer *writer;

static void *write_one(void *nothing)
{
    write_numbers(writer, 7, 1);
    return nothing;
}

static void *close_it(void *nothing)
{
    async_writer_release(writer);
    return nothing;
}

static void on_small_stack(void *(*body)(void *))
{
    pthread_attr_t attributes;
    pthread_t      id;
    if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, STACK) != 0 ||
        pthread_create(&id, &attributes, body, NULL) != 0 || pthread_join(id, NULL) != 0) {
        give_up("no thread with a small stack");
    }
    pthread_attr_destroy(&attributes);
}

static void try_it(unsigned workers, bool written)
{
    static reading     r;
    async_pool        *pool;
    async_reader      *end;
    async_pool_options options = {.readers_help = workers > 0};
    if (async_pool_create(&pool, workers, &options) != ASYNC_OK) { give_up("no pool"); }
    channel_of(&writer, &end, 0, NULL);
    for (unsigned i = 0; i < TASKS; i++) { /* unequal chunks: they are not run as one */
        async_reader *next = TASK(pool, .input = end, .each = each_add_one,
                                  .max_chunksize = i % 3 == 0 ? 4 : 0);
        async_reader_release(end);
        end = next;
    }
    r = (reading){0};
    reading_start(&r, end, 1, async_forever());
    if (!thread_asleep(&r.thread)) { give_up("the reader does not wait"); }
    on_small_stack(written ? write_one : close_it);
    if (!thread_join_within(&r.thread, LATE)) { give_up("the reader was not told"); }
    async_status wanted = written ? ASYNC_OK : ASYNC_END;
    if (r.status != wanted || (written && r.items[0] != 7 + TASKS)) {
        give_up("%s instead of %s", async_status_name(r.status), async_status_name(wanted));
    }
    if (written) { async_writer_release(writer); }
    async_reader_release(end);
    pool_end(pool);
}

int main(void)
{
    for (unsigned workers = 0; workers < 2; workers++) {
        try_it(workers, true);
        try_it(workers, false);
    }
    return 0;
}
