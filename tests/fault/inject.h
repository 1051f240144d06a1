/* inject.h: the library's calls of the C library, made to fail on purpose.
 *
 * A call is counted from the moment of inject_arm; the `at`-th of its kind fails, or every one from
 * there on until inject_recover. Any thread may call the library meanwhile. */
#ifndef FAULT_INJECT_H
#define FAULT_INJECT_H

#include <stdbool.h>
#include <stdint.h>

enum fault {
    FAULT_NONE,
    FAULT_MEMORY, /* malloc, calloc, realloc, aligned_alloc: NULL */
    FAULT_THREAD, /* pthread_create: EAGAIN */
    FAULT_WAIT,   /* futex waits: `error`, or 0 for a return without a reason */
    FAULT_WAKE,   /* futex wake-ups: `error` */
    FAULT_CLOCK   /* clock_gettime: `error` */
};

struct injection {
    enum fault fault;
    uint64_t   at;       /* counted from 1 */
    bool       persists; /* all later ones fail too */
    int        error;    /* where the kind leaves a choice */
    unsigned   held_ms;  /* with persists: a call that can't be refused may hold on so long, then
                            the fault is over */
};

void inject_arm(const struct injection *injection);
void inject_recover(void); /* no more failures; the counts stay */

uint64_t inject_seen(enum fault fault); /* calls since inject_arm; every kind is counted */
uint64_t inject_failed(void);           /* of them, those that failed */
bool     inject_failing(void);          /* armed and neither over nor recovered */

/* The name of the public call that the client is in; only such calls as can't be refused may
 * outlast the fault. */
void inject_enter(const char *call, bool can_be_refused);
const char *
inject_held_on(void); /* a call that could be refused and wasn't, for seconds; or NULL */

/* Allocations of the library that it has not freed. */
int64_t inject_live(void);

#endif
