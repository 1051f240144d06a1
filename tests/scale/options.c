/* options.c: lists of numbers as they are given on the command line. */
#include "options.h"

#include <criterion/criterion.h>

#include <string.h>

static uint64_t values[MOST_LIST];
static size_t   count;

static const char *list(const char *text) { return options_list(text, 0, 1024, values, &count); }

Test(options, lists_are_sorted_and_each_number_is_there_once)
{
    cr_assert_null(list("4,1,2-5,1"));
    const uint64_t expected[] = {1, 2, 3, 4, 5};
    cr_assert_eq(count, 5);
    cr_assert_arr_eq(values, expected, sizeof expected);
    cr_assert_null(list("0"));
    cr_assert_eq(count, 1);
    cr_assert_null(list("1024"));
    cr_assert_null(list("7-7"));
    cr_assert_eq(count, 1);
}

Test(options, what_is_no_list_is_refused)
{
    static const char *const bad[] = {"",   ",",    "1,",   ",1",   "a",    "1a",  "-1",
                                      "1-", "1--2", "1,,2", "1 ,2", "0x10", "1.5", "1-2-3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_not_null(list(bad[i]), "'%s' is taken", bad[i]);
    cr_assert_not_null(strstr(list("1025"), "out of range"));
    cr_assert_not_null(strstr(list("1-99999999999999999999"), "list of numbers"));
    cr_assert_not_null(strstr(list("5-1"), "backwards"));
    cr_assert_not_null(strstr(list("1-65"), "more than 64"));
    cr_assert_null(list("1-64"));
    cr_assert_not_null(strstr(options_list("0", 1, 9, values, &count), "out of range"));
}
