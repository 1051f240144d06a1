/* deque.h: the Chase–Lev work-stealing deque (SPAA 2005; C11 after Lê et al., PPoPP 2013, with the
 * corrections listed in docs/design/deque.md). Holds pointers.
 *
 * One thread at a time owns the deque and may push and pop; any thread may steal, the owner too.
 * The order of ownership changes is the business of the caller (a mutex hands the deque over).
 *
 *              | push | pop | steal | size | init, destroy
 *     push     |  -   |  -  |  yes  | yes  |  -
 *     pop      |  -   |  -  |  yes  | yes  |  -
 *     steal    | yes  | yes |  yes  | yes  |  -
 *     size     | yes  | yes |  yes  | yes  |  -
 *     (yes: may run at once in different threads; -: must not)
 *
 * Progress: pop, steal and size are wait-free; push too, but for the allocator when it grows.
 * Layer: 1 */
#ifndef ASYNC_RUNTIME_DEQUE_H
#define ASYNC_RUNTIME_DEQUE_H

#include "atomic.h"

struct deque_array;

/* The jobs are those with indices top … bottom − 1. Indices count up (pop takes bottom back by
 * one), are compared by their difference, and may wrap. Two lines: thieves and the owner's last pop
 * write the first, the owner alone the second, so that pushing and popping disturb no other CPU's
 * cache but that of a thief at work. */
struct deque {
    alignas(FALSE_SHARING) shared_i64 top;    /* the oldest; moved up by CAS, by whoever takes it */
    alignas(FALSE_SHARING) shared_i64 bottom; /* one past the newest; written by the owner only */
    SHARED(struct deque_array *) array; /* written by the owner; old ones live until destroy */
    shared_u32 owners; /* debug builds: threads inside push or pop, never more than one (F61) */
};

enum deque_result {
    DEQUE_EMPTY,
    DEQUE_TAKEN,
    DEQUE_LOST /* another thread was faster: look again */
};

/* `capacity`, a power of two, is that of the first array; it doubles when it is full. False: there
 * is no memory, or no such array, and nothing is left. */
bool deque_init(struct deque *deque, size_t capacity);

/* No other thread uses it any more. Jobs that are still in it are forgotten. All zero is fine. */
void deque_destroy(struct deque *deque);

/* Owner. `job` is not NULL. False: it is full and there is no memory; nothing was pushed. */
bool deque_push(struct deque *deque, void *job);

/* Owner. The newest job; NULL: empty. */
void *deque_pop(struct deque *deque);

/* Any thread. The oldest job into *job. On EMPTY and LOST *job is as it was. */
enum deque_result deque_steal(struct deque *deque, void **job);

/* In the child of a fork, by its only thread: its owner is gone, maybe in the middle of a push or a
 * pop. The job it was at is not in the deque any more; the others are. */
void deque_after_fork(struct deque *deque);

/* Any thread. A snapshot: the jobs at some moment, give or take those of operations that run. */
size_t deque_size(const struct deque *deque);

#endif
