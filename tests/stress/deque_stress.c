/* deque_stress.c [seconds] [threads] [seed]: one owner, the other threads thieves.
 *
 * Rounds, until the time is over; in each every job is taken exactly once:
 *   one    one job at a time, that the owner pops at once while the thieves reach for it.
 *   mixed  bursts of pushes and pops of random length.
 *   grow   far more pushes than pops: the array is replaced under the thieves.
 *   lap    few jobs in a small array, so that its slots are written again all the time.
 * The indices start near a place where a narrower one, or they themselves, would wrap. What a job
 * says is plain memory, written before the push: a race detector sees whether it is published. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "deque.h"
#include "os.h"
#include "rng.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 64
#define JOBS        20000 /* of a round */
#define PATIENCE    120   /* seconds without a finished round */

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s (seed %" PRIu64 ", round %" PRIu64 ", %s)\n",     \
                    __FILE__, __LINE__, #condition, seed, round_number, modes[mode]);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum mode { ONE, MIXED, GROW, LAP, MODES };
static const char *const modes[] = {"one", "mixed", "grow", "lap"};

struct job {
    uint64_t   number; /* plain: published by the push */
    uint64_t   round;  /* the same */
    shared_u32 taken;
};

static uint64_t     seed, round_number;
static enum mode    mode;
static struct deque deque;
static struct job   jobs[JOBS];
static shared_bool  over; /* all is pushed, and the owner has popped until it was empty */
static shared_u64   started;

struct thief {
    os_thread thread;
    uint64_t  taken, lost, empty;
};

static void take(void *found)
{
    struct job *job = found;
    EXPECT(job >= jobs && job < jobs + JOBS);
    EXPECT(job->number == (uint64_t)(job - jobs));
    EXPECT(job->round == round_number);
    EXPECT(add_relaxed(&job->taken, 1) == 0);
}

static void thief_main(void *argument)
{
    struct thief *thief = argument;
    add_relaxed(&started, 1);
    for (;;) {
        bool  last = load_acquire(&over);
        void *found = NULL;
        switch (deque_steal(&deque, &found)) {
        case DEQUE_TAKEN:
            take(found);
            thief->taken++;
            break;
        case DEQUE_LOST:
            thief->lost++;
            break;
        case DEQUE_EMPTY:
            thief->empty++;
            if (last) { return; }
            if (thief->empty % 64 == 0) { os_yield(); }
            break;
        }
    }
}

static bool push(uint64_t *pushed)
{
    if (*pushed == JOBS) { return false; }
    struct job *job = &jobs[*pushed];
    job->number = (*pushed)++;
    job->round = round_number;
    EXPECT(deque_push(&deque, job));
    return true;
}

static bool pop(uint64_t *popped)
{
    void *found = deque_pop(&deque);
    if (found == NULL) { return false; }
    take(found);
    (*popped)++;
    return true;
}

/* Pushes all jobs, popping some of them. */
static uint64_t own(struct rng *rng)
{
    uint64_t pushed = 0, popped = 0;
    while (pushed < JOBS) {
        switch (mode) {
        case ONE:
            push(&pushed);
            pop(&popped);
            break;
        case MIXED:
            for (uint32_t n = rng_below(rng, 20); n > 0; n--) { push(&pushed); }
            for (uint32_t n = rng_below(rng, 20); n > 0; n--) { pop(&popped); }
            break;
        case GROW:
            for (uint32_t n = rng_below(rng, 2000); n > 0; n--) { push(&pushed); }
            for (uint32_t n = rng_below(rng, 20); n > 0; n--) { pop(&popped); }
            break;
        case LAP:
        case MODES:
            while (deque_size(&deque) < 2 && push(&pushed)) {}
            if (rng_below(rng, 4) == 0) { pop(&popped); }
            break;
        }
        if (rng_below(rng, 256) == 0) { os_yield(); }
    }
    while (pop(&popped)) {}
    return popped;
}

static void play(unsigned thieves, uint64_t totals[3])
{
    static const int64_t presets[] = {
        0, INT32_MAX - 1000, (int64_t)UINT32_MAX - 1000, INT64_MAX - 1, INT64_MAX - 1000, -1000};
    static struct thief all[THREADS_MAX];
    struct rng          rng;
    rng_seed(&rng, seed * 7919 + round_number);
    mode = (enum mode)(round_number % MODES);

    EXPECT(deque_init(&deque, mode == LAP ? 2 : (size_t)1 << rng_below(&rng, 5)));
    int64_t index = presets[rng_below(&rng, sizeof presets / sizeof *presets)];
    store_relaxed(&deque.top, index);
    store_relaxed(&deque.bottom, index);
    memset(jobs, 0, sizeof jobs);
    memset(all, 0, sizeof all);
    store_relaxed(&over, false);
    store_relaxed(&started, 0);

    for (unsigned i = 0; i < thieves; i++) {
        EXPECT(os_thread_start(&all[i].thread, thief_main, &all[i], 0, "thief"));
    }
    while (load_relaxed(&started) < thieves) { os_yield(); }
    uint64_t popped = own(&rng);
    store_release(&over, true);

    uint64_t stolen = 0;
    for (unsigned i = 0; i < thieves; i++) {
        os_thread_join(all[i].thread);
        stolen += all[i].taken;
        totals[2] += all[i].lost;
    }
    EXPECT(popped + stolen == JOBS);
    for (unsigned i = 0; i < JOBS; i++) { EXPECT(load_relaxed(&jobs[i].taken) == 1); }
    EXPECT(deque_size(&deque) == 0);
    deque_destroy(&deque);
    totals[0] += popped;
    totals[1] += stolen;
}

static void hangs(int signal)
{
    static const char text[] = "deque_stress: no round has finished for a long time\n";
    (void)signal;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0) {}
    abort();
}

int main(int argc, char **argv)
{
    double   seconds = argc > 1 ? atof(argv[1]) : 1;
    unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 3;
    seed = argc > 3 ? strtoull(argv[3], NULL, 0) : os_now_ns();
    if (threads < 1 || threads > THREADS_MAX) { threads = 3; }
    printf("deque_stress: %.1f s, %u threads, seed %" PRIu64 "\n", seconds, threads, seed);
    fflush(stdout);

    signal(SIGALRM, hangs);
    uint64_t totals[3] = {0, 0, 0}, end = os_now_ns() + (uint64_t)(seconds * 1e9);
    do {
        alarm(PATIENCE);
        play(threads - 1, totals);
        round_number++;
    } while (os_now_ns() < end || round_number < MODES);
    printf("deque_stress: %" PRIu64 " rounds, popped %" PRIu64 ", stolen %" PRIu64
           ", lost races %" PRIu64 "\n",
           round_number, totals[0], totals[1], totals[2]);
    return 0;
}
