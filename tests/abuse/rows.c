/* rows.c: see rows.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* pipe2 */
#endif

#include "rows.h"

#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LEFT_OUT 77
#define USUAL_SECONDS 60
/* The watchdog has its say first, then the process is killed. */
#define GRACE_SECONDS 20

static const char *row_name = "";
static uint64_t    number, seed;
static bool        number_given;
static atomic_bool seed_used;

uint64_t row_number(uint64_t usual)
{
    return number_given ? number : usual;
}

uint64_t row_seed(void)
{
    atomic_store(&seed_used, true);
    return seed;
}

void row_left_out(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%s left out: ", row_name);
    (void)vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
    _exit(LEFT_OUT);
}

void row_failed(const char *file, int line, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s: %s:%d: %s\n", row_name, file, line, text);
    if (atomic_load(&seed_used)) { fprintf(stderr, "%s: the seed is %" PRIu64 "\n", row_name, seed); }
    fflush(NULL);
    _exit(1);
}

/* ── Children ────────────────────────────────────────────────────────────────────────────────── */

/* In the child: dies with its parent, and is shown when it hangs. */
static void settle(unsigned seconds)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)seconds;
}

/* Waits for the child's end until then; kills it when it has not come. */
static void wait_end(ending *e, pid_t child, uint64_t end_ms)
{
    int status = 0;
    pid_t got;
    while ((got = waitpid(child, &status, WNOHANG)) == 0) {
        if (now_ms() >= end_ms) {
            e->hung = true;
            kill(child, SIGKILL);
            got = waitpid(child, &status, 0);
            break;
        }
        sleep_ms(2);
    }
    if (got != child) { give_up("waitpid: %s", strerror(errno)); }
    e->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    e->status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void child_run(ending *e, void (*body)(void *arg), void *arg, unsigned seconds)
{
    *e = (ending){ .status = -1 };
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) != 0) { give_up("pipe2: %s", strerror(errno)); }
    fflush(NULL);
    uint64_t end = now_ms() + (uint64_t)(seconds + GRACE_SECONDS) * 1000;
    pid_t child = fork();
    if (child < 0) { give_up("fork: %s", strerror(errno)); }
    if (child == 0) {
        dup2(pipe_ends[1], STDOUT_FILENO);
        dup2(pipe_ends[1], STDERR_FILENO);
        close(pipe_ends[0]);
        close(pipe_ends[1]);
        settle(seconds);
        body(arg);
        exit(0);
    }
    close(pipe_ends[1]);
    size_t length = 0;
    for (bool open = true; open && now_ms() < end;) {
        struct pollfd look = { .fd = pipe_ends[0], .events = POLLIN };
        int ready = poll(&look, 1, 50);
        if (ready < 0 && errno != EINTR) { give_up("poll: %s", strerror(errno)); }
        if (ready <= 0) { continue; }
        char text[1024];
        ssize_t got = read(pipe_ends[0], text, sizeof text);
        if (got == 0) { open = false; }
        if (got < 0 && errno != EINTR) { give_up("read: %s", strerror(errno)); }
        if (got <= 0) { continue; }
        size_t room = sizeof e->text - 1 - length;
        size_t kept = (size_t)got < room ? (size_t)got : room;
        memcpy(e->text + length, text, kept);
        length += kept;
    }
    close(pipe_ends[0]);
    wait_end(e, child, end);
    if (e->hung) { fprintf(stderr, "%s: a child hung:\n%s\n", row_name, e->text); }
}

/* ── Rows ────────────────────────────────────────────────────────────────────────────────────── */

enum verdict { PASSED, OMITTED, FAILED };

static enum verdict run_row(const row *r)
{
    unsigned seconds = r->seconds != 0 ? r->seconds : USUAL_SECONDS;
    row_name = r->name;
    printf("%-5s %s\n", r->name, r->title);
    fflush(NULL);
    uint64_t start = now_ms();
    pid_t child = fork();
    if (child < 0) { give_up("fork: %s", strerror(errno)); }
    if (child == 0) {
        settle(seconds);
        r->run();
        exit(0);
    }
    ending e = { .status = -1 };
    wait_end(&e, child, start + (uint64_t)(seconds + GRACE_SECONDS) * 1000);
    unsigned took = (unsigned)(now_ms() - start);
    if (e.status == LEFT_OUT) { return OMITTED; }
    if (e.status == 0) {
        printf("%-5s passed, %u ms\n", r->name, took);
        return PASSED;
    }
    if (e.hung) {
        printf("%-5s FAILED: still there after %u ms\n", r->name, took);
    } else if (e.signal != 0) {
        printf("%-5s FAILED: ended by signal %d after %u ms\n", r->name, e.signal, took);
    } else {
        printf("%-5s FAILED: status %d after %u ms\n", r->name, e.status, took);
    }
    return FAILED;
}

/* F3 names "F3" and "F3 fast", not "F30". */
static bool named(const row *r, const char *wanted)
{
    size_t length = strlen(wanted);
    if (length == 0) { return true; }
    if (strncmp(r->name, wanted, length) != 0) { return false; }
    return r->name[length] < '0' || r->name[length] > '9';
}

int rows_main(int argc, char **argv, const row *rows, size_t count)
{
    const char *program = argv[0];
    bool here = argc > 1 && strcmp(argv[1], "-here") == 0;
    if (here) {
        argc--;
        argv++;
    }
    const char *wanted = argc > 1 ? argv[1] : "";
    number_given = argc > 2;
    if (number_given) { number = strtoull(argv[2], NULL, 0); }
    seed = argc > 3 ? strtoull(argv[3], NULL, 0) : now_ns();

    unsigned done[3] = { 0, 0, 0 };
    for (size_t i = 0; i < count; i++) {
        if (!named(&rows[i], wanted)) { continue; }
        if (here) {
            row_name = rows[i].name;
            rows[i].run();
            done[PASSED]++;
            continue;
        }
        enum verdict verdict = run_row(&rows[i]);
        done[verdict]++;
        if (verdict == FAILED) { printf("      again: %s %s\n", program, rows[i].name); }
        fflush(stdout);
    }
    printf("%u passed, %u failed, %u left out\n", done[PASSED], done[FAILED], done[OMITTED]);
    if (done[PASSED] + done[FAILED] + done[OMITTED] == 0) {
        fprintf(stderr, "there is no row \"%s\"\n", wanted);
        return 2;
    }
    if (done[FAILED] != 0) { return 1; }
    return done[PASSED] == 0 ? LEFT_OUT : 0;
}
