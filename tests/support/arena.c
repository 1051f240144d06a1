/* arena.c: an allocator that counts and fails on purpose. */
#include "arena.h"

#include <stdlib.h>
#include <string.h>

static void *arena_allocate(size_t size, size_t alignment, void *context)
{
    arena   *a = context;
    uint64_t call = atomic_fetch_add(&a->calls, 1) + 1;
    if (alignment < 64 || (alignment & (alignment - 1)) != 0 || size == 0) {
        atomic_fetch_add(&a->wrong, 1);
        return NULL;
    }
    if (call == atomic_load(&a->fail_at)) {
        atomic_fetch_add(&a->failed, 1);
        return NULL;
    }
    void *memory = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (memory == NULL) { return NULL; }
    memset(memory, 0xa5, size);
    atomic_fetch_add(&a->blocks, 1);
    uint64_t bytes = atomic_fetch_add(&a->bytes, size) + size;
    uint64_t most = atomic_load(&a->most);
    while (bytes > most && !atomic_compare_exchange_weak(&a->most, &most, bytes)) {}
    return memory;
}

static void arena_deallocate(void *memory, size_t size, void *context)
{
    arena *a = context;
    if (memory == NULL || size > atomic_load(&a->bytes)) {
        atomic_fetch_add(&a->wrong, 1);
        return;
    }
    memset(memory, 0xdd, size);
    atomic_fetch_sub(&a->bytes, size);
    atomic_fetch_sub(&a->blocks, 1);
    free(memory);
}

async_allocator arena_allocator(arena *a)
{
    return (async_allocator){arena_allocate, arena_deallocate, a};
}

async_pool *arena_pool(arena *a, unsigned workers, const async_pool_options *base)
{
    async_allocator    allocator = arena_allocator(a);
    async_pool_options options = {0};
    async_pool        *pool = NULL;
    if (base != NULL) { options = *base; }
    options.allocator = &allocator;
    return async_pool_create(&pool, workers, &options) == ASYNC_OK ? pool : NULL;
}
