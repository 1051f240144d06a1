/* test_block.c: the stores and blocks of runtime/block.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "block.h"
#include "os.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(block, holds_what_was_asked_for_and_little_more)
{
    for (size_t size = 0; size < (size_t)3 << 20; size += 1 + size / 7) {
        struct block *block = block_new(store_default(), size);
        cr_assert(block != NULL);
        cr_assert_eq((uintptr_t)block->data % CACHE_LINE, 0);
        cr_assert_geq(block->capacity, size == 0 ? 1 : size);
        cr_assert_leq(block->capacity, size + size / 4 + CACHE_LINE);
        cr_assert_eq(load_relaxed(&block->refs), 1);
        memset(block->data, 0x5a, block->capacity);
        block_release(block, 1);
    }
    cr_assert_eq(block_new(store_default(), SIZE_MAX), NULL);
    cr_assert_eq(block_new(store_default(), SIZE_MAX - 100), NULL);
}

Test(block, comes_back_to_the_thread_that_freed_it)
{
    struct block *first = block_new(store_default(), 1000);
    block_release(first, 1);
    struct block *again = block_new(store_default(), 1000);
    cr_assert_eq(again, first);
    block_release(again, 1);
}

Test(block, lives_until_the_last_count)
{
    struct block *block = block_new(store_default(), 100);
    block_retain_own(block, 9);
    block_retain(block, 5);
    block_release(block, 0);
    block_release(block, 12);
    cr_assert_eq(load_relaxed(&block->refs), 3);
    block_fold(block, 3);
    cr_assert_eq(load_relaxed(&block->refs), 1);
    block_retain_own(block, 4);
    block_fold(block, 3);
    cr_assert_eq(load_relaxed(&block->refs), 3);
    block_release(block, 3);
    struct block *again = block_new(store_default(), 100);
    cr_assert_eq(again, block);
    block_release(again, 1);
}

/* A user's allocator that counts. */
struct counts {
    shared_u64 allocated, freed, bytes;
    shared_u32 refuse;
};
static void *count_allocate(size_t size, size_t alignment, void *context)
{
    struct counts *counts = context;
    if (load_relaxed(&counts->refuse) != 0) { return NULL; }
    add_relaxed(&counts->allocated, 1);
    add_relaxed(&counts->bytes, size);
    return aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
}
static void count_free(void *memory, size_t size, void *context)
{
    struct counts *counts = context;
    add_relaxed(&counts->freed, 1);
    sub_relaxed(&counts->bytes, size);
    free(memory);
}

Test(block, a_users_store_is_recycled_bounded_and_freed_with_its_last_block)
{
    static struct counts counts;
    struct store *store = store_create(&(async_allocator){count_allocate, count_free, &counts});
    cr_assert(store != NULL);
    for (int i = 0; i < 1000; i++) { block_release(block_new(store, 5000), 1); }
    cr_assert_eq(load_relaxed(&counts.allocated), 1);
    static struct block *blocks[2000];
    for (int i = 0; i < 2000; i++) { blocks[i] = block_new(store, 5000); }
    for (int i = 0; i < 1999; i++) { block_release(blocks[i], 1); }
    cr_assert_leq(load_relaxed(&counts.allocated) - load_relaxed(&counts.freed), 34);
    store_drop(store);
    cr_assert_gt(load_relaxed(&counts.bytes), 0);
    memset(blocks[1999]->data, 1, 5000); /* P8: what is held outlives its store's owner */
    block_release(blocks[1999], 1);
    cr_assert_eq(load_relaxed(&counts.bytes), 0);
    cr_assert_eq(load_relaxed(&counts.allocated), load_relaxed(&counts.freed));
}

Test(block, no_memory_is_said)
{
    static struct counts counts;
    struct store *store = store_create(&(async_allocator){count_allocate, count_free, &counts});
    store_relaxed(&counts.refuse, 1);
    cr_assert_eq(block_new(store, 100), NULL);
    store_relaxed(&counts.refuse, 0);
    struct block *block = block_new(store, 100);
    cr_assert(block != NULL);
    block_release(block, 1);
    store_drop(store);
    cr_assert_eq(load_relaxed(&counts.bytes), 0);
}

static size_t resident(void)
{
    size_t size = 0, pages = 0;
    FILE  *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%zu %zu", &size, &pages) != 2) { pages = 0; }
    if (file != NULL) { fclose(file); }
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* One thread makes blocks, another frees them. */
static SHARED(struct block *) mailbox;

static void *freer(void *argument)
{
    for (size_t left = *(size_t *)argument; left > 0;) {
        struct block *block = exchange_acq_rel(&mailbox, NULL);
        if (block == NULL) {
            os_yield();
        } else {
            block_release(block, 1);
            left--;
        }
    }
    return NULL;
}

Test(block, crosses_threads_without_new_memory)
{
    size_t    count = 200000;
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, freer, &count), 0);
    size_t before = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == count / 10) { before = resident(); }
        struct block *block = block_new(store_default(), 4000), *none = NULL;
        cr_assert(block != NULL);
        memset(block->data, 1, 4000);
        while (!cas_acq_rel(&mailbox, &none, block)) {
            none = NULL;
            os_yield();
        }
    }
    pthread_join(thread, NULL);
    cr_assert_leq(resident(), before + ((size_t)2 << 20));
}

/* Sanitizers keep what is freed, and so does the emulator what brk gives back. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(EMULATED)
#define RETURNS_MEMORY false
#elif defined(__has_feature)
#define RETURNS_MEMORY (!__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer))
#else
#define RETURNS_MEMORY true
#endif

/* F20 */
Test(block, memory_returns_after_a_burst)
{
    enum { BURST = 20000 };
    static struct block *blocks[BURST];
    size_t               before = resident();
    for (size_t i = 0; i < BURST; i++) {
        blocks[i] = block_new(store_default(), 4000);
        memset(blocks[i]->data, 1, 4000);
    }
    cr_assert_gt(resident(), before + (size_t)BURST * 4000 / 2);
    for (size_t i = 0; i < BURST; i++) { block_release(blocks[i], 1); }
    if (RETURNS_MEMORY) { cr_assert_leq(resident(), before + ((size_t)4 << 20)); }
}
