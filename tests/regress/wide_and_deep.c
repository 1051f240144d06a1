/* wide_and_deep.c: F28. A task with many inputs looked at all of them each time it drew, and who
 * looked for work began at the end of a long chain for each run: the time of both grew with the
 * square of the tasks. Of diamonds on top of each other each path was walked by itself, and their
 * number doubles with each: 40 of them took for ever. A demand went up through tasks with two
 * inputs by recursion, and overran a small stack. Where the consumer of a wide fan-in takes less at
 * a time than an input gives, each search for work began at its first input again.
 *
 * The work is counted, not timed: the hook is called at each of the runtime's operations on shared
 * memory. A graph of four times as many tasks may take six times as many. */
#include "abuse.h"
#include "step.h"

#include <inttypes.h>
#include <stdlib.h>

#ifdef ABUSE_SANITIZED
#define STACK ((size_t)512 << 10)
#else
#define STACK ((size_t)64 << 10)
#endif

#define MOST    20000000          /* steps: ten times what the largest graph needs */
#define ENDLESS ((size_t)1 << 60) /* items: all 40 diamonds are asked for their half of the rest */

static const char *shape;
static bool        counted;
static uint64_t    steps;

void async_step(const char *site)
{
    (void)site;
    if (counted && ++steps > MOST) { give_up("%s: it does not end", shape); }
}

/* What the making of a task costs does not depend on the graph, and is left out. */
static void add_input(async_reader *task, async_reader *input)
{
    counted = true;
    async_status status = async_task_add_input(async_reader_task(task), input);
    counted = false;
    if (status != ASYNC_OK) { give_up("%s: %s", shape, async_status_name(status)); }
    async_reader_release(input);
}

/* Each item came once, `passed` tasks later than it was made. */
static void read_all(async_reader *reader, size_t items, uint64_t passed)
{
    size_t    count;
    uint64_t  sum = 0;
    uint64_t *read = calloc(items + 1, sizeof *read);
    if (read == NULL) { give_up("no memory"); }
    counted = true;
    async_status status = async_reader_read(reader, read, items + 1, &count, async_forever());
    counted = false;
    for (size_t i = 0; i < count; i++) { sum += read[i]; }
    if (status != ASYNC_END || count != items || sum != items * (items - 1) / 2 + items * passed) {
        give_up("%s: %s after %zu items, their sum %" PRIu64, shape, async_status_name(status),
                count, sum);
    }
    free(read);
    async_reader_release(reader);
}

static void fan_in(async_pool *pool, unsigned width, async_order order, size_t chunk)
{
    async_reader *first = TASK(pool, .source = range_of(0, 3), .each = each_add_one);
    async_reader *all = TASK(pool, .input = first, .each = each_add_one, .order = order,
                             .max_chunksize = chunk);
    async_reader_release(first);
    for (uint64_t i = 1; i < width; i++) {
        add_input(all, TASK(pool, .source = range_of(3 * i, 3), .each = each_add_one));
    }
    read_all(all, 3 * (size_t)width, 2);
}

static void wide(async_pool *pool, unsigned width) { fan_in(pool, width, ASYNC_UNORDERED, 0); }

/* Its chunks are less than what an input gives: a search for each begins at the consumer. */
static void chunked(async_pool *pool, unsigned width) { fan_in(pool, width, ASYNC_UNORDERED, 2); }

static void ordered(async_pool *pool, unsigned width) { fan_in(pool, width, ASYNC_ORDERED, 0); }

static void chain(async_pool *pool, unsigned depth)
{
    async_reader *end = TASK(pool, .source = range_of(0, 10), .each = each_add_one);
    for (unsigned i = 1; i < depth; i++) { /* unequal chunks: they are not run as one */
        async_reader *next = TASK(pool, .input = end, .each = each_add_one,
                                  .max_chunksize = i % 3 == 0 ? 4 : 0);
        async_reader_release(end);
        end = next;
    }
    read_all(end, 10, depth);
}

/* Two tasks share the items of the one below, a third takes what they give. First the one at the
 * bottom has nothing: a read that looks for work everywhere finds none. */
static void diamonds(async_pool *pool, unsigned count)
{
    async_writer *writer;
    async_reader *end;
    async_view    view;
    channel_of(&writer, &end, 0, NULL);
    for (unsigned i = 0; i < count; i++) {
        async_reader *below = TASK(pool, .input = end, .each = each_add_one, .max_chunksize = 3);
        async_reader *left = TASK(pool, .input = below, .each = each_add_one, .max_chunksize = 7);
        async_reader *right = TASK(pool, .input = below, .each = each_add_one, .max_chunksize = 5);
        async_reader_release(end);
        end = TASK(pool, .input = left, .each = each_add_one, .max_chunksize = 9);
        add_input(end, right);
        async_reader_release(below);
        async_reader_release(left);
    }
    counted = true;
    async_status status = async_reader_borrow(end, &view, ENDLESS, async_now());
    counted = false;
    if (status != ASYNC_TIMEOUT) { give_up("%s: %s", shape, async_status_name(status)); }
    write_numbers(writer, 0, 100);
    async_writer_release(writer);
    read_all(end, 100, 3 * (uint64_t)count);
}

/* Each has a second input, which has ended. */
static void forks(async_pool *pool, unsigned depth)
{
    async_reader *end = TASK(pool, .source = range_of(0, 10), .each = each_add_one);
    for (unsigned i = 1; i < depth; i++) {
        async_writer *writer;
        async_reader *other, *next = TASK(pool, .input = end, .each = each_add_one);
        channel_of(&writer, &other, 0, NULL);
        async_writer_release(writer);
        add_input(next, other);
        async_reader_release(end);
        end = next;
    }
    read_all(end, 10, depth);
}

typedef struct graph {
    const char *shape;
    void (*make_and_read)(async_pool *pool, unsigned size);
    unsigned small;
} graph;

static uint64_t steps_of(const graph *g, unsigned size)
{
    async_pool *pool = pool_of(0);
    steps = 0;
    g->make_and_read(pool, size);
    pool_end(pool);
    return steps;
}

static void *try_them(void *nothing)
{
    static const graph graphs[] = {
        {"chain", chain, 200},
        {"fan-in", wide, 200},
        {"ordered fan-in", ordered, 200},
        {"fan-in of small chunks", chunked, 200},
        {"chain of tasks with two inputs", forks, 200},
        {"diamonds", diamonds, 40},
    };
    for (unsigned i = 0; i < sizeof graphs / sizeof graphs[0]; i++) {
        const graph *g = &graphs[i];
        shape = g->shape;
        uint64_t few = steps_of(g, g->small), many = steps_of(g, 4 * g->small);
        if (many > 6 * few) {
            give_up("%s: %" PRIu64 " steps for %u, %" PRIu64 " for %u", shape, few, g->small, many,
                    4 * g->small);
        }
    }
    return nothing;
}

/* No stack is as deep as the graph. */
int main(void)
{
    pthread_attr_t attributes;
    pthread_t      id;
    if (pthread_attr_init(&attributes) != 0 || pthread_attr_setstacksize(&attributes, STACK) != 0 ||
        pthread_create(&id, &attributes, try_them, NULL) != 0 || pthread_join(id, NULL) != 0) {
        give_up("no thread with a small stack");
    }
    pthread_attr_destroy(&attributes);
    return 0;
}
