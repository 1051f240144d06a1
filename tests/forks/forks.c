/* forks.c: fork() with live pools: F48 (M10). */
#include "fork_cases.h"
#include "stress.h"

/* ---- F48: an idle pool ---- */

typedef struct idle {
    async_pool   *pool;
    async_reader *a, *b;
    probe         probe;
} idle;

static void use_idle(void *argument)
{
    idle    *i = argument;
    uint64_t items[100];
    WANT_EQ(async_pool_num_tasks(i->pool), 2);
    WANT_EQ(async_reader_ready(i->b), 9);
    WANT_READ(i->b, items, 50, soon(), ASYNC_OK, 50);
    want_rising(items, 3, 50);
    WANT_READ(i->a, items, 1, soon(), ASYNC_OK, 1); /* M3 */
    WANT_READ(i->b, items, 100, soon(), ASYNC_END, 48);
    async_reader_release(i->a);
    async_reader_release(i->b);
    WANT_EQ(async_pool_num_tasks(i->pool), 0);
    WANT(UNTIL(SOON, atomic_load(&i->probe.released) == 1)); /* with the last job of a worker */
    WANT_STATUS(async_pool_destroy(i->pool, ASYNC_DRAIN), ASYNC_OK);
    new_pools_work(2);
}

static void use_idle_grown(void *argument)
{
    idle *i = argument;
    WANT_EQ(async_pool_size(i->pool), 0);
    WANT_STATUS(async_pool_set_size(i->pool, 3), ASYNC_OK);
    WANT_EQ(thread_count(), 4);
    use_idle(argument);
    WANT(UNTIL(SOON, thread_count() == 1));
}

static void idle_of(unsigned n)
{
    uint64_t item;
    idle     i = {.pool = pool_of(n)};
    i.a = TASK(i.pool, .source = range_of(0, 100), .each = each_add_one, .order = ASYNC_ORDERED,
               .min_count = 10, .max_chunksize = 4);
    i.b = TASK(i.pool, .input = i.a, .each = each_add_one, .order = ASYNC_ORDERED,
               .context = &i.probe, .release = probe_release, .max_chunksize = 3);
    WANT_READ(i.b, &item, 1, soon(), ASYNC_OK, 1);
    WANT(UNTIL(SOON, async_reader_ready(i.b) == 9));
    WANT(pool_asleep(i.pool, n)); /* the last chunk's job is over, too: else that task works */
    for (unsigned round = 0; round < 5; round++) {
        in_child(use_idle, &i);
        in_child(use_idle_grown, &i);
    }
    WANT_EQ(async_pool_size(i.pool), n);
    use_idle(&i); /* the parent is where it was */
}

static void f48_idle(void)
{
    EACH_SIZE (n) { idle_of(n); }
}

/* ---- F48: chunks that run, and chunks that are queued ---- */

typedef struct busy {
    async_pool   *pool;
    async_reader *running, *queued, *below, *idle, *waiting, *plain;
    async_writer *writer;
    probe         held, free, waits;
    gate          gate;
    size_t        ready; /* of `running`, while its chunk is held */
} busy;

static void want_cancelled(async_reader *reader)
{
    uint64_t    items[10];
    async_error error;
    WANT_READ(reader, items, 3, soon(), ASYNC_CANCELLED, 0);
    WANT_READ(reader, items, 3, async_forever(), ASYNC_CANCELLED, 0);
    WANT(async_task_done(async_reader_task(reader)));
    WANT_STATUS(async_task_error(async_reader_task(reader), &error), ASYNC_OK);
    WANT_STATUS(error.status, ASYNC_CANCELLED);
    WANT(strstr(error.message, "fork") != NULL);
    WANT_STATUS(async_reader_error(reader, &error), ASYNC_OK);
    WANT_STATUS(error.status, ASYNC_CANCELLED);
}

