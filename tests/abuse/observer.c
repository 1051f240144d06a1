/* observer.c: see observer.h. What is read must make sense by itself: cumulative counters never go
 * down, and a task that is done stays so. */
#include "observer.h"

#include "rows.h"

/* The recorder is started anew and stopped now and then, and read all the time. */
static void observe_trace(observer *o, uint64_t look)
{
    async_trace_event events[64];
    size_t            got = 0;
    uint64_t          lost;
    if (look % 50 == 0) { ROW_STATUS(async_trace_start(o->pool, 1 + look % 400), ASYNC_OK); }
    if (look % 50 == 40) { ROW_STATUS(async_trace_stop(o->pool), ASYNC_OK); }
    ROW_STATUS(async_trace_read(o->pool, events, 64, &got, &lost), ASYNC_OK);
    ROW_LE(got, 64);
    for (size_t i = 0; i < got; i++) {
        ROW_LE(events[i].start, events[i].end);
        ROW_LE(events[i].kind, ASYNC_TRACE_PARK);
        ROW_CHECK((events[i].task != 0) == (events[i].kind <= ASYNC_TRACE_DRAW));
        ROW_CHECK(i == 0 || events[i - 1].start <= events[i].start);
    }
}

static void observe(void *arg)
{
    observer        *o = arg;
    async_task_stats before[OBSERVED_MAX] = {{0}};
    bool             done[OBSERVED_MAX] = {false};
    async_pool_stats pool_before = {0}, pool_now;
    while (!atomic_load(&o->over)) {
        (void)async_pool_size(o->pool);
        (void)async_pool_num_tasks(o->pool);
        ROW_STATUS(async_pool_counts(o->pool, &pool_now), ASYNC_OK);
        ROW_LE(pool_before.steals, pool_now.steals);
        ROW_LE(pool_before.parks, pool_now.parks);
        ROW_LE(pool_before.wakes, pool_now.wakes);
        pool_before = pool_now;
        observe_trace(o, atomic_load(&o->looks));
        if (o->writer != NULL) { (void)async_writer_closed(o->writer); }
        for (unsigned i = 0; i < o->count; i++) {
            async_task_stats  now;
            async_error       error;
            const async_task *task = async_reader_task(o->readers[i]);
            bool              done_now = async_task_done(task);
            ROW_STATUS(async_task_counts(task, &now), ASYNC_OK);
            ROW_STATUS(async_task_error(task, &error), ASYNC_OK);
            ROW_STATUS(async_reader_error(o->readers[i], &error), ASYNC_OK);
            (void)async_reader_ready(o->readers[i]);
            (void)async_reader_pool(o->readers[i]);
            ROW_LE(before[i].chunks, now.chunks);
            ROW_LE(before[i].items_in, now.items_in);
            ROW_LE(before[i].items_out, now.items_out);
            ROW_CHECK(done_now || !done[i]);
            before[i] = now;
            done[i] = done_now;
        }
        atomic_fetch_add(&o->looks, 1);
        sleep_us(20);
    }
}

void observer_start(observer *o, async_pool *pool, async_reader *const *readers, unsigned count,
                    async_writer *writer)
{
    *o = (observer){.pool = pool, .writer = async_writer_retain(writer)};
    for (unsigned i = 0; i < count && o->count < OBSERVED_MAX; i++) {
        if (readers[i] != NULL) { o->readers[o->count++] = async_reader_retain(readers[i]); }
    }
    thread_start(&o->thread, observe, o);
}

void observer_stop(observer *o)
{
    (void)UNTIL(SOON, atomic_load(&o->looks) > 0);
    atomic_store(&o->over, true);
    thread_join(&o->thread);
    for (unsigned i = 0; i < o->count; i++) { async_reader_release(o->readers[i]); }
    async_writer_release(o->writer);
}
