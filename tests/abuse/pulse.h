/* pulse.h: how late this machine lets a thread run that wants to: what it does to one, it may do to
 * each of those that a test waits for. */
#ifndef ABUSE_PULSE_H
#define ABUSE_PULSE_H

#include <stdint.h>

/* A thread that wakes each millisecond, from here to the stop. */
void pulse_start(void);
void pulse_stop(void);

/* How late it came at worst since it was asked last (a millisecond counts for nothing); a turn that
 * it is late for at this moment is included. */
uint64_t pulse_late_ms(void);
uint64_t pulse_most_late_ms(void); /* of all answers */

#endif
