/* pipeline_stress.c [seconds] [threads] [seed]: random chains, read in random ways.
 *
 * Each round makes a chain of one to six tasks, of every kind of function, chunk size, order and
 * source, in a pool of up to four workers, and reads it from up to `threads` threads in every way
 * there is: to the end, or only a part of it. What comes out is compared with what the same
 * functions give one after the other: every item exactly once, and in order where that is promised.
 * At the end every item that was made was read or discarded, and every context released once. */
#include "pipeline_stages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

/* The client has read these. Whether it is to go on. */
static bool note_items(client *c, const void *items, size_t count)
{
    if (c->count + count > c->room) {
        c->room = (c->count + count) * 2;
        c->seen = realloc(c->seen, c->room * sizeof *c->seen);
        MUST(c->seen != NULL);
    }
    for (size_t i = 0; i < count; i++) {
        c->seen[c->count++] = get((const char *)items + i * world.size, world.size);
    }
    stress_moves(count);
    uint64_t before = atomic_fetch_add(&world.budget, count);
    return world.to_the_end || before + count < world.items / 3;
}

static int sink(const void *items, size_t count, void *context)
{
    client *c = context;
    MUST(count > 0);
    bool more = note_items(c, items, count);
    if (!more || (c->budget > 0 && --c->budget == 0)) {
        atomic_store(&world.lossy, true);
        return ASYNC_STOP;
    }
    return ASYNC_CONTINUE;
}

static bool go_on(async_status status)
{
    MUST(status == ASYNC_OK || status == ASYNC_END || status == ASYNC_TIMEOUT);
    return status != ASYNC_END;
}

static bool read_once(client *c)
{
    dice        *d = &c->dice;
    async_wait   wait = any_wait(d, 5);
    async_status status;
    if (one_in(d, 40)) {
        void  *items = NULL;
        size_t count = 0;
        if (!world.to_the_end) { wait = async_within_ms(1); }
        status = async_reader_read_all(world.reader, &items, &count, wait);
        MUST(status == ASYNC_OK || status == ASYNC_TIMEOUT);
        bool more = note_items(c, items, count);
        async_free(items);
        return more && status != ASYNC_OK;
    }
    if (one_in(d, 40)) {
        c->budget = 0;
        if (one_in(d, 2)) {
            c->budget = 1 + roll(d, 20);
        } else if (wait.kind != ASYNC_WAIT_FOREVER) {
            atomic_store(&world.lossy, true);
        }
        size_t budget = c->budget;
        status = async_reader_for_each(world.reader, sink, c, wait);
        MUST(status == ASYNC_OK || status == ASYNC_TIMEOUT);
        if (!world.to_the_end && atomic_load(&world.budget) >= world.items / 3) { return false; }
        return status != ASYNC_OK || (budget > 0 && c->budget == 0);
    }
    size_t count = 1 + roll(d, (unsigned)PICK(d, 1, 3, 60, 3000));
    if (one_in(d, 3)) {
        async_view view = {0};
        status = async_reader_borrow(world.reader, &view, count, wait);
        MUST((status == ASYNC_OK) == (view.count > 0) && view.count <= count);
        bool more = note_items(c, view.items, view.count);
        MUST_STATUS(async_view_return(&view), ASYNC_OK);
        return go_on(status) && more;
    }
    unsigned char *items = malloc(count * world.size);
    size_t         got = SIZE_MAX;
    MUST(items != NULL);
    status = async_reader_read(world.reader, items, count, &got, wait);
    MUST((status == ASYNC_OK) == (got == count) && got <= count);
    bool more = note_items(c, items, got);
    free(items);
    return go_on(status) && more;
}

static void read_items(void *arg)
{
    client *c = arg;
    while (read_once(c)) {}
    async_reader_release(world.reader);
}

/* ---- a round ---- */

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* What the functions give, one after the other. */
static uint64_t *expected(size_t *count)
{
    uint64_t *values = malloc((world.items + 1) * sizeof *values);
    MUST(values != NULL);
    *count = world.items;
    for (size_t i = 0; i < *count; i++) { values[i] = i; }
    for (unsigned at = 0; at < world.count; at++) {
        const stage *s = &world.stages[at];
        size_t       total = 0;
        for (size_t i = 0; i < *count; i++) { total += outputs(s, values[i]); }
        uint64_t *after = malloc((total + 1) * sizeof *after);
        MUST(after != NULL);
        total = 0;
        for (size_t i = 0; i < *count; i++) {
            for (size_t n = outputs(s, values[i]); n > 0; n--) {
                after[total++] = changed(s, values[i]);
            }
        }
        free(values);
        values = after;
        *count = total;
    }
    return values;
}

