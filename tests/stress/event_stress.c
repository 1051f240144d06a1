/* event_stress.c [seconds] [threads] [seed]: a hunt for lost wake-ups.
 *
 * Permits are counted in relaxed atomics, so that nothing but the event itself orders a notifier's
 * change against a waiter's look. Rounds, until the time is over, each from an epoch near its wrap
 * or anywhere:
 *   meet   two threads meet, then one gives a permit while the other announces that it waits: the
 *          moment in which both could miss the other, again and again.
 *   pass   two threads hand one permit to and fro, and wait for it in between.
 *   many   givers and takers, any number of each; often the givers stop until all is taken, so that
 *          a wake-up that was lost is not made good by the next one.
 *   burst  the same, with several permits for one notification.
 *   hasty  the same, with waits of 0 to 100 microseconds, announcements that are taken back, and
 *          signals: every permit is taken, once.
 * If no permit is taken for a long time, the program says who waits, and aborts. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "event.h"
#include "rng.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS_MAX 64
#define MS          UINT64_C(1000000)
#define ROUND       (20 * MS)
#define PATIENCE    (20000 * MS) /* without a permit taken */

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not true: %s (seed %" PRIu64 ", round %" PRIu64 ", %s)\n",     \
                    __FILE__, __LINE__, #condition, seed, round_number, modes[mode]);              \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum mode { MEET, PASS, MANY, BURST, HASTY, MODES };
static const char *const modes[] = {"meet", "pass", "many", "burst", "hasty"};

struct gate {
    alignas(FALSE_SHARING) struct event event;
    alignas(FALSE_SHARING) shared_i64 permits;
};

struct player {
    os_thread    thread;
    struct rng   rng;
    struct gate *mine, *other; /* where it takes, and where it gives */
    uint64_t     given, taken, sleeps, timeouts;
};

static uint64_t      seed, round_number, round_end;
static enum mode     mode;
static struct gate   gates[2];
static struct player players[THREADS_MAX];
static shared_u64    meetings[2];
static shared_u32    givers;   /* still at work */
static shared_bool   finished; /* no more permits will come */
static shared_u32    playing;  /* a futex word: players that have not returned */
static shared_u64    moves;    /* permits taken: for the watchdog */

static bool try_take(struct player *player)
{
    shared_i64 *word = &player->mine->permits;
    int64_t     permits = load_relaxed(word);
    do {
        if (permits == 0) { return false; }
    } while (!cas_relaxed(word, &permits, permits - 1));
    player->taken++;
    add_relaxed(&moves, 1);
    return true;
}

/* False: there will be no more, or the deadline has passed. */
static bool take(struct player *player, uint64_t deadline)
{
    struct event *event = &player->mine->event;
    for (;;) {
        if (mode != MEET && try_take(player)) { return true; }
        uint32_t key = event_prepare(event);
        bool     got = try_take(player);
        if (got || load_relaxed(&finished)) {
            event_cancel(event);
            return got;
        }
        player->sleeps++;
        if (!event_wait(event, key, deadline)) {
            player->timeouts++;
            return try_take(player);
        }
    }
}

static void give(struct player *player, struct gate *gate, unsigned permits)
{
    player->given += permits;
    if (mode == MEET || mode == PASS) {
        store_relaxed(&gate->permits, 1); /* may linger in a store buffer, unlike an addition */
    } else {
        add_relaxed(&gate->permits, permits);
    }
    event_notify(&gate->event, permits);
}

static void finish(void)
{
    store_relaxed(&finished, true);
    for (int i = 0; i < 2; i++) { event_notify(&gates[i].event, UINT32_MAX); }
}

/* Returns when the other one has come here as often. */
static void meet_other(unsigned me)
{
    uint64_t times = add_acq_rel(&meetings[me], 1) + 1;
    for (unsigned looks = 1; load_acquire(&meetings[1 - me]) < times; looks++) {
        cpu_relax();
        if (looks % 1024 == 0) { os_yield(); }
    }
}

static void meet(struct player *player)
{
    unsigned me = player->mine == &gates[0] ? 0 : 1; /* 0 waits, 1 gives */
    for (;;) {
        if (me == 1 && os_now_ns() >= round_end) { store_relaxed(&finished, true); }
        meet_other(me);
        if (load_relaxed(&finished)) { return; }
        for (uint32_t spins = rng_below(&player->rng, 8); spins > 0; spins--) { cpu_relax(); }
        if (me == 0) {
            take(player, OS_NEVER);
        } else {
            give(player, player->other, 1);
        }
        meet_other(me);
    }
}

static void pass(struct player *player)
{
    while (take(player, OS_NEVER)) {
        if (os_now_ns() >= round_end) {
            finish();
            return;
        }
        /* Mostly about as long as the other needs to announce itself and look. */
        uint32_t spins = rng_below(&player->rng, rng_below(&player->rng, 200) == 0 ? 20000 : 20);
        while (spins-- > 0) { cpu_relax(); }
        give(player, player->other, 1);
    }
}

static void all_taken(void)
{
    while (load_relaxed(&gates[0].permits) > 0) { os_yield(); }
}

static void give_many(struct player *player)
{
    while (os_now_ns() < round_end) {
        give(player, player->other, mode == BURST ? 1 + rng_below(&player->rng, 5) : 1);
        if (rng_below(&player->rng, 4) == 0) { all_taken(); }
    }
    if (sub_acq_rel(&givers, 1) == 1) { /* the last one */
        all_taken();
        finish();
    }
}

