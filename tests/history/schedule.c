/* schedule.c: see schedule.h. */
#include "schedule.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define MAIN       SCHEDULE_THREADS
#define NEVER      UINT64_MAX
#define STEPS_MOST 2000000 /* of a round: more is a loop that waits for a thread in vain */
#define CHANGES    3       /* of priority, in a round of the priority kind */

typedef _Atomic(uint32_t) word;

typedef enum thread_state { READY, ASLEEP, DONE } thread_state;

typedef struct player {
    pthread_t    thread;
    sem_t        turn; /* serial: posted when it goes on. Parallel: when a round begins */
    thread_state state;
    const word  *address; /* where it sleeps */
    uint64_t     deadline;
    bool         told; /* by a wake-up, not by its deadline */
    unsigned     priority;
    const char  *site;            /* of its last step */
    _Atomic(int) asleep, waiting; /* parallel: in a sleep without a deadline; in its round */
    uint64_t     random;
} player;

uint64_t schedule_steps, schedule_switches;

static schedule_mode mode;
static void (*play_round)(unsigned);
static player players[SCHEDULE_THREADS + 1];
static bool   stopping;

/* Serial: all of this belongs to who runs. */
static unsigned       current;
static uint64_t       random_state, clock_ns;
static unsigned       switch_one_in; /* 0: by priority */
static uint64_t       change_at[CHANGES], round_steps;
static schedule_state outcome;

/* Parallel. */
static _Atomic(uint64_t) seed_now, stamps;
static _Atomic(unsigned) strangers;
static unsigned          delay_one_in;

static _Thread_local player  *self;
static _Thread_local uint64_t own_random;
static _Thread_local uint64_t own_seed;

static uint64_t random_of(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static bool one_in(unsigned times) { return random_of(&random_state) % times == 0; }

/* ---- serial ---- */

static void fail(const char *what)
{
    static const char *const states[] = {"ready", "asleep", "done"};
    fprintf(stderr, "schedule: %s\n", what);
    for (unsigned i = 0; i <= MAIN; i++) {
        fprintf(stderr, "  thread %u: %s, last seen at %s\n", i, states[players[i].state],
                players[i].site == NULL ? "its beginning" : players[i].site);
    }
    fflush(stderr);
    abort();
}

static void wait_for_turn(player *p)
{
    while (sem_wait(&p->turn) != 0) {}
}

/* The caller, who runs, lets `next` go on and waits until it is its own turn again. */
static void hand_to(unsigned next)
{
    player *me = &players[current];
    if (next == current) { return; }
    schedule_switches++;
    current = next;
    sem_post(&players[next].turn);
    wait_for_turn(me);
}

static void wake(player *p, bool told)
{
    p->state = READY;
    p->told = told;
    if (!told && p->deadline > clock_ns) { clock_ns = p->deadline; }
}

/* One of those who match, at random, or -1. Main takes part only when the others can't go on. */
static int choose(thread_state state, bool timed_only)
{
    int      chosen = -1;
    unsigned count = 0;
    for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
        if (players[i].state != state || (timed_only && players[i].deadline == NEVER)) { continue; }
        if (random_of(&random_state) % ++count == 0) { chosen = (int)i; }
    }
    return chosen;
}

static int first_by_priority(void)
{
    int best = -1;
    for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
        if (players[i].state == READY &&
            (best < 0 || players[i].priority > players[best].priority)) {
            best = (int)i;
        }
    }
    return best;
}

static int next_deadline(void)
{
    int best = -1;
    for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
        if (players[i].state == ASLEEP && players[i].deadline != NEVER &&
            (best < 0 || players[i].deadline < players[best].deadline)) {
            best = (int)i;
        }
    }
    return best;
}

/* Who goes on; main, if nobody can. */
static unsigned pick(void)
{
    int sleeper;
    if (one_in(16) && (sleeper = choose(ASLEEP, true)) >= 0) { wake(&players[sleeper], false); }
    if (one_in(64) && (sleeper = choose(ASLEEP, false)) >= 0) {
        wake(&players[sleeper], true); /* without reason */
    }
    int next = switch_one_in == 0 ? first_by_priority() : choose(READY, false);
    if (next >= 0) { return (unsigned)next; }
    if ((sleeper = next_deadline()) >= 0) {
        wake(&players[sleeper], false);
        return (unsigned)sleeper;
    }
    outcome = ALL_DONE;
    for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
        if (players[i].state != DONE) { outcome = ALL_STUCK; }
    }
    return MAIN;
}

/* The lowest of all. */
static void give_way(player *p)
{
    unsigned least = UINT32_MAX;
    for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
        if (players[i].priority < least) { least = players[i].priority; }
    }
    p->priority = least - 1;
}

