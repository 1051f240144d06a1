/* thread_failure.c: a worker's thread cannot be started (F41), with pthread_create defined here,
 * before the C library's. */
#define _GNU_SOURCE
#include "arena.h"
#include "crew.h"
#include "expect.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

static atomic_uint create_calls;   /* since it was armed */
static atomic_uint create_fail_at; /* this call fails, counted from 1; 0: none */
static atomic_bool create_fail_on; /* and all that come after it */

typedef int create_fn(pthread_t *id, const pthread_attr_t *attributes, void *(*body)(void *),
                      void *arg);

int pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*body)(void *),
                   void *arg)
{
    unsigned fail_at = atomic_load(&create_fail_at);
    if (fail_at != 0) {
        unsigned call = atomic_fetch_add(&create_calls, 1) + 1;
        if (call == fail_at || (call > fail_at && atomic_load(&create_fail_on))) { return EAGAIN; }
    }
    create_fn *next;
    void      *symbol = dlsym(RTLD_NEXT, "pthread_create");
    memcpy(&next, &symbol, sizeof next);
    return next(id, attributes, body, arg);
}

static void arm(unsigned fail_at, bool on)
{
    atomic_store(&create_calls, 0);
    atomic_store(&create_fail_on, on);
    atomic_store(&create_fail_at, fail_at);
}

/* F41: at worker k for every k: SYSTEM, no pool, no thread and no memory are left. */
Test(F, F41_create_fails_and_leaves_nothing, .timeout = 30)
{
    unsigned threads = threads_at_rest();
    for (unsigned n = 1; n <= 16; n *= 2) {
        for (unsigned k = 1; k <= n; k++) {
            NOTE("N = %u, thread %u fails", n, k);
            arena              a = {0};
            async_allocator    allocator = arena_allocator(&a);
            async_pool_options options = {.allocator = &allocator};
            async_pool        *pool = (async_pool *)(uintptr_t)64;
            arm(k, true);
            CHECK_STATUS(async_pool_create(&pool, n, &options), ASYNC_SYSTEM);
            CHECK_EQ(atomic_load(&create_calls), k);
            arm(0, false);
            CHECK(pool == NULL);
            CHECK_SOON(thread_count() == threads);
            CHECK_EQ(atomic_load(&a.blocks), 0);
        }
        async_pool *pool = NULL;
        CHECK_STATUS(async_pool_create(&pool, n, NULL), ASYNC_OK);
        CHECK_EQ(async_pool_size(pool), n);
        pool_end(pool);
    }
}

/* F41: set_size keeps what it got and says so; work goes on, and another try gets the rest. */
TestEachSize(F, F41_set_size_keeps_what_it_got)
{
    for (unsigned k = 1; k <= 3; k++) {
        NOTE("N = %u, thread %u fails", n, k);
        unsigned      threads = threads_at_rest();
        async_pool   *pool = pool_of(n);
        uint64_t      items[50];
        async_reader *r = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                               .max_chunksize = 3);
        arm(k, true);
        CHECK_STATUS(async_pool_set_size(pool, n + 3), ASYNC_SYSTEM);
        arm(0, false);
        CHECK_EQ(async_pool_size(pool), n + k - 1);
        CHECK_SOON(thread_count() == threads + n + k - 1);
        CHECK_READ(r, items, 50, async_forever(), ASYNC_OK, 50);
        CHECK_STATUS(async_pool_set_size(pool, n + 3), ASYNC_OK);
        CHECK_EQ(async_pool_size(pool), n + 3);
        CHECK_SOON(thread_count() == threads + n + 3);
        CHECK_READ(r, items, 50, async_forever(), ASYNC_OK, 50);
        async_reader_release(r);
        pool_end(pool);
        CHECK_SOON(thread_count() == threads);
    }
}

typedef struct waits {
    async_reader *inner;
    async_status  status;
} waits;

static int waits_for_input(const void *in, void *out, void *context)
{
    waits *self = context;
    *(uint64_t *)out = *(const uint64_t *)in;
    self->status = async_reader_read(self->inner, out, 1, NULL, async_forever());
    return self->status == ASYNC_OK ? 0 : 1;
}

/* F41: where no stand-in can be started, the call that would wait says so; nothing hangs, and the
 * pool works on. */
Test(F, F41_no_stand_in, .timeout = 30)
{
    for (unsigned n = 1; n <= 4; n *= 2) {
        NOTE("N = %u", n);
        async_pool   *pool = pool_of(n);
        waits         s = {.status = ASYNC_OK};
        async_writer *writer;
        uint64_t      item;
        channel_of(&writer, &s.inner, 0, NULL);
        async_reader *r = TASK(pool, .source = range_of(0, 10), .each = waits_for_input,
                               .context = &s);
        arm(1, true);
        CHECK_READ(r, &item, 1, async_forever(), ASYNC_FAILED, 0);
        arm(0, false);
        CHECK_STATUS(s.status, ASYNC_BUSY);
        async_reader *next = TASK(pool, .source = range_of(0, 10), .each = each_add_one);
        CHECK_READ(next, &item, 1, async_forever(), ASYNC_OK, 1);
        async_reader_release(next);
        async_reader_release(r);
        async_reader_release(s.inner);
        async_writer_release(writer);
        pool_end(pool);
    }
}