static void choose(dice *d, bool ordered)
{
    world.count = 1 + roll(d, STAGES);
    world.origin = (origin)roll(d, ORIGINS_COUNT);
    world.items = PICK(d, 0, 1, 5, 100, 1000, 3000, 20000);
    world.first_size = world.origin == RANGE ? 8 : PICK(d, 4, 8, 24);
    size_t   size = world.first_size, same = PICK(d, 0, 1, 1, 2, 7, 64, 1000);
    unsigned growing = 0;
    bool     alike = one_in(d, 2); /* neighbours that could be run as one */
    for (unsigned i = 0; i < world.count; i++) {
        stage *s = &world.stages[i];
        s->kind = (work)roll(d, alike ? FILTER : WORKS);
        growing += s->kind == PAIR ? 1 : s->kind == BURST ? 2 : 0;
        if (s->kind > FILTER && growing > 2) { /* enough of it */
            s->kind = FILTER;
        }
        s->in_size = size;
        s->out_size = s->kind == PASS || one_in(d, 2) ? size : PICK(d, 4, 8, 24);
        size = s->out_size;
        s->chunk = alike ? same : PICK(d, 0, 1, 2, 7, 64, 1000);
        s->min = one_in(d, 4) ? PICK(d, 1, 10, 500, 5000) : 0;
        s->ordered = ordered || one_in(d, 3);
        s->parallel = roll(d, 3);
        s->in_place = one_in(d, 2) && s->in_size == s->out_size;
        s->discards = s->kind != PASS || i == 0 || one_in(d, 2);
    }
    world.size = size;
    if (one_in(d, 3) && world.items > 3000) { world.items = 3000; }
}

static void build(async_pool *pool, dice *d)
{
    async_reader *reader = NULL;
    async_source  source = async_source_range(0, world.items);
    if (world.origin == ARRAY) {
        world.array = malloc(world.items * world.first_size + 1);
        MUST(world.array != NULL);
        for (size_t i = 0; i < world.items; i++) {
            put(world.array + i * world.first_size, world.first_size, i);
        }
        source = async_source_array(world.array, world.items, world.first_size);
    } else if (world.origin == NEXT) {
        source = async_source_from(next, NULL, world.first_size);
    } else if (world.origin == CHANNEL) {
        async_channel_options options = {.capacity = PICK(d, 0, 0, 1, 5, 64, 1000),
                                         .discard = channel_discard,
                                         .release = channel_release};
        MUST_STATUS(async_channel_create(&world.writer, &reader, world.first_size, &options),
                    ASYNC_OK);
    }
    for (unsigned i = 0; i < world.count; i++) {
        stage             *s = &world.stages[i];
        async_reader      *input = reader;
        async_task_options options = {
            .name = "stage",
            .source = input == NULL ? &source : NULL,
            .input = input,
            .input_size = s->in_size,
            .item_size = s->out_size,
            .each = s->kind == EACH ? do_each : NULL,
            .batch = s->kind == BATCH ? do_batch : NULL,
            .emit = s->kind >= FILTER ? do_emit : NULL,
            .context = s,
            .release = release,
            .discard = s->discards ? discard : NULL,
            .min_count = s->min,
            .max_chunksize = s->chunk,
            .order = s->ordered ? ASYNC_ORDERED : ASYNC_UNORDERED,
            .max_parallel = s->parallel,
            .in_place = s->in_place,
        };
        MUST_STATUS(async_pool_add_task(pool, &reader, &options), ASYNC_OK);
        async_reader_release(input);
    }
    world.reader = reader;
}

static void describe(unsigned workers, bool help, unsigned clients)
{
    char   text[900];
    size_t at = (size_t)snprintf(
        text, sizeof text, "N = %u%s, %u clients%s, %zu from %s of %zu bytes:", workers,
        help ? " helped" : "", clients, world.to_the_end ? "" : " that leave early", world.items,
        origin_names[world.origin], world.first_size);
    for (unsigned i = 0; i < world.count; i++) {
        const stage *s = &world.stages[i];
        at += (size_t)snprintf(text + at, sizeof text - at,
                               "\n  %s to %zu bytes, chunk %zu, min %zu%s%s%s", work_names[s->kind],
                               s->out_size, s->chunk, s->min, s->ordered ? ", ordered" : "",
                               s->in_place ? ", in place" : "",
                               s->parallel == 0   ? ""
                               : s->parallel == 1 ? ", serial"
                                                  : ", two at a time");
    }
    stress_note("%s", text);
}

