/* test_watchdog.c: the watchdog of the tests sees what it is there to see. */
#define _POSIX_C_SOURCE 200809L /* fmemopen */

#include "pipeline.h"
#include "watchdog.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZED 1
#endif
#endif

TestSuite(watchdog, .timeout = 60);

static char report[16384], said[4096]; /* of the last run */

static child_end run(void (*body)(void *), void *argument, unsigned seconds)
{
    report[0] = '\0';
    FILE         *to = fmemopen(report, sizeof report - 1, "w");
    child_options options = {.seconds = seconds, .capture = true, .report = to};
    child_end     end = child_run(body, argument, &options);
    fclose(to);
    snprintf(said, sizeof said, "%s", end.said);
    free(end.said);
    return end;
}

static void exits(void *code) { _exit(*(int *)code); }

static void aborts(void *unused)
{
    (void)unused;
    fputs("a last word\n", stderr);
    abort();
}

Test(watchdog, tells_how_a_child_ended)
{
    child_end end = run(exits, &(int){0}, 30);
    cr_assert(!end.hung && end.code == 0 && end.signal == 0);
    end = run(exits, &(int){9}, 30);
    cr_assert(!end.hung && end.code == 9);
    end = run(aborts, NULL, 30);
    cr_assert(!end.hung && end.signal == SIGABRT && strstr(said, "a last word") != NULL);
    cr_assert(report[0] == '\0');
}

static gate never;

__attribute__((noinline)) static int stays_here(const void *in, void *out, void *context)
{
    (void)in;
    (void)out;
    (void)context;
    gate_pass(&never);
    return 0;
}

__attribute__((noinline)) static void waits_here(void *unused)
{
    (void)unused;
    uint64_t      item;
    async_reader *reader = TASK(pool_of(2), .source = range_of(0, 9), .each = stays_here);
    async_reader_read(reader, &item, 1, NULL, async_forever());
}

static size_t times(const char *text, const char *word)
{
    size_t count = 0;
    for (; (text = strstr(text, word)) != NULL; text++) { count++; }
    return count;
}

/* A worker blocks all signals; its stack is printed all the same. */
Test(watchdog, prints_all_stacks_of_a_hang)
{
    child_end end = run(waits_here, NULL, 2);
    cr_assert(end.hung && end.signal == SIGKILL);
    cr_assert(strstr(report, "stays_here") != NULL, "%s", report);
#ifdef THREAD_SANITIZED
    /* It has a thread of its own, and keeps a signal back while a thread is in a call that it does
     * not know: the sleeping reader does not answer, and its state is printed. */
    cr_assert(times(report, "  thread ") == 4, "%s", report);
    cr_assert(times(report, "waits in: ") == times(report, "did not answer"), "%s", report);
#else
    cr_assert(times(report, "  thread ") == 3, "%s", report);
    cr_assert(times(report, "did not answer") == 0, "%s", report);
    cr_assert(strstr(report, "waits_here") != NULL, "%s", report);
#endif
}

static void leaves_a_child(void *unused)
{
    (void)unused;
    if (fork() == 0) { gate_pass(&never); }
}

Test(watchdog, waits_for_what_the_child_forked)
{
    child_end end = run(leaves_a_child, NULL, 2);
    cr_assert(end.hung && end.code == 0, "%s", said);
    cr_assert(strstr(report, "gate_pass") != NULL, "%s", report);
}
