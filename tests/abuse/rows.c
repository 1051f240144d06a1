/* rows.c: see rows.h. */
#include "rows.h"

#include "pipeline.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LEFT_OUT 77

static const row  *current;
static uint64_t    number, seed;
static bool        number_given;
static atomic_bool seed_used;

uint64_t row_number(uint64_t usual) { return number_given ? number : usual; }

uint64_t row_seed(void)
{
    atomic_store(&seed_used, true);
    return seed;
}

void row_says(const char *format, ...)
{
    char    text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    printf("      %s\n", text);
}

void row_left_out(const char *format, ...)
{
    char    text[512];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    watched_skip("      left out: %s", text);
}

/* Where the seed was used, it is part of the message. */
void row_failed(const char *file, int line, const char *format, ...)
{
    char    text[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (atomic_load(&seed_used)) {
        watched_failed(file, line, "%s: %s (seed %" PRIu64 ")", current->name, text, seed);
    }
    watched_failed(file, line, "%s: %s", current->name, text);
}

static void nothing(void *argument) { (void)argument; }

/* ThreadSanitizer has a thread of its own from a process's first thread on: so that rows which
 * count threads find it from the start, there is a first one before each. */
static void run_current(void *argument)
{
    thread first = {0};
    (void)argument;
    thread_start(&first, nothing, NULL);
    thread_join(&first);
    current->run();
}

/* F3 names "F3" and "F3 fast", not "F30". */
static bool named(const row *r, const char *wanted)
{
    size_t length = strlen(wanted);
    if (length == 0) { return true; }
    if (strncmp(r->name, wanted, length) != 0) { return false; }
    return r->name[length] < '0' || r->name[length] > '9';
}

enum verdict { PASSED, FAILED, OMITTED };

static enum verdict run_row(const char *program)
{
    child_options options = {.seconds = current->seconds};
    printf("%-5s %s\n", current->name, current->title);
    fflush(NULL);
    uint64_t  start = now_ms();
    child_end end = child_run(run_current, NULL, &options);
    unsigned  took = (unsigned)(now_ms() - start);
    if (!end.hung && end.code == LEFT_OUT) { return OMITTED; }
    if (!end.hung && end.code == 0) {
        printf("      passed, %u ms\n", took);
        return PASSED;
    }
    printf("      FAILED: %s, exit status %d, signal %d, %u ms; again: %s %s\n",
           end.hung ? "hung" : "ended the wrong way", end.code, end.signal, took, program,
           current->name);
    return FAILED;
}

int rows_main(int argc, char **argv, const row *rows, size_t count)
{
    const char *program = argv[0];
    bool        here = argc > 1 && strcmp(argv[1], "-here") == 0;
    if (here) {
        argc--;
        argv++;
    }
    const char *wanted = argc > 1 ? argv[1] : "";
    number_given = argc > 2;
    if (number_given) { number = strtoull(argv[2], NULL, 0); }
    seed = argc > 3 ? strtoull(argv[3], NULL, 0) : now_ns();

    unsigned done[3] = {0, 0, 0};
    for (size_t i = 0; i < count; i++) {
        if (!named(&rows[i], wanted)) { continue; }
        current = &rows[i];
        if (here) {
            current->run();
            done[PASSED]++;
        } else {
            done[run_row(program)]++;
        }
        fflush(NULL);
    }
    printf("%u passed, %u failed, %u left out\n", done[PASSED], done[FAILED], done[OMITTED]);
    if (done[PASSED] + done[FAILED] + done[OMITTED] == 0) {
        fprintf(stderr, "there is no row \"%s\"\n", wanted);
        return 2;
    }
    if (done[FAILED] != 0) { return 1; }
    return done[PASSED] == 0 ? LEFT_OUT : 0;
}
