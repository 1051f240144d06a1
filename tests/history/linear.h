/* linear.h: is a history one that a first-in first-out queue with a close could have had?
 *
 * The search is that of Wing and Gong (Testing and verifying concurrent objects, 1993) with the
 * memory of visited states of Lowe (Testing for linearizability, 2017). It walks through the stamps
 * in their order; between two of them any operation that has begun may take its next step, one
 * at a time. An operation has to have taken all its steps before its end is passed. The
 * history is accepted if some choice reaches the last stamp. A state is (stamp, steps of each
 * running operation, the queue): one that was left without success is not entered again.
 *
 * The sequential queue, and the steps of each operation:
 *   write      one step for each item that was accepted: the channel is open and has room; the item
 *              goes to the back. Then TIMEOUT: at one moment it is open and full. CLOSED: it is
 *              closed. OK: nothing more.
 *   read       one step an item, which must be the front one. Then TIMEOUT: at one moment it is
 *              open and empty. END: closed and empty. OK: nothing more, the count is complete.
 *   borrow     the same, where OK is complete with 1.
 *   close      closes.
 *   closed     the answer is what it is.
 *   drop       one hold less; if that was the last one, then it closes; and of the read end, the
 *              items that are left go to the discard callback, front to back, until it is empty.
 *   stuck      see below.
 * So a write of several items is not atomic, but its items come in their order, and so is a read.
 *
 * "Full" is what a writer may be told that finds no room: an operation in progress may hold
 * room that the queue does not show, a writer's for items that it is about to put, and a reader's
 * of items that it has taken. A writer that was itself told "full" held none in the end. "Empty"
 * has no such allowance.
 *
 * "Stuck" is a moment at which every running operation slept with no deadline, and so had steps
 * left to take: a writer that sleeps means that the queue is full; where readers sleep, one of them
 * wants more than there is, and it is not full. It is not closed. */
#ifndef LINEAR_H
#define LINEAR_H

#include "history.h"

typedef struct linear_result {
    bool     accepted;
    unsigned states; /* visited */
    /* Refused: the operation whose end no choice could pass, the last one in time that was tried;
     * and the queue in one of those states. */
    unsigned      operation;
    unsigned char queue[HISTORY_ITEMS];
    unsigned      queue_count;
    bool          closed;
} linear_result;

/* Not from two threads at once. */
linear_result linear_check(const history *h);

/* For a history that was refused: why. */
void linear_print(const history *h, const linear_result *result, FILE *out);

#endif
