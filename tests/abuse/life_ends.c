/* life_ends.c: rows F50 and F51: processes that end, or are made to end, while workers run. Each
 * end is that of a process of its own, which this one looks at. */
#include "rows.h"

#include "observer.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

async_each_fn throwing_each, catching_each;
async_next_fn throwing_next;
void          calling(void (*body)(void *), void *argument);

/* Kept for the leak checker: what a process has at its exit isn't lost. */
static async_pool   *pool;
static async_reader *readers[8];

#if THREAD_SANITIZED
/* A process that exits has threads that nobody joined. */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void) { return "report_thread_leaks=0"; }
#endif

static child_end end_of(void (*body)(void *), void *argument)
{
    child_options options = {.seconds = 30, .capture = true};
    return child_run(body, argument, &options);
}

static void must_exit(void (*body)(void *), void *argument, int code)
{
    child_end end = end_of(body, argument);
    if (end.hung || end.code != code) {
        row_failed(__FILE__, __LINE__, "%s: exit status %d, signal %d, not %d:\n%s",
                   end.hung ? "hung" : "ended", end.code, end.signal, code, end.said);
    }
    free(end.said);
}

static void must_abort(void (*body)(void *), void *argument, const char *says)
{
    child_end end = end_of(body, argument);
    if (end.hung || end.signal != SIGABRT || strstr(end.said, says) == NULL ||
        strstr(end.said, "\"culprit\"") == NULL) {
        row_failed(__FILE__, __LINE__, "%s: exit status %d, signal %d, not an abort with '%s':\n%s",
                   end.hung ? "hung" : "ended", end.code, end.signal, says, end.said);
    }
    free(end.said);
}

/* ── F50 ─────────────────────────────────────────────────────────────────────────────────────── */

static int exit_each(const void *in, void *out, void *context)
{
    (void)out;
    (void)context;
    if (*(const uint64_t *)in == 20) { exit(3); }
    return each_add_one(in, out, NULL);
}

static void busy(unsigned n)
{
    static probe slow = {.delay_us = 50};
    pool = pool_of(n);
    readers[0] = TASK(pool, .source = range_of(0, 1000000), .each = each_add_one,
                      .max_chunksize = 1, .min_count = 100000);
    readers[1] = TASK(pool, .source = range_of(0, 1000000), .each = each_add_one, .context = &slow,
                      .max_chunksize = 3);
    readers[2] = TASK(pool, .input = readers[1], .each = each_add_one, .max_chunksize = 2);
}

static void exit_from_main(void *argument)
{
    uint64_t items[10];
    size_t   got;
    busy(*(unsigned *)argument);
    (void)async_reader_read(readers[0], items, 1, &got, async_within_ms(1));
    (void)async_reader_read(readers[2], items, 10, &got, async_within_ms(5));
    exit(3);
}

static void exit_with_readers(void *argument)
{
    static reading reads[2];
    busy(*(unsigned *)argument);
    reading_start(&reads[0], readers[0], 1000, async_forever());
    reading_start(&reads[1], readers[2], 1000, async_forever());
    sleep_ms(2);
    exit(3);
}

static void exit_from_task(void *argument)
{
    busy(*(unsigned *)argument);
    readers[3] = TASK(pool, .source = range_of(0, 1000), .each = exit_each, .max_chunksize = 2);
    uint64_t items[100];
    size_t   got;
    (void)async_reader_read(readers[3], items, 100, &got, async_forever());
    for (;;) { sleep_ms(1000); } /* another thread ends the process */
}

static void drop_pool(void)
{
    if (async_pool_destroy(pool, ASYNC_DROP) != ASYNC_OK) { _Exit(4); }
    for (unsigned i = 0; i < 8; i++) { async_reader_release(readers[i]); }
}

static void exit_that_destroys(void *argument)
{
    atexit(drop_pool);
    exit_from_main(argument);
}

static void exits(void)
{
    static unsigned workers[] = {0, 1, 4};
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned times = 0; times < (SANITIZED ? 1 : 10); times++) {
            must_exit(exit_from_main, &workers[i], 3);
            must_exit(exit_with_readers, &workers[i], 3);
            must_exit(exit_from_task, &workers[i], 3);
            must_exit(exit_that_destroys, &workers[i], 3);
        }
    }
}

/* ── F51 ─────────────────────────────────────────────────────────────────────────────────────── */

