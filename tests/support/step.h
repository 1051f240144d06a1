/* step.h: the hook that a runtime built with ASYNC_STEP calls before each operation on shared
 * memory, and at its named windows (link async_step and support_step, see tests/CMakeLists.txt).
 *
 * Delays: at random steps a thread yields, sleeps for some microseconds, or gets another priority:
 * a low one is delayed often, a high one never. A thread's decisions depend on the seed and on its
 * number only. For programs that block, too.
 *
 * Turns: one thread runs at a time, and at each step the seed decides who goes on. The same seed
 * gives the same execution, step by step, in a process that has come to step_begin in the same way
 * (free lists, for one, last from round to round). Not for code that blocks: nobody else would
 * run. */
#ifndef SUPPORT_STEP_H
#define SUPPORT_STEP_H

#include <stdint.h>

#define STEP_THREADS 64

enum step_mode { STEP_OFF, STEP_DELAYS, STEP_TURNS };

/* Before the threads of a round start: `threads` of them, with the numbers 0 ... threads - 1. */
void step_begin(enum step_mode mode, unsigned threads, uint64_t seed);
/* First and last call of each of them. With TURNS none goes on before all of them have entered, nor
 * ends before all have left. A thread that has not entered is left alone. */
void step_enter(unsigned number);
void step_leave(void);
/* After they were joined. Of all steps that they made, in the order of their turns: who, and where.
 * The same number: the same execution. With DELAYS: of their decisions. */
uint64_t step_end(void);
/* How many steps those were. */
uint64_t step_count(void);

/* What the runtime calls. */
void async_step(const char *site);

#endif
