/* shares.h: where the workers' time went in a recorded run, and what moving work costs. */
#ifndef SCALE_SHARES_H
#define SCALE_SHARES_H

#include "predict.h"
#include "results.h"

#include <async/trace.h>

/* Of events in the order of their start. `lost`: some are missing; what is left of all
 * threads is looked at then. workers 0: the main thread's. */
struct shares shares_of(const async_trace_event *events, size_t count, bool lost, unsigned workers,
                        uint64_t items);

/* A steal: from the recorded ones, the median time to what was stolen; 0.5 µs until then. */
void costs_measure(struct costs *costs, const async_trace_event *events, size_t count);

/* A wake-up: measured with a pool of one worker that sleeps, half of the way there and back. */
struct costs costs_default(void);

#endif
