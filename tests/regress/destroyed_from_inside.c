/* destroyed_from_inside.c: async_pool_destroy in a function that the pool runs is DEADLOCK. It
 * only looked whether the calling function's task was the pool's own, and waited for itself for
 * ever where the function was another pool's: one that a worker of the destroyed pool runs, or one
 * that is nested in a function of it.
 *
 * `other` has no workers: whoever reads its items runs its function. */
#include "pipeline.h"

static async_pool   *pool, *other;
static async_reader *of_other;
static async_status  statuses[2];
static atomic_uint   returned;

/* Of `other`. */
static int each_destroys(const void *in, void *out, void *context)
{
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in;
    if (*(const uint64_t *)in == 0) {
        statuses[0] = async_pool_destroy(pool, ASYNC_DROP);
        atomic_fetch_add(&returned, 1);
        statuses[1] = async_pool_destroy(pool, ASYNC_DRAIN);
        atomic_fetch_add(&returned, 1);
    }
    return 0;
}

/* Of `pool`. */
static int each_reads(const void *in, void *out, void *context)
{
    (void)in;
    (void)context;
    return async_reader_read(of_other, out, 1, NULL, async_forever()) == ASYNC_OK ? 0 : 1;
}

typedef struct way {
    const char *title;
    unsigned    workers;
    bool        nested;
} way;

static const way ways[] = {
    {"a worker of the pool runs the function as a part of its own pipeline", 1, false},
    {"a worker of the pool runs it for a read in a function", 1, true},
    {"a thread that reads runs it for a read in a function of the pool", 0, true},
};

static void try_it(const way *w)
{
    static reading r;
    async_reader  *reader;
    r = (reading){0};
    pool = pool_of(w->workers);
    other = pool_of(0);
    of_other = TASK(other, .source = range_of(0, 10), .each = each_destroys);
    if (w->nested) {
        reader = TASK(pool, .source = range_of(0, 1), .each = each_reads);
    } else {
        reader = TASK(pool, .input = of_other, .each = each_add_one);
    }
    reading_start(&r, reader, 1, async_forever());
    if (!UNTIL(SOON, atomic_load(&returned) == 2)) { give_up("%s: destroy hangs", w->title); }
    thread_join(&r.thread);
    for (unsigned i = 0; i < 2; i++) {
        if (statuses[i] != ASYNC_DEADLOCK) {
            give_up("%s: destroy: %s", w->title, async_status_name(statuses[i]));
        }
    }
    if (r.status != ASYNC_OK || r.got != 1) {
        give_up("%s: the read: %s", w->title, async_status_name(r.status));
    }
    async_reader_release(reader);
    async_reader_release(of_other);
    pool_end(pool);
    pool_end(other);
}

int main(void)
{
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        atomic_store(&returned, 0);
        try_it(&ways[i]);
    }
    return 0;
}
