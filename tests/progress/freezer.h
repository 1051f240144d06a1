/* freezer.h: row C17, and rows F55, F4 and F24 of the fault list, point by point.
 *
 * A scene is one call in one state. For each k from 0 to the number of instructions that the call
 * takes, the state is made anew, one thread (the victim) makes the call and is stopped after k of
 * them, and the others must then finish SUCCESSES successful operations each, while it stands
 * still. Where they cannot, k is a blocking point. Then the victim goes on, and everything is
 * counted: items, each exactly once and in each writer's order.
 *
 * The victim is a thread, not a process: the library is used by threads of one process, which share
 * the allocator, the caches of blocks and the records of reclaim.c, and a port of these to shared
 * memory would test something that nobody runs. The kernel stops a single thread under ptrace just
 * as it would a process. The tracer is another process, which no lock of the traced one can hold
 * up.
 *
 * No points are the instructions inside the allocator and the kernel, which C17 excepts. */
#ifndef PROGRESS_FREEZER_H
#define PROGRESS_FREEZER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OTHERS    2
#define SUCCESSES 200

struct scene {
    const char *operation, *variant;
    const char *row; /* of the fault list; NULL: F55 */
    /* In the victim: makes the state. */
    void (*prepare)(const struct scene *scene);
    /* In the victim: the call that is stopped in. */
    void (*call)(const struct scene *scene);
    /* In each of the others, turn 0 … SUCCESSES - 1: one operation, tried until it succeeds. */
    void (*other)(const struct scene *scene, unsigned who, unsigned turn);
    /* In the victim, after all are through: checks, and takes everything down. */
    void (*finish)(const struct scene *scene);
    /* What the functions above make of it. */
    size_t   capacity, slots, slots_taken, filled, batch, item_size, lost;
    unsigned flags;
};

enum verdict {
    NONE_BLOCKS, /* every scene must have no blocking point */
    SOME_BLOCK   /* every scene must have some, and some that do not block */
};

/* Calls of `function` are run through, like the allocator's: it is the user's, not the library's.
 * To be called before freezer_main. */
void freezer_skip(void (*function)(void));

/* Plays the scenes whose operation or variant contains argv[1] (all, without it), prints the table,
 * and gives the exit status: 77 where ptrace is not to be had. */
int freezer_main(const struct scene *scenes, size_t count, enum verdict wanted, int argc,
                 char **argv);

/* In the victim or another: the scene is not as it should be. Ends everything. */
_Noreturn void scene_failed(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) { scene_failed(__FILE__, __LINE__, "not true: %s", #condition); }        \
    } while (0)

#define MUST_EQ(value, wanted)                                                                     \
    do {                                                                                           \
        uint64_t must_value = (uint64_t)(value), must_wanted = (uint64_t)(wanted);                 \
        if (must_value != must_wanted) {                                                           \
            scene_failed(__FILE__, __LINE__, "%s is %llu, not %llu (%s)", #value,                  \
                         (unsigned long long)must_value, (unsigned long long)must_wanted,          \
                         #wanted);                                                                 \
        }                                                                                          \
    } while (0)

#endif
