/* step.c: delays and turns at each operation on shared memory. */
#include "step.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define NOBODY UINT32_MAX

struct stepper {
    uint64_t random; /* xorshift64*: never 0 */
    uint64_t trace;  /* of its decisions */
    uint64_t steps;
    unsigned priority; /* 0: delayed often ... 3: never */
    bool     live;     /* turns: entered, and not left; written by who has the turn */
};

static struct {
    enum step_mode    mode;
    unsigned          threads;
    uint64_t          random, trace, steps; /* of the turns, and of whoever has one */
    atomic_uint       entered, left;
    _Atomic(uint32_t) turn;
    struct stepper    each[STEP_THREADS];
} all;

static _Thread_local struct stepper *own;

static uint32_t next_random(uint64_t *random)
{
    uint64_t x = *random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *random = x;
    return (uint32_t)(x * 0x2545f4914f6cdd1du >> 32);
}

static uint64_t hash(uint64_t trace, uint64_t value) { return (trace ^ value) * 0x100000001b3u; }

static uint64_t hash_text(uint64_t trace, const char *text)
{
    while (*text != '\0') { trace = hash(trace, (unsigned char)*text++); }
    return trace;
}

void step_begin(enum step_mode mode, unsigned threads, uint64_t seed)
{
    if (threads == 0 || threads > STEP_THREADS) {
        fprintf(stderr, "step_begin: %u threads\n", threads);
        abort();
    }
    all.mode = mode;
    all.threads = threads;
    all.random = (seed + 1) * 0x9e3779b97f4a7c15u | 1;
    all.trace = all.steps = 0;
    atomic_store(&all.entered, 0);
    atomic_store(&all.left, 0);
    atomic_store(&all.turn, NOBODY);
    for (unsigned i = 0; i < threads; i++) {
        uint64_t mixed = (seed * STEP_THREADS + i + 1) * 0xd1342543de82ef95u;
        all.each[i] = (struct stepper){.random = (mixed ^ mixed >> 29) | 1};
        all.each[i].priority = next_random(&all.each[i].random) % 4;
    }
}

/* ---- turns ---- */

static void wait_for_turn(uint32_t number)
{
    for (unsigned looks = 0; atomic_load(&all.turn) != number; looks++) {
        if (looks > 20) { sched_yield(); }
    }
}

/* Of who has the turn: one of those that are in, at random. */
static uint32_t choose(void)
{
    unsigned live = 0;
    for (unsigned i = 0; i < all.threads; i++) { live += all.each[i].live; }
    if (live == 0) { return NOBODY; }
    unsigned which = next_random(&all.random) % live;
    for (unsigned i = 0;; i++) {
        if (all.each[i].live && which-- == 0) { return i; }
    }
}

static void take_turns(const char *site)
{
    uint32_t number = (uint32_t)(own - all.each);
    all.trace = hash_text(hash(all.trace, number), site);
    all.steps++;
    /* Mostly it goes on: whole operations of one thread fall into windows of another. */
    uint32_t next = next_random(&all.random) % 4 != 0 ? number : choose();
    if (next == number) { return; }
    atomic_store(&all.turn, next);
    wait_for_turn(number);
}

/* ---- delays ---- */

static void delay(const char *site)
{
    uint32_t dice = next_random(&own->random);
    own->steps++;
    if (dice % 64 == 0) { own->priority = dice / 64 % 4; }
    static const unsigned often[] = {4, 16, 64, 0};
    bool wait = often[own->priority] != 0 && dice / 256 % often[own->priority] == 0;
    own->trace = hash_text(hash(own->trace, wait), site);
    if (!wait) { return; }
    if (dice / 65536 % 16 != 0) {
        sched_yield();
    } else {
        struct timespec pause = {.tv_nsec = (long)(1000 + dice / 1048576 % 50000)};
        nanosleep(&pause, NULL);
    }
}

/* ---- */

void async_step(const char *site)
{
    if (own == NULL) { return; }
    if (all.mode == STEP_TURNS) {
        take_turns(site);
    } else if (all.mode == STEP_DELAYS) {
        delay(site);
    }
}

void step_enter(unsigned number)
{
    own = &all.each[number];
    if (all.mode != STEP_TURNS) { return; }
    own->live = true;
    /* The last one to come in begins. */
    if (atomic_fetch_add(&all.entered, 1) + 1 == all.threads) { atomic_store(&all.turn, choose()); }
    wait_for_turn(number);
}

void step_leave(void)
{
    own->live = false;
    own = NULL;
    if (all.mode != STEP_TURNS) { return; }
    atomic_store(&all.turn, choose());
    /* What a thread's end does to what threads share, it does after the last step. */
    atomic_fetch_add(&all.left, 1);
    while (atomic_load(&all.left) != all.threads) { sched_yield(); }
}

uint64_t step_end(void)
{
    uint64_t trace = all.trace;
    for (unsigned i = 0; i < all.threads; i++) {
        if (all.mode == STEP_DELAYS) { trace = hash(trace, all.each[i].trace); }
        all.steps += all.each[i].steps;
    }
    all.mode = STEP_OFF;
    return trace;
}

uint64_t step_count(void) { return all.steps; }
