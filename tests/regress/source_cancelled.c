/* source_cancelled.c: a task that passes its source's items on ends while the source's function is
 * being called: what it gave was neither read nor discarded, and what those items owned leaked. */
#include "pipeline.h"

#include <stdio.h>

static async_reader *self;
static async_pool   *pool;

static int give_and_end(void *items, size_t count, size_t *got, void *context)
{
    probe *p = context;
    for (; *got < count && *got < 10; ++*got) { ((uint64_t *)items)[*got] = *got; }
    atomic_fetch_add(&p->items, *got);
    async_status status = p->code == 0 ? async_task_cancel(async_reader_task(self))
                                       : async_pool_remove_task(pool, async_reader_task(self));
    return status == ASYNC_OK ? 0 : 1;
}

int main(void)
{
    for (unsigned n = 0; n <= 2; n++) {
        for (int removes = 0; removes <= 1; removes++) {
            probe        p = {.code = removes};
            async_source source = async_source_from(give_and_end, &p, sizeof(uint64_t));
            uint64_t     items[10];
            size_t       got;
            pool = pool_of(n);
            self = TASK(pool, .source = &source, .context = &p, .discard = probe_discard);
            async_status status = async_reader_read(self, items, 10, &got, async_forever());
            async_reader_release(self);
            pool_end(pool);
            if (status != (removes ? ASYNC_END : ASYNC_CANCELLED) ||
                got + atomic_load(&p.discarded) != atomic_load(&p.items)) {
                fprintf(stderr, "N = %u: %s, %u given, %zu read, %u discarded\n", n,
                        async_status_name(status), (unsigned)atomic_load(&p.items), got,
                        (unsigned)atomic_load(&p.discarded));
                return 1;
            }
        }
    }
    return 0;
}
