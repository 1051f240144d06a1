/* churn_stress.c [seconds] [threads] [seed]: everything changes while everything runs.
 *
 * Each round makes two pools and a few tasks and channels; `threads` threads then read, write, add
 * tasks and inputs, cancel, remove, release, close, record and change the size of the pools, at
 * random.
 * Every item bears the number of the task or channel that made it: at the end each was read or
 * discarded, once; no task is left; every context was released once. */
#include "stress.h"

#include <stdlib.h>
#include <string.h>

enum { NODES = 64, MADE_MAX = 20000, POOLS = 2, VIEWS = 4 };

typedef enum work { EACH, BATCH, FILTER, PAIR, PASS, WORKS } work;

typedef struct node {
    uint64_t             number;
    work                 kind;
    bool                 source;    /* its inputs come from a source, and bear no number */
    uint64_t             next, end; /* of the source's function */
    atomic_uint          drawing;
    atomic_uint_fast64_t made;
    atomic_uchar         seen[MADE_MAX];
    atomic_uint          released;
} node;

/* A place for a reader that all threads may use; what is in it holds it once. */
typedef struct slot {
    pthread_mutex_t mutex;
    async_reader   *reader;
    async_writer   *writer;
    node           *node;
} slot;

static node       *nodes[NODES];
static slot        slots[NODES];
static atomic_uint used;
static async_pool *pools[POOLS];

typedef struct player {
    thread     thread;
    dice       dice;
    unsigned   left;
    async_view views[VIEWS];
} player;

/* ---- items ---- */

static uint64_t item_of(node *n, uint64_t at) { return (n->number + 1) << 32 | at; }

static void settle(const void *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t item = ((const uint64_t *)items)[i], number = (item >> 32) - 1,
                 at = item & UINT32_MAX;
        MUST(number < NODES && nodes[number] != NULL && at < MADE_MAX);
        if (atomic_fetch_add(&nodes[number]->seen[at], 1) != 0) {
            stress_failed(__FILE__, __LINE__, "item %llu of node %llu is there twice",
                          (unsigned long long)at, (unsigned long long)number);
        }
    }
}

static bool make(node *n, uint64_t *item)
{
    uint64_t at = atomic_fetch_add(&n->made, 1);
    if (at >= MADE_MAX) {
        atomic_fetch_sub(&n->made, 1);
        return false;
    }
    *item = item_of(n, at);
    return true;
}

static void discard(void *items, size_t count, void *context)
{
    (void)context;
    MUST(count > 0);
    settle(items, count);
}

static void release(void *context)
{
    node *n = context;
    atomic_fetch_add(&n->released, 1);
}

/* ---- functions ---- */

/* One to one tasks have no more inputs than a source gives, or MADE_MAX of them fail. */
static int do_each(const void *in, void *out, void *context)
{
    node *n = context;
    if (!n->source) { settle(in, 1); }
    return make(n, out) ? 0 : 77;
}

static int do_batch(const void *in, void *out, size_t count, size_t *done, void *context)
{
    node *n = context;
    for (*done = 0; *done < count; ++*done) {
        if (!n->source) { settle((const uint64_t *)in + *done, 1); }
        if (!make(n, (uint64_t *)out + *done)) { return 77; }
    }
    return 0;
}

static int do_emit(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    node *n = context;
    for (*done = 0; *done < count; ++*done) {
        uint64_t item = ((const uint64_t *)in)[*done];
        if (!n->source) { settle(&item, 1); }
        unsigned copies = n->kind == PAIR ? (unsigned)(item % 3) : (unsigned)(item % 2);
        for (uint64_t made; copies > 0 && make(n, &made); copies--) {
            MUST_STATUS(async_emit(out, &made, 1), ASYNC_OK);
        }
    }
    return 0;
}

static int next(void *items, size_t count, size_t *got, void *context)
{
    node *n = context;
    MUST(atomic_fetch_add(&n->drawing, 1) == 0);
    while (*got < count && n->next < n->end) { ((uint64_t *)items)[(*got)++] = n->next++; }
    atomic_fetch_sub(&n->drawing, 1);
    return 0;
}

static int sink(const void *items, size_t count, void *context)
{
    player *p = context;
    settle(items, count);
    stress_moves(count);
    return p->left-- > 1 ? ASYNC_CONTINUE : ASYNC_STOP;
}

