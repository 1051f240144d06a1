/* reclaim.h: the one door to deferred reclamation: hazard pointers (Michael, IEEE TPDS 15(6),
 * 2004).
 *
 * A thread that is about to follow a shared pointer writes it into one of its hazard slots and
 * looks whether the pointer is still there; who unlinks an object retires it, and it is freed when
 * no slot holds its address. Differences from the paper: a slot keeps its value after the
 * operation, so that the next operation on the same object needs no store and no fence; records
 * are reused after their thread's end; the retired list is looked up in a table of fixed size.
 *
 * Any thread may call, at any time: before main, and from destructors of thread-specific data too.
 * A stopped thread keeps at most the RECLAIM_SLOTS objects that it points at.
 *
 * Progress: reclaim_enter, hold and leave are lock-free, wait-free on the steady path (a
 *   thread's first call allocates, and with no memory at all waits for some); retire is lock-free,
 *   and wait-free but for the allocator behind the object's `free`.
 * Layer: 1 */
#ifndef ASYNC_RUNTIME_RECLAIM_H
#define ASYNC_RUNTIME_RECLAIM_H

#include "atomic.h"

/* What a slot is for. Two operations that are in progress at once in one thread need two slots. */
enum reclaim_slot { RECLAIM_HEAD, RECLAIM_TAIL, RECLAIM_SLOTS };

/* Part of an object that is to be retired. */
struct retired {
    struct retired *next;   /* the list's owner's */
    void           *object; /* the address that hazard slots hold */
    void (*free)(struct retired *retired);
    bool held; /* scratch of a scan */
};

struct reclaim_record {
    /* Written by the owner, read by everyone who scans. */
    alignas(FALSE_SHARING) SHARED(void *) hazards[RECLAIM_SLOTS];
    /* 0 or 1: has an owner; taken by CAS, given back by its owner */
    shared_u32 owned;
    /* owner's: the record is given back after each operation */
    bool            brief;
    uint32_t        retired_count; /* owner's */
    uint32_t        scan_at;       /* owner's: the retired_count that starts a scan */
    struct retired *retired;       /* owner's; the next owner takes it over */
    /* older records; does not change once it is in the list */
    struct reclaim_record *next;
};

extern THREAD_LOCAL struct reclaim_record *reclaim_own __attribute__((visibility("hidden")));

struct reclaim_record *reclaim_enter_slow(void);
void                   reclaim_leave_slow(struct reclaim_record *record);

/* The calling thread's record, for one operation. Never NULL. Calls may not nest. */
static inline struct reclaim_record *reclaim_enter(void)
{
    struct reclaim_record *record = reclaim_own;
    return likely(record != NULL) ? record : reclaim_enter_slow();
}

/* After the operation: nothing that was protected may be touched any more. */
static inline void reclaim_leave(struct reclaim_record *record)
{
    if (unlikely(record->brief)) { reclaim_leave_slow(record); }
}

/* The two steps of protection. An object that was found in a shared pointer `source` by a seq_cst
 * load is safe to follow if the slot held its address before that load:
 *
 *     while (!reclaim_holds(record, slot, object)) {
 *         reclaim_hold(record, slot, object);
 *         object = load_seq_cst(source);
 *     }
 *
 *     this thread                              who retires
 *     hazard = object   (H1, seq_cst)          source = other   (seq_cst, the structure's)
 *     source == object  (seq_cst, as theirs)   look at hazard   (H3, seq_cst)
 *
 * Forbidden: this thread finds the object in source and the scan misses the hazard. H1 may lie as
 * far before the look as one likes: a slot that has held the address since an earlier operation
 * protects it now, whatever became of the object in between. Safe until the slot is used again. */
static inline bool reclaim_holds(const struct reclaim_record *record, enum reclaim_slot slot,
                                 const void *object)
{
    return load_relaxed(&record->hazards[slot]) == object; /* relaxed: this thread's own value */
}
static inline void reclaim_hold(struct reclaim_record *record, enum reclaim_slot slot, void *object)
{
    store_seq_cst(&record->hazards[slot], object); /* H1 -> H3 */
}

/* The object cannot be reached any more by who does not protect it already. Frees it, now or later,
 * in this thread or in the record's next owner. */
void reclaim_retire(struct reclaim_record *record, struct retired *retired);

/* Frees what this record has retired and nobody protects. */
void reclaim_scan(struct reclaim_record *record);

#endif