/* What was made was read or discarded. */
static void check_balance(uint64_t read)
{
    bool     known = world.origin == CHANNEL;
    uint64_t left = atomic_load(&world.accepted) - atomic_load(&world.discarded);
    MUST_EQ(atomic_load(&world.released), world.origin == CHANNEL ? 1 : 0);
    for (unsigned i = 0; i < world.count; i++) {
        stage *s = &world.stages[i];
        MUST_EQ(atomic_load(&s->released), 1);
        uint64_t discarded = atomic_load(&s->discarded);
        if (s->kind == PASS) {
            left -= discarded;
            continue;
        }
        if (known) { MUST_EQ(atomic_load(&s->taken), left); }
        left = atomic_load(&s->made) - discarded;
        known = true;
    }
    if (known) { MUST_EQ(read, left); }
}

static void check_items(client *clients, unsigned count, bool in_order)
{
    size_t    wanted, total = 0;
    uint64_t *values = expected(&wanted);
    for (unsigned i = 0; i < count; i++) { total += clients[i].count; }
    uint64_t *seen = malloc((total + 1) * sizeof *seen);
    MUST(seen != NULL);
    total = 0;
    for (unsigned i = 0; i < count; i++) {
        if (clients[i].count > 0) {
            memcpy(seen + total, clients[i].seen, clients[i].count * sizeof *seen);
        }
        total += clients[i].count;
    }
    check_balance(total);
    bool all = world.to_the_end && !atomic_load(&world.lossy);
    if (all) { MUST_EQ(total, wanted); }
    if (!in_order || count > 1) {
        qsort(values, wanted, sizeof *values, by_value);
        qsort(seen, total, sizeof *seen, by_value);
    }
    for (size_t i = 0, at = 0; i < total; i++, at++) {
        if (!all || !in_order) { /* some may be missing */
            while (at < wanted && values[at] != seen[i]) { at++; }
        }
        if (at >= wanted || values[at] != seen[i]) {
            stress_failed(__FILE__, __LINE__, "item %zu of %zu is %llu", i, total,
                          (unsigned long long)seen[i]);
        }
    }
    free(seen);
    free(values);
}

static void play(const stress *s)
{
    dice d = {.state = s->seed};
    memset(&world, 0, sizeof world);
    unsigned workers = roll(&d, 5), count = one_in(&d, 3) ? 1 + roll(&d, s->threads) : 1;
    bool     help = one_in(&d, 2), ordered = one_in(&d, 2);
    choose(&d, ordered);
    world.to_the_end = !one_in(&d, 4);
    describe(workers, help, count);

    async_pool        *pool = NULL;
    async_pool_options options = {.name = "stress", .readers_help = help};
    MUST_STATUS(async_pool_create(&pool, workers, &options), ASYNC_OK);
    build(pool, &d);
    MUST_EQ(async_pool_num_tasks(pool), world.count);
    world.dice.state = dice_next(&d);
    if (world.writer != NULL) { thread_start(&world.writing, write_items, NULL); }
    bool    written = world.writer != NULL;
    client *clients = calloc(count, sizeof *clients);
    MUST(clients != NULL);
    for (unsigned i = 0; i < count; i++) {
        clients[i].dice.state = dice_next(&d);
        async_reader_retain(world.reader);
        thread_start(&clients[i].thread, read_items, &clients[i]);
    }
    for (unsigned i = 0; i < count; i++) { pthread_join(clients[i].thread.id, NULL); }
    if (world.to_the_end) {
        for (int i = 0; i < 2; i++) {
            char   item[24];
            size_t got = 1;
            MUST_STATUS(async_reader_read(world.reader, item, 1, &got, async_forever()), ASYNC_END);
            MUST_EQ(got, 0);
        }
        MUST(async_task_done(async_reader_task(world.reader)));
    }
    bool before = one_in(&d, 2);
    if (before) {
        async_reader_release(world.reader);
        MUST_EQ(async_pool_num_tasks(pool), 0);
    }
    MUST_STATUS(async_pool_destroy(pool, one_in(&d, 2) ? ASYNC_DRAIN : ASYNC_DROP), ASYNC_OK);
    if (!before) { async_reader_release(world.reader); }
    if (written) { pthread_join(world.writing.id, NULL); }
    bool in_order = ordered || workers == 0 || (workers == 1 && !help);
    check_items(clients, count, in_order && count == 1);
    for (unsigned i = 0; i < count; i++) { free(clients[i].seen); }
    free(clients);
    free(world.array);
}

int main(int argc, char **argv)
{
    stress s;
    stress_start(&s, "pipeline_stress", 3, argc, argv);
    while (stress_next(&s)) { play(&s); }
    stress_end(&s);
    return 0;
}
