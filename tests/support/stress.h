/* stress.h: what the stress programs share: arguments, rounds with a seed each, and a watchdog.
 *
 * A program is called with [seconds] [threads] [seed] [report]. Round r is played with the seed
 * `seed + r`, which every message names: given as the third argument it is played first. With a
 * fourth argument, a number of seconds, the program says that often, between two rounds, what the
 * process holds when nothing runs: memory, threads and descriptors. */
#ifndef SUPPORT_STRESS_H
#define SUPPORT_STRESS_H

#include "pipeline.h"

#define STRESS_THREADS_MAX 64

typedef struct stress {
    const char *name;
    double      seconds;
    unsigned    threads;
    uint64_t    first_seed, seed; /* of the first round, and of this one */
    uint64_t    rounds;
    uint64_t    end; /* now_ns */
    double      report;
    uint64_t    next_report; /* now_ns */
} stress;

/* Reads the arguments, prints them, and starts the watchdog: a thread that aborts the program when
 * stress_moves was not called for 20 s. */
void stress_start(stress *s, const char *name, unsigned threads, int argc, char **argv);
/* Whether there is another round; its seed is s->seed then. */
bool stress_next(stress *s);
/* Something got on. */
void stress_moves(uint64_t items);
/* What this round is made of: printed with a failure. */
void stress_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
void stress_end(const stress *s);

_Noreturn void stress_failed(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) { stress_failed(__FILE__, __LINE__, "not true: %s", #condition); }       \
    } while (0)

#define MUST_EQ(value, wanted)                                                                     \
    do {                                                                                           \
        uint64_t must_value = (uint64_t)(value), must_wanted = (uint64_t)(wanted);                 \
        if (must_value != must_wanted) {                                                           \
            stress_failed(__FILE__, __LINE__, "%s is %llu, not %llu (%s)", #value,                 \
                          (unsigned long long)must_value, (unsigned long long)must_wanted,         \
                          #wanted);                                                                \
        }                                                                                          \
    } while (0)

#define MUST_STATUS(value, wanted)                                                                 \
    do {                                                                                           \
        async_status must_value = (value), must_wanted = (wanted);                                 \
        if (must_value != must_wanted) {                                                           \
            stress_failed(__FILE__, __LINE__, "%s is %s, not %s", #value,                          \
                          async_status_name(must_value), async_status_name(must_wanted));          \
        }                                                                                          \
    } while (0)

/* Random numbers. */
typedef struct dice {
    uint64_t state;
} dice;

static inline uint64_t dice_next(dice *d)
{
    uint64_t z = (d->state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 0 .. below - 1 */
static inline unsigned roll(dice *d, unsigned below)
{
    return (unsigned)((dice_next(d) >> 32) * below >> 32);
}

static inline bool one_in(dice *d, unsigned times) { return roll(d, times) == 0; }

/* One of `sizes`. */
static inline size_t pick(dice *d, const size_t *sizes, size_t count)
{
    return sizes[roll(d, (unsigned)count)];
}
#define PICK(d, ...)                                                                               \
    pick((d), (const size_t[]){__VA_ARGS__}, sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t))

/* As long as a call may wait: forever, but for three times in `of`. */
static inline async_wait any_wait(dice *d, unsigned of)
{
    switch (roll(d, of)) {
    case 0:
        return async_now();
    case 1:
        return async_per_item_ms(roll(d, 3));
    case 2:
        return async_within_ms(roll(d, 4));
    default:
        return async_forever();
    }
}

#endif
