/* mem.h: memory that is not items.
 * Layer: 0 */
#ifndef ASYNC_RUNTIME_MEM_H
#define ASYNC_RUNTIME_MEM_H

#include "cc.h"

/* Zeroed, aligned to `alignment` (a power of two; at least that of max_align_t is given). NULL:
 * there is none. */
void *mem_zalloc(size_t size, size_t alignment);
void  mem_free(void *memory);

/* Gives pages of freed memory back to the system, where the C library can. Takes the allocator's
 * locks, and milliseconds. */
void mem_trim(void);

/* a * b, or a + b, into *result; false where it overflows. */
static inline bool size_mul(size_t a, size_t b, size_t *result)
{
    return !__builtin_mul_overflow(a, b, result);
}
static inline bool size_add(size_t a, size_t b, size_t *result)
{
    return !__builtin_add_overflow(a, b, result);
}

#endif