static void serial_step(const char *site)
{
    player *me = self;
    me->site = site;
    schedule_steps++;
    if (me == &players[MAIN]) { return; /* the others stand still */ }
    if (++round_steps > STEPS_MOST) { fail("a round without an end"); }
    if (switch_one_in != 0) {
        if (one_in(switch_one_in)) { hand_to(pick()); }
        return;
    }
    for (unsigned i = 0; i < CHANGES; i++) {
        if (round_steps == change_at[i]) {
            give_way(me);
            hand_to(pick());
        }
    }
}

static void serial_round(uint64_t seed)
{
    static const unsigned often[] = {0, 0, 2, 4, 12, 40};
    random_state = seed;
    round_steps = 0;
    switch_one_in = often[random_of(&random_state) % (sizeof often / sizeof often[0])];
    uint64_t length = 100 + random_of(&random_state) % 1500;
    for (unsigned i = 0; i < CHANGES; i++) { change_at[i] = 1 + random_of(&random_state) % length; }
    for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
        players[i].state = READY;
        players[i].site = NULL;
        players[i].deadline = NEVER;
        players[i].priority = 1000000 + (unsigned)(random_of(&random_state) % 1000);
    }
}

/* ---- parallel ---- */

static void parallel_step(void)
{
    uint64_t seed = atomic_load_explicit(&seed_now, memory_order_relaxed);
    if (own_seed != seed) {
        unsigned index = self != NULL ? (unsigned)(self - players)
                                      : SCHEDULE_THREADS + atomic_fetch_add(&strangers, 1);
        own_seed = seed;
        own_random = seed * 7919 + index;
    }
    uint64_t number = random_of(&own_random);
    if (number % delay_one_in != 0) { return; }
    switch (number >> 32 & 7) {
    case 0:
        nanosleep(&(struct timespec){0, 20000}, NULL);
        break;
    case 1:
    case 2:
    case 3:
        sched_yield();
        break;
    default:
        for (volatile unsigned i = 0; i < (number >> 40 & 511); i++) {}
        break;
    }
}

/* Whether each thread is done or sleeps without a deadline. A wake-up that is under way is missed.
 */
static bool parallel_stuck(void)
{
    for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
        if (atomic_load(&players[i].waiting) != 0 && atomic_load(&players[i].asleep) == 0) {
            return false;
        }
    }
    return true;
}

static bool parallel_done(void)
{
    for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
        if (atomic_load(&players[i].waiting) != 0) { return false; }
    }
    return true;
}

/* ---- what the runtime calls ---- */

void async_step(const char *site);
void async_step(const char *site)
{
    if (mode == SCHEDULE_PARALLEL) {
        parallel_step();
    } else if (self != NULL) {
        serial_step(site);
    }
}

static bool serial(void) { return mode == SCHEDULE_SERIAL && self != NULL; }

bool __real_os_futex_wait(word *at, uint32_t expected, uint64_t deadline);
bool __wrap_os_futex_wait(word *at, uint32_t expected, uint64_t deadline);
bool __wrap_os_futex_wait(word *at, uint32_t expected, uint64_t deadline)
{
    if (!serial()) {
        bool for_good = self != NULL && deadline == NEVER;
        if (for_good) { atomic_store(&self->asleep, 1); }
        bool woken = __real_os_futex_wait(at, expected, deadline);
        if (for_good) { atomic_store(&self->asleep, 0); }
        return woken;
    }
    serial_step("os_futex_wait");
    if (atomic_load(at) != expected) { return true; }
    if (self == &players[MAIN]) { fail("main went to sleep"); }
    if (deadline <= clock_ns) { return false; }
    self->address = at;
    self->deadline = deadline;
    self->state = ASLEEP;
    hand_to(pick());
    self->address = NULL;
    self->deadline = NEVER;
    return self->told;
}

void __real_os_futex_wake(word *at, unsigned count);
void __wrap_os_futex_wake(word *at, unsigned count);
void __wrap_os_futex_wake(word *at, unsigned count)
{
    if (!serial()) {
        __real_os_futex_wake(at, count);
        return;
    }
    serial_step("os_futex_wake");
    for (unsigned i = 0; i < SCHEDULE_THREADS && count > 0; i++) {
        if (players[i].state == ASLEEP && players[i].address == at) {
            wake(&players[i], true);
            count--;
        }
    }
}

void __real_os_yield(void);
void __wrap_os_yield(void);
void __wrap_os_yield(void)
{
    if (!serial()) {
        __real_os_yield();
        return;
    }
    serial_step("os_yield");
    if (self != &players[MAIN]) {
        give_way(self);
        hand_to(pick());
    }
}