/* ---- what the threads do ---- */

static slot *new_slot(void)
{
    unsigned at = atomic_fetch_add(&used, 1);
    if (at >= NODES) {
        atomic_fetch_sub(&used, 1);
        return NULL;
    }
    node *n = calloc(1, sizeof *n);
    MUST(n != NULL);
    n->number = at;
    nodes[at] = n;
    slots[at].node = n;
    return &slots[at];
}

static void fill(slot *s, async_reader *reader, async_writer *writer)
{
    pthread_mutex_lock(&s->mutex);
    s->reader = reader;
    s->writer = writer;
    pthread_mutex_unlock(&s->mutex);
}

static void add_channel(dice *d)
{
    slot *s = new_slot();
    if (s == NULL) { return; }
    async_reader         *reader;
    async_writer         *writer;
    async_channel_options options = {.capacity = PICK(d, 0, 1, 10, 300),
                                     .discard = discard,
                                     .release = release,
                                     .context = s->node};
    MUST_STATUS(async_channel_create(&writer, &reader, sizeof(uint64_t), &options), ASYNC_OK);
    fill(s, reader, writer);
}

static void add_task(dice *d, async_reader *input)
{
    slot *s = new_slot();
    if (s == NULL) { return; }
    node *n = s->node;
    n->source = input == NULL;
    n->kind = (work)roll(d, input == NULL ? PASS : WORKS);
    n->end = roll(d, 6000);
    async_source       sources[2] = {async_source_range(0, n->end),
                                     async_source_from(next, n, sizeof(uint64_t))};
    async_task_options options = {
        .name = "churned",
        .source = input == NULL ? &sources[roll(d, 2)] : NULL,
        .input = input,
        .each = n->kind == EACH ? do_each : NULL,
        .batch = n->kind == BATCH ? do_batch : NULL,
        .emit = n->kind == FILTER || n->kind == PAIR ? do_emit : NULL,
        .context = n,
        .release = release,
        .discard = n->kind != PASS || one_in(d, 2) ? discard : NULL,
        .min_count = one_in(d, 4) ? PICK(d, 10, 300) : 0,
        .max_chunksize = PICK(d, 0, 1, 7, 7, 7, 64),
        .order = one_in(d, 2) ? ASYNC_ORDERED : ASYNC_UNORDERED,
        .max_parallel = one_in(d, 3) ? 1 + roll(d, 2) : 0,
        .in_place = one_in(d, 2),
    };
    async_reader *reader;
    MUST_STATUS(async_pool_add_task(pools[roll(d, POOLS)], &reader, &options), ASYNC_OK);
    fill(s, reader, NULL);
}

static async_wait short_wait(dice *d)
{
    switch (roll(d, 3)) {
    case 0:
        return async_now();
    case 1:
        return async_per_item_ms(roll(d, 2));
    default:
        return async_within_ms(roll(d, 3));
    }
}

static void check_status(async_status status)
{
    if (status > ASYNC_FAILED) {
        stress_failed(__FILE__, __LINE__, "a read gave %s", async_status_name(status));
    }
}

static void read_some(player *p, async_reader *reader)
{
    dice        *d = &p->dice;
    uint64_t     items[1000];
    size_t       count = 1 + roll(d, (unsigned)PICK(d, 1, 30, 1000)), got = 0;
    async_status status;
    if (one_in(d, 10)) {
        p->left = 1 + roll(d, 20);
        status = async_reader_for_each(reader, sink, p, short_wait(d));
        check_status(status);
    } else if (one_in(d, 10)) {
        void *all = NULL;
        status = async_reader_read_all(reader, &all, &got, short_wait(d));
        check_status(status);
        settle(all, got);
        stress_moves(got);
        async_free(all);
    } else if (one_in(d, 3)) {
        async_view *view = &p->views[roll(d, VIEWS)];
        async_view_return(view);
        status = async_reader_borrow(reader, view, count, short_wait(d));
        check_status(status);
        MUST((status == ASYNC_OK) == (view->count > 0));
        settle(view->items, view->count);
        stress_moves(view->count);
    } else {
        status = async_reader_read(reader, items, count, &got, short_wait(d));
        check_status(status);
        MUST((status == ASYNC_OK) == (got == count));
        settle(items, got);
        stress_moves(got);
    }
}

