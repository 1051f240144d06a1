/* mixed_stress.c [seconds] [threads] [seed]: several of everything.
 *
 * Each round: up to `threads` writers write to each of up to four plain channels, bounded and not;
 * tasks of one pool take from them, several tasks from one channel and several channels into one
 * task; tasks of a second pool compete for what those make, or join it; up to `threads` readers
 * share each end that is left open, plain channels too. Every number that was written arrives
 * once, somewhere; where a writer's numbers pass through nothing but ordered tasks and have one
 * reader, they arrive in their order. */
#include "stress.h"

#include <stdlib.h>
#include <string.h>

enum { CHANNELS = 4, FIRST = 4, SECOND = 4, ENDS = CHANNELS + FIRST + SECOND };

typedef struct writer_of {
    thread        thread;
    dice          dice;
    async_writer *writer;
    uint64_t      number, count; /* of the writer, and of its items */
} writer_of;

typedef struct reader_of {
    thread        thread;
    dice          dice;
    async_reader *reader;
    bool          ordered; /* each writer's numbers rise */
    uint64_t     *last;    /* of each writer, + 1 */
} reader_of;

static struct {
    unsigned      writers;
    uint64_t      most; /* items of a writer */
    atomic_uchar *seen; /* writers * most */
    atomic_uint   released;
} world;

static void note_items(reader_of *r, const void *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t item = ((const uint64_t *)items)[i], number = item >> 32, at = item & UINT32_MAX;
        MUST(number < world.writers && at < world.most);
        if (atomic_fetch_add(&world.seen[number * world.most + at], 1) != 0) {
            stress_failed(__FILE__, __LINE__, "item %llu of writer %llu is there twice",
                          (unsigned long long)at, (unsigned long long)number);
        }
        if (r->ordered) {
            MUST(at >= r->last[number]);
            r->last[number] = at + 1;
        }
    }
    stress_moves(count);
}

static void discard(void *items, size_t count, void *context)
{
    (void)items;
    (void)context;
    stress_failed(__FILE__, __LINE__, "%zu items are discarded", count);
}

static void release(void *context)
{
    (void)context;
    atomic_fetch_add(&world.released, 1);
}

static int copy_each(const void *in, void *out, void *context)
{
    (void)context;
    memmove(out, in, sizeof(uint64_t));
    return 0;
}

static int copy_batch(const void *in, void *out, size_t count, size_t *done, void *context)
{
    (void)done;
    (void)context;
    memmove(out, in, count * sizeof(uint64_t));
    return 0;
}

static int copy_emit(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    (void)done;
    (void)context;
    MUST_STATUS(async_emit(out, in, count / 2), ASYNC_OK);
    MUST_STATUS(async_emit(out, (const uint64_t *)in + count / 2, count - count / 2), ASYNC_OK);
    return 0;
}

static void write_items(void *arg)
{
    writer_of *w = arg;
    dice      *d = &w->dice;
    uint64_t   items[200];
    for (uint64_t at = 0; at < w->count;) {
        size_t count = 1 + roll(d, (unsigned)PICK(d, 1, 4, 200)), written = 0;
        if (count > w->count - at) { count = w->count - at; }
        for (size_t i = 0; i < count; i++) { items[i] = w->number << 32 | (at + i); }
        async_status status = async_writer_write(w->writer, items, count, &written, any_wait(d, 6));
        MUST(status == ASYNC_TIMEOUT || status == ASYNC_OK);
        MUST((status == ASYNC_OK) == (written == count));
        at += written;
        stress_moves(written);
        if (status == ASYNC_TIMEOUT || one_in(d, 100)) { sleep_us(20); }
    }
    async_writer_release(w->writer);
}

static int sink(const void *items, size_t count, void *context)
{
    note_items(context, items, count);
    return ASYNC_CONTINUE;
}