void __real_os_pause(unsigned *looks);
void __wrap_os_pause(unsigned *looks);
void __wrap_os_pause(unsigned *looks)
{
    if (serial()) {
        __wrap_os_yield();
    } else {
        __real_os_pause(looks);
    }
}

void __real_os_sleep_ns(uint64_t ns);
void __wrap_os_sleep_ns(uint64_t ns);
void __wrap_os_sleep_ns(uint64_t ns)
{
    if (serial()) {
        word nobody = 0;
        __wrap_os_futex_wait(&nobody, 0, clock_ns + ns);
    } else {
        __real_os_sleep_ns(ns);
    }
}

uint64_t __real_os_now_ns(void);
uint64_t __wrap_os_now_ns(void);
uint64_t __wrap_os_now_ns(void) { return serial() ? clock_ns++ : __real_os_now_ns(); }

unsigned __real_os_cpus_shared(void);
unsigned __wrap_os_cpus_shared(void);
unsigned __wrap_os_cpus_shared(void) { return serial() ? 1 : __real_os_cpus_shared(); }

/* ---- rounds ---- */

static void *play(void *argument)
{
    player *me = argument;
    for (;;) {
        wait_for_turn(me);
        if (stopping) { return NULL; }
        self = me;
        play_round((unsigned)(me - players));
        if (mode == SCHEDULE_SERIAL) {
            me->state = DONE;
            unsigned next = pick();
            schedule_switches++;
            current = next;
            self = NULL;
            sem_post(&players[next].turn);
        } else {
            atomic_store(&me->waiting, 0);
        }
    }
}

void schedule_start(schedule_mode how, void (*play_one)(unsigned))
{
    mode = how;
    play_round = play_one;
    delay_one_in = 64;
    clock_ns = UINT64_C(1000000000);
    current = MAIN;
    self = &players[MAIN];
    for (unsigned i = 0; i <= MAIN; i++) {
        sem_init(&players[i].turn, 0, 0);
        players[i].state = DONE;
    }
    for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
        if (pthread_create(&players[i].thread, NULL, play, &players[i]) != 0) {
            fputs("schedule: no thread\n", stderr);
            abort();
        }
    }
}

void schedule_stop(void)
{
    stopping = true;
    for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
        sem_post(&players[i].turn);
        pthread_join(players[i].thread, NULL);
    }
    self = NULL;
}

void schedule_round(uint64_t seed)
{
    static const unsigned delays[] = {4, 16, 64, 256, 1 << 30};
    if (mode == SCHEDULE_SERIAL) {
        serial_round(seed);
    } else {
        atomic_store(&seed_now, seed);
        delay_one_in = delays[seed % (sizeof delays / sizeof delays[0])];
        for (unsigned i = 0; i < SCHEDULE_THREADS; i++) { players[i].state = READY; }
    }
}

schedule_state schedule_wait(bool guess)
{
    if (mode == SCHEDULE_SERIAL) {
        hand_to(pick());
        return outcome;
    }
    for (unsigned i = 0; i < SCHEDULE_THREADS; i++) {
        if (players[i].state == READY) {
            players[i].state = DONE; /* it says itself when it is: `waiting` */
            atomic_store(&players[i].waiting, 1);
            sem_post(&players[i].turn);
        }
    }
    for (unsigned looks = 0; !parallel_done(); looks++) {
        if (guess && looks > 20 && parallel_stuck() && !parallel_done()) { return ALL_STUCK; }
        if (looks < 10) {
            sched_yield();
        } else {
            nanosleep(&(struct timespec){0, 50000}, NULL);
        }
    }
    return ALL_DONE;
}

void schedule_delays(uint64_t seed)
{
    mode = SCHEDULE_PARALLEL;
    delay_one_in = 256;
    atomic_store(&seed_now, seed);
}

uint64_t schedule_stamp(void)
{
    if (serial()) { return atomic_fetch_add_explicit(&stamps, 1, memory_order_relaxed) + 1; }
#if defined(__x86_64__)
    /* A read-modify-write that the processor orders with everything around it, but no more edges
     * for ThreadSanitizer between one thread's operations and another's than there are. */
    atomic_signal_fence(memory_order_seq_cst);
    uint64_t stamp = atomic_fetch_add_explicit(&stamps, 1, memory_order_relaxed) + 1;
    atomic_signal_fence(memory_order_seq_cst);
#else
    atomic_thread_fence(memory_order_seq_cst);
    uint64_t stamp = atomic_fetch_add_explicit(&stamps, 1, memory_order_seq_cst) + 1;
    atomic_thread_fence(memory_order_seq_cst);
#endif
    return stamp;
}

uint64_t schedule_now_ns(void) { return __wrap_os_now_ns(); }
