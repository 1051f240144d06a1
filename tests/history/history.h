/* history.h: what some threads did with one channel, operation by operation, and when.
 *
 * An operation lies between two stamps of one counter: `begin` was taken before the call, `end`
 * after it. Two operations overlap unless one's end is below the other's begin. Items are numbers
 * from 1 on, each written once. */
#ifndef HISTORY_H
#define HISTORY_H

#include <async/async.h>

#include <stdio.h>

#define HISTORY_THREADS    4  /* three that run at the same time, and the one that tidies up */
#define HISTORY_OPERATIONS 32 /* of all threads */
#define HISTORY_ITEMS      48 /* of one operation, and of all writes together */

typedef enum operation_kind {
    OP_WRITE,       /* count items; done were accepted */
    OP_READ,        /* count asked for; done came */
    OP_BORROW,      /* as a read, but any number from 1 to count is enough */
    OP_CLOSE,       /* by a holder of the write end */
    OP_CLOSED,      /* asks whether it is closed */
    OP_DROP_WRITER, /* release of one hold; the last one closes */
    OP_DROP_READER, /* the same of the read end; what is left goes to the discard callback */
    OP_STUCK        /* no call: at this moment every operation that has begun was asleep for good */
} operation_kind;

typedef struct operation {
    operation_kind kind;
    unsigned       thread;
    async_wait     wait; /* of a write, read or borrow */
    unsigned       count, done;
    async_status   status;
    bool           answer;               /* of OP_CLOSED */
    unsigned char  items[HISTORY_ITEMS]; /* to be written, all count of them; or read */
    unsigned       discarded;            /* items that the discard callback got from this call */
    unsigned char  discards[HISTORY_ITEMS];
    uint64_t       begin, end;
} operation;

typedef struct history {
    size_t    capacity;         /* 0: unbounded */
    unsigned  writers, readers; /* holds of either end at the beginning */
    unsigned  count;
    operation operations[HISTORY_OPERATIONS];
} history;

/* The operations in the order of their begin, one a line. */
void history_print(const history *h, FILE *out);

/* A number that two histories share if they are the same, stamps included. */
uint64_t history_digest(const history *h);

#endif
