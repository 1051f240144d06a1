/* criterion.h: the part of Criterion that the tests use, for builds that cannot have Criterion:
 * under ThreadSanitizer, where it does not start, and for machines that are only emulated here.
 * The same test sources compile with either.
 *
 * Each test runs in a child of its own, which ends at the first assertion that does not hold; a
 * signal that was not asked for, a status that is not 0 (a sanitizer's, too) and a child that
 * takes too long fail it as well. Assertions are for the thread of the test, as Criterion's are.
 *
 * PROGRAM [--filter SUITE/NAME] [--timeout SECONDS] [--list] */
#ifndef TWIN_CRITERION_H
#define TWIN_CRITERION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The names of the fields are Criterion's. */
struct twin_options {
    int    signal;    /* that the test must end with; 0: none */
    int    exit_code; /* or the status */
    double timeout;   /* seconds; 0: the program's */
    bool   disabled;
    void (*init)(void);
    void (*fini)(void);
    const char *description;
};

struct twin_test {
    const char *suite, *name, *file;
    void (*body)(void);
    struct twin_options options;
    struct twin_test   *next;
};

/* What holds for the tests of a suite, where they say nothing else. */
struct twin_suite {
    const char         *name;
    struct twin_options options;
    struct twin_suite  *next;
};

void           twin_add(struct twin_test *test);
void           twin_add_suite(struct twin_suite *suite);
_Noreturn void twin_fail(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
_Noreturn void twin_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define Test(suite_, name_, ...)                                                                   \
    static void                              suite_##_##name_##_body(void);                        \
    __attribute__((constructor)) static void suite_##_##name_##_add(void)                          \
    {                                                                                              \
        static struct twin_test test = {                                                           \
            .suite = #suite_,                                                                      \
            .name = #name_,                                                                        \
            .file = __FILE__,                                                                      \
            .body = suite_##_##name_##_body,                                                       \
            .options = {__VA_ARGS__},                                                              \
        };                                                                                         \
        twin_add(&test);                                                                           \
    }                                                                                              \
    static void suite_##_##name_##_body(void)

#define TestSuite(name_, ...)                                                                      \
    __attribute__((constructor)) static void name_##_suite_add(void)                               \
    {                                                                                              \
        static struct twin_suite suite = {.name = #name_, .options = {__VA_ARGS__}};               \
        twin_add_suite(&suite);                                                                    \
    }                                                                                              \
    struct twin_suite

/* What follows the condition is a format and its arguments, or nothing. */
#define TWIN_ASSERT(condition, text, ...)                                                          \
    ((condition) ? (void)0 : twin_fail(__FILE__, __LINE__, text, " " __VA_ARGS__))

#define cr_assert(condition, ...)     TWIN_ASSERT(condition, #condition, __VA_ARGS__)
#define cr_assert_not(condition, ...) TWIN_ASSERT(!(condition), "!(" #condition ")", __VA_ARGS__)
#define cr_assert_fail(...)           twin_fail(__FILE__, __LINE__, "fail", " " __VA_ARGS__)

#define cr_assert_eq(a, b, ...)  TWIN_ASSERT((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) TWIN_ASSERT((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)  TWIN_ASSERT((a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) TWIN_ASSERT((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)  TWIN_ASSERT((a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) TWIN_ASSERT((a) >= (b), #a " >= " #b, __VA_ARGS__)

#define cr_assert_null(a, ...)     TWIN_ASSERT((a) == NULL, #a " == NULL", __VA_ARGS__)
#define cr_assert_not_null(a, ...) TWIN_ASSERT((a) != NULL, #a " != NULL", __VA_ARGS__)

#define cr_assert_str_eq(a, b, ...)                                                                \
    TWIN_ASSERT(strcmp((a), (b)) == 0, #a " is the string " #b, __VA_ARGS__)
#define cr_assert_str_neq(a, b, ...)                                                               \
    TWIN_ASSERT(strcmp((a), (b)) != 0, #a " is not the string " #b, __VA_ARGS__)
#define cr_assert_str_not_empty(a, ...) TWIN_ASSERT((a)[0] != '\0', #a " is not empty", __VA_ARGS__)
#define cr_assert_arr_eq(a, b, size, ...)                                                          \
    TWIN_ASSERT(memcmp((a), (b), (size)) == 0, #a " has the bytes of " #b, __VA_ARGS__)

#define cr_skip_test(...) twin_skip(" " __VA_ARGS__)

#endif
