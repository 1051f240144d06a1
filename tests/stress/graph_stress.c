/* graph_stress.c [seconds] [threads] [seed]: random graphs of tasks with several inputs and
 * several consumers.
 *
 * Each round makes up to 24 nodes: sources, plain channels with a thread that writes, and tasks
 * that take one to four of the nodes before them, in one or two pools of up to four workers whose
 * size changes while they work. What nobody takes is read, to the end, by a thread each, in random
 * ways, deadlines among them. The items of all sources and writers are different: in the end each
 * of them has been read exactly once, and no task is left. */
#include "pool.h"
#include "stress.h"

#include <stdlib.h>
#include <string.h>

enum { NODES = 24, INPUTS = 4 };

typedef struct node {
    thread        reads, writes;
    dice          read_dice, write_dice;
    async_reader *reader;
    async_writer *writer; /* NULL: a task */
    uint64_t      first, count;
    unsigned      consumers;
    uint64_t     *items; /* what a reader has got */
    size_t        got, room;
} node;

typedef struct graph {
    node        nodes[NODES];
    unsigned    size;
    async_pool *pools[2];
    unsigned    pool_count;
    uint64_t    items;
    thread      resizer;
    atomic_bool done;
    unsigned    most;
    uint64_t    seed;
} graph;

static int copy_all(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    (void)context;
    *done = count;
    return async_emit(out, in, count) == ASYNC_OK ? 0 : 1;
}

static void write_items(void *arg)
{
    node *n = arg;
    for (uint64_t next = n->first, end = n->first + n->count; next < end;) {
        uint64_t items[40];
        size_t   count = 1 + roll(&n->write_dice, 40), written = 0;
        if (count > end - next) { count = (size_t)(end - next); }
        for (size_t i = 0; i < count; i++) { items[i] = next + i; }
        MUST_STATUS(async_writer_write(n->writer, items, count, &written, async_forever()),
                    ASYNC_OK);
        MUST_EQ(written, count);
        next += count;
        stress_moves(count);
    }
    MUST_STATUS(async_writer_close(n->writer), ASYNC_OK);
}

static uint64_t *room_for(node *n, size_t count)
{
    if (n->got + count > n->room) {
        n->room = (n->got + count) * 2;
        n->items = realloc(n->items, n->room * sizeof *n->items);
        MUST(n->items != NULL);
    }
    return n->items + n->got;
}

static void read_items(void *arg)
{
    node        *n = arg;
    async_status status = ASYNC_OK;
    while (status != ASYNC_END) {
        size_t     count = PICK(&n->read_dice, 1, 3, 20, 500), got = 0;
        async_wait wait = one_in(&n->read_dice, 3)   ? async_now()
                          : one_in(&n->read_dice, 2) ? async_within_ms(1)
                                                     : async_forever();
        if (one_in(&n->read_dice, 4)) {
            async_view view;
            status = async_reader_borrow(n->reader, &view, count, wait);
            got = view.count;
            if (got > 0) { memcpy(room_for(n, got), view.items, got * sizeof *n->items); }
            MUST_STATUS(async_view_return(&view), ASYNC_OK);
        } else {
            status = async_reader_read(n->reader, room_for(n, count), count, &got, wait);
        }
        MUST(status == ASYNC_OK || status == ASYNC_END || status == ASYNC_TIMEOUT);
        n->got += got;
        if (got > 0) { stress_moves(got); }
    }
}

static void change_size(void *arg)
{
    graph *g = arg;
    dice   d = {g->seed ^ 77};
    while (!atomic_load(&g->done)) {
        async_pool *pool = g->pools[roll(&d, g->pool_count)];
        MUST_STATUS(async_pool_set_size(pool, roll(&d, g->most + 1)), ASYNC_OK);
        sleep_us(roll(&d, 2000));
    }
}

static void add_source(graph *g, node *n, dice *d)
{
    n->first = g->items;
    n->count = PICK(d, 0, 1, 50, 1000, 5000);
    g->items += n->count;
    if (one_in(d, 3)) {
        async_channel_options options = {.capacity = PICK(d, 0, 1, 64)};
        MUST_STATUS(async_channel_create(&n->writer, &n->reader, sizeof(uint64_t), &options),
                    ASYNC_OK);
        return;
    }
    async_source       source = async_source_range(n->first, n->count);
    async_task_options options = {.source = &source, .max_chunksize = PICK(d, 0, 1, 7, 64)};
    if (one_in(d, 2)) { options.emit = copy_all; }
    MUST_STATUS(async_pool_add_task(g->pools[roll(d, g->pool_count)], &n->reader, &options),
                ASYNC_OK);
}

