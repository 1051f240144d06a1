/* cancel_at_end.c: a task that comes to its end in the middle of its cancelling has dropped what it
 * made: its readers are told CANCELLED, not END, which would say that they have everything. */
#include "../unit/freezer.h"

#include "../../runtime/task.c"

#include <async/async.h>

#include <stdio.h>

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);              \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

static void cancel(void *cancelled) { async_task_cancel(cancelled); }

int main(void)
{
    async_pool        *pool;
    async_reader      *reader;
    async_source       source = async_source_range(0, 4);
    async_task_options options = {.source = &source, .max_chunksize = 1};
    MUST(async_pool_create(&pool, 0, NULL) == ASYNC_OK);
    MUST(async_pool_add_task(pool, &reader, &options) == ASYNC_OK);

    static struct freezer freezer;
    MUST(freezer_start(&freezer, "task_cancel: dropped", cancel, async_reader_task(reader)));
    uint64_t items[2];
    size_t   got = 7;
    MUST(async_reader_read(reader, items, 2, &got, async_forever()) == ASYNC_CANCELLED);
    MUST(got == 0);
    freezer_thaw(&freezer);
    MUST(async_reader_read(reader, items, 1, &got, async_forever()) == ASYNC_CANCELLED);
    async_reader_release(reader);
    MUST(async_pool_destroy(pool, ASYNC_DROP) == ASYNC_OK);
    return 0;
}