static int leaving_each(const void *in, void *out, void *context)
{
    (void)in;
    (void)out;
    (void)context;
    pthread_exit(NULL);
}

static int leaving_emit(const void *in, size_t count, size_t *done, async_emitter *out,
                        void *context)
{
    (void)in;
    (void)count;
    (void)done;
    (void)out;
    (void)context;
    pthread_exit(NULL);
}

static int leaving_next(void *items, size_t count, size_t *got, void *context)
{
    (void)items;
    (void)count;
    (void)got;
    (void)context;
    pthread_exit(NULL);
}

typedef struct culprit {
    unsigned       n;
    async_each_fn *each;
    async_emit_fn *emit;
    async_next_fn *next;
} culprit;

static void run_culprit(void *argument)
{
    const culprit *c = argument;
    pool = pool_of(c->n);
    async_source source = c->next != NULL ? async_source_from(c->next, NULL, sizeof(uint64_t))
                                          : async_source_range(0, 10);
    readers[0] = TASK(pool, .name = c->next != NULL ? "culprit" : "source", .source = &source,
                      .each = each_add_one);
    readers[1] = TASK(pool, .name = c->next != NULL ? "harmless" : "culprit", .input = readers[0],
                      .each = c->each, .emit = c->emit);
    uint64_t items[10];
    size_t   got;
    (void)async_reader_read(readers[1], items, 10, &got, async_forever());
    exit(5); /* not reached: the runtime has ended the process */
}

static void run_caught(void *argument)
{
    calling(run_culprit, argument);
    exit(6); /* it came through the runtime */
}

static void left_functions(void)
{
    static culprit culprits[] = {
        {.each = leaving_each},
        {.emit = leaving_emit},
        {.next = leaving_next},
    };
    static culprit throwers[] = {{.each = throwing_each}, {.next = throwing_next}};
    for (unsigned i = 0; i < 2; i++) {
        must_abort(run_caught, &throwers[i], "left a function of task");
        /* With no handler above C++'s own runtime would end the process without a name. */
        for (unsigned n = 0; n < 2; n++) {
            throwers[i].n = n;
            must_abort(run_culprit, &throwers[i], "left a function of task");
        }
        throwers[i].n = 0;
    }
    for (unsigned i = 0; i < sizeof culprits / sizeof *culprits; i++) {
        static const unsigned workers[] = {0, 1, 3};
        for (unsigned w = 0; w < 3; w++) {
            culprits[i].n = workers[w];
            must_abort(run_culprit, &culprits[i], "left a function of task");
        }
    }
    /* What is caught before it leaves the function does no harm. */
    EACH_SIZE (n) {
        async_pool   *fine = pool_of(n);
        async_reader *r = TASK(fine, .source = range_of(0, 1000), .each = catching_each,
                               .max_chunksize = 7);
        size_t        count = 0;
        async_free(read_rest(r, &count));
        ROW_EQ(count, 1000);
        async_reader_release(r);
        pool_end(fine);
    }
}

#ifdef ASYNC_DEBUG
static jmp_buf out_of_it;

static int jumping_each(const void *in, void *out, void *context)
{
    (void)in;
    (void)out;
    (void)context;
    longjmp(out_of_it, 1);
}

static void read_and_jump(void)
{
    uint64_t item;
    size_t   got;
    (void)async_reader_read(readers[0], &item, 1, &got, async_forever());
}

/* The reader's own thread runs the function, which jumps back out of the read. */
static void jump(void *argument)
{
    (void)argument;
    pool = pool_of(0);
    readers[0] = TASK(pool, .name = "culprit", .source = range_of(0, 10), .each = jumping_each);
    readers[1] = TASK(pool, .name = "next", .source = range_of(0, 10), .each = each_add_one);
    if (setjmp(out_of_it) == 0) { read_and_jump(); }
    uint64_t item;
    size_t   got;
    (void)async_reader_read(readers[1], &item, 1, &got, async_forever());
    exit(5);
}

static void jumps(void) { must_abort(jump, NULL, "a longjmp left a function of task"); }
#endif

static const row rows[] = {
    {"F50", "exit while workers run: from main, beside readers, in a task, with a destroy", exits,
     120},
    {"F51", "pthread_exit and exceptions out of functions: an abort that names the task",
     left_functions, 0},
#ifdef ASYNC_DEBUG
    {"F51 longjmp", "a longjmp out of a function, found by a debug build", jumps, 0},
#endif
};
ROWS(rows)
