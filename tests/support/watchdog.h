/* watchdog.h: tests in child processes, which may crash, hang or fork. Where one does not end in
 * time, the stacks of all threads of it and of its own children are printed, then all are killed.
 *
 * A program of such tests is a table and a main:
 *
 *     static const watched cases[] = {{"F44_destroy_from_a_worker", f44_destroy}, ...};
 *     int main(int argc, char **argv) { return WATCHED_MAIN(argc, argv, cases); }
 *
 * Each case runs in a process of its own that is made while there is one thread only, so all of
 * it works under every sanitizer. Arguments: -l lists the cases, others choose those whose names
 * begin so. */
#ifndef SUPPORT_WATCHDOG_H
#define SUPPORT_WATCHDOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* ---- one child ---- */

typedef struct child_options {
    unsigned seconds; /* 0: 60 */
    bool     capture; /* keep what it writes to stderr */
    FILE    *report;  /* of a hang; NULL: stderr */
} child_options;

typedef struct child_end {
    bool  hung;
    int   code;   /* exit status; -1: it ended by a signal */
    int   signal; /* 0: it ended by itself */
    char *said;   /* captured, for the caller to free */
} child_end;

/* Runs body(argument) in a child, then exit(0) there; waits for it and for all that it forked. */
child_end child_run(void (*body)(void *argument), void *argument, const child_options *options);

/* ---- a program of them ---- */

typedef struct watched {
    const char *name; /* begins with the number of its row */
    void (*body)(void);
    unsigned    seconds; /* 0: 60 */
    int         signal;  /* the child must end by it; 0: by exit status 0 */
    const char *says;    /* and must have written this to stderr; NULL: no matter what */
} watched;

int watched_main(int argc, char **argv, const watched *cases, size_t count);
#define WATCHED_MAIN(argc, argv, cases)                                                            \
    watched_main((argc), (argv), (cases), sizeof(cases) / sizeof(cases)[0])

/* ---- inside a child ---- */

/* This machine cannot run the case: says why; the program ends with 77 where nothing failed. */
_Noreturn void watched_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

_Noreturn void watched_failed(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* From any thread, in the child or in a child of it. */
#define WANT(condition)                                                                            \
    ((condition) ? (void)0 : watched_failed(__FILE__, __LINE__, "not true: %s", #condition))

#define WANT_EQ(value, wanted)                                                                     \
    do {                                                                                           \
        unsigned long long want_value = (unsigned long long)(value);                               \
        unsigned long long want_wanted = (unsigned long long)(wanted);                             \
        if (want_value != want_wanted) {                                                           \
            watched_failed(__FILE__, __LINE__, "%s is %llu, not %llu", #value, want_value,         \
                           want_wanted);                                                           \
        }                                                                                          \
    } while (0)

#define WANT_STATUS(value, wanted)                                                                 \
    do {                                                                                           \
        async_status want_value = (value), want_wanted = (wanted);                                 \
        if (want_value != want_wanted) {                                                           \
            watched_failed(__FILE__, __LINE__, "%s is %s, not %s", #value,                         \
                           async_status_name(want_value), async_status_name(want_wanted));         \
        }                                                                                          \
    } while (0)

#endif
