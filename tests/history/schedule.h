/* schedule.h: three threads and a main one under a seeded schedule.
 *
 * The runtime is built with STEP points (atomic.h), and calls async_step at each access to shared
 * memory. What that does here:
 *   SCHEDULE_SERIAL    one thread runs at a time, and at each step a stream of random numbers
 *                      decides who goes on. Sleeping, waking and the clock are simulated (the
 *                      os_… calls are wrapped by the linker), sometimes a sleeper wakes without
 *                      reason, and time moves when a sleeper's deadline is chosen. So a seed gives
 *                      the same run each time, and all threads asleep for good is seen at once.
 *   SCHEDULE_PARALLEL  the threads run at the same time, and each has a stream of its own that
 *                      makes it yield, spin or sleep at some of its steps.
 *
 * main: schedule_start, then for each round schedule_round and schedule_wait until that says
 * ALL_DONE; schedule_stop at the end. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

#define SCHEDULE_THREADS 3 /* beside main */

typedef enum schedule_mode { SCHEDULE_SERIAL, SCHEDULE_PARALLEL } schedule_mode;
typedef enum schedule_state { ALL_DONE, ALL_STUCK } schedule_state;

/* Starts the threads; in each round each of them calls `play` with its index. */
void schedule_start(schedule_mode mode, void (*play)(unsigned thread));
void schedule_stop(void);

/* Main's: the seed of all streams from here on; main alone runs until schedule_wait. */
void schedule_round(uint64_t seed);

/* Lets the threads go on, until all are done or, in SCHEDULE_SERIAL, none of them can: all who are
 * not done sleep without a deadline. Main does something about it then, and calls this again. In
 * SCHEDULE_PARALLEL that is a guess, which may be wrong, and is made only if asked for. */
schedule_state schedule_wait(bool guess);

/* Nothing but the delays of SCHEDULE_PARALLEL, in whatever threads there are. */
void schedule_delays(uint64_t seed);

/* A number that grows with each call, in the order in which things happen. */
uint64_t schedule_stamp(void);

/* Nanoseconds, of the clock that deadlines are told in. */
uint64_t schedule_now_ns(void);

/* Since the program began: steps, and how often another thread went on. Serial only. */
extern uint64_t schedule_steps, schedule_switches;

#endif
