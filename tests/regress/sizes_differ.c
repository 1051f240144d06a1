/* sizes_differ.c: P2, in_place. It is for functions whose input and output items have the same
 * size. Without workers, a read of one item that made the item itself (the second read, and later
 * ones) gave a function with other sizes the same memory for both, too: it overwrote its input.
 *
 * The functions write their outputs before they have read all of their input. */
#include "expect.h"

enum { READS = 5, ITEMS = 20 };

typedef struct wide {
    uint64_t twice, same;
} wide;

static int each_widen(const void *in, void *out, void *context)
{
    const uint64_t *from = in;
    wide           *to = out;
    (void)context;
    to->twice = 2 * *from;
    to->same = *from;
    return 0;
}

static int batch_widen(const void *in, void *out, size_t count, size_t *done, void *context)
{
    const uint64_t *from = in;
    wide           *to = out;
    (void)done;
    for (size_t i = 0; i < count; i++) { (void)each_widen(&from[i], &to[i], context); }
    return 0;
}

static int each_narrow(const void *in, void *out, void *context)
{
    const wide *from = in;
    uint64_t   *to = out;
    (void)context;
    *to = from->same;
    *to += from->twice;
    return 0;
}

static int next_wide(void *items, size_t count, size_t *got, void *context)
{
    uint64_t *next = context;
    wide     *to = items;
    for (size_t i = 0; i < count; i++, ++*next) { to[i] = (wide){2 * *next, *next}; }
    *got = count;
    return 0;
}

/* Ones first, then the rest at once. */
static void try_widen(async_pool *pool, async_each_fn *each, async_batch_fn *batch)
{
    wide          items[ITEMS];
    async_reader *reader = TASK(pool, .source = range_of(1, ITEMS), .each = each, .batch = batch,
                                .item_size = sizeof items[0], .in_place = true);
    for (size_t i = 0; i < ITEMS;) {
        size_t count = i < READS ? 1 : ITEMS - i;
        CHECK_READ(reader, &items[i], count, async_forever(), ASYNC_OK, count);
        for (size_t end = i + count; i < end; i++) {
            CHECK_EQ(items[i].twice, 2 * (i + 1));
            CHECK_EQ(items[i].same, i + 1);
        }
    }
    async_reader_release(reader);
}

static void try_narrow(async_pool *pool)
{
    uint64_t      items[ITEMS], next = 1;
    async_source  source = async_source_from(next_wide, &next, sizeof(wide));
    async_reader *reader = TASK(pool, .source = &source, .each = each_narrow,
                                .item_size = sizeof items[0], .in_place = true);
    for (size_t i = 0; i < ITEMS;) {
        size_t count = i < READS ? 1 : ITEMS - i;
        CHECK_READ(reader, &items[i], count, async_forever(), ASYNC_OK, count);
        for (size_t end = i + count; i < end; i++) { CHECK_EQ(items[i], 3 * (i + 1)); }
    }
    async_reader_release(reader);
}

Test(regress, sizes_differ, .timeout = 60)
{
    for (unsigned n = 0; n < 3; n++) {
        async_pool *pool = pool_of(n);
        NOTE("N = %u, each, wider", n);
        try_widen(pool, each_widen, NULL);
        NOTE("N = %u, batch, wider", n);
        try_widen(pool, NULL, batch_widen);
        NOTE("N = %u, each, narrower", n);
        try_narrow(pool);
        pool_end(pool);
    }
}
