/* deque.c: the work-stealing deque of deque.h.
 *
 * D. Chase, Y. Lev, "Dynamic circular work-stealing deque", SPAA 2005, with the orders of
 * N. M. Lê, A. Pop, A. Cohen, F. Zappa Nardelli, "Correct and efficient work-stealing for weak
 * memory models", PPoPP 2013, and these differences (the reasons are in docs/design/deque.md):
 *   - every store to `bottom` is a release store, pop's too;
 *   - the array is published by a release store and read, by acquire, after `bottom`;
 *   - indices are signed, and compared by their difference;
 *   - pop looks before it claims, so an empty deque is left without a store or a fence;
 *   - a lost steal is told apart from an empty deque;
 *   - it doesn't shrink, and old arrays live until the deque dies.
 *
 * Invariants
 *   I1 top never goes down (modulo wrap), and moves only by CAS and by one.
 *   I2 0 <= bottom - top <= capacity of the newest array, but for one moment within pop, where
 *      bottom may be top - 1.
 *   I3 a job is taken by whoever moves top past its index, or by the owner's pop while
 *      top < its index after the fence D3. Never by both, never twice: D3 <-> D4.
 *   I4 in each array that was ever published, the slot of an index i >= top holds job i, if i was
 *      pushed when this was the newest array or was copied into it. It is written again only for
 *      the index i + capacity, which is not pushed before top > i.
 *   I5 an array that is not the newest any more isn't written.
 *
 * Orders
 *   D1 push, pop, bottom (release)     -> D5 steal, bottom (acquire): the slot, what the job
 *      points to, and the array that the slot is in.
 *   D2 push, top (acquire)             <- D7 take, top (seq_cst): the slot's reader has read it
 *      before the owner writes it again.
 *   D3 pop, fence (seq_cst)            <-> D4 steal, fence (seq_cst): not both read old values.
 *          owner                            thieves (jobs 0 and 1, top 0, bottom 2)
 *          bottom = 1                       one takes job 0: top = 1
 *          D3                               another reads top 1, then D4
 *          reads top                        reads bottom
 *      Forbidden: top 0 and bottom 2, for then the owner takes job 1 without a CAS and the thief
 *      takes it with one.
 *   D6 steal, top (acquire)            <- D7 take, top (seq_cst): the other thief's move happens
 *      before D4, so that it counts as a move before this thief's fence.
 *   D7 take, top (seq_cst)             -> D2, D6: as above. It is seq_cst rather than acq_rel
 *      because in C11 (not so in C++20) a load behind a fence is only sure to see a write of
 *      another thread that is itself seq_cst, or has a fence of its own behind it.
 *   D8 grow, array (release)           -> D9 steal, array (acquire): the copied slots.
 *
 * Wrap: 2^64 pushes; at 10^9 a second 584 years. The code stands it: indices are added and
 * subtracted as unsigned numbers and only their difference is signed.
 *
 * Memory: the arrays double, so all old ones together are smaller than the newest. A thief may hold
 * an old array for as long as it likes; nobody frees it before deque_destroy.
 *
 * Not promised: that steal finds a job that is being pushed, or an order between the jobs of
 * different thieves. A pop that loses the last job to a thief is empty at that moment.
 * Layer: 1 */
#include "deque.h"

#include "check.h"
#include "mem.h"

struct deque_array {
    uint64_t            mask;                   /* capacity - 1; written before it is published */
    struct deque_array *older;                  /* the owner's */
    alignas(CACHE_LINE) SHARED(void *) slots[]; /* written by the owner, read by all */
};

/* index + step, with wrap. */
static inline int64_t index_add(int64_t index, int64_t step)
{
    return (int64_t)((uint64_t)index + (uint64_t)step);
}