/* Until the end, in all ways. */
static bool read_once(reader_of *r)
{
    dice        *d = &r->dice;
    uint64_t     items[1000];
    size_t       count = 1 + roll(d, (unsigned)PICK(d, 1, 4, 50, 1000)), got = 0;
    async_status status;
    if (one_in(d, 200)) {
        status = async_reader_for_each(r->reader, sink, r, async_forever());
        MUST_STATUS(status, ASYNC_OK);
        return true;
    }
    if (one_in(d, 100)) {
        void *all = NULL;
        status = async_reader_read_all(r->reader, &all, &got,
                                       one_in(d, 2) ? async_forever() : any_wait(d, 6));
        MUST(status == ASYNC_OK || status == ASYNC_TIMEOUT);
        note_items(r, all, got);
        async_free(all);
        return true;
    }
    if (one_in(d, 3)) {
        async_view view;
        status = async_reader_borrow(r->reader, &view, count, any_wait(d, 6));
        note_items(r, view.items, view.count);
        MUST_STATUS(async_view_return(&view), ASYNC_OK);
    } else {
        status = async_reader_read(r->reader, items, count, &got, any_wait(d, 6));
        note_items(r, items, got);
    }
    MUST(status == ASYNC_OK || status == ASYNC_TIMEOUT || status == ASYNC_END);
    return status != ASYNC_END;
}

static void read_items(void *arg)
{
    reader_of *r = arg;
    while (read_once(r)) {}
    async_reader_release(r->reader);
}

/* An output that somebody may read or take as an input. */
typedef struct end {
    async_reader *reader;
    bool          ordered, taken;
} end;

static void add_task(dice *d, async_pool *pool, end *ends, unsigned first, unsigned count,
                     end *made, unsigned inputs)
{
    end               *input = &ends[first + roll(d, count)];
    bool               ordered = one_in(d, 2);
    async_task_options options = {
        .name = "mixed",
        .input = input->reader,
        .discard = discard,
        .release = release,
        .min_count = one_in(d, 5) ? PICK(d, 5, 400) : 0,
        .max_chunksize = PICK(d, 0, 1, 7, 64, 1000),
        .order = ordered ? ASYNC_ORDERED : ASYNC_UNORDERED,
        .max_parallel = one_in(d, 3) ? 1 + roll(d, 2) : 0,
        .in_place = one_in(d, 2),
    };
    switch (roll(d, 4)) {
    case 0:
        options.each = copy_each;
        break;
    case 1:
        options.batch = copy_batch;
        break;
    case 2:
        options.emit = copy_emit;
        break;
    default:
        break;
    }
    MUST_STATUS(async_pool_add_task(pool, &made->reader, &options), ASYNC_OK);
    made->ordered = ordered && input->ordered && !input->taken;
    made->taken = false;
    input->taken = true;
    while (inputs-- > 1) {
        input = &ends[first + roll(d, count)];
        MUST_STATUS(async_task_add_input(async_reader_task(made->reader), input->reader), ASYNC_OK);
        /* What an ordered task joins comes one input after the other: each writer's order stays. */
        made->ordered = made->ordered && input->ordered && !input->taken;
        input->taken = true;
    }
}

