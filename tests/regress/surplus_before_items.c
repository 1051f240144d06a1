/* surplus_before_items.c: E6, K3. A chunk of an emit task gave more than was asked for. Its items
 * could be read before the surplus was counted: a reader that took them and asked for more then
 * had the surplus scheduled once more. Whoever reads an item must find it accounted for. */
#include "expect.h"

#include <stdlib.h>

enum { ROUNDS = 20000 };

Test(regress, surplus_before_items, .timeout = 120)
{
    async_pool *pool = pool_of(1);
    /* One a round: a chunk may still run when its reader is gone. */
    probe *probes = calloc(ROUNDS, sizeof *probes);
    CHECK(probes != NULL);
    uint64_t end = now_ms() + 2000;
    for (unsigned round = 0; round < ROUNDS && now_ms() < end; round++) {
        NOTE("round %u", round);
        probe        *p = &probes[round];
        uint64_t      items[10];
        async_reader *reader = TASK(pool, .source = range_of(0, 100), .emit = emit_pair,
                                    .context = p, .item_size = sizeof(uint64_t));
        CHECK_READ(reader, items, 10, async_forever(), ASYNC_OK, 10);
        while (async_reader_ready(reader) != 10) {}
        CHECK_READ(reader, items, 10, async_forever(), ASYNC_OK, 10);
        CHECK_READ(reader, items, 3, async_forever(), ASYNC_OK, 3);
        CHECK_EQ(atomic_load(&p->calls), 2);
        CHECK_EQ(p->log[0], 10);
        CHECK_EQ(p->log[1], 3);
        async_reader_release(reader);
    }
    pool_end(pool);
    free(probes);
}