static void take_many(struct player *player)
{
    while (!load_relaxed(&finished)) {
        uint64_t deadline = OS_NEVER;
        if (mode == HASTY) {
            deadline = os_now_ns() + rng_below(&player->rng, 100000);
            event_prepare(&player->mine->event);
            event_cancel(&player->mine->event);
        }
        take(player, deadline);
    }
}

static void play(struct player *player, void (*part)(struct player *))
{
    sigset_t storm;
    sigemptyset(&storm);
    sigaddset(&storm, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &storm, NULL);
    part(player);
    if (sub_acq_rel(&playing, 1) == 1) { os_futex_wake(&playing, 1); }
}

static void meeter_main(void *player) { play(player, meet); }
static void passer_main(void *player) { play(player, pass); }
static void giver_main(void *player) { play(player, give_many); }
static void taker_main(void *player) { play(player, take_many); }

static void ignore(int number) { (void)number; }

/* Until all have returned. */
static void watch(unsigned count)
{
    uint64_t last = 0, since = os_now_ns();
    for (uint32_t left; (left = load_acquire(&playing)) > 0;) {
        os_futex_wait(&playing, left, os_now_ns() + (mode == HASTY ? MS / 10 : 10 * MS));
        for (unsigned i = 0; mode == HASTY && i < count; i++) {
            pthread_kill(players[i].thread, SIGUSR1);
        }
        uint64_t now = load_relaxed(&moves);
        if (now != last) {
            last = now;
            since = os_now_ns();
        }
        if (os_now_ns() - since < PATIENCE) { continue; }
        for (int i = 0; i < 2; i++) {
            fprintf(stderr, "gate %d: %" PRId64 " permits, %" PRIu32 " waiters, at %" PRIu32 "\n",
                    i, load_relaxed(&gates[i].permits), load_relaxed(&gates[i].event.waiters),
                    load_relaxed(&gates[i].event.epoch));
        }
        fprintf(stderr, "no permit is taken (seed %" PRIu64 ", round %" PRIu64 ", %s)\n", seed,
                round_number, modes[mode]);
        abort();
    }
}

static void play_round(unsigned threads, uint64_t totals[3])
{
    struct rng rng;
    rng_seed(&rng, seed * 7919 + round_number);
    mode = (enum mode)(round_number % MODES);
    const uint32_t epochs[] = {0, UINT32_MAX, UINT32_MAX - 50, rng_next(&rng)};
    for (int i = 0; i < 2; i++) {
        memset(&gates[i], 0, sizeof gates[i]);
        store_relaxed(&gates[i].event.epoch, epochs[rng_below(&rng, 4)]);
    }
    memset(players, 0, sizeof players);
    store_relaxed(&finished, false);
    store_relaxed(&moves, 0);

    store_relaxed(&meetings[0], 0);
    store_relaxed(&meetings[1], 0);

    unsigned count = mode == MEET || mode == PASS ? 2 : threads;
    unsigned takers = 1 + rng_below(&rng, count - 1);
    store_relaxed(&playing, count);
    store_relaxed(&givers, count - takers);
    store_relaxed(&gates[0].permits, mode == PASS ? 1 : 0);
    round_end = os_now_ns() + ROUND;
    for (unsigned i = 0; i < count; i++) {
        players[i].mine = &gates[mode == MEET || mode == PASS ? i : 0];
        players[i].other = &gates[mode == PASS ? 1 - i : 0];
        rng_seed(&players[i].rng, seed * 131 + round_number * THREADS_MAX + i);
        void (*role)(void *) = i < takers ? taker_main : giver_main;
        if (mode == MEET) { role = meeter_main; }
        if (mode == PASS) { role = passer_main; }
        EXPECT(os_thread_start(&players[i].thread, role, &players[i], 0, "player"));
    }
    watch(count);

    uint64_t given = mode == PASS ? 1 : 0, taken = 0;
    for (unsigned i = 0; i < count; i++) {
        os_thread_join(players[i].thread);
        given += players[i].given;
        taken += players[i].taken;
        totals[1] += players[i].sleeps;
        totals[2] += players[i].timeouts;
    }
    EXPECT(given == taken);
    for (int i = 0; i < 2; i++) {
        EXPECT(load_relaxed(&gates[i].permits) == 0);
        EXPECT(load_relaxed(&gates[i].event.waiters) == 0);
    }
    totals[0] += taken;
}

int main(int argc, char **argv)
{
    double   seconds = argc > 1 ? atof(argv[1]) : 1;
    unsigned threads = argc > 2 ? (unsigned)atoi(argv[2]) : 4;
    seed = argc > 3 ? strtoull(argv[3], NULL, 0) : os_now_ns();
    if (threads < 2 || threads > THREADS_MAX) { threads = 4; }
    printf("event_stress: %.1f s, %u threads, seed %" PRIu64 "\n", seconds, threads, seed);
    fflush(stdout);

    struct sigaction action; /* without SA_RESTART */
    memset(&action, 0, sizeof action);
    action.sa_handler = ignore;
    sigaction(SIGUSR1, &action, NULL);
    uint64_t totals[3] = {0, 0, 0}, end = os_now_ns() + (uint64_t)(seconds * 1e9);
    do {
        play_round(threads, totals);
        round_number++;
    } while (os_now_ns() < end || round_number < MODES);
    printf("event_stress: %" PRIu64 " rounds, %" PRIu64 " permits, %" PRIu64 " waits, %" PRIu64
           " of them timed out\n",
           round_number, totals[0], totals[1], totals[2]);
    return 0;
}
