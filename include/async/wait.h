/* wait.h: how long a call may wait. */
#ifndef ASYNC_WAIT_H
#define ASYNC_WAIT_H

#include <async/export.h>

#include <stdint.h>

typedef enum async_wait_kind {
    ASYNC_WAIT_NOW, /* not at all; all zero */
    ASYNC_WAIT_FOREVER,
    ASYNC_WAIT_PER_ITEM, /* value: milliseconds, starting anew with every item */
    ASYNC_WAIT_UNTIL     /* value: nanoseconds of CLOCK_MONOTONIC */
} async_wait_kind;

/* Passed by value. Make it with one of the functions below. */
typedef struct async_wait {
    async_wait_kind kind;
    uint64_t        value;
} async_wait;

ASYNC_EXTERN_BEGIN

/* forever: until the call is done. now: not at all. per_item_ms: at most `ms` milliseconds for
 * each item, the clock starting anew with every item. within_ms: at most `ms` milliseconds for
 * the whole call, counted from now. until_ns: until CLOCK_MONOTONIC reads `monotonic_ns`
 * nanoseconds; a time that has passed is a wait that is over. Sums that overflow mean forever.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API async_wait async_forever(void);
ASYNC_API async_wait async_now(void);
ASYNC_API async_wait async_per_item_ms(uint64_t ms);
ASYNC_API async_wait async_within_ms(uint64_t ms);
ASYNC_API async_wait async_until_ns(uint64_t monotonic_ns);

ASYNC_EXTERN_END

#endif
