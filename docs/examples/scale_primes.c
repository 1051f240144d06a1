/* scale_primes.c: a plug-in for async-scale: numbers → those that are prime → how many there are.
 *
 *   async-scale ./scale_primes.so --items 100000 --chunks 16,256 */
#include <async/scale.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ── The task ───────────────────────────────────────────────────────────────────────────────── */

static bool is_prime(uint64_t n)
{
    if (n < 2) return false;
    for (uint64_t d = 2; d * d <= n; d++)
        if (n % d == 0) return false;
    return true;
}

/* A filter: any number of items out for those that come in. */
static int keep_primes(const void *in, size_t count, size_t *done, async_emitter *out,
                       void *context)
{
    (void)done;
    (void)context;
    const uint64_t *numbers = in;
    for (size_t i = 0; i < count; i++)
        if (is_prime(numbers[i]) && async_emit(out, &numbers[i], 1) != ASYNC_OK) return ENOMEM;
    return 0;
}

/* ── The check ──────────────────────────────────────────────────────────────────────────────── */

/* The sieve of Eratosthenes: how many there have to be below n. */
static bool count_primes(uint64_t n, uint64_t *primes)
{
    char *composite = calloc(n + 1, 1);
    *primes = 0;
    for (uint64_t i = 2; composite != NULL && i < n; i++) {
        if (composite[i]) continue;
        ++*primes;
        for (uint64_t k = i * i; k < n; k += i) composite[k] = 1;
    }
    free(composite);
    return composite != NULL;
}

static int check(uint64_t items, char *message, size_t size, void *context)
{
    const uint64_t *expected = context;
    if (items == *expected) return 0;
    snprintf(message, size, "%" PRIu64 " primes instead of %" PRIu64, items, *expected);
    return EPROTO;
}

/* ── The plug-in ────────────────────────────────────────────────────────────────────────────── */

int async_scale_workload(const async_scale_build *build, async_scale_pipeline *out)
{
    out->version = ASYNC_SCALE_VERSION;
    out->check = check;
    out->release = free;
    out->context = malloc(sizeof(uint64_t));
    if (out->context == NULL || !count_primes(build->items, out->context)) return ENOMEM;

    async_source             numbers = async_source_range(0, build->items);
    const async_task_options primes = {
        .name = "primes", .source = &numbers, .emit = keep_primes, .max_chunksize = build->chunk};
    return build->add_task(build, &out->reader, &primes) == ASYNC_OK ? 0 : ENOMEM;
}