static void play(const stress *s)
{
    dice        d = {.state = s->seed};
    async_pool *first = NULL, *second = NULL;
    unsigned    sizes[2] = {roll(&d, 5), roll(&d, 5)};
    for (unsigned i = 0; i < 2; i++) {
        async_pool_options options = {.name = "mixed", .readers_help = one_in(&d, 2)};
        MUST_STATUS(async_pool_create(i == 0 ? &first : &second, sizes[i], &options), ASYNC_OK);
    }
    unsigned channels = 1 + roll(&d, CHANNELS), firsts = roll(&d, FIRST + 1);
    unsigned seconds = firsts == 0 ? 0 : roll(&d, SECOND + 1),
             ends_count = channels + firsts + seconds;
    end        ends[ENDS] = {{0}};
    writer_of *writers = calloc(channels * s->threads, sizeof *writers);
    reader_of *readers = calloc((size_t)ends_count * s->threads, sizeof *readers);
    MUST(writers != NULL && readers != NULL);
    world.writers = 0;
    world.most = PICK(&d, 1, 30, 500, 5000);
    atomic_store(&world.released, 0);
    for (unsigned i = 0; i < channels; i++) {
        async_writer         *writer;
        async_channel_options options = {
            .capacity = PICK(&d, 0, 0, 1, 2, 10, 200), .discard = discard, .release = release};
        MUST_STATUS(async_channel_create(&writer, &ends[i].reader, sizeof(uint64_t), &options),
                    ASYNC_OK);
        ends[i].ordered = true;
        for (unsigned n = 1 + roll(&d, s->threads); n > 0; n--) {
            writer_of *w = &writers[world.writers];
            w->writer = async_writer_retain(writer);
            w->number = world.writers++;
            w->count = 1 + roll(&d, (unsigned)world.most);
            w->dice.state = dice_next(&d);
        }
        async_writer_release(writer);
    }
    for (unsigned i = 0; i < firsts; i++) {
        add_task(&d, first, ends, 0, channels, &ends[channels + i], 1 + roll(&d, 3));
    }
    for (unsigned i = 0; i < seconds; i++) {
        add_task(&d, second, ends, channels, firsts, &ends[channels + firsts + i], 1 + roll(&d, 3));
    }
    world.seen = calloc(world.writers * world.most, sizeof *world.seen);
    MUST(world.seen != NULL);
    stress_note("N = %u and %u, %u channels, %u and %u tasks, %u writers of up to %zu items",
                sizes[0], sizes[1], channels, firsts, seconds, world.writers, (size_t)world.most);

    /* Ends that feed a task may have readers of their own as well; the others must. */
    unsigned count = 0;
    for (unsigned i = 0; i < ends_count; i++) {
        if (ends[i].taken && !one_in(&d, 4)) { continue; }
        unsigned n = one_in(&d, 2) ? 1 : 1 + roll(&d, s->threads);
        for (unsigned r = 0; r < n; r++) {
            reader_of *reader = &readers[count++];
            reader->reader = async_reader_retain(ends[i].reader);
            reader->ordered = ends[i].ordered; /* also one of several: FIFO */
            if (i >= channels) { reader->ordered = ends[i].ordered && n == 1 && !ends[i].taken; }
            reader->dice.state = dice_next(&d);
            reader->last = calloc(world.writers, sizeof *reader->last);
            MUST(reader->last != NULL);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        thread_start(&readers[i].thread, read_items, &readers[i]);
    }
    for (unsigned i = 0; i < world.writers; i++) {
        thread_start(&writers[i].thread, write_items, &writers[i]);
    }
    if (one_in(&d, 2)) { /* from here on the tasks and the threads hold them */
        for (unsigned i = 0; i < ends_count; i++) {
            async_reader_release(ends[i].reader);
            ends[i].reader = NULL;
        }
    }
    for (unsigned i = 0; i < world.writers; i++) { pthread_join(writers[i].thread.id, NULL); }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(readers[i].thread.id, NULL);
        free(readers[i].last);
    }
    bool turned = one_in(&d, 2);
    MUST_STATUS(async_pool_destroy(turned ? second : first, ASYNC_DRAIN), ASYNC_OK);
    for (unsigned i = 0; i < ends_count; i++) { async_reader_release(ends[i].reader); }
    MUST_EQ(async_pool_num_tasks(turned ? first : second), 0);
    MUST_STATUS(async_pool_destroy(turned ? first : second, ASYNC_DRAIN), ASYNC_OK);
    MUST_EQ(atomic_load(&world.released), ends_count);
    for (unsigned n = 0; n < world.writers; n++) {
        for (uint64_t at = 0; at < world.most; at++) {
            MUST_EQ(atomic_load(&world.seen[n * world.most + at]), at < writers[n].count ? 1 : 0);
        }
    }
    free(world.seen);
    free(writers);
    free(readers);
}

int main(int argc, char **argv)
{
    stress s;
    stress_start(&s, "mixed_stress", 3, argc, argv);
    while (stress_next(&s)) { play(&s); }
    stress_end(&s);
    return 0;
}
