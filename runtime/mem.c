/* mem.c: memory that is not items. See mem.h.
 *
 * All of it goes through mem_zalloc, so that a test which makes the n-th allocation fail has one
 * door to stand at.
 * Layer: 0 */
#include "mem.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

void *mem_zalloc(size_t size, size_t alignment)
{
    DEBUG_CHECK((alignment & (alignment - 1)) == 0);
    if (size == 0) { size = 1; } /* NULL means that there is no memory, and nothing else */
    if (alignment <= alignof(max_align_t)) { return calloc(1, size); }

    if (!size_add(size, alignment - 1, &size)) { return NULL; }
    size &= ~(alignment - 1); /* C11 wants a multiple of the alignment */
    void *memory = aligned_alloc(alignment, size);
    return memory != NULL ? memset(memory, 0, size) : NULL;
}

void mem_free(void *memory) { free(memory); }

void mem_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
