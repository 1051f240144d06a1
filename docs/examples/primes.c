/* primes.c: the first ten primes, from a filter that keeps the order on any number of workers. */
#include <async/async.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_prime(uint64_t n)
{
    for (uint64_t d = 2; d * d <= n; d++) {
        if (n % d == 0) return false;
    }
    return n >= 2;
}

/* Any number of items in, any number out. */
static int keep_primes(const void *in, size_t count, size_t *done, async_emitter *out,
                       void *context)
{
    (void)context;
    const uint64_t *numbers = in;
    for (size_t i = 0; i < count; i++) {
        if (is_prime(numbers[i]) && async_emit(out, &numbers[i], 1) != ASYNC_OK) {
            *done = i;
            return async_fail(1, "no memory");
        }
    }
    return 0;
}

static void check(async_status status, const char *what)
{
    if (status != ASYNC_OK) {
        fprintf(stderr, "primes: %s: %s\n", what, async_status_text(status));
        exit(EXIT_FAILURE);
    }
}

int main(void)
{
    async_pool *pool;
    check(async_pool_create(&pool, 2, NULL), "cannot make a pool");

    async_source             numbers = async_source_range(0, UINT64_MAX);
    async_reader            *primes;
    const async_task_options filter = {.name = "primes",
                                       .source = &numbers,
                                       .emit = keep_primes,
                                       .max_chunksize = 8,
                                       .order = ASYNC_ORDERED};
    check(async_pool_add_task(pool, &primes, &filter), "cannot add 'primes'");

    uint64_t items[10];
    check(async_reader_read(primes, items, 10, NULL, async_forever()), "cannot read");
    for (size_t i = 0; i < 10; i++) printf("%" PRIu64 "%c", items[i], i < 9 ? ' ' : '\n');

    async_reader_release(primes);
    check(async_pool_destroy(pool, ASYNC_DROP), "cannot end the pool");
    return EXIT_SUCCESS;
}
