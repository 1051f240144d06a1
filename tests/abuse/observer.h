/* observer.h: row F64: a thread that asks all that can be asked of a pool and its tasks, again and
 * again, while a row goes on. */
#ifndef ABUSE_OBSERVER_H
#define ABUSE_OBSERVER_H

#include "pipeline.h"

#define OBSERVED_MAX 16

typedef struct observer {
    async_pool          *pool;
    async_reader        *readers[OBSERVED_MAX]; /* held by it */
    unsigned             count;
    async_writer        *writer; /* may be NULL */
    atomic_bool          over;
    atomic_uint_fast64_t looks;
    thread               thread;
} observer;

/* Readers may be NULL; what comes after OBSERVED_MAX of them isn't looked at. */
void observer_start(observer *o, async_pool *pool, async_reader *const *readers, unsigned count,
                    async_writer *writer);
/* Before the pool is destroyed. */
void observer_stop(observer *o);

#endif