static void use_busy(void *argument)
{
    busy    *b = argument;
    uint64_t items[10];
    WANT_EQ(async_pool_size(b->pool), 0);
    WANT_EQ(thread_count(), 1);
    want_cancelled(b->running);
    want_cancelled(b->queued);
    want_cancelled(b->waiting);
    /* Further down: what it has (nothing), then the same. */
    WANT_READ(b->below, items, 3, soon(), ASYNC_CANCELLED, 0);
    WANT_READ(b->idle, items, 10, soon(), ASYNC_OK, 10);
    want_rising(items, 1, 10);
    /* The plain channel under the task that waits for it is as it was. */
    write_numbers(b->writer, 7, 3);
    WANT_READ(b->plain, items, 3, async_now(), ASYNC_OK, 3);
    want_rising(items, 7, 3);
    /* What was ready is discarded once, what the held chunk had is not there. */
    async_reader_release(b->running);
    async_reader_release(b->queued);
    async_reader_release(b->below);
    async_reader_release(b->waiting);
    WANT_EQ(async_pool_num_tasks(b->pool), 1);
    WANT_EQ(atomic_load(&b->held.discarded), b->ready);
    async_reader_release(b->idle);
    async_reader_release(b->plain);
    async_writer_release(b->writer);
    WANT_STATUS(async_pool_destroy(b->pool, ASYNC_DRAIN), ASYNC_OK);
    WANT_EQ(atomic_load(&b->waits.released),
            1); /* a job and a place in the channel's list held it */
    new_pools_work(1);
}

static void drop_busy(void *argument)
{
    busy *b = argument;
    WANT_STATUS(async_pool_destroy(b->pool, ASYNC_DROP), ASYNC_OK); /* waits for no one */
    WANT(async_reader_pool(b->running) == NULL);
    async_reader_release(b->running);
    WANT_EQ(atomic_load(&b->held.discarded), b->ready);
}

static void grow_busy(void *argument)
{
    busy    *b = argument;
    uint64_t items[50];
    WANT_STATUS(async_pool_set_size(b->pool, 2), ASYNC_OK); /* jobs of the parent may lie about */
    want_cancelled(b->queued);
    WANT_READ(b->below, items, 3, soon(), ASYNC_CANCELLED, 0);
    WANT_READ(b->idle, items, 50, soon(), ASYNC_OK, 50);
    async_reader_release(b->running);
    async_reader_release(b->queued);
    async_reader_release(b->below);
    async_reader_release(b->waiting);
    async_reader_release(b->idle);
    WANT(UNTIL(SOON, async_pool_num_tasks(b->pool) == 0));
    pool_end(b->pool);
    WANT_EQ(atomic_load(&b->held.discarded), b->ready);
    WANT(UNTIL(SOON, thread_count() == 1));
}

static void nothing(void *unused) { (void)unused; }

static void leave(void *unused)
{
    (void)unused;
    _exit(0);
}

static void replace(void *unused)
{
    (void)unused;
    execl("/bin/true", "true", (char *)NULL);
    _exit(1);
}

static void busy_of(unsigned n)
{
    busy           b = {.pool = pool_of(n)};
    static reading first, second, third;
    uint64_t       items[10];
    memset(&first, 0, sizeof first);
    memset(&second, 0, sizeof second);
    memset(&third, 0, sizeof third);
    b.held.hold = &b.gate;
    b.held.hold_one = true;
    b.held.hold_value = 7;
    b.running = TASK(b.pool, .name = "running", .source = range_of(0, 100), .batch = batch_add_one,
                     .context = &b.held, .discard = probe_discard, .max_chunksize = 1,
                     .max_parallel = 1, .order = ASYNC_ORDERED, .min_count = 8);
    b.below = TASK(b.pool, .input = b.running, .each = each_add_one, .max_chunksize = 5);
    /* Held at its first item as long as the gate is shut: with one worker it is never begun. */
    b.free.hold = &b.gate;
    b.queued = TASK(b.pool, .name = "queued", .source = range_of(0, 100), .each = each_add_one,
                    .context = &b.free);
    b.idle = TASK(b.pool, .source = range_of(0, 100), .batch = batch_add_one);
    channel_of(&b.writer, &b.plain, 0, NULL);
    b.waiting = TASK(b.pool, .input = b.plain, .each = each_add_one, .release = probe_release,
                     .context = &b.waits);

    WANT_READ(b.running, items, 3, soon(), ASYNC_OK, 3); /* of 8, the last of which is held */
    want_rising(items, 1, 3);
    WANT(UNTIL(SOON, atomic_load(&b.gate.waiting) == 1));
    reading_start(&first, b.running, 20, async_forever());
    reading_start(&second, b.queued, 20, async_forever());
    reading_start(&third, b.waiting, 4, async_forever());
    WANT(thread_asleep(&first.thread) && thread_asleep(&second.thread) &&
         thread_asleep(&third.thread));
    WANT(n == 1 || UNTIL(SOON, atomic_load(&b.gate.waiting) == 2));
    WANT(pool_asleep(b.pool, n <= 2 ? 0 : n - 2));
    b.ready = async_reader_ready(b.running);
    in_child(nothing, NULL);
    in_child(leave, NULL);
    in_child(replace, NULL);
    for (unsigned round = 0; round < 5; round++) {
        in_child(use_busy, &b);
        in_child(drop_busy, &b);
        in_child(grow_busy, &b);
    }
    WANT_EQ(async_pool_size(b.pool), n);
    gate_open(&b.gate);
    thread_join(&first.thread);
    WANT_STATUS(first.status, ASYNC_OK);
    want_rising(first.items, 4, 20);
    thread_join(&second.thread);
    WANT_STATUS(second.status, ASYNC_OK);
    write_numbers(b.writer, 0, 4);
    thread_join(&third.thread);
    WANT_STATUS(third.status, ASYNC_OK);
    WANT_EQ(atomic_load(&b.held.discarded), 0);
    async_reader_release(b.running);
    async_reader_release(b.below);
    async_reader_release(b.queued);
    async_reader_release(b.idle);
    async_reader_release(b.waiting);
    async_reader_release(b.plain);
    async_writer_release(b.writer);
    pool_end(b.pool);
}

