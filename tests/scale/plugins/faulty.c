/* faulty.c: a plug-in that does what --argument says: "build" fails, "forget" gives no reader,
 * "fail" has a task that fails, "wrong" finds its result wrong, "start" fails; "graph" is a correct
 * one: two sources, a task with both as its inputs, a serial stage; "slow" takes 10 ms an item. */
#define _GNU_SOURCE

#include <async/scale.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

static int fail_at_7(const void *in, void *out, void *context)
{
    (void)context;
    uint64_t i = *(const uint64_t *)in;
    *(uint64_t *)out = i;
    return i == 7 ? async_fail(42, "seven") : 0;
}

static int take_time(const void *in, void *out, void *context)
{
    (void)context;
    const struct timespec pause = {.tv_nsec = 10000000};
    *(uint64_t *)out = *(const uint64_t *)in;
    nanosleep(&pause, NULL);
    return 0;
}

static int always_wrong(uint64_t items, char *message, size_t size, void *context)
{
    (void)items;
    (void)context;
    snprintf(message, size, "as was asked for");
    return 1;
}

static int wrong_start(void *context)
{
    (void)context;
    return 5;
}

static int count_twice(uint64_t items, char *message, size_t size, void *context)
{
    uint64_t expected = (uint64_t)(uintptr_t)context;
    snprintf(message, size, "%llu", (unsigned long long)items);
    return items == expected ? 0 : 1;
}

static int build_graph(const async_scale_build *build, async_scale_pipeline *out)
{
    async_source  a = async_source_range(0, build->items), b = async_source_range(0, build->items);
    async_reader *left = NULL, *right = NULL, *both = NULL;
    const async_task_options l = {.name = "left", .source = &a, .max_chunksize = build->chunk};
    const async_task_options r = {.name = "right", .source = &b, .max_chunksize = build->chunk};
    if (build->add_task(build, &left, &l) != ASYNC_OK) return 1;
    async_status             status = build->add_task(build, &right, &r);
    const async_task_options j = {.name = "join", .input = left, .max_chunksize = build->chunk};
    if (status == ASYNC_OK) status = build->add_task(build, &both, &j);
    if (status == ASYNC_OK) status = build->add_input(build, async_reader_task(both), right);
    const async_task_options s = {
        .name = "serial", .input = both, .max_parallel = 1, .max_chunksize = build->chunk};
    if (status == ASYNC_OK) status = build->add_task(build, &out->reader, &s);
    async_reader_release(left);
    async_reader_release(right);
    async_reader_release(both);
    out->check = count_twice;
    out->context = (void *)(uintptr_t)(2 * build->items);
    return status == ASYNC_OK ? 0 : 1;
}

int async_scale_workload(const async_scale_build *build, async_scale_pipeline *out)
{
    const char *what = build->argument == NULL ? "" : build->argument;
    out->version = ASYNC_SCALE_VERSION;
    if (strcmp(what, "build") == 0) return 12;
    if (strcmp(what, "forget") == 0) return 0;
    if (strcmp(what, "graph") == 0) return build_graph(build, out);
    if (strcmp(what, "wrong") == 0) out->check = always_wrong;
    if (strcmp(what, "start") == 0) out->start = wrong_start;

    async_source       source = async_source_range(0, build->items);
    async_task_options task = {.name = "numbers", .source = &source, .max_chunksize = build->chunk};
    if (strcmp(what, "fail") == 0) task.each = fail_at_7;
    if (strcmp(what, "slow") == 0) task.each = take_time;
    return build->add_task(build, &out->reader, &task) == ASYNC_OK ? 0 : 1;
}
