/* test_status.c: names and texts (runtime/status.c), the version (version.c) and how waits are made
 * (wait_public.c). */
#include <async/async.h>

#include "os.h"

#include <criterion/criterion.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

Test(status, every_status_has_a_name_and_a_text)
{
#define NAMED(name, text)                                                                          \
    cr_assert_str_eq(async_status_name(ASYNC_##name), #name);                                      \
    cr_assert_str_eq(async_status_text(ASYNC_##name), text);
    ASYNC_STATUS_MAP(NAMED)
#undef NAMED
}

Test(status, names_and_texts_are_all_different)
{
    for (int i = 0; i <= ASYNC_SYSTEM; i++) {
        async_status one = (async_status)i;
        cr_assert_str_not_empty(async_status_text(one));
        for (int k = 0; k < i; k++) {
            async_status other = (async_status)k;
            cr_assert_str_neq(async_status_name(one), async_status_name(other));
            cr_assert_str_neq(async_status_text(one), async_status_text(other));
        }
    }
}

Test(status, other_numbers_are_unknown)
{
    const int others[] = {ASYNC_SYSTEM + 1, 1000, -1, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        async_status status;
        memcpy(&status, &others[i], sizeof status); /* what a careless caller may pass */
        cr_assert_str_eq(async_status_name(status), "UNKNOWN");
        cr_assert_str_eq(async_status_text(status), "unknown status");
    }
}

/* The numbers are part of the ABI. */
Test(status, numbers_stay)
{
    cr_assert_eq(ASYNC_OK, 0);
    cr_assert_eq(ASYNC_END, 1);
    cr_assert_eq(ASYNC_TIMEOUT, 2);
    cr_assert_eq(ASYNC_CLOSED, 3);
    cr_assert_eq(ASYNC_CANCELLED, 4);
    cr_assert_eq(ASYNC_FAILED, 5);
    cr_assert_eq(ASYNC_INVALID, 6);
    cr_assert_eq(ASYNC_NO_MEMORY, 7);
    cr_assert_eq(ASYNC_CYCLE, 8);
    cr_assert_eq(ASYNC_BUSY, 9);
    cr_assert_eq(ASYNC_DEADLOCK, 10);
    cr_assert_eq(ASYNC_UNSUPPORTED, 11);
    cr_assert_eq(ASYNC_SYSTEM, 12);
}

Test(version, is_that_of_the_headers)
{
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", ASYNC_VERSION_MAJOR, ASYNC_VERSION_MINOR,
             ASYNC_VERSION_PATCH);
    cr_assert_str_eq(async_version(), version);
    cr_assert_str_eq(async_version(), ASYNC_VERSION_STRING);
}

/* ── Waits ───────────────────────────────────────────────────────────────────────────────────── */

#define NS_PER_MS UINT64_C(1000000)

static void is(async_wait wait, async_wait_kind kind, uint64_t value)
{
    cr_assert_eq(wait.kind, kind);
    cr_assert_eq(wait.value, value);
}

Test(wait, each_kind)
{
    is(async_now(), ASYNC_WAIT_NOW, 0);
    is((async_wait){0}, ASYNC_WAIT_NOW, 0);
    is(async_forever(), ASYNC_WAIT_FOREVER, 0);
    is(async_per_item_ms(0), ASYNC_WAIT_PER_ITEM, 0);
    is(async_per_item_ms(200), ASYNC_WAIT_PER_ITEM, 200);
    is(async_until_ns(0), ASYNC_WAIT_UNTIL, 0);
    is(async_until_ns(12345), ASYNC_WAIT_UNTIL, 12345);
    is(async_until_ns(UINT64_MAX), ASYNC_WAIT_UNTIL, OS_NEVER);
}

Test(wait, within_counts_from_now)
{
    const uint64_t spans[] = {0, 1, 1000, 86400000};
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        uint64_t   before = os_now_ns();
        async_wait wait = async_within_ms(spans[i]);
        uint64_t   after = os_now_ns();
        cr_assert_eq(wait.kind, ASYNC_WAIT_UNTIL);
        cr_assert_geq(wait.value, before + spans[i] * NS_PER_MS);
        cr_assert_leq(wait.value, after + spans[i] * NS_PER_MS);
    }
}

/* F17: what 64 bits of nanoseconds cannot hold does not come. */
Test(wait, F17_overflow_is_forever)
{
    is(async_within_ms(UINT64_MAX), ASYNC_WAIT_FOREVER, 0);
    is(async_within_ms(UINT64_MAX / NS_PER_MS + 1), ASYNC_WAIT_FOREVER, 0);
    is(async_within_ms(UINT64_MAX / NS_PER_MS), ASYNC_WAIT_FOREVER, 0);
    is(async_per_item_ms(UINT64_MAX), ASYNC_WAIT_FOREVER, 0);
    is(async_per_item_ms(UINT64_MAX / NS_PER_MS + 1), ASYNC_WAIT_FOREVER, 0);
    cr_assert_eq(async_within_ms((uint64_t)INT64_MAX / NS_PER_MS).kind, ASYNC_WAIT_UNTIL);
}
