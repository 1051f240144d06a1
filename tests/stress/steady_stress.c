/* steady_stress.c [seconds] [threads] [seed] [report]: one pool for the whole run.
 *
 * Each round adds random chains of tasks to the same pool, reads them from up to `threads` threads
 * to the end or only in part, cancels or removes some, changes the size of the pool meanwhile, and
 * lets go of everything: no task may be left, and each context is released once. What such a pool
 * holds after an hour is what it held after a minute. */
#include "stress.h"

#include <string.h>

enum { CHAINS = 6, LENGTH = 5, ITEMS = 20000, WORKERS = 24 };

typedef struct chain {
    thread        thread;
    dice          dice;
    async_reader *reader;
    unsigned      tasks;
    uint64_t      items; /* that the source has */
    probe         probe;
    ledger        ledger;
} chain;

static async_pool *pool;
static unsigned    others; /* threads of the process that are not the pool's */

/* Whatever its tasks are, the chain gives the numbers of its source. */
static void build(chain *c)
{
    static const size_t sizes[] = {0, 0, 1, 7, 64, 1000};
    async_source        source = async_source_range(0, c->items);
    async_reader       *input = NULL;
    c->tasks = 1 + roll(&c->dice, LENGTH);
    for (unsigned i = 0; i < c->tasks; i++) {
        async_task_options options = {
            .name = "steady",
            .source = input == NULL ? &source : NULL,
            .input = input,
            .item_size = sizeof(uint64_t),
            .max_chunksize = pick(&c->dice, sizes, 6),
            .min_count = one_in(&c->dice, 3) ? pick(&c->dice, sizes, 6) : 0,
            .order = one_in(&c->dice, 2) ? ASYNC_ORDERED : ASYNC_UNORDERED,
            .max_parallel = roll(&c->dice, 3),
            .in_place = one_in(&c->dice, 2),
            .context = &c->probe,
            .release = probe_release,
        };
        switch (roll(&c->dice, 3)) {
        case 0:
            options.batch = batch_copy;
            break;
        case 1:
            options.emit = emit_copy;
            break;
        default:
            break;
        }
        async_reader *reader;
        MUST_STATUS(async_pool_add_task(pool, &reader, &options), ASYNC_OK);
        async_reader_release(input);
        input = reader;
    }
    c->reader = input;
}

/* Reads all, or leaves early in one of the ways there are. */
static void read_chain(void *arg)
{
    chain   *c = arg;
    uint64_t items[512], read = 0, stop = one_in(&c->dice, 3) ? roll(&c->dice, ITEMS) : UINT64_MAX;
    async_status status = ASYNC_OK;
    while (status == ASYNC_OK && read < stop) {
        size_t got = 0, count = 1 + roll(&c->dice, 512);
        status = async_reader_read(c->reader, items, count, &got, async_forever());
        ledger_add(&c->ledger, items, got);
        read += got;
        stress_moves(got);
    }
    if (read < stop) {
        MUST_STATUS(status, ASYNC_END);
        MUST_EQ(read, c->items);
    } else if (one_in(&c->dice, 3)) {
        MUST_STATUS(async_reader_cancel(c->reader), ASYNC_OK);
    } else if (one_in(&c->dice, 2)) {
        MUST_STATUS(async_pool_remove_task(pool, async_reader_task(c->reader)), ASYNC_OK);
    }
    MUST_EQ(ledger_count(&c->ledger, 0, c->items, 1), read);
    async_reader_release(c->reader);
}

static void play(stress *s)
{
    dice     d = {s->seed};
    chain    chains[CHAINS];
    unsigned count = 1 + roll(&d, s->threads < CHAINS ? s->threads : CHAINS);
    stress_note("%u chains, %u workers", count, async_pool_size(pool));
    for (unsigned i = 0; i < count; i++) {
        chain *c = &chains[i];
        memset(c, 0, sizeof *c);
        c->dice.state = dice_next(&d);
        c->items = roll(&d, ITEMS);
        ledger_make(&c->ledger, c->items + 1);
        build(c);
        thread_start(&c->thread, read_chain, c);
    }
    bool resized = one_in(&d, 4);
    if (resized) { MUST_STATUS(async_pool_set_size(pool, 1 + roll(&d, WORKERS)), ASYNC_OK); }
    for (unsigned i = 0; i < count; i++) { pthread_join(chains[i].thread.id, NULL); }
    for (unsigned i = 0; i < count; i++) {
        chain *c = &chains[i];
        while (atomic_load(&c->probe.released) < c->tasks) { /* chunks may still run */
            sleep_us(50);
        }
        MUST_EQ(atomic_load(&c->probe.released), c->tasks);
        ledger_free(&c->ledger);
    }
    MUST_EQ(async_pool_num_tasks(pool), 0);
    if (resized) {
        MUST_STATUS(async_pool_set_size(pool, WORKERS), ASYNC_OK);
        if (!UNTIL(SOON, thread_count() == WORKERS + others)) {
            stress_failed(__FILE__, __LINE__, "%u threads, not %u", thread_count(),
                          WORKERS + others);
        }
    }
}

int main(int argc, char **argv)
{
    stress s;
    stress_start(&s, "steady_stress", 4, argc, argv);
    MUST(UNTIL(SOON, thread_count() >= 2)); /* the watchdog */
    others = thread_count();
    MUST_STATUS(async_pool_create(&pool, WORKERS, NULL), ASYNC_OK);
    while (stress_next(&s)) { play(&s); }
    MUST_STATUS(async_pool_destroy(pool, ASYNC_DRAIN), ASYNC_OK);
    stress_end(&s);
    return 0;
}
