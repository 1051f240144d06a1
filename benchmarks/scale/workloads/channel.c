/* channel.c: as many threads of the program's own as there are workers write numbers into one
 * bounded channel, a chunk with each call; the workers take them out again and add 1. */
#include "workloads/kernels.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct feeder {
    pthread_t     thread;
    bool          started;
    uint64_t      first, count;
    size_t        batch;
    async_writer *writer;
    async_reader *gate; /* ends when they may begin */
};

struct feed {
    struct sum    sum;
    async_writer *gate;
    async_reader *gate_reader;
    unsigned      count;
    struct feeder feeders[];
};

static bool prepare(uint64_t items, uint64_t seed, void **data)
{
    (void)items;
    (void)seed;
    *data = NULL;
    return true;
}

static void discard(void *data) { (void)data; }

static void *feed_channel(void *argument)
{
    const struct feeder *feeder = argument;
    uint64_t            *numbers = malloc(feeder->batch * sizeof *numbers);
    char                 token;
    (void)async_reader_read(feeder->gate, &token, 1, NULL, async_forever());
    uint64_t i = feeder->first, end = feeder->first + feeder->count;
    while (numbers != NULL && i < end) {
        size_t n = end - i < feeder->batch ? (size_t)(end - i) : feeder->batch;
        for (size_t k = 0; k < n; k++) numbers[k] = i + k;
        /* Closed: the run was cancelled. */
        if (async_writer_write(feeder->writer, numbers, n, NULL, async_forever()) != ASYNC_OK)
            break;
        i += n;
    }
    async_writer_release(feeder->writer); /* the last one ends the channel */
    free(numbers);
    return NULL;
}

static int start(void *context) { return async_writer_close(((struct feed *)context)->gate) != 0; }

static void release(void *context)
{
    struct feed *feed = context;
    if (feed->gate != NULL) async_writer_close(feed->gate);
    for (unsigned i = 0; i < feed->count; i++)
        if (feed->feeders[i].started) pthread_join(feed->feeders[i].thread, NULL);
    async_writer_release(feed->gate);
    async_reader_release(feed->gate_reader);
    free(feed);
}

static int increment(const void *in, void *out, size_t count, size_t *done, void *context)
{
    (void)done;
    (void)context;
    const uint64_t *from = in;
    uint64_t       *to = out;
    for (size_t i = 0; i < count; i++) to[i] = from[i] + 1;
    return 0;
}

/* Starts the threads; each holds the writer. */
static int start_feeders(struct feed *feed, const async_scale_build *build, async_writer *writer)
{
    uint64_t first = 0;
    for (unsigned i = 0; i < feed->count; i++) {
        struct feeder *feeder = &feed->feeders[i];
        *feeder = (struct feeder){.first = first,
                                  .count = build->items / feed->count +
                                           (i < build->items % feed->count ? 1 : 0),
                                  .batch = build->chunk,
                                  .writer = async_writer_retain(writer),
                                  .gate = feed->gate_reader};
        first += feeder->count;
        feeder->started = pthread_create(&feeder->thread, NULL, feed_channel, feeder) == 0;
        if (!feeder->started) {
            async_writer_release(writer);
            return EAGAIN;
        }
    }
    return 0;
}

static int build(const async_scale_build *build, void *data, async_scale_pipeline *out)
{
    (void)data;
    unsigned     count = build->workers == 0 ? 1 : build->workers;
    struct feed *feed = calloc(1, sizeof *feed + count * sizeof *feed->feeders);
    if (feed == NULL) return ENOMEM;
    uint64_t n = build->items;
    feed->sum.expected_items = n;
    feed->sum.expected = (n % 2 == 0 ? n / 2 * (n - 1) : (n - 1) / 2 * n) + n;
    feed->count = count;
    *out = (async_scale_pipeline){.version = ASYNC_SCALE_VERSION,
                                  .start = start,
                                  .sink = sum_sink,
                                  .check = sum_check,
                                  .release = release,
                                  .context = feed};
    if (async_channel_create(&feed->gate, &feed->gate_reader, 1, NULL) != ASYNC_OK) return ENOMEM;

    enum { ROOM = 8192 }; /* items, or four chunks for each thread */
    size_t                      room = 4 * build->chunk * count;
    const async_channel_options options = {.name = "numbers",
                                           .capacity = room > ROOM ? room : ROOM};
    async_writer               *writer;
    async_reader               *numbers;
    if (async_channel_create(&writer, &numbers, sizeof(uint64_t), &options) != ASYNC_OK)
        return ENOMEM;
    const async_task_options task = {.name = "+ 1",
                                     .input = numbers,
                                     .batch = increment,
                                     .max_chunksize = build->chunk,
                                     .in_place = true};
    int code = build->add_task(build, &out->reader, &task) == ASYNC_OK ? 0 : ENOMEM;
    if (code == 0) code = start_feeders(feed, build, writer);
    async_writer_release(writer);
    async_reader_release(numbers);
    return code;
}

const struct workload workload_channel = {
    .name = "channel",
    .summary = "for each worker a thread that writes chunks of numbers into one channel",
    .item = "a number",
    .items = 100000,
    .chunks = {1, 64, 1024},
    .chunk_count = 3,
    .threads_per_worker = 2,
    .feeds = true,
    .prepare = prepare,
    .discard = discard,
    .build = build,
};