static void add_task(graph *g, unsigned index, dice *d)
{
    node              *n = &g->nodes[index], *input = &g->nodes[roll(d, index)];
    async_task_options options = {.input = input->reader,
                                  .max_chunksize = PICK(d, 0, 1, 5, 100),
                                  .min_count = PICK(d, 0, 0, 10),
                                  .max_parallel = (unsigned)PICK(d, 0, 0, 1, 2),
                                  .order = one_in(d, 4) ? ASYNC_ORDERED : ASYNC_UNORDERED};
    if (one_in(d, 3)) { options.emit = copy_all; }
    MUST_STATUS(async_pool_add_task(g->pools[roll(d, g->pool_count)], &n->reader, &options),
                ASYNC_OK);
    input->consumers++;
    for (unsigned i = roll(d, INPUTS); i > 0; i--) {
        input = &g->nodes[roll(d, index)];
        MUST_STATUS(async_task_add_input(async_reader_task(n->reader), input->reader), ASYNC_OK);
        input->consumers++;
    }
}

static void make(graph *g, dice *d)
{
    g->pool_count = 1 + one_in(d, 3);
    for (unsigned i = 0; i < g->pool_count; i++) {
        async_pool_options options = {.readers_help = one_in(d, 3)};
        MUST_STATUS(async_pool_create(&g->pools[i], roll(d, g->most + 1), &options), ASYNC_OK);
        g->pools[i]->left_alone = true;
    }
    g->size = 3 + roll(d, NODES - 3);
    for (unsigned i = 0; i < g->size; i++) {
        g->nodes[i] = (node){.read_dice = {g->seed * 100 + i},
                             .write_dice = {~(g->seed * 100 + i)}};
        if (i == 0 || one_in(d, 4)) {
            add_source(g, &g->nodes[i], d);
        } else {
            add_task(g, i, d);
        }
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Each item of all sources once. */
static void check(const graph *g)
{
    uint64_t *all = malloc((g->items + 1) * sizeof *all), count = 0;
    MUST(all != NULL);
    for (unsigned i = 0; i < g->size; i++) {
        const node *n = &g->nodes[i];
        MUST(n->got <= g->items - count);
        if (n->got > 0) { memcpy(all + count, n->items, n->got * sizeof *all); }
        count += n->got;
    }
    MUST_EQ(count, g->items);
    qsort(all, count, sizeof *all, by_value);
    for (uint64_t i = 0; i < count; i++) { MUST_EQ(all[i], i); }
    free(all);
}

static void play(stress *s)
{
    dice  d = {s->seed};
    graph g = {.most = s->threads, .seed = s->seed};
    make(&g, &d);
    stress_note("%u nodes, %u pools", g.size, g.pool_count);
    bool resizes = one_in(&d, 3);
    if (resizes) { thread_start(&g.resizer, change_size, &g); }
    for (unsigned i = 0; i < g.size; i++) {
        node *n = &g.nodes[i];
        if (n->consumers > 0) { async_reader_release(n->reader); }
    }
    for (unsigned i = 0; i < g.size; i++) {
        node *n = &g.nodes[i];
        if (n->writer != NULL) { thread_start(&n->writes, write_items, n); }
    }
    for (unsigned i = 0; i < g.size; i++) {
        node *n = &g.nodes[i];
        if (n->consumers == 0) { thread_start(&n->reads, read_items, n); }
    }
    for (unsigned i = 0; i < g.size; i++) { /* the watchdog says when nothing moves */
        node *n = &g.nodes[i];
        if (n->writer != NULL) {
            pthread_join(n->writes.id, NULL);
            async_writer_release(n->writer);
        }
        if (n->consumers == 0) {
            pthread_join(n->reads.id, NULL);
            async_reader_release(n->reader);
        }
    }
    atomic_store(&g.done, true);
    if (resizes) { pthread_join(g.resizer.id, NULL); }
    check(&g);
    for (unsigned i = 0; i < g.pool_count; i++) {
        MUST_EQ(async_pool_num_tasks(g.pools[i]), 0);
        MUST_STATUS(async_pool_destroy(g.pools[i], ASYNC_DRAIN), ASYNC_OK);
    }
    for (unsigned i = 0; i < g.size; i++) { free(g.nodes[i].items); }
}

int main(int argc, char **argv)
{
    stress s;
    stress_start(&s, "graph_stress", 4, argc, argv);
    while (stress_next(&s)) { play(&s); }
    stress_end(&s);
    return 0;
}
