/* abuse.c */
#include "abuse.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t abuse_rounds(uint64_t usual)
{
    const char *given = getenv("ASYNC_ROUNDS");
    if (given != NULL) { return strtoull(given, NULL, 0); }
#ifdef ABUSE_SANITIZED
    usual = (usual + 3) / 4;
#endif
    return usual;
}

uint64_t abuse_seed(void)
{
    static uint64_t seed;
    if (seed == 0) {
        const char *given = getenv("ASYNC_SEED");
        seed = given != NULL ? strtoull(given, NULL, 0) : now_ns();
        printf("       seed %" PRIu64 "\n", seed);
        fflush(stdout);
    }
    return seed;
}

unsigned roll(dice *d, unsigned below)
{
    uint64_t z = (d->state += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)(((z ^ (z >> 31)) >> 32) * below >> 32);
}

static void squad_body(void *arg)
{
    squad   *s = arg;
    unsigned index = atomic_fetch_add(&s->next, 1);
    atomic_fetch_add(&s->ready, 1);
    while (atomic_load(&s->ready) < s->count) { sched_yield(); }
    s->body(s->arg, index);
}

void squad_start(squad *s, unsigned count, void (*body)(void *arg, unsigned index), void *arg)
{
    memset(s, 0, sizeof *s);
    s->count = count;
    s->body = body;
    s->arg = arg;
    for (unsigned i = 0; i < count; i++) { thread_start(&s->threads[i], squad_body, s); }
}

void squad_join(squad *s)
{
    for (unsigned i = 0; i < s->count; i++) { pthread_join(s->threads[i].id, NULL); }
}

void meet(meeting *m, unsigned count)
{
    unsigned round = atomic_load(&m->round);
    if (atomic_fetch_add(&m->arrived, 1) + 1 == count) {
        atomic_store(&m->arrived, 0);
        atomic_fetch_add(&m->round, 1);
        return;
    }
    for (unsigned looks = 0; atomic_load(&m->round) == round; looks++) {
        if (looks > 50) { sched_yield(); }
    }
}

void linger(unsigned loops)
{
    for (volatile unsigned i = 0; i < loops; i++) {}
}
