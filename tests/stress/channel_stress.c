/* channel_stress.c [seconds] [threads] [seed]: plain channels through the public interface, all
 * their operations at once.
 *
 * Tokens carry their writer and a number that counts up. Rounds, until the time is over, of a
 * random item size, capacity, size of writes and reads, and kind of wait:
 *   closed     the writers write all they have, or the channel is closed while they do; readers
 *              read to the end: what was accepted arrives once, each writer's in order.
 *   abandoned  the readers leave while the writers write: what was accepted and not read goes to
 *              the discard callback once, and the writers get CLOSED.
 * In each round release is called once, and every thread comes back. */
#include <async/async.h>

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define THREADS_MAX 32
#define ITEM_MAX    64
#define BATCH_MAX   200
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

struct side {
    pthread_t     thread;
    unsigned      index;
    uint64_t      random;
    async_writer *writer;
    async_reader *reader;
    uint64_t      budget;            /* items to write; items to read before leaving */
    uint64_t      items;             /* accepted, or read */
    uint64_t      sums[THREADS_MAX]; /* of each writer's numbers */
    uint64_t      next[THREADS_MAX]; /* each writer's least number that may come */
};

static struct side          writers[THREADS_MAX], readers[THREADS_MAX];
static unsigned             writer_count, reader_count;
static size_t               item_size, batch_max;
static bool                 bounded;
static atomic_uint          released;
static atomic_uint_fast64_t discarded, discarded_sums[THREADS_MAX];

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint32_t below(uint64_t *random, uint32_t bound)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((*random >> 33) % bound);
}

static uint64_t weight(uint64_t number) { return number * number + 1; }

static void make(unsigned char *item, unsigned writer, uint64_t number)
{
    uint64_t token = (uint64_t)writer << NUMBER_BITS | number;
    memset(item, (int)(token % 251), item_size);
    memcpy(item, &token, sizeof token);
}

static uint64_t token_of(const unsigned char *item)
{
    uint64_t token;
    memcpy(&token, item, sizeof token);
    for (size_t i = sizeof token; i < item_size; i++) { EXPECT(item[i] == token % 251); }
    EXPECT(token >> NUMBER_BITS < writer_count);
    return token;
}

#define WRITER(token) ((token) >> NUMBER_BITS)
#define NUMBER(token) ((token) & (((uint64_t)1 << NUMBER_BITS) - 1))

static void discard(void *items, size_t count, void *context)
{
    EXPECT(context == &released);
    for (size_t i = 0; i < count; i++) {
        uint64_t token = token_of((unsigned char *)items + i * item_size);
        atomic_fetch_add(&discarded_sums[WRITER(token)], weight(NUMBER(token)));
    }
    atomic_fetch_add(&discarded, count);
}

static void release(void *context)
{
    EXPECT(context == &released);
    atomic_fetch_add(&released, 1);
}

static async_wait some_wait(uint64_t *random)
{
    switch (below(random, 5)) {
    case 0:
        return async_now();
    case 1:
        return async_per_item_ms(below(random, 3));
    case 2:
        return async_within_ms(below(random, 3));
    default:
        return async_forever();
    }
}

static void *writer_main(void *argument)
{
    struct side  *side = argument;
    unsigned char batch[BATCH_MAX * ITEM_MAX];
    while (side->items < side->budget) {
        size_t most = below(&side->random, 2) == 0 ? 1 : batch_max, written;
        size_t count = 1 + below(&side->random, (uint32_t)most);
        for (size_t i = 0; i < count; i++) {
            make(batch + i * item_size, side->index, side->items + i);
        }
        async_wait   wait = some_wait(&side->random);
        async_status status = async_writer_write(side->writer, batch, count, &written, wait);
        EXPECT(written <= count && (status == ASYNC_OK) == (written == count));
        for (size_t i = 0; i < written; i++) { side->sums[side->index] += weight(side->items + i); }
        side->items += written;
        if (status == ASYNC_CLOSED) {
            EXPECT(async_writer_closed(side->writer));
            break;
        }
        EXPECT(status == ASYNC_OK || (status == ASYNC_TIMEOUT && bounded));
    }
    async_writer_release(side->writer);
    return NULL;
}

static void *reader_main(void *argument)
{
    struct side  *side = argument;
    unsigned char batch[BATCH_MAX * ITEM_MAX];
    while (side->items < side->budget) {
        size_t       count = 1 + below(&side->random, (uint32_t)batch_max), got;
        async_wait   wait = some_wait(&side->random);
        async_status status = async_reader_read(side->reader, batch, count, &got, wait);
        EXPECT(got <= count && (status == ASYNC_OK) == (got == count));
        for (size_t i = 0; i < got; i++) {
            uint64_t token = token_of(batch + i * item_size), writer = WRITER(token);
            EXPECT(NUMBER(token) >= side->next[writer]);
            side->next[writer] = NUMBER(token) + 1;
            side->sums[writer] += weight(NUMBER(token));
        }
        side->items += got;
        if (status == ASYNC_END) {
            EXPECT(async_reader_read(side->reader, batch, 1, &got, async_now()) == ASYNC_END);
            EXPECT(got == 0);
            break;
        }
        EXPECT(status == ASYNC_OK || status == ASYNC_TIMEOUT);
    }
    async_reader_release(side->reader);
    return NULL;
}

