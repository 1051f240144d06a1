/* waitlist.h: those who wait for a channel, longest-waiting first: threads and chunks of tasks
 * alike.
 *
 * A waiter says what it needs; whoever changes the channel calls waitlist_serve, and the waiters
 * whose need is met are taken out in order, head first, each told exactly once. The list is
 * combined, not locked: an entry arrives through a lock-free stack, and one thread at a time has
 * the turn to serve; who finds the turn taken leaves a mark and goes on, and the one who has it
 * looks again. So nobody who writes or reads without waiting ever waits for another here.
 *
 * The StoreLoad pair: a waiter is announced (seq_cst add to `count`), then the channel is looked
 * at; a writer changes the channel (seq_cst), then loads `count` (seq_cst). Not both can miss the
 * other.
 *
 * Needs add up: five items tell one waiter of five, or five of one, not all. What a thread was told
 * of is promised to it until it has taken it or leaves (waitlist_settle): nobody who came later is
 * told of the same items, however long it takes to wake. A chunk that was told may never run, so
 * it is promised nothing; it, too, counts within its pass.
 * Layer: 1 */
#ifndef ASYNC_RUNTIME_WAITLIST_H
#define ASYNC_RUNTIME_WAITLIST_H

#include "os.h"

struct waitlist;

enum waiter_state { WAITER_IDLE, WAITER_WAITING, WAITER_TOLD };

struct waiter {
    struct waiter *next; /* the list's */
    size_t         need; /* items or room, in items; at least 1. Set before waitlist_add */
    /* Called once, by the thread that has the turn, after the waiter has left the list; the waiter
     * may be gone, or added again, as soon as it is called. Must not wait; may call waitlist_add,
     * not waitlist_remove. */
    void (*told)(struct waiter *waiter);
    shared_u32 state;    /* enum waiter_state; written by who adds it and by who has the turn */
    bool       again;    /* added by waitlist_add_first; set before it arrives */
    bool       settles;  /* its owner calls waitlist_settle after it was told */
    size_t     promised; /* of the needs in `promised` of the list; its owner's once it was told */
    uint64_t   place;    /* the list's: when it first arrived; 0: never */
};

/* Whether waiters of this need, all together, can go on; called with the turn. */
typedef bool waitlist_met_fn(void *context, size_t need);

struct waitlist {
    /* Written when somebody begins or ends to wait, and read by everyone. */
    /* announced and not yet out: what the fast path looks at */
    alignas(FALSE_SHARING) shared_u32 count;
    shared_u32 turn; /* turn.h */
    /* tell all, at the next pass; set before the turn is asked for */
    shared_u32              sweep;
    SHARED(struct waiter *) arriving; /* pushed by any thread, newest first */
    /* needs of those that were told and have not settled: added to with the turn */
    shared_size      promised;
    struct waiter   *first, *last; /* these three: of who has the turn */
    uint64_t         places;
    size_t           most; /* a need counts as this at most: the channel's capacity */
    waitlist_met_fn *met;  /* and these two are set once */
    void            *context;
};

void waitlist_init(struct waitlist *list, waitlist_met_fn *met, void *context);

/* Adds a waiter (not in a list) at the end, then serves. Its told may be called before this
 * returns. Lock-free. */
void waitlist_add(struct waitlist *list, struct waiter *waiter);
/* The same, at the place that it had: for one that was told and found too little. */
void waitlist_add_first(struct waitlist *list, struct waiter *waiter);

/* Tells all waiters at the front whose need is met. Lock-free. */
void               waitlist_serve_slow(struct waitlist *list);
static inline void waitlist_serve(struct waitlist *list)
{
    if (unlikely(load_seq_cst(&list->count) != 0)) { waitlist_serve_slow(list); } /* W2 <-> W1 */
}

/* A waiter that was told, and `settles`, has taken what it could, or leaves. */
void waitlist_settle(struct waitlist *list, struct waiter *waiter);

/* Tells all that are in the list now, met or not; some that come at the same time, perhaps.
 * Lock-free. */
void waitlist_tell_all(struct waitlist *list);

/* Takes a waiter out, waiting for the turn. True: it was in the list, and will not be told. False:
 * it has been told (told has returned) or was never added. After it the waiter's memory is the
 * caller's. Blocking: a thread that is stopped with the turn holds it up. */
bool waitlist_remove(struct waitlist *list, struct waiter *waiter);

/* In the child of a fork, by its only thread: the list is empty. */
void waitlist_after_fork(struct waitlist *list);
/* Then: a waiter that is still there takes its place again. */
void waitlist_add_after_fork(struct waitlist *list, struct waiter *waiter);

/* A thread that waits. Who tells one that only looks needs no call of the kernel. */
enum thread_told { THREAD_LOOKS, THREAD_SLEEPS, THREAD_TOLD };
struct thread_waiter {
    struct waiter waiter;
    shared_u32    told; /* enum thread_told; the futex word */
};
void               thread_waiter_init(struct thread_waiter *waiter, size_t need);
static inline bool thread_waiter_told(const struct thread_waiter *waiter)
{
    return load_acquire(&waiter->told) == THREAD_TOLD; /* W6 <- W5 */
}
/* Sleeps until told (true) or the deadline has passed (false: the caller removes it). */
bool thread_waiter_sleep(struct thread_waiter *waiter, uint64_t deadline_ns);

#endif
