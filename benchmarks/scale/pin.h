/* pin.h: CPUs that this program may use, and threads put on them. */
#ifndef SCALE_PIN_H
#define SCALE_PIN_H

#include <stdbool.h>
#include <stddef.h>

/* The CPUs in the order in which they are given to workers: one of each core first. */
struct pin {
    int   *cpus;
    size_t count;
};

/* False: no memory, or the system doesn't say. */
bool pin_init(struct pin *pin);
void pin_free(struct pin *pin);

/* The process's threads, by number: for pin_new_threads. NULL: none could be read. */
int *pin_threads(size_t *count);

/* Puts each thread that is not among `old` on a CPU of its own, in the order in which they were
 * started; more threads than CPUs begin at the first CPU again. False: the system refused. */
bool pin_new_threads(const struct pin *pin, const int *old, size_t old_count);

#endif
