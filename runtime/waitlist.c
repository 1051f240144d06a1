/* waitlist.c: the list of those who wait: see waitlist.h for who may call what.
 *
 * Whoever wants something of the list asks for the turn (turn.h). A pass, made by who has it:
 * takes in what has arrived, then takes out and tells the first waiters for as long as their
 * needs, added up, are met. Who finds the turn taken has left a mark, and the holder makes another
 * pass.
 *
 * Invariants
 *   I1 `first`, `last`, `places`, and every waiter's `next` from its arrival until it is told,
 *      belong to who has the turn.
 *   I2 `count` is at least the number of waiters in `arriving` and in the list: it is raised before
 *      the push, and lowered after the unlinking.
 *   I3 The list is sorted by `place`: new ones get the next number, those that come again keep
 *   theirs.
 *   I4 A waiter is told once for each time it was added, or removed, never both: both happen
 *      with the turn, on a waiter that is linked.
 *
 * No wake-up is lost: let C be a change after which the first waiter's need is met. If who made C
 * saw `count` 0 (W2), its waiter's announcement (W1) is later in the order of seq_cst operations,
 * and the pass that the waiter asks for after it looks at the channel after C. Otherwise it asks
 * for a pass itself. A pass that is asked for and refused is made by the holder, after the mark
 * (turn.h).
 *
 * Orders
 *   W1 announce, count (seq_cst)  <-> W2 serve, count (seq_cst): not both miss the other; the
 *      channel's counters are changed and looked at by seq_cst operations on either side.
 *   W3 arrive, arriving (release)  -> W4: the waiter's fields.
 *   W4 take in, arriving (acquire) <- W3.
 *   W5 told, futex word (acq_rel)  -> W6: what the teller did before. The last touch of the waiter.
 *   W6 sleep or look, futex word (acquire; acq_rel) <- W5.
 *   W9 settle, promised (seq_cst) <-> W9 pass, promised (seq_cst): before the look at who waits
 *      (W2), and after the announcement (W1): the pass sees that the items are free, or is asked
 *      for.
 *   W7 sweep, set (release)        -> W8: why all are told. Turns order the two.
 *   W8 sweep, taken (acquire)      <- W7.
 * Layer: 1 */
#include "waitlist.h"

#include "mem.h"
#include "turn.h"

void waitlist_init(struct waitlist *list, waitlist_met_fn *met, void *context)
{
    atomic_init(&list->count, 0);
    atomic_init(&list->turn, TURN_FREE);
    atomic_init(&list->sweep, 0);
    atomic_init(&list->arriving, NULL);
    atomic_init(&list->promised, 0);
    list->first = list->last = NULL;
    list->places = 0;
    list->most = SIZE_MAX;
    list->met = met;
    list->context = context;
}

/* With the turn: at its place. */
static void insert(struct waitlist *list, struct waiter *waiter)
{
    if (!waiter->again) { waiter->place = ++list->places; } /* 2^64 of them do not come */
    if (list->last == NULL || list->last->place <= waiter->place) {
        waiter->next = NULL;
        if (list->last == NULL) {
            list->first = waiter;
        } else {
            list->last->next = waiter;
        }
        list->last = waiter;
        return;
    }
    struct waiter **link = &list->first;
    while ((*link)->place < waiter->place) { link = &(*link)->next; }
    waiter->next = *link;
    *link = waiter;
}

/* With the turn: takes in what has arrived, oldest first. */
static void take_in(struct waitlist *list)
{
    /* relaxed: what a mark stands for is visible (T3) */
    if (load_relaxed(&list->arriving) == NULL) { return; }
    struct waiter *newest = exchange_acquire(&list->arriving, NULL), *oldest = NULL; /* W4 <- W3 */
    while (newest != NULL) {
        struct waiter *waiter = newest;
        newest = newest->next;
        waiter->next = oldest;
        oldest = waiter;
    }
    while (oldest != NULL) {
        struct waiter *waiter = oldest;
        oldest = oldest->next;
        insert(list, waiter);
    }
}

/* With the turn: the waiter after *link is out. */
static void unlink_after(struct waitlist *list, struct waiter *before)
{
    struct waiter *waiter = before == NULL ? list->first : before->next;
    if (before == NULL) {
        list->first = waiter->next;
    } else {
        before->next = waiter->next;
    }
    if (list->last == waiter) { list->last = before; }
    waiter->next = NULL;
    /* relaxed: a count too high costs a pass; turns order it with the adding */
    sub_relaxed(&list->count, 1);
}

static void pass(struct waitlist *list)
{
    /* relaxed: only saves the exchange; a mark that follows W7 makes it visible (T3) */
    /* W8 <- W7 */
    bool all = load_relaxed(&list->sweep) != 0 && exchange_acquire(&list->sweep, 0) != 0;
    take_in(list);
    size_t sum = load_seq_cst(&list->promised); /* W9 */
    while (list->first != NULL) {
        struct waiter *waiter = list->first;
        size_t         need = min_size(waiter->need, list->most);
        if (!size_add(sum, need, &sum)) { sum = SIZE_MAX; }
        if (!all && !list->met(list->context, sum)) { break; }
        unlink_after(list, NULL);
        waiter->promised = waiter->settles && !all ? need : 0;
        if (waiter->promised != 0) { add_seq_cst(&list->promised, need); } /* W9 */
        /* relaxed: read with the turn, or by its owner */
        store_relaxed(&waiter->state, WAITER_TOLD);
        waiter->told(waiter); /* it may be gone now, or in `arriving` again */
    }
}