static void round_run(unsigned threads, bool abandon)
{
    uint64_t random = seed * 7919 + round_number * 104729;
    for (int i = 0; i < 4; i++) { below(&random, 2); }
    writer_count = 1 + below(&random, threads);
    reader_count = 1 + below(&random, threads);
    static const size_t sizes[] = {8, 8, 8, 12, 24, 40, 64};
    item_size = sizes[below(&random, sizeof sizes / sizeof sizes[0])];
    batch_max = 1 + below(&random, below(&random, 2) == 0 ? 4 : BATCH_MAX);
    bounded = below(&random, 2) == 0;
    async_channel_options options = {
        .capacity = bounded ? 1 + below(&random, below(&random, 2) == 0 ? 3 : 500) : 0,
        .discard = discard,
        .release = release,
        .context = &released};
    atomic_store(&released, 0);
    atomic_store(&discarded, 0);
    for (unsigned i = 0; i < THREADS_MAX; i++) { atomic_store(&discarded_sums[i], 0); }
    memset(writers, 0, sizeof writers);
    memset(readers, 0, sizeof readers);
    async_writer *writer;
    async_reader *reader;
    EXPECT(async_channel_create(&writer, &reader, item_size, &options) == ASYNC_OK);
    bool close = !abandon && below(&random, 2) == 0;
    for (unsigned i = 0; i < reader_count; i++) {
        readers[i] = (struct side){.index = i,
                                   .random = random + 1000 + i,
                                   .reader = async_reader_retain(reader),
                                   .budget = abandon ? below(&random, 3000) : UINT64_MAX};
        EXPECT(pthread_create(&readers[i].thread, NULL, reader_main, &readers[i]) == 0);
    }
    for (unsigned i = 0; i < writer_count; i++) {
        writers[i] = (struct side){.index = i,
                                   .random = random + i,
                                   .writer = async_writer_retain(writer),
                                   .budget = abandon || close ? 20000 : 2000};
        EXPECT(pthread_create(&writers[i].thread, NULL, writer_main, &writers[i]) == 0);
    }
    async_reader_release(reader);
    if (close) {
        struct timespec pause = {0, below(&random, 2000000)};
        nanosleep(&pause, NULL);
        EXPECT(async_writer_close(writer) == ASYNC_OK && async_writer_closed(writer));
        size_t        written;
        unsigned char item[ITEM_MAX];
        make(item, 0, 0);
        EXPECT(async_writer_write(writer, item, 1, &written, async_forever()) == ASYNC_CLOSED);
        EXPECT(written == 0);
    }
    async_writer_release(writer);
    for (unsigned i = 0; i < writer_count; i++) { pthread_join(writers[i].thread, NULL); }
    for (unsigned i = 0; i < reader_count; i++) { pthread_join(readers[i].thread, NULL); }
    EXPECT(atomic_load(&released) == 1);
    uint64_t accepted = 0, gone = atomic_load(&discarded);
    for (unsigned i = 0; i < reader_count; i++) { gone += readers[i].items; }
    for (unsigned i = 0; i < writer_count; i++) {
        uint64_t sum = atomic_load(&discarded_sums[i]);
        for (unsigned k = 0; k < reader_count; k++) { sum += readers[k].sums[i]; }
        EXPECT(sum == writers[i].sums[i]);
        accepted += writers[i].items;
    }
    EXPECT(gone == accepted);
    if (!abandon) { EXPECT(atomic_load(&discarded) == 0); }
}

int main(int argc, char **argv)
{
    double   seconds = argc > 1 ? atof(argv[1]) : 1;
    unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 4;
    seed = argc > 3 ? strtoull(argv[3], NULL, 0) : now_ns();
    if (threads < 1) { threads = 1; }
    if (threads > THREADS_MAX) { threads = THREADS_MAX; }
    printf("seed %" PRIu64 "\n", seed);
    fflush(stdout);
    uint64_t end = now_ns() + (uint64_t)(seconds * 1e9), items = 0;
    do {
        round_number++;
        round_run(threads, round_number % 3 == 0);
        for (unsigned i = 0; i < writer_count; i++) { items += writers[i].items; }
    } while (now_ns() < end);
    printf("%" PRIu64 " rounds, %" PRIu64 " items\n", round_number, items);
    return 0;
}
