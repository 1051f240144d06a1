/* interrupt.h: SIGINT and SIGTERM end the program cleanly, with what was measured so far: a thread
 * waits for them and cancels the run that is going on. The second one ends it at once. */
#ifndef SCALE_INTERRUPT_H
#define SCALE_INTERRUPT_H

#include <async/async.h>

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

struct interrupt {
    pthread_mutex_t lock;
    async_reader   *reader; /* what is being read */
    int             asked;  /* the signal; 0: none so far */
    bool            over;
    sigset_t        signals;
    pthread_t       thread;
};

/* To be called while there is one thread. False: it could not be started. */
bool interrupt_start(struct interrupt *interrupt);
void interrupt_stop(struct interrupt *interrupt);

/* From now on `reader` is what a signal cancels; NULL: nothing. False: a signal has come. */
bool interrupt_watch(struct interrupt *interrupt, async_reader *reader);
int  interrupt_asked(struct interrupt *interrupt);

#endif
