/* threads.c: F41: the n-th pthread_create fails, for every n, or all from there on, until it is
 * over. Calls say SYSTEM (inside a task BUSY), keep what they got or leave nothing, and the next
 * try works.
 *
 * Arguments: [kind [N [n]]]. */
#include "trials.h"

int main(int argc, char **argv)
{
    trial_arguments(argc, argv);
    struct injection once = {.fault = FAULT_THREAD};
    struct injection persisting = {.fault = FAULT_THREAD, .persists = true, .held_ms = 5};
    unsigned         failed = trial_sweep(&once, "F41 one pthread_create fails", false, 0);
    failed += trial_sweep(&persisting, "F41 all of them fail from one on", false, 0);
    return failed != 0;
}
