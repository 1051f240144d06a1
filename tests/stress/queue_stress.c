/* queue_stress.c [seconds] [threads] [seed]: the queue of runs under all its operations at once.
 *
 * Tokens carry their writer and a number that counts up. Rounds, until the time is over:
 *   exact  single items, inline runs and block runs; takes of any count and unit; closed at a
 *          random moment, or when the writers are done. What was accepted arrives once, each
 *          writer's tokens in their order at each reader, and every block goes home.
 *   empty  one reader, whose take may say "empty" only if it has had every item whose put had
 *          returned before it began.
 *   end    a queue that is closed by all at once ends once, and stays ended. */
#include "os.h"
#include "queue.h"
#include "rng.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64
#define RUN_MAX     100
#define NUMBER_BITS 40

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s (seed %" PRIu64 ", round %" PRIu64 ")\n",         \
                    __FILE__, __LINE__, #condition, seed, round_number);                           \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static uint64_t seed, round_number;

struct writer {
    pthread_t thread;
    unsigned  index;
    uint64_t  puts;     /* to be tried */
    uint64_t  accepted; /* items */
    bool      refused;  /* saw the close */
};

struct reader {
    pthread_t thread;
    unsigned  index;
    uint64_t  taken;
    uint64_t  next[THREADS_MAX]; /* each writer's least number that may come */
    uint64_t  sum[THREADS_MAX];  /* of each writer's numbers */
};

static struct queue  queue;
static struct writer writers[THREADS_MAX];
static struct reader readers[THREADS_MAX];
static unsigned      writer_count, reader_count;
static shared_u32    start;
static shared_u64    returned; /* items whose put has returned */

static struct rng rng_of(unsigned role, unsigned index)
{
    struct rng rng;
    rng_seed(&rng, seed * 7919 + round_number * 131 + role * 1000 + index);
    for (int i = 0; i < 8; i++) { rng_next(&rng); }
    return rng;
}

static void pause_sometimes(struct rng *rng)
{
    uint32_t what = rng_below(rng, 400);
    if (what == 0) {
        os_yield();
    } else if (what < 8) {
        for (uint32_t i = rng_below(rng, 200); i > 0; i--) { cpu_relax(); }
    }
}

static enum queue_result put_some(struct writer *writer, struct rng *rng, size_t *count)
{
    uint64_t items[RUN_MAX];
    uint32_t kind = rng_below(rng, 8);
    *count = kind < 5   ? 1
             : kind < 6 ? 1 + rng_below(rng, QUEUE_INLINE / 8)
                        : 1 + rng_below(rng, RUN_MAX);
    for (size_t i = 0; i < *count; i++) {
        items[i] = (uint64_t)writer->index << NUMBER_BITS | (writer->accepted + i);
    }
    if (kind < 6) { return queue_put_inline(&queue, items, *count); }
    struct run run = {block_new(store_default(), sizeof items), NULL, *count};
    EXPECT(run.block != NULL);
    run.items = run.block->data + 8;
    if (*count == RUN_MAX) { run.items = run.block->data; }
    memcpy(run.items, items, *count * sizeof items[0]);
    enum queue_result result = queue_put(&queue, &run);
    if (result != QUEUE_OK) { block_release(run.block, 1); }
    return result;
}

static void *writer_main(void *argument)
{
    struct writer *writer = argument;
    struct rng     rng = rng_of(1, writer->index);
    while (load_acquire(&start) == 0) { os_yield(); }
    for (uint64_t i = 0; i < writer->puts; i++) {
        size_t            count;
        enum queue_result result = put_some(writer, &rng, &count);
        EXPECT(result != QUEUE_NO_MEMORY);
        if (result == QUEUE_CLOSED) {
            EXPECT(queue_closed(&queue));
            writer->refused = true;
            break;
        }
        writer->accepted += count;
        add_seq_cst(&returned, count);
        pause_sometimes(&rng);
    }
    return NULL;
}

static void check_items(struct reader *reader, const uint64_t *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t writer = items[i] >> NUMBER_BITS;
        uint64_t number = items[i] & (((uint64_t)1 << NUMBER_BITS) - 1);
        EXPECT(writer < writer_count);
        EXPECT(number >= reader->next[writer]);
        reader->next[writer] = number + 1;
        reader->sum[writer] += number * number + 1;
    }
    reader->taken += count;
}