static void write_some(dice *d, slot *s, async_writer *writer)
{
    uint64_t items[100];
    size_t   count = 1 + roll(d, 100), written = 0;
    /* The numbers of what was refused are used no more, and count as settled. */
    for (size_t i = 0; i < count; i++) {
        if (!make(s->node, &items[i])) { count = i; }
    }
    async_status status = async_writer_write(writer, items, count, &written, short_wait(d));
    MUST(status == ASYNC_OK || status == ASYNC_TIMEOUT || status == ASYNC_CLOSED);
    MUST((status == ASYNC_OK) == (written == count));
    settle(items + written, count - written);
    stress_moves(written);
}

static slot *any_slot(dice *d)
{
    unsigned count = atomic_load(&used);
    return &slots[roll(d, count < NODES ? count : NODES)];
}

static async_reader *any_reader(dice *d)
{
    slot *s = any_slot(d);
    pthread_mutex_lock(&s->mutex);
    async_reader *reader = async_reader_retain(s->reader);
    pthread_mutex_unlock(&s->mutex);
    return reader;
}

/* The recorders, too, are started, stopped and read by all. */
static void record(dice *d)
{
    async_pool       *pool = pools[roll(d, POOLS)];
    async_trace_event events[100];
    size_t            got = 0;
    switch (roll(d, 8)) {
    case 0:
        MUST_STATUS(async_trace_start(pool, PICK(d, 0, 1, 30, 1000)), ASYNC_OK);
        break;
    case 1:
        MUST_STATUS(async_trace_stop(pool), ASYNC_OK);
        break;
    default:
        MUST_STATUS(async_trace_read(pool, events, 100, &got, NULL), ASYNC_OK);
        for (size_t i = 0; i < got; i++) {
            MUST(events[i].start <= events[i].end && events[i].kind <= ASYNC_TRACE_PARK);
            MUST(events[i].items_in <= MADE_MAX && events[i].items_out <= 2 * MADE_MAX);
        }
    }
}

static void touch(player *p, async_reader *reader)
{
    dice        *d = &p->dice;
    async_task  *task = async_reader_task(reader);
    async_error  error;
    async_status status;
    switch (roll(d, 20)) {
    case 0:
        if (one_in(d, 4)) { MUST_STATUS(async_reader_cancel(reader), ASYNC_OK); }
        break;
    case 1:
        if (task != NULL && one_in(d, 2)) {
            MUST_STATUS(async_task_cancel(task), ASYNC_OK);
            MUST(async_task_done(task));
        }
        break;
    case 2:
        if (task != NULL && one_in(d, 2)) {
            MUST_STATUS(async_pool_remove_task(async_reader_pool(reader), task), ASYNC_OK);
            MUST(async_task_done(task));
        }
        break;
    case 3:
    case 4:
        add_task(d, reader);
        break;
    case 5: {
        async_reader *other = any_reader(d);
        if (task != NULL && other != NULL) {
            status = async_task_add_input(task, other);
            MUST(status == ASYNC_OK || status == ASYNC_INVALID || status == ASYNC_CYCLE ||
                 status == ASYNC_CLOSED);
        }
        async_reader_release(other);
        break;
    }
    case 6:
        MUST_STATUS(async_reader_error(reader, &error), ASYNC_OK);
        if (task != NULL) {
            async_task_stats stats;
            MUST_STATUS(async_task_counts(task, &stats), ASYNC_OK);
        }
        break;
    case 7:
        record(d);
        break;
    default:
        read_some(p, reader);
        break;
    }
}

static void touch_writer(dice *d)
{
    slot *s = any_slot(d);
    pthread_mutex_lock(&s->mutex);
    async_writer *writer = async_writer_retain(s->writer);
    pthread_mutex_unlock(&s->mutex);
    if (writer == NULL) { return; }
    if (one_in(d, 30)) {
        MUST_STATUS(async_writer_close(writer), ASYNC_OK);
        MUST(async_writer_closed(writer));
    } else {
        write_some(d, s, writer);
    }
    async_writer_release(writer);
}

static void drop_one(slot *s)
{
    pthread_mutex_lock(&s->mutex);
    async_reader *reader = s->reader;
    async_writer *writer = s->writer;
    s->reader = NULL;
    s->writer = NULL;
    pthread_mutex_unlock(&s->mutex);
    async_reader_release(reader);
    async_writer_release(writer);
}

