/* forks.c: what a forked child may do with the pools and channels of its parent: row M10. (At any
 * moment, and from inside functions: tests/forks/.) */
#include "expect.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The number of the first thing that was not as it must be; 0: none. */
#define STEP(number, condition)                                                                    \
    do {                                                                                           \
        if (!(condition)) { _exit(number); }                                                       \
    } while (0)

static bool reads(async_reader *reader, size_t count, async_status wanted, size_t wanted_got)
{
    uint64_t items[64];
    size_t   got = SIZE_MAX;
    return async_reader_read(reader, items, count, &got, async_within_ms(SOON)) == wanted &&
           got == wanted_got;
}

/* How the child ended: its exit status, or 1000 and the signal. */
static int end_of(pid_t child)
{
    int status = 0;
    CHECK(UNTIL(3 * SOON, waitpid(child, &status, WNOHANG) == child));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/* M10: tasks without work, their ready items, plain channels and new pools work in the child, at
 * size 0. */
TestEachSize(M, M10_idle_tasks_and_new_pools_work_in_the_child)
{
    async_pool   *pool = pool_of(n);
    async_writer *writer;
    async_reader *plain;
    channel_of(&writer, &plain, 4, NULL);
    async_reader *a = TASK(pool, .source = range_of(0, 60), .each = each_add_one, .min_count = 10);
    async_reader *b = TASK(pool, .input = a, .each = each_add_one);
    CHECK(reads(b, 4, ASYNC_OK, 4));
    write_numbers(writer, 0, 3);
    CHECK_SOON(async_reader_ready(b) == 6);
    CHECK(pool_asleep(pool, n)); /* the last worker has put its job away */
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        STEP(1,
             async_pool_size(pool) == 0 && async_pool_num_tasks(pool) == 2 && thread_count() == 1);
        STEP(2, reads(b, 6, ASYNC_OK, 6));
        STEP(3, reads(b, 20, ASYNC_OK, 20));
        STEP(4, reads(plain, 3, ASYNC_OK, 3));
        write_numbers(writer, 0, 4);
        STEP(5, reads(plain, 4, ASYNC_OK, 4));
        STEP(6, async_pool_set_size(pool, 2) == ASYNC_OK && thread_count() == 3);
        STEP(7, reads(b, 60, ASYNC_END, 30));
        async_pool   *fresh = pool_of(1);
        async_reader *r = TASK(fresh, .input = plain, .each = each_add_one);
        write_numbers(writer, 0, 2);
        async_writer_release(writer);
        STEP(8, reads(r, 3, ASYNC_END, 2));
        async_reader_release(r);
        STEP(9, async_pool_destroy(fresh, ASYNC_DRAIN) == ASYNC_OK);
        async_reader_release(a);
        async_reader_release(b);
        STEP(10, UNTIL(SOON, async_pool_num_tasks(pool) == 0));
        STEP(11, async_pool_destroy(pool, ASYNC_DRAIN) == ASYNC_OK);
        _exit(0);
    }
    CHECK_EQ(end_of(child), 0);
    CHECK_EQ(async_pool_size(pool), n); /* and in the parent nothing has changed */
    CHECK(reads(b, 60, ASYNC_END, 56));
    CHECK(reads(plain, 3, ASYNC_OK, 3));
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(plain);
    async_writer_release(writer);
    pool_end(pool);
}

/* M10: a task with a chunk that runs, or one that is queued, is cancelled in the child, and only
 * there. */
Test(M, M10_working_tasks_are_cancelled_in_the_child, .timeout = 30)
{
    for (unsigned n = 1; n <= 4; n *= 2) {
        NOTE("N = %u", n);
        async_pool    *pool = pool_of(n);
        gate           g = {.open = false};
        probe          held = {.hold = &g};
        static reading reading_held[5];
        async_reader  *tasks[5];
        memset(reading_held, 0, sizeof reading_held);
        for (unsigned i = 0; i < 5; i++) { /* more than workers: some are queued */
            tasks[i] = TASK(pool, .source = range_of(0, 100), .each = each_add_one,
                            .context = &held);
            reading_start(&reading_held[i], tasks[i], 3, async_forever());
        }
        async_reader *other = TASK(pool, .source = range_of(0, 100), .each = each_add_one);
        gate_arrived(&g, n);
        for (unsigned i = 0; i < 5; i++) { CHECK(thread_asleep(&reading_held[i].thread)); }
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            for (int i = 0; i < 5; i++) {
                async_error error;
                STEP(1 + i, reads(tasks[i], 1, ASYNC_CANCELLED, 0));
                STEP(11 + i, async_task_error(async_reader_task(tasks[i]), &error) == ASYNC_OK &&
                                 error.status == ASYNC_CANCELLED);
            }
            STEP(21, reads(other, 30, ASYNC_OK, 30));
            STEP(22, async_pool_destroy(pool, ASYNC_DRAIN) == ASYNC_OK);
            STEP(23, reads(other, 30, ASYNC_END, 0));
            _exit(0);
        }
        CHECK_EQ(end_of(child), 0);
        gate_open(&g);
        for (unsigned i = 0; i < 5; i++) {
            thread_join(&reading_held[i].thread);
            CHECK_STATUS(reading_held[i].status, ASYNC_OK);
            async_reader_release(tasks[i]);
        }
        CHECK(reads(other, 30, ASYNC_OK, 30));
        async_reader_release(other);
        pool_end(pool);
    }
}
