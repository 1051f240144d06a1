/* twin.c: the main program of the tests that are built without Criterion. */
#include "criterion/criterion.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_SECONDS 60
#define FAILED_STATUS   99 /* an assertion did not hold */
#define SKIPPED_STATUS  77

static struct twin_test  *first, **last = &first;
static struct twin_suite *suites;

void twin_add(struct twin_test *test)
{
    *last = test;
    last = &test->next;
}

void twin_add_suite(struct twin_suite *suite)
{
    suite->next = suites;
    suites = suite;
}

/* The test's own options, and its suite's where it has none. */
static struct twin_options options_of(const struct twin_test *test)
{
    struct twin_options      options = test->options;
    const struct twin_suite *suite = suites;
    while (suite != NULL && strcmp(suite->name, test->suite) != 0) { suite = suite->next; }
    if (suite == NULL) { return options; }
    const struct twin_options *common = &suite->options;
    if (options.signal == 0) { options.signal = common->signal; }
    if (options.exit_code == 0) { options.exit_code = common->exit_code; }
    if (!(options.timeout > 0)) { options.timeout = common->timeout; }
    if (options.init == NULL) { options.init = common->init; }
    if (options.fini == NULL) { options.fini = common->fini; }
    options.disabled = options.disabled || common->disabled;
    return options;
}

void twin_fail(const char *file, int line, const char *condition, const char *format, ...)
{
    va_list arguments;
    fflush(stdout);
    fprintf(stderr, "%s:%d: not so: %s", file, line, condition);
    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    fflush(stderr);
    _exit(FAILED_STATUS);
}

void twin_skip(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("skipped:");
    (void)vprintf(format, arguments);
    putchar('\n');
    va_end(arguments);
    fflush(stdout);
    _exit(SKIPPED_STATUS);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Waits for the child; it is killed when the time is over. Whether it ended by itself. */
static bool await(pid_t child, double timeout, int *status)
{
    double end = now() + timeout;
    while (waitpid(child, status, WNOHANG) == 0) {
        if (now() > end) {
            kill(child, SIGKILL);
            while (waitpid(child, status, 0) < 0 && errno == EINTR) {}
            return false;
        }
        poll(NULL, 0, 1);
    }
    return true;
}

static void *no_work(void *argument) { return argument; }

/* What the test's process has before the test: ThreadSanitizer runs a thread of its own, which
 * comes with the first thread that is made, and is in no way the test's. */
static void settle(void)
{
    pthread_t thread;
    if (pthread_create(&thread, NULL, no_work, NULL) == 0) { pthread_join(thread, NULL); }
}

/* Runs the test in a child. 'p' passed, 'f' failed, 's' skipped. */
static char run(const struct twin_test *test, double timeout)
{
    const struct twin_options of_test = options_of(test), *options = &of_test;
    if (options->disabled) { return 's'; }
    fflush(stdout);
    fflush(stderr);
    pid_t child = fork();
    if (child < 0) {
        perror("fork");
        exit(1);
    }
    if (child == 0) {
        settle();
        if (options->init != NULL) { options->init(); }
        test->body();
        if (options->fini != NULL) { options->fini(); }
        exit(0);
    }
    int status = 0;
    timeout = options->timeout > 0 ? options->timeout : timeout;
    if (!await(child, timeout, &status)) {
        printf("%s/%s: still running after %g s\n", test->suite, test->name, timeout);
        return 'f';
    }
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    if (code == SKIPPED_STATUS) { return 's'; }
    if (signal == options->signal && code == options->exit_code) { return 'p'; }
    if (code != FAILED_STATUS) {
        printf("%s/%s: ended with signal %d and status %d, not %d and %d\n", test->suite,
               test->name, signal, code, options->signal, options->exit_code);
    }
    return 'f';
}

static bool wanted(const struct twin_test *test, const char *filter)
{
    if (filter == NULL) { return true; }
    char name[256];
    (void)snprintf(name, sizeof name, "%s/%s", test->suite, test->name);
    return strcmp(name, filter) == 0;
}

int main(int argc, char **argv)
{
    const char *filter = NULL;
    double      timeout = TIMEOUT_SECONDS;
    bool        list = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc) {
            filter = argv[++i];
        } else if (strcmp(argv[i], "--timeout") == 0 && i + 1 < argc) {
            timeout = atof(argv[++i]);
        } else if (strcmp(argv[i], "--list") == 0) {
            list = true;
        } else {
            fprintf(stderr, "%s [--filter SUITE/NAME] [--timeout SECONDS] [--list]\n", argv[0]);
            return 2;
        }
    }
    unsigned passed = 0, failed = 0, skipped = 0;
    for (const struct twin_test *test = first; test != NULL; test = test->next) {
        if (!wanted(test, filter)) { continue; }
        if (list) {
            printf("%s/%s\n", test->suite, test->name);
            continue;
        }
        double begin = now();
        char   result = run(test, timeout);
        printf("[%s] %s/%s (%.2f s)\n",
               result == 'p'   ? "pass"
               : result == 's' ? "skip"
                               : "FAIL",
               test->suite, test->name, now() - begin);
        passed += result == 'p';
        failed += result == 'f';
        skipped += result == 's';
    }
    if (list) { return 0; }
    printf("%u passed, %u failed, %u skipped\n", passed, failed, skipped);
    return failed > 0 || passed + skipped == 0;
}
