/* recorder.c: what the recorder costs while it is on: a chain of four tasks with one item per
 * chunk, recorded and not, in turns, in one process. Usage: recorder WORKERS NANOSECONDS...; prints
 * a line for each time that a chunk's function is to take: the best pass of each side, and the
 * median of the ratios of neighbouring passes. */
#define _POSIX_C_SOURCE 200809L
#include <async/async.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { STAGES = 4, PASSES = 41 };

static double now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void must(async_status status, const char *what)
{
    if (status != ASYNC_OK) {
        fprintf(stderr, "recorder: %s: %s\n", what, async_status_text(status));
        exit(1);
    }
}

/* A chain of multiplications: as long as the count says, and nothing to be done at once. */
static uint64_t work(uint64_t value, uint64_t steps)
{
    for (uint64_t i = 0; i < steps; i++) {
        value = value * UINT64_C(6364136223846793005) + 1;
        __asm__ volatile("" : "+r"(value));
    }
    return value;
}

static int each(const void *in, void *out, void *context)
{
    const uint64_t *steps = context;
    *(uint64_t *)out = work(*(const uint64_t *)in, *steps);
    return 0;
}

static double time_of_a_step(void)
{
    double best = 1e18;
    for (int i = 0; i < 20; i++) {
        double            start = now_ns();
        volatile uint64_t result = work(1, 100000);
        (void)result;
        double time = (now_ns() - start) / 100000;
        best = time < best ? time : best;
    }
    return best;
}

/* Nanoseconds for `items` items. */
static double pass(async_reader *reader, uint64_t *items, size_t count)
{
    double start = now_ns();
    must(async_reader_read(reader, items, count, NULL, async_forever()), "async_reader_read");
    return now_ns() - start;
}

static int by_value(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static void compare(async_pool *pool, double ns, double step)
{
    uint64_t      steps = (uint64_t)(ns / step);
    size_t        count = (size_t)(4e6 / STAGES / (ns + 10)) + 16; /* about 4 ms */
    uint64_t     *items = malloc(count * sizeof *items);
    async_source  source = async_source_range(0, UINT64_MAX);
    async_reader *reader = NULL;
    double        ratios[PASSES], best[2] = {1e18, 1e18};
    if (items == NULL) { must(ASYNC_NO_MEMORY, "malloc"); }
    for (int i = 0; i < STAGES; i++) {
        async_reader      *input = reader;
        async_task_options options = {.source = input == NULL ? &source : NULL,
                                      .input = input,
                                      .each = each,
                                      .context = &steps,
                                      .max_chunksize = 1};
        must(async_pool_add_task(pool, &reader, &options), "async_pool_add_task");
        async_reader_release(input);
    }
    for (int i = -2; i < PASSES; i++) { /* two to get warm */
        double times[2];
        for (int on = 0; on < 2; on++) {
            if (on) { must(async_trace_start(pool, 0), "async_trace_start"); }
            times[on] = pass(reader, items, count);
            if (on) { must(async_trace_stop(pool), "async_trace_stop"); }
            if (i >= 0 && times[on] < best[on]) { best[on] = times[on]; }
        }
        if (i >= 0) { ratios[i] = times[1] / times[0]; }
    }
    qsort(ratios, PASSES, sizeof *ratios, by_value);
    double chunks = (double)count * STAGES;
    printf("function %6.0f ns: off %9.1f ns a chunk, on %9.1f, %+6.1f ns; ratio of the best %.4f, "
           "median %.4f\n",
           ns, best[0] / chunks, best[1] / chunks, (best[1] - best[0]) / chunks, best[1] / best[0],
           ratios[PASSES / 2]);
    async_reader_release(reader);
    free(items);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: recorder WORKERS NANOSECONDS...\n");
        return 2;
    }
    async_pool *pool = NULL;
    must(async_pool_create(&pool, (unsigned)strtoul(argv[1], NULL, 10), NULL), "async_pool_create");
    double step = time_of_a_step();
    for (int i = 2; i < argc; i++) { compare(pool, strtod(argv[i], NULL), step); }
    must(async_pool_destroy(pool, ASYNC_DROP), "async_pool_destroy");
    return 0;
}
