/* run.c: see run.h. */
#define _GNU_SOURCE

#include "run.h"

#include "clock.h"
#include "record.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A run while it goes on: what the pipeline's builder and the sink get to see of it. */
struct run {
    struct stages        stages;
    async_scale_pipeline pipeline;
    uint64_t             items; /* that came out */
};

__attribute__((format(printf, 2, 3))) static enum run_result failed(struct outcome *outcome,
                                                                    const char     *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(outcome->message, sizeof outcome->message, format, arguments);
    va_end(arguments);
    return RUN_FAILED;
}

/* ── Building ───────────────────────────────────────────────────────────────────────────────── */

void stages_free(struct stages *stages)
{
    for (size_t i = 0; i < stages->count; i++) async_reader_release(stages->readers[i]);
    free(stages->list);
    free(stages->readers);
    *stages = (struct stages){0};
}

/* The stage whose output `reader` is; count: none of them. */
static size_t stage_of(const struct stages *stages, const async_reader *reader)
{
    const async_task *task = async_reader_task(reader);
    size_t            i = 0;
    while (i < stages->count && (task == NULL || async_reader_task(stages->readers[i]) != task))
        i++;
    return i;
}

static void add_edge(const struct stages *stages, struct stage *stage, const async_reader *input)
{
    size_t from = stage_of(stages, input);
    if (from == stages->count)
        stage->fed = true;
    else if (stage->input_count < STAGE_INPUTS)
        stage->inputs[stage->input_count++] = from;
}

static bool make_room(struct stages *stages)
{
    if (stages->count < stages->room) return true;
    size_t        room = stages->room == 0 ? 8 : 2 * stages->room;
    struct stage *list = realloc(stages->list, room * sizeof *list);
    if (list != NULL) stages->list = list;
    async_reader **readers = realloc(stages->readers, room * sizeof *readers);
    if (readers != NULL) stages->readers = readers;
    if (list == NULL || readers == NULL) return false;
    stages->room = room;
    return true;
}

static async_status add_task(const async_scale_build *build, async_reader **out,
                             const async_task_options *task)
{
    struct stages *stages = &((struct run *)build->laboratory)->stages;
    if (!make_room(stages)) return ASYNC_NO_MEMORY;
    async_status status = async_pool_add_task(build->pool, out, task);
    if (status != ASYNC_OK) return status;

    struct stage *stage = &stages->list[stages->count];
    *stage = (struct stage){.number = record_task_number(async_reader_task(*out)),
                            .drawn = task->source != NULL &&
                                     task->source->kind == ASYNC_SOURCE_NEXT,
                            .ordered = task->order == ASYNC_ORDERED,
                            .emits = task->emit != NULL,
                            .at_a_time = task->max_parallel,
                            .chunk = task->max_chunksize};
    if (task->name != NULL)
        snprintf(stage->name, sizeof stage->name, "%s", task->name);
    else
        snprintf(stage->name, sizeof stage->name, "task %zu", stages->count + 1);
    if (task->input != NULL) add_edge(stages, stage, task->input);
    stages->readers[stages->count++] = async_reader_retain(*out);
    return ASYNC_OK;
}

static async_status add_input(const async_scale_build *build, async_task *task, async_reader *input)
{
    async_status status = async_task_add_input(task, input);
    if (status != ASYNC_OK) return status;
    struct stages *stages = &((struct run *)build->laboratory)->stages;
    for (size_t i = 0; i < stages->count; i++)
        if (async_reader_task(stages->readers[i]) == task)
            add_edge(stages, &stages->list[i], input);
    return ASYNC_OK;
}

static enum run_result build_pipeline(const struct plan *plan, async_pool *pool, struct run *run,
                                      struct outcome *outcome)
{
    const async_scale_build build = {.version = ASYNC_SCALE_VERSION,
                                     .pool = pool,
                                     .workers = plan->workers,
                                     .items = plan->items,
                                     .chunk = plan->chunk,
                                     .seed = plan->seed,
                                     .argument = plan->argument,
                                     .add_task = add_task,
                                     .add_input = add_input,
                                     .laboratory = run};
    async_scale_pipeline   *pipeline = &run->pipeline;
    int                     code = plan->workload->build(&build, plan->data, pipeline);
    if (code != 0)
        return failed(outcome, "the pipeline could not be built: code %d (%s)", code,
                      strerror(code));
    if (pipeline->version != ASYNC_SCALE_VERSION)
        return failed(outcome,
                      "the plug-in was made for version %" PRIu32
                      " of async/scale.h, and this program has version %d: compile it anew",
                      pipeline->version, ASYNC_SCALE_VERSION);
    if (pipeline->reader == NULL) return failed(outcome, "the plug-in gave no reader to read");
    return RUN_DONE;
}

