/* simulate.h: a graph of chunks on P workers, event by event.
 *
 * Each worker has a deque. What becomes ready when a chunk ends goes on top of the deque of the
 * worker that ran it, which goes on with the newest; who has nothing takes what comes from
 * outside or has no input, in order, and else steals the oldest of a random other worker. A stage
 * that runs only so many chunks at a time hands over to the first that waits. Nobody idles
 * while there is something that could run, but for what a steal, a wake-up and
 * the sharing of what the runtime keeps cost. */
#ifndef SCALE_SIMULATE_H
#define SCALE_SIMULATE_H

#include "graph.h"
#include "predict.h"

struct simulated {
    double   seconds;
    double   busy; /* seconds in chunks, of all workers */
    uint64_t steals, wakes;
};

/* False: no memory. */
bool simulate(const struct graph *graph, unsigned workers, const struct costs *costs, uint64_t seed,
              struct simulated *out);

#endif
