/* checker_random.h: random histories for the tests of the checker. */
#ifndef CHECKER_RANDOM_H
#define CHECKER_RANDOM_H

#include "history.h"

/* One that the sequential queue had. */
history random_history(uint64_t seed);

/* Breaks the one that was made last, in one of six ways. False: there was nothing to break. */
bool damage_history(history *h);

#endif
