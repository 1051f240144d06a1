/* expect.h: short assertions for the Criterion tests. Each message carries the note, which says
 * with what sizes the test is being tried. For the thread of the test only. */
#ifndef SUPPORT_EXPECT_H
#define SUPPORT_EXPECT_H

#include "pipeline.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <stdio.h>

static char expect_note[160];
#define NOTE(...) ((void)snprintf(expect_note, sizeof expect_note, __VA_ARGS__))

/* A test that is tried with every size of a pool: the body has `unsigned n`. */
#define TestEachSize(suite, name)                                                                  \
    static void suite##_##name##_of(unsigned n);                                                   \
    Test(suite, name, .timeout = 30)                                                               \
    {                                                                                              \
        EACH_SIZE (n) {                                                                            \
            NOTE("N = %u", n);                                                                     \
            suite##_##name##_of(n);                                                                \
        }                                                                                          \
    }                                                                                              \
    static void suite##_##name##_of(unsigned n)

#define CHECK(condition) cr_assert((condition), "[%s] not true: %s", expect_note, #condition)

#define CHECK_EQ(value, wanted)                                                                    \
    do {                                                                                           \
        uint64_t check_value = (uint64_t)(value), check_wanted = (uint64_t)(wanted);               \
        cr_assert(check_value == check_wanted, "[%s] %s is %" PRIu64 ", not %" PRIu64,             \
                  expect_note, #value, check_value, check_wanted);                                 \
    } while (0)

#define CHECK_LE(value, limit)                                                                     \
    do {                                                                                           \
        uint64_t check_value = (uint64_t)(value), check_limit = (uint64_t)(limit);                 \
        cr_assert(check_value <= check_limit, "[%s] %s is %" PRIu64 ", more than %" PRIu64,        \
                  expect_note, #value, check_value, check_limit);                                  \
    } while (0)

#define CHECK_STATUS(value, wanted)                                                                \
    do {                                                                                           \
        async_status check_status = (value), check_wanted = (wanted);                              \
        cr_assert(check_status == check_wanted, "[%s] %s is %s, not %s", expect_note, #value,      \
                  async_status_name(check_status), async_status_name(check_wanted));               \
    } while (0)

/* Becomes true soon. */
#define CHECK_SOON(condition)                                                                      \
    cr_assert(UNTIL(SOON, condition), "[%s] never true: %s", expect_note, #condition)
/* Stays true for a while. */
#define CHECK_STAYS(ms, condition)                                                                 \
    cr_assert(!UNTIL(ms, !(condition)), "[%s] did not stay true: %s", expect_note, #condition)

/* Reads `count` items and expects that many of them with that status. */
#define CHECK_READ(reader, items, count, wait, wanted_status, wanted_got)                          \
    do {                                                                                           \
        size_t       check_got = SIZE_MAX, check_count = (wanted_got);                             \
        async_status check_status = async_reader_read((reader), (items), (count), &check_got,      \
                                                      (wait));                                     \
        cr_assert(check_status == (wanted_status) && check_got == check_count,                     \
                  "[%s] line %d, reading %s: %s with %zu items, not %s with %zu", expect_note,     \
                  __LINE__, #count, async_status_name(check_status), check_got,                    \
                  async_status_name(wanted_status), check_count);                                  \
    } while (0)

/* items[0 .. count) are the numbers first, first + 1, … */
#define CHECK_RISING(items, first, count)                                                          \
    do {                                                                                           \
        for (size_t check_at = 0; check_at < (count); check_at++) {                                \
            cr_assert((items)[check_at] == (first) + check_at,                                     \
                      "[%s] line %d: item %zu is %" PRIu64 ", not %" PRIu64, expect_note,          \
                      __LINE__, check_at, (items)[check_at], (uint64_t)((first) + check_at));      \
        }                                                                                          \
    } while (0)

/* items[0 .. count) are the numbers first, first + 1, …, each once, in any order. */
#define CHECK_SET(items, first, count)                                                             \
    do {                                                                                           \
        ledger check_ledger;                                                                       \
        ledger_make(&check_ledger, (first) + (count));                                             \
        ledger_add(&check_ledger, (items), (count));                                               \
        size_t check_once = ledger_count(&check_ledger, (first), (first) + (count), 1);            \
        ledger_free(&check_ledger);                                                                \
        cr_assert(check_once == (count),                                                           \
                  "[%s] line %d: %zu of the %zu numbers from %" PRIu64 " on are there once",       \
                  expect_note, __LINE__, check_once, (size_t)(count), (uint64_t)(first));          \
    } while (0)

#endif
