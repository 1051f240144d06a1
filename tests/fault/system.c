/* system.c: F62, F15: the n-th futex call or clock reading fails. What the kernel may answer in
 * passing (EINTR, EAGAIN, a return without a reason) changes nothing; what a filter of system calls
 * answers for good (ENOSYS, EPERM) ends the program with a message, and never in a hang.
 *
 * Arguments: [kind [N [n]]]. */
#include "trials.h"

#include <errno.h>
#include <stdio.h>

/* Every call fails in turn; but where the program may end by it, which is most of the trials, only
 * the first few where a trial takes long: nothing leaks from a program that has ended. */
#if defined(__SANITIZE_ADDRESS__)
#define MOST_ENDS 12
#else
#define MOST_ENDS 0
#endif

int main(int argc, char **argv)
{
    static const struct {
        struct injection fault;
        const char      *what;
        bool             may_abort;
    } sweeps[] = {
        {{.fault = FAULT_WAIT, .error = EINTR}, "F15 futex wait: EINTR", false},
        {{.fault = FAULT_WAIT, .error = EAGAIN}, "F15 futex wait: EAGAIN", false},
        {{.fault = FAULT_WAIT, .error = 0}, "F15 futex wait: no reason", false},
        {{.fault = FAULT_WAIT, .error = ENOSYS}, "F62 futex wait: ENOSYS", true},
        {{.fault = FAULT_WAIT, .error = EPERM}, "F62 futex wait: EPERM", true},
        {{.fault = FAULT_WAKE, .error = ENOSYS}, "F62 futex wake-up: ENOSYS", true},
        {{.fault = FAULT_WAKE, .error = EPERM}, "F62 futex wake-up: EPERM", true},
        {{.fault = FAULT_CLOCK, .error = ENOSYS}, "F62 clock: ENOSYS", true},
        {{.fault = FAULT_CLOCK, .error = EPERM}, "F62 clock: EPERM", true},
    };
    trial_arguments(argc, argv);
    unsigned failed = 0;
    for (unsigned i = 0; i < sizeof sweeps / sizeof *sweeps; i++) {
        struct injection fault = sweeps[i].fault;
        failed += trial_sweep(&fault, sweeps[i].what, sweeps[i].may_abort,
                              sweeps[i].may_abort ? MOST_ENDS : 0);
    }
    /* All of them, from the first on: a machine that refuses for good, or one where nobody sleeps
     * but for a moment. */
    for (unsigned i = 0; i < sizeof sweeps / sizeof *sweeps; i++) {
        struct injection fault = sweeps[i].fault;
        if (fault.error == EINTR) {
            continue; /* a wait that is always interrupted is one that never returns */
        }
        fault.persists = true;
        fault.held_ms = 100;
        failed += trial_sweep(&fault, sweeps[i].what, sweeps[i].may_abort, 1);
    }
    return failed != 0;
}
