/* trial.h: small pipelines of each kind that check themselves and go on when a call is refused for
 * want of memory (or of a thread), once: what F42 is tried with. */
#ifndef SUPPORT_TRIAL_H
#define SUPPORT_TRIAL_H

#include "arena.h"

/* One run of one of them. Zeroed but for the first two. */
typedef struct trial {
    unsigned     n;
    arena       *arena;   /* of the pools; NULL: the default allocator */
    atomic_uint  refused; /* calls that were */
    const char  *wrong;   /* the first call, or condition, that was not as it must be */
    async_status status;  /* what that call gave */
    probe        probe;
    uint64_t     sum, count; /* of what was read */
} trial;

typedef struct trial_kind {
    const char *name;
    void (*run)(trial *t);
} trial_kind;

extern const trial_kind trial_kinds[];
extern const unsigned   trial_kind_count;

#endif
