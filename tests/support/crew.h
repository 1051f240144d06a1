/* crew.h: which threads did something, and what the threads of the process cost. */
#ifndef SUPPORT_CREW_H
#define SUPPORT_CREW_H

#include "pipeline.h"

#include <sys/types.h>

#define CREW_MAX 256

/* The ids of threads that were seen; zeroed it is empty. Any thread may note itself. */
typedef struct crew {
    atomic_uint count;
    atomic_int  ids[CREW_MAX];
} crew;

void     crew_note(crew *c); /* the calling thread */
bool     crew_has(crew *c, pid_t id);
unsigned crew_size(crew *c);

/* The number of threads at the first call. A later call waits until there are that many again: a
 * thread that was joined is still there for a moment. */
unsigned threads_at_rest(void);

/* The context switches, of both kinds, of every thread of the process but the calling one and
 * `except` (0: none): a thread that does not run makes none. `threads` (may be NULL) gets how many
 * were looked at. */
uint64_t switches_of_others(pid_t except, unsigned *threads);

/* Whether all these threads, `threads` of them, stand still for 100 ms, beginning 10 ms from now.
 * On a loaded machine a thread may be late to come to rest: there are two more tries. A thread that
 * looks for work, or wakes now and then, fails them all. Under ThreadSanitizer, a thread of whose
 * own wakes now and then, it is not looked at. */
bool others_stand_still(pid_t except, unsigned threads);

#endif