static void f48_busy(void)
{
    for (unsigned n = 1; n <= 4; n *= 2) { busy_of(n); }
}

/* ---- F48: plain channels with threads that wait ---- */

typedef struct ends {
    async_writer *full_writer, *empty_writer;
    async_reader *full_reader, *empty_reader;
} ends;

static void use_ends(void *argument)
{
    ends    *e = argument;
    uint64_t items[10], item = 100;
    size_t   written;
    /* The writers that waited are not there; the room is exact. */
    WANT_STATUS(async_writer_write(e->full_writer, &item, 1, &written, async_now()), ASYNC_TIMEOUT);
    WANT_READ(e->full_reader, items, 2, soon(), ASYNC_OK, 2);
    want_rising(items, 0, 2);
    for (unsigned round = 0; round < 1000; round++) {
        write_numbers(e->full_writer, 50 + 2 * round, 2);
        WANT_READ(e->full_reader, items, 2, soon(), ASYNC_OK, 2);
        want_rising(items, 50 + 2 * round, 2);
    }
    WANT_READ(e->full_reader, items, 1, async_within_ms(5), ASYNC_TIMEOUT, 0);
    /* Nor are the readers; a new one is served. */
    static reading fresh;
    reading_start(&fresh, e->empty_reader, 3, async_forever());
    WANT(thread_asleep(&fresh.thread));
    write_numbers(e->empty_writer, 7, 3);
    thread_join(&fresh.thread);
    want_rising(fresh.items, 7, 3);
    async_writer_release(e->full_writer);
    async_writer_release(e->empty_writer);
    WANT_READ(e->full_reader, items, 1, async_forever(), ASYNC_END, 0);
    WANT_READ(e->empty_reader, items, 1, async_forever(), ASYNC_END, 0);
    async_reader_release(e->full_reader);
    async_reader_release(e->empty_reader);
}

static void f48_channels(void)
{
    ends           e;
    static reading readers[3];
    static writing writers[3];
    channel_of(&e.full_writer, &e.full_reader, 2, NULL);
    channel_of(&e.empty_writer, &e.empty_reader, 0, NULL);
    write_numbers(e.full_writer, 0, 2);
    for (unsigned i = 0; i < 3; i++) {
        writing_start(&writers[i], e.full_writer, 10, 1, async_forever());
        reading_start(&readers[i], e.empty_reader, 2, async_forever());
    }
    for (unsigned i = 0; i < 3; i++) {
        WANT(thread_asleep(&writers[i].thread) && thread_asleep(&readers[i].thread));
    }
    for (unsigned round = 0; round < 10; round++) { in_child(use_ends, &e); }
    /* The parent's are where they were. */
    uint64_t items[5];
    WANT_READ(e.full_reader, items, 5, soon(), ASYNC_OK, 5);
    write_numbers(e.empty_writer, 0, 6);
    for (unsigned i = 0; i < 3; i++) {
        thread_join(&writers[i].thread);
        thread_join(&readers[i].thread);
        WANT_STATUS(writers[i].status, ASYNC_OK);
        WANT_STATUS(readers[i].status, ASYNC_OK);
    }
    async_writer_release(e.full_writer);
    async_writer_release(e.empty_writer);
    async_reader_release(e.full_reader);
    async_reader_release(e.empty_reader);
}

