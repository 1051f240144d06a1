/* trial.c: small pipelines that go on when a call is refused for want of memory. Nothing here may
 * allocate, but for the library. */
#include "trial.h"

#include <string.h>

static void went_wrong(trial *t, const char *what, async_status status)
{
    if (t->wrong == NULL) {
        t->wrong = what;
        t->status = status;
    }
}

/* Whether a call was refused and is to be repeated. One allocation fails, so one call may. */
static bool refused(trial *t, const char *what, async_status status)
{
    if (status != ASYNC_NO_MEMORY && status != ASYNC_SYSTEM) { return false; }
    if (atomic_fetch_add(&t->refused, 1) > 0) {
        went_wrong(t, what, status);
        return false;
    }
    return true;
}

/* The call, until it isn't refused; whether it then did as it should. */
#define TRY(t, wanted, call)                                                                       \
    __extension__({                                                                                \
        async_status try_status;                                                                   \
        while (refused((t), #call, try_status = (call))) {}                                        \
        if (try_status != (wanted)) { went_wrong((t), #call, try_status); }                        \
        try_status == (wanted);                                                                    \
    })

#define EXPECT(t, condition) ((condition) ? (void)0 : went_wrong((t), #condition, ASYNC_OK))

static async_pool *trial_pool(trial *t, const async_pool_options *base)
{
    async_pool        *pool = NULL;
    async_pool_options options = {0};
    async_allocator    allocator;
    if (base != NULL) { options = *base; }
    if (t->arena != NULL) {
        allocator = arena_allocator(t->arena);
        options.allocator = &allocator;
    }
    if (!TRY(t, ASYNC_OK, async_pool_create(&pool, t->n, &options))) { EXPECT(t, pool == NULL); }
    return pool;
}

static async_reader *trial_task(trial *t, async_pool *pool, async_task_options options)
{
    async_reader *reader = NULL;
    size_t        tasks = async_pool_num_tasks(pool);
    if (pool != NULL && (options.source != NULL || options.input != NULL)) {
        TRY(t, ASYNC_OK, async_pool_add_task(pool, &reader, &options));
        EXPECT(t, async_pool_num_tasks(pool) == tasks + (reader != NULL));
    }
    return reader;
}
#define ADD(t, pool, ...) trial_task((t), (pool), (async_task_options){__VA_ARGS__})

/* Reads exactly `count` items, in spite of one refusal; whether they came. */
static bool trial_read(trial *t, async_reader *reader, uint64_t *items, size_t count,
                       async_status wanted, size_t expected)
{
    size_t       sum = 0;
    async_status status;
    do {
        size_t got = 0;
        status = async_reader_read(reader, items + sum, count - sum, &got, async_within_ms(SOON));
        sum += got;
    } while (refused(t, "async_reader_read", status));
    if (status != wanted || sum != expected) {
        went_wrong(t, "async_reader_read", status);
        return false;
    }
    return true;
}

/* The sum of the numbers first, first + 1, … */
static uint64_t sum_of(uint64_t first, uint64_t count)
{
    return count * first + count * (count - 1) / 2;
}

static uint64_t sum_items(const uint64_t *items, size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) { sum += items[i]; }
    return sum;
}

static void trial_end(trial *t, async_pool *pool, async_ending how)
{
    async_status status = async_pool_destroy(pool, how); /* can't be refused */
    if (status != ASYNC_OK) { went_wrong(t, "async_pool_destroy", status); }
}

/* each and batch, with min and max, read in pieces. */
static void run_chain(trial *t)
{
    uint64_t      items[101];
    async_source  source = async_source_range(0, 100);
    async_pool   *pool = trial_pool(t, &(async_pool_options){.name = "memory"});
    async_reader *a = ADD(t, pool, .name = "first", .source = &source, .each = each_add_one,
                          .min_count = 20, .max_chunksize = 7);
    async_reader *b = ADD(t, pool, .name = "second", .input = a, .batch = batch_add_one,
                          .max_chunksize = 5, .discard = probe_discard, .release = probe_release,
                          .context = &t->probe);
    if (b != NULL) {
        for (size_t i = 0; i < 10; i++) { trial_read(t, b, items + 10 * i, 10, ASYNC_OK, 10); }
        EXPECT(t, sum_items(items, 100) == sum_of(2, 100));
        trial_read(t, b, items, 1, ASYNC_END, 0);
    }
    async_reader_release(a);
    async_reader_release(b);
    trial_end(t, pool, ASYNC_DRAIN);
    EXPECT(t, atomic_load(&t->probe.released) == 1 && atomic_load(&t->probe.discarded) == 0);
}

static int emit_twice(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    trial *t = context;
    for (*done = 0; *done < count; ++*done) {
        uint64_t pair[2] = {((const uint64_t *)in)[*done], ((const uint64_t *)in)[*done]};
        if (!TRY(t, ASYNC_OK, async_emit(out, pair, 2))) { return 1; }
    }
    return 0;
}

static int sink_ordered(const void *items, size_t count, void *context)
{
    trial *t = context;
    for (size_t i = 0; i < count; i++) {
        EXPECT(t, ((const uint64_t *)items)[i] == t->count / 2);
        t->count++;
    }
    return ASYNC_CONTINUE;
}

/* An ordered emit task, streamed. */
static void run_emit(trial *t)
{
    async_source  source = async_source_range(0, 100);
    async_pool   *pool = trial_pool(t, NULL);
    async_reader *a = ADD(t, pool, .source = &source, .batch = batch_copy, .max_chunksize = 3,
                          .order = ASYNC_ORDERED, .max_parallel = 1);
    async_reader *b = ADD(t, pool, .input = a, .emit = emit_twice, .context = t, .max_chunksize = 6,
                          .order = ASYNC_ORDERED, .max_parallel = 2);
    async_reader_release(a);
    if (b != NULL) {
        TRY(t, ASYNC_OK, async_reader_for_each(b, sink_ordered, t, async_within_ms(SOON)));
        EXPECT(t, t->count == 200);
    }
    async_reader_release(b);
    trial_end(t, pool, ASYNC_DRAIN);
}

/* A source's function, read to the end in one array. */
static void run_read_all(trial *t)
{
    numbers       source = {.end = 5000};
    async_source  from = async_source_from(next_number, &source, sizeof(uint64_t));
    async_pool   *pool = trial_pool(t, NULL);
    async_reader *a = ADD(t, pool, .source = &from, .release = numbers_release, .context = &source);
    async_reader *b = ADD(t, pool, .input = a, .each = each_add_one, .max_chunksize = 1000);
    async_reader_release(a);
    if (b != NULL) {
        async_status status;
        do {
            void  *items = NULL;
            size_t count = 0;
            status = async_reader_read_all(b, &items, &count, async_within_ms(SOON));
            t->sum += sum_items(items, count);
            t->count += count;
            async_free(items);
        } while (refused(t, "async_reader_read_all", status));
        if (status != ASYNC_OK) { went_wrong(t, "async_reader_read_all", status); }
        EXPECT(t, t->count == 5000 && t->sum == sum_of(1, 5000));
    }
    async_reader_release(b);
    trial_end(t, pool, ASYNC_DRAIN);
    EXPECT(t, atomic_load(&source.released) == 1);
}

/* Writes all of it, in spite of one refusal. */
static void trial_write(trial *t, async_writer *writer, const uint64_t *items, size_t count)
{
    size_t       sum = 0;
    async_status status;
    do {
        size_t written = 0;
        status = async_writer_write(writer, items + sum, count - sum, &written, async_now());
        sum += written;
    } while (refused(t, "async_writer_write", status));
    if (status != ASYNC_OK || sum != count) { went_wrong(t, "async_writer_write", status); }
}

/* Plain channels, bounded and not, with a callback, and a task behind one. */
static int pre_add_one(void *items, size_t count, void *context)
{
    (void)context;
    for (size_t i = 0; i < count; i++) { ((uint64_t *)items)[i]++; }
    return 0;
}

static void run_channels(trial *t)
{
    enum { COUNT = 1000 };
    uint64_t              items[COUNT + 1];
    async_writer         *writer = NULL;
    async_reader         *reader = NULL;
    async_channel_options options = {
        .name = "plain", .discard = probe_discard, .release = probe_release, .context = &t->probe};
    for (unsigned i = 0; i < COUNT; i++) { items[i] = i; }
    options.capacity = 10;
    if (TRY(t, ASYNC_OK, async_channel_create(&writer, &reader, sizeof items[0], &options))) {
        trial_write(t, writer, items, 10);
        EXPECT(t, async_reader_ready(reader) == 10);
        trial_read(t, reader, items, 6, ASYNC_OK, 6);
    }
    async_writer_release(writer);
    async_reader_release(reader);
    EXPECT(t, atomic_load(&t->probe.discarded) == 4 && atomic_load(&t->probe.released) == 1);

    async_pool *pool = trial_pool(t, NULL);
    options.capacity = 0;
    writer = NULL;
    reader = NULL;
    if (TRY(t, ASYNC_OK, async_channel_create(&writer, &reader, sizeof items[0], &options))) {
        async_reader *r = ADD(t, pool, .input = reader, .each = each_add_one, .max_chunksize = 30);
        TRY(t, ASYNC_OK, async_writer_set_pre(writer, pre_add_one, NULL, NULL, NULL));
        for (unsigned i = 0; i < 10; i++) { trial_write(t, writer, items + 100 * i, 100); }
        async_writer_release(writer);
        async_reader_release(reader);
        if (r != NULL) {
            trial_read(t, r, items, COUNT + 1, ASYNC_END, COUNT);
            EXPECT(t, sum_items(items, COUNT) == sum_of(2, COUNT));
        }
        async_reader_release(r);
    }
    trial_end(t, pool, ASYNC_DRAIN);
    EXPECT(t, atomic_load(&t->probe.discarded) == 4 && atomic_load(&t->probe.released) == 2);
}

/* Two pools, a task with several inputs, another size in between, and views. */
static void run_graph(trial *t)
{
    async_source  sources[3] = {async_source_range(0, 50), async_source_range(50, 50),
                                async_source_range(100, 50)};
    async_pool   *first = trial_pool(t, NULL), *second = trial_pool(t, NULL);
    async_reader *in[3] = {NULL}, *all = NULL, *r = NULL;
    for (unsigned i = 0; i < 3; i++) {
        in[i] = ADD(t, first, .source = &sources[i], .each = each_add_one, .max_chunksize = 5 + i);
    }
    all = ADD(t, second, .input = in[0], .batch = batch_copy, .max_chunksize = 8);
    for (unsigned i = 1; i < 3 && all != NULL; i++) {
        TRY(t, ASYNC_OK, async_task_add_input(async_reader_task(all), in[i]));
    }
    TRY(t, ASYNC_OK, async_pool_set_size(first, t->n + 1));
    TRY(t, ASYNC_OK, async_pool_set_size(first, t->n));
    r = ADD(t, second, .input = all);
    for (unsigned i = 0; i < 3; i++) { async_reader_release(in[i]); }
    async_reader_release(all);
    async_status status = r == NULL ? ASYNC_END : ASYNC_OK;
    async_view   views[4] = {{0}};
    for (unsigned at = 0; status == ASYNC_OK; at = (at + 1) % 4) {
        async_view_return(&views[at]);
        while (refused(t, "async_reader_borrow",
                       status = async_reader_borrow(r, &views[at], 9, async_within_ms(SOON)))) {}
        if (status == ASYNC_OK) {
            t->count += views[at].count;
            t->sum += sum_items(views[at].items, views[at].count);
        }
    }
    if (status != ASYNC_END) { went_wrong(t, "async_reader_borrow", status); }
    EXPECT(t, t->wrong != NULL || (t->count == 150 && t->sum == sum_of(1, 150)));
    async_reader_release(r);
    trial_end(t, first, ASYNC_DRAIN);
    trial_end(t, second, ASYNC_DROP);
    for (unsigned i = 0; i < 4; i++) { async_view_return(&views[i]); }
}

static void post_add_1000(void *items, size_t *count, void *context)
{
    (void)context;
    for (size_t i = 0; i < *count; i++) { ((uint64_t *)items)[i] += 1000; }
}

/* A callback between tasks, and an ending with items that nobody reads: each item that was made is
 * read or discarded, once. */
static void run_endings(trial *t)
{
    static atomic_uint seen[2000];
    static probe       above; /* of the first task */
    ledger             lost = {.size = 2000, .seen = seen};
    uint64_t           items[20];
    async_source       source = async_source_range(0, 1000);
    memset(seen, 0, sizeof seen);
    memset(&above, 0, sizeof above);
    t->probe.lost = above.lost = &lost;
    async_pool   *pool = trial_pool(t, NULL);
    async_reader *a = ADD(t, pool, .source = &source, .batch = batch_copy, .max_chunksize = 16,
                          .min_count = 64, .context = &above, .discard = probe_discard);
    if (a != NULL) { TRY(t, ASYNC_OK, async_reader_set_post(a, post_add_1000, NULL, NULL, NULL)); }
    async_reader *b = ADD(t, pool, .input = a, .batch = batch_copy, .context = &t->probe,
                          .discard = probe_discard, .release = probe_release);
    if (b != NULL) {
        if (trial_read(t, b, items, 20, ASYNC_OK, 20)) { ledger_add(&lost, items, 20); }
        TRY(t, ASYNC_OK, async_task_cancel(async_reader_task(b)));
        trial_read(t, b, items, 1, ASYNC_CANCELLED, 0);
    }
    async_reader_release(b);
    async_reader_release(a);
    trial_end(t, pool, ASYNC_DROP);
    EXPECT(t, atomic_load(&t->probe.released) == 1);
    EXPECT(t, atomic_load(&lost.strange) == 0);
    EXPECT(t, ledger_count(&lost, 0, 2000, 2) == 0);
    EXPECT(t, ledger_count(&lost, 0, 2000, 1) == atomic_load(&above.items));
    t->probe.lost = NULL;
}

const trial_kind trial_kinds[] = {
    {"chain", run_chain},       {"emit", run_emit},   {"read_all", run_read_all},
    {"channels", run_channels}, {"graph", run_graph}, {"endings", run_endings},
};
const unsigned trial_kind_count = sizeof trial_kinds / sizeof trial_kinds[0];