void waitlist_serve_slow(struct waitlist *list)
{
    do {
        if (!turn_take(&list->turn)) { return; }
        pass(list);
    } while (turn_give(&list->turn));
}

static void add(struct waitlist *list, struct waiter *waiter)
{
    store_relaxed(&waiter->state, WAITER_WAITING); /* relaxed: published by W3 */
    add_seq_cst(&list->count, 1);                  /* W1 <-> W2 */
    STEP("waitlist_add: announced");
    struct waiter *newest = load_relaxed(&list->arriving); /* relaxed: compared by the CAS */
    do {
        waiter->next = newest;
        /* W3 -> W4 */
    } while (!cas_release(&list->arriving, &newest, waiter));
    waitlist_serve_slow(list);
}

void waitlist_add(struct waitlist *list, struct waiter *waiter)
{
    waiter->again = false;
    add(list, waiter);
}

void waitlist_add_first(struct waitlist *list, struct waiter *waiter)
{
    waiter->again = true;
    add(list, waiter);
}

void waitlist_settle(struct waitlist *list, struct waiter *waiter)
{
    if (waiter->promised == 0) { return; }
    sub_seq_cst(&list->promised, waiter->promised); /* W9 */
    waiter->promised = 0;
    waitlist_serve(list);
}

void waitlist_tell_all(struct waitlist *list)
{
    if (load_seq_cst(&list->count) == 0) { return; } /* W2 <-> W1 */
    store_release(&list->sweep, 1);                  /* W7 -> W8 */
    waitlist_serve_slow(list);
}

bool waitlist_remove(struct waitlist *list, struct waiter *waiter)
{
    uint32_t turn = TURN_FREE;
    unsigned looks = 0;
    /* T1 <- T3; without a mark, so that the holder gets done */
    while (!cas_acq_rel(&list->turn, &turn, TURN_TAKEN)) {
        os_pause(&looks);
        turn = TURN_FREE;
    }
    take_in(list);
    struct waiter *before = NULL, *at = list->first;
    while (at != NULL && at != waiter) {
        before = at;
        at = at->next;
    }
    if (at != NULL) {
        unlink_after(list, before);
        store_relaxed(&waiter->state, WAITER_IDLE); /* relaxed: the caller's own now */
    }
    /* Whoever is behind it may be met now. */
    pass(list);
    if (turn_give(&list->turn)) { waitlist_serve_slow(list); }
    return at != NULL;
}

void waitlist_after_fork(struct waitlist *list)
{
    /* relaxed (all): there is one thread */
    store_relaxed(&list->count, 0);
    store_relaxed(&list->turn, TURN_FREE);
    store_relaxed(&list->sweep, 0);
    store_relaxed(&list->promised, 0);
    store_relaxed(&list->arriving, NULL);
    list->first = list->last = NULL;
}

void waitlist_add_after_fork(struct waitlist *list, struct waiter *waiter)
{
    /* relaxed (both): there is one thread */
    add_relaxed(&list->count, 1);
    store_relaxed(&waiter->state, WAITER_WAITING);
    waiter->again = waiter->place != 0;
    insert(list, waiter);
}

static void thread_told(struct waiter *waiter)
{
    struct thread_waiter *thread = container_of(waiter, struct thread_waiter, waiter);
    shared_u32           *told = &thread->told;
    /* W5 -> W6; the thread may return now, and its stack frame be gone */
    bool sleeps = exchange_acq_rel(told, THREAD_TOLD) == THREAD_SLEEPS;
    STEP("thread_told: stored");
    if (sleeps) { os_futex_wake(told, 1); } /* by its address only */
}

void thread_waiter_init(struct thread_waiter *waiter, size_t need)
{
    waiter->waiter.next = NULL;
    waiter->waiter.need = need;
    waiter->waiter.told = thread_told;
    atomic_init(&waiter->waiter.state, WAITER_IDLE);
    waiter->waiter.again = false;
    waiter->waiter.settles = false;
    waiter->waiter.promised = 0;
    waiter->waiter.place = 0;
    atomic_init(&waiter->told, THREAD_LOOKS);
}

bool thread_waiter_sleep(struct thread_waiter *waiter, uint64_t deadline_ns)
{
    uint32_t seen = THREAD_LOOKS;
    /* W6 <-> W5: who tells it sees that it sleeps, or it sees that it was told. It fails in the
     * second sleep of one whose first had a deadline, too. */
    if (!cas_acq_rel(&waiter->told, &seen, THREAD_SLEEPS) && seen == THREAD_TOLD) { return true; }
    STEP("thread_waiter_sleep: about to sleep");
    while (!thread_waiter_told(waiter)) {
        if (!os_futex_wait(&waiter->told, THREAD_SLEEPS, deadline_ns)) {
            return thread_waiter_told(waiter);
        }
    }
    return true;
}