/* ---- F48: at any moment ---- */

typedef struct storm {
    atomic_bool   over;
    async_pool   *pool;
    async_reader *tasks[4], *plain, *bounded;
    async_writer *writer, *bounded_writer;
    atomic_ullong moved;
} storm;

static void reads_tasks(void *argument)
{
    storm   *s = argument;
    uint64_t items[64];
    for (unsigned i = 0; !atomic_load(&s->over); i++) {
        size_t got = 0;
        (void)async_reader_read(s->tasks[i % 4], items, 1 + i % 64, &got, async_within_ms(20));
        atomic_fetch_add(&s->moved, got);
    }
}

static void moves_items(void *argument)
{
    storm   *s = argument;
    uint64_t items[40] = {0};
    for (unsigned i = 0; !atomic_load(&s->over); i++) {
        size_t done;
        (void)async_writer_write(s->writer, items, 1 + i % 40, &done, async_now());
        (void)async_writer_write(s->bounded_writer, items, 1 + i % 7, &done, async_within_ms(1));
        (void)async_reader_read(s->plain, items, 1 + i % 40, &done, async_now());
        (void)async_reader_read(s->bounded, items, 1 + i % 5, &done, async_within_ms(1));
    }
}

static void makes_and_drops(void *argument)
{
    storm   *s = argument;
    uint64_t items[10];
    while (!atomic_load(&s->over)) {
        async_pool   *pool = pool_of(1);
        async_reader *a = TASK(pool, .source = range_of(0, 50), .each = each_add_one,
                               .max_chunksize = 3);
        async_reader *b = TASK(pool, .input = a, .each = each_add_one, .max_chunksize = 2);
        async_reader_release(a);
        (void)async_reader_read(b, items, 10, NULL, async_forever());
        async_reader_release(b);
        pool_end(pool);
    }
}

static void changes_pool(void *argument)
{
    storm *s = argument;
    for (unsigned i = 0; !atomic_load(&s->over); i++) {
        WANT_STATUS(async_pool_set_size(s->pool, 1 + i % 4), ASYNC_OK);
        async_reader *r = TASK(s->pool, .source = range_of(0, 10), .each = each_add_one);
        async_reader_release(r);
        sleep_us(100);
    }
}

/* Everything there is answers, one way or the other. */
static void use_storm(void *argument)
{
    storm   *s = argument;
    uint64_t items[64] = {0};
    size_t   got;
    if (getpid() % 2 != 0) { WANT_STATUS(async_pool_set_size(s->pool, 2), ASYNC_OK); }
    for (unsigned i = 0; i < 4; i++) {
        async_status status = async_reader_read(s->tasks[i], items, 50, &got, soon());
        WANT(status == ASYNC_OK || status == ASYNC_CANCELLED);
        WANT_EQ(got == 50, status == ASYNC_OK);
        if (status == ASYNC_CANCELLED) {
            WANT_READ(s->tasks[i], items, 1, soon(), ASYNC_CANCELLED, 0);
        }
    }
    while (async_reader_read(s->plain, items, 1, &got, async_now()) == ASYNC_OK) {}
    WANT_EQ(async_reader_ready(s->plain), 0);
    write_numbers(s->writer, 5, 3);
    WANT_READ(s->plain, items, 3, soon(), ASYNC_OK, 3);
    want_rising(items, 5, 3);
    while (async_reader_read(s->bounded, items, 1, &got, async_now()) == ASYNC_OK) {}
    for (unsigned round = 0; round < 20; round++) { /* all its room is there */
        WANT_STATUS(async_writer_write(s->bounded_writer, items, 8, &got, async_now()), ASYNC_OK);
        WANT_STATUS(async_writer_write(s->bounded_writer, items, 1, &got, async_now()),
                    ASYNC_TIMEOUT);
        WANT_READ(s->bounded, items, 8, soon(), ASYNC_OK, 8);
    }
    for (unsigned i = 0; i < 4; i++) { async_reader_release(s->tasks[i]); }
    WANT_STATUS(async_pool_destroy(s->pool, ASYNC_DRAIN), ASYNC_OK);
    new_pools_work(1);
    async_writer_close(s->writer);
    WANT_READ(s->plain, items, 1, async_forever(), ASYNC_END, 0);
}

