/* play.h: one random history of a channel, played and checked. */
#ifndef PLAY_H
#define PLAY_H

#include "history.h"
#include "schedule.h"

/* Of the histories that were played. */
typedef struct report {
    uint64_t digest; /* of all its histories, or of the one that was refused */
    uint64_t operations, overlaps, timeouts, ends, refusals, stuck, states, steps, switches;
    unsigned histories;
    bool     failed;
} report;

/* Each thread's part of every round: for schedule_start. */
void play(unsigned thread);

/* Plays the history of this seed, checks it and counts it. False: it is not one that a queue could
 * have had, or something else was wrong; stderr says what. */
bool play_history(schedule_mode mode, uint64_t seed, report *r);

/* The last one. */
extern history taken;

#endif
