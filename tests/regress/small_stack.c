/* small_stack.c: F36. A function that reads another task runs that one's function on its own stack,
 * and so on, 16 deep at most. That needs more than a stack of 64 KiB, which a worker overran: how
 * deep it goes depends on what is left, too.
 *
 * A chain of functions, each of which reads the next one's task and uses a little of the stack. */
#include "abuse.h"
#include "pipeline.h"

#include <stdio.h>

#define LEVELS 40
#define STACK  65536
#define LITTLE 2048

static async_reader          *inner[LEVELS]; /* that the function of this level reads */
static _Thread_local unsigned depth;         /* on this stack */
static atomic_uint            deepest;

static int each_reads(const void *in, void *out, void *context)
{
    async_reader *const   *from = context;
    uint64_t               item = 0;
    volatile unsigned char little[LITTLE];
    for (unsigned i = 0; i < LITTLE; i++) { little[i] = 1; }
    unsigned seen = atomic_load(&deepest);
    depth++;
    while (depth > seen && !atomic_compare_exchange_weak(&deepest, &seen, depth)) {}
    async_status status = async_reader_read(*from, &item, 1, NULL, async_forever());
    depth--;
    *(uint64_t *)out = *(const uint64_t *)in + item * little[LITTLE - 1];
    return (int)status;
}

int main(void)
{
#ifdef ABUSE_SANITIZED
    fprintf(stderr, "skipped: a sanitizer needs more of a stack than %d bytes\n", STACK);
    return 77;
#endif
    async_pool        *pool;
    async_pool_options options = {.stack_size = STACK};
    uint64_t           item;
    if (async_pool_create(&pool, 1, &options) != ASYNC_OK) { give_up("no pool"); }
    async_reader *reader = TASK(pool, .source = range_of(0, 10), .each = each_add_one);
    for (unsigned i = 0; i < LEVELS; i++) {
        inner[i] = reader;
        reader = TASK(pool, .source = range_of(0, 10), .each = each_reads, .context = &inner[i]);
    }
    async_status status = async_reader_read(reader, &item, 1, NULL, async_forever());
    if (status != ASYNC_OK || item != 1) {
        give_up("%s, item %u", async_status_name(status), (unsigned)item);
    }
    if (atomic_load(&deepest) < 2) { give_up("nothing is nested"); }
    async_reader_release(reader);
    for (unsigned i = 0; i < LEVELS; i++) { async_reader_release(inner[i]); }
    pool_end(pool);
    return 0;
}