static void f48_any_moment(void)
{
    enum { READERS = 2, FORKS = 200 };
    if (!OTHERS_MAY_ALLOCATE) {
        watched_skip("F48 at any moment: AddressSanitizer's allocator does not survive it");
    }
    storm  s = {.pool = pool_of(3)};
    thread threads[READERS + 4];
    dice   d = {.state = now_ns()};
    fprintf(stderr, "seed %llu\n", (unsigned long long)d.state);
    channel_of(&s.writer, &s.plain, 0, NULL);
    channel_of(&s.bounded_writer, &s.bounded, 8, NULL);
    async_reader *a = TASK(s.pool, .source = range_of(0, UINT64_MAX / 4), .each = each_add_one,
                           .max_chunksize = 5);
    s.tasks[0] = TASK(s.pool, .input = a, .each = each_add_one, .max_chunksize = 5);
    s.tasks[1] = TASK(s.pool, .input = s.tasks[0], .emit = emit_even, .max_chunksize = 3);
    s.tasks[2] = TASK(s.pool, .input = a, .batch = batch_add_one, .max_chunksize = 9,
                      .order = ASYNC_ORDERED);
    s.tasks[3] = TASK(s.pool, .source = range_of(0, UINT64_MAX / 4), .batch = batch_add_one,
                      .max_parallel = 1, .min_count = 30);
    async_reader_release(a);
    for (unsigned i = 0; i < READERS; i++) { thread_start(&threads[i], reads_tasks, &s); }
    thread_start(&threads[READERS], moves_items, &s);
    thread_start(&threads[READERS + 1], moves_items, &s);
    thread_start(&threads[READERS + 2], makes_and_drops, &s);
    thread_start(&threads[READERS + 3], changes_pool, &s);
    uint64_t end = now_ms() + 20000;
    unsigned forks = 0;
    for (; forks < FORKS && (now_ms() < end || forks < 20); forks++) {
        sleep_us(roll(&d, 2000));
        in_child(use_storm, &s);
    }
    unsigned long long moved = atomic_load(&s.moved);
    WANT(UNTIL(SOON, atomic_load(&s.moved) > moved)); /* the parent goes on */
    atomic_store(&s.over, true);
    for (unsigned i = 0; i < READERS + 4; i++) { thread_join(&threads[i]); }
    for (unsigned i = 0; i < 4; i++) { async_reader_release(s.tasks[i]); }
    async_writer_release(s.writer);
    async_writer_release(s.bounded_writer);
    async_reader_release(s.plain);
    async_reader_release(s.bounded);
    pool_end(s.pool);
    fprintf(stderr, "%u forks\n", forks);
}

/* A child of a child. */
static void again(void *argument)
{
    idle    *i = argument;
    uint64_t items[10];
    in_child(use_idle, i);
    WANT_READ(i->b, items, 5, soon(), ASYNC_OK, 5);
    want_rising(items, 3, 5);
}

static void f48_child_of_a_child(void)
{
    uint64_t item;
    idle     i = {.pool = pool_of(2)};
    i.a = TASK(i.pool, .source = range_of(0, 100), .each = each_add_one, .order = ASYNC_ORDERED,
               .min_count = 10);
    i.b = TASK(i.pool, .input = i.a, .each = each_add_one, .order = ASYNC_ORDERED,
               .context = &i.probe, .release = probe_release);
    WANT_READ(i.b, &item, 1, soon(), ASYNC_OK, 1);
    WANT(UNTIL(SOON, async_reader_ready(i.b) == 9));
    WANT(pool_asleep(i.pool, 2));
    in_child(again, &i);
    use_idle(&i);
}

static const watched cases[] = {
    {.name = "F48_idle", .body = f48_idle},
    {.name = "F48_busy", .body = f48_busy},
    {.name = "F48_channels_with_waiters", .body = f48_channels},
    {.name = "F48_at_any_moment", .body = f48_any_moment, .seconds = 120},
    {.name = "F48_child_of_a_child", .body = f48_child_of_a_child},
};

int main(int argc, char **argv)
{
    if (!CHILDREN_MAY_START_THREADS) {
        puts("forks: ThreadSanitizer does not support threads in the child of a process with "
             "threads");
        return 77;
    }
    return WATCHED_MAIN(argc, argv, cases);
}