/* Some items, checked; 0: none, and whether for good. */
static size_t take_some(struct reader *reader, struct rng *rng, bool *end)
{
    size_t count = 1 + rng_below(rng, rng_below(rng, 2) == 0 ? 3 : RUN_MAX);
    if (rng_below(rng, 2) == 0) {
        uint64_t items[RUN_MAX];
        count = queue_read(&queue, items, count, end);
        check_items(reader, items, count);
        return count;
    }
    size_t                    unit = 1 + rng_below(rng, 4);
    alignas(16) unsigned char bounce[QUEUE_INLINE];
    struct run                run;
    size_t                    asked = (count + unit - 1) / unit * unit;
    count = queue_take(&queue, asked, unit, &run, bounce, end);
    EXPECT(count <= asked);
    if (count == 0) { return 0; }
    EXPECT(count == run.count && (count % unit == 0 || count < unit));
    check_items(reader, (const uint64_t *)(const void *)run.items, count);
    if (run.block != NULL) { block_release(run.block, 1); }
    return count;
}

static void *reader_main(void *argument)
{
    struct reader *reader = argument;
    struct rng     rng = rng_of(2, reader->index);
    while (load_acquire(&start) == 0) { os_yield(); }
    for (bool end = false; !end;) {
        uint64_t before = load_seq_cst(&returned);
        size_t   count = take_some(reader, &rng, &end);
        if (count == 0 && reader_count == 1) { EXPECT(reader->taken >= before); }
        if (count == 0 && !end) { os_yield(); }
        pause_sometimes(&rng);
    }
    bool end = false;
    EXPECT(take_some(reader, &rng, &end) == 0 && end);
    return NULL;
}

static void *closer_main(void *argument)
{
    (void)argument;
    while (load_acquire(&start) == 0) { os_yield(); }
    queue_close(&queue);
    EXPECT(queue_closed(&queue));
    uint64_t item = 0;
    EXPECT(queue_put_inline(&queue, &item, 1) == QUEUE_CLOSED);
    return NULL;
}

static void round_run(unsigned threads, uint64_t puts, bool close_early, bool close_many)
{
    struct rng rng = rng_of(3, 0);
    writer_count = 1 + rng_below(&rng, threads);
    reader_count = close_many ? 1 : 1 + rng_below(&rng, threads);
    if (rng_below(&rng, 3) == 0) { reader_count = 1; }
    memset(writers, 0, sizeof writers);
    memset(readers, 0, sizeof readers);
    store_relaxed(&start, 0);
    store_relaxed(&returned, 0);
    EXPECT(queue_init(&queue, sizeof(uint64_t)));
    pthread_t closers[4];
    for (unsigned i = 0; i < writer_count; i++) {
        writers[i].index = i;
        writers[i].puts = puts / writer_count;
        EXPECT(pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]) == 0);
    }
    for (unsigned i = 0; i < reader_count; i++) {
        readers[i].index = i;
        EXPECT(pthread_create(&readers[i].thread, NULL, reader_main, &readers[i]) == 0);
    }
    for (unsigned i = 0; close_many && i < 4; i++) {
        EXPECT(pthread_create(&closers[i], NULL, closer_main, NULL) == 0);
    }
    store_release(&start, 1);
    if (close_early) {
        for (uint32_t i = rng_below(&rng, 30000); i > 0; i--) { cpu_relax(); }
        queue_close(&queue);
    }
    for (unsigned i = 0; i < writer_count; i++) { pthread_join(writers[i].thread, NULL); }
    for (unsigned i = 0; close_many && i < 4; i++) { pthread_join(closers[i], NULL); }
    queue_close(&queue);
    for (unsigned i = 0; i < reader_count; i++) { pthread_join(readers[i].thread, NULL); }
    for (unsigned i = 0; i < writer_count; i++) {
        uint64_t wanted = 0, got = 0;
        for (uint64_t number = 0; number < writers[i].accepted; number++) {
            wanted += number * number + 1;
        }
        for (unsigned k = 0; k < reader_count; k++) { got += readers[k].sum[i]; }
        EXPECT(got == wanted);
    }
    queue_destroy(&queue);
}

int main(int argc, char **argv)
{
    double   seconds = argc > 1 ? atof(argv[1]) : 1;
    unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 4;
    seed = argc > 3 ? strtoull(argv[3], NULL, 0) : os_now_ns();
    if (threads < 1) { threads = 1; }
    if (threads > THREADS_MAX / 2) { threads = THREADS_MAX / 2; }
    printf("seed %" PRIu64 "\n", seed);
    uint64_t end = os_now_ns() + (uint64_t)(seconds * 1e9), items = 0;
    do {
        round_number++;
        switch (round_number % 4) {
        case 0:
            round_run(threads, 20000, false, false);
            break;
        case 1:
            round_run(threads, 20000, true, false);
            break;
        case 2:
            round_run(threads, 400, true, false);
            break;
        default:
            round_run(threads, 100, false, true);
            break;
        }
        for (unsigned i = 0; i < writer_count; i++) { items += writers[i].accepted; }
    } while (os_now_ns() < end);
    printf("%" PRIu64 " rounds, %" PRIu64 " items\n", round_number, items);
    return 0;
}