/* a - b: the distance of two indices is right even when they wrapped in between. */
static inline int64_t index_distance(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static inline SHARED(void *) *slot(struct deque_array *array, int64_t index)
{
    return &array->slots[(uint64_t)index & array->mask];
}

/* F61: two threads that take themselves for the owner. Relaxed, so that it orders nothing that the
 * release build wouldn't. */
static inline void owner_enters(struct deque *deque)
{
#ifdef ASYNC_DEBUG
    CHECK(add_relaxed(&deque->owners, 1) == 0); /* relaxed: see above */
#else
    (void)deque;
#endif
}

static inline void owner_leaves(struct deque *deque)
{
#ifdef ASYNC_DEBUG
    sub_relaxed(&deque->owners, 1); /* relaxed: see owner_enters */
#else
    (void)deque;
#endif
}

/* NULL: no memory, or no such size. */
static struct deque_array *array_new(size_t capacity, struct deque_array *older)
{
    size_t size;
    if (!size_mul(capacity, sizeof(SHARED(void *)), &size)) { return NULL; }
    if (!size_add(size, sizeof(struct deque_array), &size)) { return NULL; }
    struct deque_array *array = (struct deque_array *)mem_zalloc(size, CACHE_LINE);
    if (array == NULL) { return NULL; }
    array->mask = capacity - 1;
    array->older = older;
    return array;
}

bool deque_init(struct deque *deque, size_t capacity)
{
    CHECK(capacity != 0 && (capacity & (capacity - 1)) == 0);
    struct deque_array *array = array_new(capacity, NULL);
    if (array == NULL) { return false; }
    store_relaxed(&deque->top, 0); /* relaxed (all): nobody else has the deque yet */
    store_relaxed(&deque->bottom, 0);
    store_relaxed(&deque->array, array);
    store_relaxed(&deque->owners, 0);
    return true;
}

void deque_destroy(struct deque *deque)
{
    struct deque_array *array = load_relaxed(&deque->array); /* relaxed: no one else has it */
    while (array != NULL) {
        struct deque_array *older = array->older;
        mem_free(array);
        array = older;
    }
    store_relaxed(&deque->array, NULL); /* relaxed: as above */
}

/* An array of twice the size with the jobs top … bottom - 1, published; NULL: no memory. `top` may
 * be old: then more is copied than is there, and a thief that gets hold of it fails at the CAS. */
static struct deque_array *grow(struct deque *deque, struct deque_array *old, int64_t top,
                                int64_t bottom)
{
    size_t capacity;
    if (!size_mul((size_t)old->mask + 1, 2, &capacity)) { return NULL; }
    struct deque_array *array = array_new(capacity, old);
    if (array == NULL) { return NULL; }
    for (int64_t i = top; i != bottom; i = index_add(i, 1)) {
        void *job = load_relaxed(slot(old, i)); /* relaxed: the owner's own store */
        store_relaxed(slot(array, i), job);     /* relaxed: published by D8 */
    }
    store_release(&deque->array, array); /* D8 -> D9 */
    return array;
}

bool deque_push(struct deque *deque, void *job)
{
    owner_enters(deque);
    DEBUG_CHECK(job != NULL);
    int64_t             bottom = load_relaxed(&deque->bottom); /* relaxed: the owner's own store */
    struct deque_array *array = load_relaxed(&deque->array);   /* relaxed: the owner's own store */
    int64_t             top = load_acquire(&deque->top);       /* D2 <- D7 */

    if (unlikely(index_distance(bottom, top) > (int64_t)array->mask)) {
        array = grow(deque, array, top, bottom);
        if (array == NULL) {
            owner_leaves(deque);
            return false;
        }
    }
    store_relaxed(slot(array, bottom), job);             /* relaxed: published by D1 */
    store_release(&deque->bottom, index_add(bottom, 1)); /* D1 -> D5; LP: push */
    owner_leaves(deque);
    return true;
}

void *deque_pop(struct deque *deque)
{
    owner_enters(deque);
    int64_t bottom = load_relaxed(&deque->bottom); /* relaxed: the owner's own store */
    /* relaxed: an old top says that there is more, never that there is less; LP: pop, empty */
    if (index_distance(bottom, load_relaxed(&deque->top)) <= 0) {
        owner_leaves(deque);
        return NULL;
    }

    int64_t             newest = index_add(bottom, -1);
    struct deque_array *array = load_relaxed(&deque->array); /* relaxed: the owner's own store */
    store_release(&deque->bottom, newest); /* D1 -> D5; LP: of the newest job, whoever gets it */
    STEP("deque_pop: claimed");
    fence_seq_cst();                         /* D3 <-> D4 */
    int64_t top = load_relaxed(&deque->top); /* relaxed: D3 orders it after the store to bottom */

    void   *job = NULL;
    int64_t left = index_distance(newest, top); /* jobs that are older than the one claimed */
    if (left >= 0) { job = load_relaxed(slot(array, newest)); } /* relaxed: the owner's own store */
    if (left <= 0) {
        /* The last one: thieves may want it too, top decides. */
        if (left == 0 && !cas_seq_cst(&deque->top, &top, index_add(top, 1))) { /* D7 -> D2, D6 */
            job = NULL; /* a thief has it; LP: pop, empty */
        }
        store_release(&deque->bottom, bottom); /* D1 -> D5 */
    }
    owner_leaves(deque);
    return job;
}

enum deque_result deque_steal(struct deque *deque, void **job)
{
    int64_t top = load_acquire(&deque->top); /* D6 <- D7 */
    STEP("deque_steal: top");
    fence_seq_cst();                               /* D4 <-> D3 */
    int64_t bottom = load_acquire(&deque->bottom); /* D5 <- D1; LP: steal, empty */
    if (index_distance(bottom, top) <= 0) { return DEQUE_EMPTY; }

    struct deque_array *array = load_acquire(&deque->array); /* D9 <- D8 */
    STEP("deque_steal: array");
    /* Before the CAS: once top has moved, the owner may write the slot again.
     * relaxed: D5 or D9 made the slot visible, and a slot that was written again fails the CAS. */
    void *found = load_relaxed(slot(array, top));
    STEP("deque_steal: slot");
    /* LP: steal, unless the owner has claimed this very job: then the owner's claim was it. */
    if (!cas_seq_cst(&deque->top, &top, index_add(top, 1))) { /* D7 -> D2, D6 */
        return DEQUE_LOST;
    }
    *job = found;
    return DEQUE_TAKEN;
}

size_t deque_size(const struct deque *deque)
{
    /* relaxed (both): a snapshot; who rests on it has a fence before it (E1, before the last look
     * in worker.c) */
    int64_t bottom = load_relaxed(&deque->bottom);
    int64_t size = index_distance(bottom, load_relaxed(&deque->top));
    return size > 0 ? (size_t)size : 0;
}

void deque_after_fork(struct deque *deque)
{
    /* relaxed (all): there is one thread. A pop of an empty deque leaves bottom before top for a
     * moment. */
    int64_t top = load_relaxed(&deque->top);
    if (index_distance(load_relaxed(&deque->bottom), top) < 0) {
        store_relaxed(&deque->bottom, top);
    }
    store_relaxed(&deque->owners, 0);
}
