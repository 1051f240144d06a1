/* abuse.h: what the programs of abuse/ share beside the watchdog: how many rounds, which seed, and
 * threads that meet.
 *
 *     PROGRAM                                  all its rows
 *     PROGRAM F3_                              one of them
 *     ASYNC_ROUNDS=1000000 PROGRAM F3_         with so many rounds
 *     ASYNC_SEED=17 PROGRAM F3_                again */
#ifndef SUPPORT_ABUSE_H
#define SUPPORT_ABUSE_H

#include "pipeline.h"
#include "watchdog.h"

#if defined(__SANITIZE_ADDRESS__)
#define ABUSE_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define ABUSE_TSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ABUSE_ASAN 1
#elif __has_feature(thread_sanitizer)
#define ABUSE_TSAN 1
#endif
#endif
#if defined(ABUSE_ASAN) || defined(ABUSE_TSAN)
#define ABUSE_SANITIZED 1
#endif

#define ABUSE_SECONDS 150 /* until a row that takes some seconds is taken for hung */

/* ASYNC_ROUNDS, or the usual number: a quarter of it where a sanitizer makes each round slow. */
uint64_t abuse_rounds(uint64_t usual);
/* ASYNC_SEED, or one from the clock; printed. */
uint64_t abuse_seed(void);

/* Random numbers. */
typedef struct dice {
    uint64_t state;
} dice;
/* 0 .. below - 1 */
unsigned roll(dice *d, unsigned below);

/* Threads that start at the same time. */
typedef struct squad {
    unsigned count;
    void (*body)(void *arg, unsigned index);
    void       *arg;
    atomic_uint ready, next;
    thread      threads[64];
} squad;

void squad_start(squad *s, unsigned count, void (*body)(void *arg, unsigned index), void *arg);
/* Waits for the end of all of them, however long that takes: the deadline is the row's. */
void squad_join(squad *s);

/* Where `count` threads wait for each other, again and again. Zeroed it is ready. */
typedef struct meeting {
    atomic_uint arrived, round;
} meeting;
void meet(meeting *m, unsigned count);

/* For so many loops, without giving up the CPU. */
void linger(unsigned loops);

#endif
