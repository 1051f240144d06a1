/* steps.h: stops threads at a STEP of the runtime's sources. For programs that are linked with the
 * runtime as it is with the hook (support_async_step).
 *
 * A thread has a role, 0 unless it chose another: so the workers of a pool have 0. An order says
 * "the next thread of role R that comes by SITE stops there", once. */
#ifndef ABUSE_STEPS_H
#define ABUSE_STEPS_H

#include <stdbool.h>

#define STEP_ROLES 4
#define STEP_NEVER STEP_ROLES /* a role that no order is for */

void     step_role(unsigned role); /* of the calling thread, from now on */
unsigned step_own_role(void);

/* `site` must stay valid; NULL takes an order back that nobody has followed. */
void step_order(unsigned role, const char *site);
/* Whether the thread stands there now. */
bool step_stopped(unsigned role);
/* Waits until it does, for a bounded time; whether it does. */
bool step_await(unsigned role);
/* Takes the order back, and lets the thread go on if it has stopped. */
void step_go(unsigned role);

#endif