/* ── Running ────────────────────────────────────────────────────────────────────────────────── */

static int count_items(const void *items, size_t count, void *context)
{
    struct run *run = context;
    run->items += count;
    if (run->pipeline.sink == NULL) return ASYNC_CONTINUE;
    return run->pipeline.sink(items, count, run->pipeline.context);
}

static enum run_result drain(const struct plan *plan, struct run *run, struct outcome *outcome)
{
    async_scale_pipeline *pipeline = &run->pipeline;
    if (!interrupt_watch(plan->interrupt, pipeline->reader)) return RUN_INTERRUPTED;

    double started = clock_seconds();
    int    code = pipeline->start == NULL ? 0 : pipeline->start(pipeline->context);
    if (code != 0) return failed(outcome, "the workload's start failed: code %d", code);
    async_status status = async_reader_for_each(pipeline->reader, count_items, run,
                                                async_forever());
    outcome->seconds = clock_seconds() - started;

    if (interrupt_asked(plan->interrupt) != 0) return RUN_INTERRUPTED;
    if (status != ASYNC_OK) {
        async_error error = {.status = ASYNC_OK};
        (void)async_reader_error(pipeline->reader, &error);
        if (error.status == ASYNC_OK)
            return failed(outcome, "the run ended with %s: %s", async_status_name(status),
                          async_status_text(status));
        return failed(outcome, "task '%s', item %" PRIu64 ", code %d: %s", error.task, error.item,
                      error.code, error.message);
    }
    char message[256] = "";
    code = pipeline->check == NULL
               ? 0
               : pipeline->check(run->items, message, sizeof message, pipeline->context);
    if (code != 0) return failed(outcome, "wrong result: %s (code %d)", message, code);
    return RUN_DONE;
}

static void count_chunks(const struct run *run, struct outcome *outcome)
{
    outcome->chunks = 0;
    for (size_t i = 0; i < run->stages.count; i++) {
        async_task_stats stats;
        if (async_task_counts(async_reader_task(run->stages.readers[i]), &stats) == ASYNC_OK)
            outcome->chunks += stats.chunks;
    }
}

static enum run_result run_in_pool(const struct plan *plan, async_pool *pool,
                                   struct recording *recording, struct outcome *outcome)
{
    struct run      run = {0};
    enum run_result result = build_pipeline(plan, pool, &run, outcome);
    if (result == RUN_DONE && recording != NULL && !record_begin(recording, pool))
        result = failed(outcome, "no memory to record with");
    if (result == RUN_DONE) {
        result = drain(plan, &run, outcome);
        record_counts(pool, outcome);
        interrupt_watch(plan->interrupt, NULL);
        count_chunks(&run, outcome);
    }
    if (result == RUN_DONE && recording != NULL && !record_end(recording, pool, &run.stages))
        result = failed(outcome, "no memory for what was recorded");
    async_reader_release(run.pipeline.reader);
    stages_free(&run.stages);
    if (run.pipeline.release != NULL) run.pipeline.release(run.pipeline.context);
    return result;
}

enum run_result run_once(const struct plan *plan, struct recording *recording,
                         struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    size_t                   old_count = 0;
    int                     *old = plan->pin == NULL ? NULL : pin_threads(&old_count);
    async_pool              *pool;
    const async_pool_options options = {.name = "scale"};
    async_status             status = async_pool_create(&pool, plan->workers, &options);
    enum run_result          result;
    if (status != ASYNC_OK) {
        result = failed(outcome, "no pool of %u workers: %s", plan->workers,
                        async_status_text(status));
    } else {
        if (plan->pin != NULL && (old == NULL || !pin_new_threads(plan->pin, old, old_count)))
            result = failed(outcome, "the workers cannot be pinned: the system refused");
        else
            result = run_in_pool(plan, pool, recording, outcome);
        (void)async_pool_destroy(pool, ASYNC_DROP);
    }
    free(old);
    return result;
}
