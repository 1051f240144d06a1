/* rows.h: rows of the fault list as tests, each in a child process with a deadline.
 *
 *     static const row rows[] = {
 *         { "F39", "one chunk wakes at most one of many workers", wake_storm },
 *         ...
 *     };
 *     ROWS(rows)
 *
 *     program                  every row, one after the other
 *     program F39 [N [SEED]]   the rows whose names begin so; N instead of the row's own number
 *     program -here F39 ...    the same in this process, for a debugger: no deadline
 *
 * A row that has not ended by its deadline has hung: the watchdog prints all stacks and the row
 * has failed. A row fails by ROW_CHECK, by a status other than 0, by a signal. The program ends
 * with 0, with 1 where a row failed, with 77 where every row was left out. */
#ifndef ABUSE_ROWS_H
#define ABUSE_ROWS_H

#include "watchdog.h"

#include <stdint.h>

typedef struct row {
    const char *name;
    const char *title;
    void (*run)(void);
    unsigned seconds; /* until it counts as hung; 0: 60 */
} row;

int rows_main(int argc, char **argv, const row *rows, size_t count);
#define ROWS(rows)                                                                                 \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return rows_main(argc, argv, (rows), sizeof(rows) / sizeof *(rows));                       \
    }

/* Within a row, any thread. */

/* The number that the row was given as an argument, else `usual`. */
uint64_t row_number(uint64_t usual);
/* The seed that it was given, else one of the clock's; printed when the row fails. */
uint64_t row_seed(void);
/* Something to be known of a run that passed: printed behind the row's name. */
void row_says(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Ends the row as left out. Only for want of a privilege or of hardware. */
_Noreturn void row_left_out(const char *format, ...) __attribute__((format(printf, 1, 2)));
_Noreturn void row_failed(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Under a sanitizer everything takes several times as long. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif
#if defined(__SANITIZE_THREAD__)
#define THREAD_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define THREAD_SANITIZED 1
#endif
#endif
#ifndef THREAD_SANITIZED
#define THREAD_SANITIZED 0
#endif

#define ROW_CHECK(condition)                                                                       \
    ((condition) ? (void)0 : row_failed(__FILE__, __LINE__, "not true: %s", #condition))

#define ROW_EQ(value, wanted)                                                                      \
    do {                                                                                           \
        unsigned long long row_value = (unsigned long long)(value);                                \
        unsigned long long row_wanted = (unsigned long long)(wanted);                              \
        if (row_value != row_wanted) {                                                             \
            row_failed(__FILE__, __LINE__, "%s is %llu, not %llu (%s)", #value, row_value,         \
                       row_wanted, #wanted);                                                       \
        }                                                                                          \
    } while (0)

#define ROW_LE(value, limit)                                                                       \
    do {                                                                                           \
        unsigned long long row_value = (unsigned long long)(value);                                \
        unsigned long long row_limit = (unsigned long long)(limit);                                \
        if (row_value > row_limit) {                                                               \
            row_failed(__FILE__, __LINE__, "%s is %llu, more than %llu (%s)", #value, row_value,   \
                       row_limit, #limit);                                                         \
        }                                                                                          \
    } while (0)

/* For async_status. */
#define ROW_STATUS(value, wanted)                                                                  \
    do {                                                                                           \
        async_status row_value = (value), row_wanted = (wanted);                                   \
        if (row_value != row_wanted) {                                                             \
            row_failed(__FILE__, __LINE__, "%s is %s, not %s", #value,                             \
                       async_status_name(row_value), async_status_name(row_wanted));               \
        }                                                                                          \
    } while (0)

#endif
