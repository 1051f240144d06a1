/* wait_public.c: how the public waits are made. A time that 64 bits of nanoseconds cannot hold
 * (584 years from boot) does not come: such a wait is forever.
 * Layer: 4 */
#include "os.h"

#include <async/wait.h>

#define NS_PER_MS UINT64_C(1000000)

async_wait async_forever(void) { return (async_wait){ASYNC_WAIT_FOREVER, 0}; }

async_wait async_now(void) { return (async_wait){ASYNC_WAIT_NOW, 0}; }

async_wait async_per_item_ms(uint64_t ms)
{
    if (ms > UINT64_MAX / NS_PER_MS) { return async_forever(); }
    return (async_wait){ASYNC_WAIT_PER_ITEM, ms};
}

async_wait async_within_ms(uint64_t ms)
{
    uint64_t ns, deadline;
    if (__builtin_mul_overflow(ms, NS_PER_MS, &ns)) { return async_forever(); }
    if (__builtin_add_overflow(os_now_ns(), ns, &deadline)) { return async_forever(); }
    return async_until_ns(deadline);
}

async_wait async_until_ns(uint64_t monotonic_ns)
{
    return (async_wait){ASYNC_WAIT_UNTIL, monotonic_ns};
}