static void play(void *arg)
{
    player *p = arg;
    dice   *d = &p->dice;
    for (unsigned steps = 20 + roll(d, 150); steps > 0; steps--) {
        stress_moves(1);
        switch (roll(d, 16)) {
        case 0:
            MUST_STATUS(async_pool_set_size(pools[roll(d, POOLS)], roll(d, 5)), ASYNC_OK);
            break;
        case 1:
            if (one_in(d, 3)) { drop_one(any_slot(d)); }
            break;
        case 2:
            if (one_in(d, 20)) { MUST_STATUS(async_pool_cancel(pools[roll(d, POOLS)]), ASYNC_OK); }
            break;
        case 3:
            add_task(d, NULL);
            break;
        case 4:
        case 5:
            touch_writer(d);
            break;
        default: {
            async_reader *reader = any_reader(d);
            if (reader != NULL) { touch(p, reader); }
            async_reader_release(reader);
            break;
        }
        }
    }
}

/* ---- a round ---- */

static void check(void)
{
    for (unsigned i = 0; i < NODES && nodes[i] != NULL; i++) {
        node *n = nodes[i];
        if (atomic_load(&n->released) != 1) {
            stress_failed(__FILE__, __LINE__, "the context of node %u was released %u times", i,
                          atomic_load(&n->released));
        }
        size_t lost = 0, made = atomic_load(&n->made);
        for (size_t at = 0; at < made; at++) {
            if (atomic_load(&n->seen[at]) == 0) { lost++; }
        }
        if (lost > 0) {
            stress_failed(__FILE__, __LINE__, "%zu of %zu items of node %u (kind %d%s) are lost",
                          lost, made, i, (int)n->kind, n->source ? ", a source" : "");
        }
        free(n);
        nodes[i] = NULL;
    }
}

static void play_round(const stress *s)
{
    dice d = {.state = s->seed};
    for (unsigned i = 0; i < POOLS; i++) {
        async_pool_options options = {.name = "churn", .readers_help = one_in(&d, 2)};
        MUST_STATUS(async_pool_create(&pools[i], roll(&d, 4), &options), ASYNC_OK);
    }
    atomic_store(&used, 0);
    for (unsigned i = 2 + roll(&d, 3); i > 0; i--) { add_channel(&d); }
    for (unsigned i = 2 + roll(&d, 4); i > 0; i--) { add_task(&d, NULL); }
    for (unsigned i = 2 + roll(&d, 10); i > 0; i--) {
        async_reader *input = any_reader(&d);
        add_task(&d, input);
        async_reader_release(input);
    }
    bool    destroy_first = one_in(&d, 3);
    player *players = calloc(s->threads, sizeof *players);
    MUST(players != NULL);
    for (unsigned i = 0; i < s->threads; i++) {
        players[i].dice.state = dice_next(&d);
        thread_start(&players[i].thread, play, &players[i]);
    }
    for (unsigned i = 0; i < s->threads; i++) { pthread_join(players[i].thread.id, NULL); }
    for (unsigned i = 0; i < NODES && !destroy_first; i++) { drop_one(&slots[i]); }
    for (unsigned i = 0; i < POOLS; i++) {
        if (!destroy_first) { MUST(async_pool_num_tasks(pools[i]) == 0); }
        stress_moves(1);
        MUST_STATUS(async_pool_destroy(pools[i], one_in(&d, 2) ? ASYNC_DRAIN : ASYNC_DROP),
                    ASYNC_OK);
    }
    for (unsigned i = 0; i < NODES; i++) { drop_one(&slots[i]); }
    for (unsigned i = 0; i < s->threads; i++) {
        for (unsigned v = 0; v < VIEWS; v++) {
            MUST_STATUS(async_view_return(&players[i].views[v]), ASYNC_OK);
        }
    }
    free(players);
    check();
}

int main(int argc, char **argv)
{
    stress s;
    stress_start(&s, "churn_stress", 3, argc, argv);
    for (unsigned i = 0; i < NODES; i++) { pthread_mutex_init(&slots[i].mutex, NULL); }
    while (stress_next(&s)) { play_round(&s); }
    stress_end(&s);
    return 0;
}
