/* reclaim.c: hazard pointers: see reclaim.h for what they are and who may call what.
 *
 * All records hang in one list that only grows; a record is given back, not freed, and so the list
 * is as long as the largest number of threads that were in it at once. A thread finds its own
 * record in a thread-local variable; a destructor of thread-specific data gives it back. Where
 * there is no such destructor (it has run already, or the system has no key left) the record is
 * *brief*: it is given back at the end of every operation.
 *
 * In the child of a fork the thread that forked goes on with its own record. The records of
 * the other threads stay owned for good, with what they point at: a bounded loss.
 *
 * Invariants
 *   I1 A record's `retired`, `retired_count`, `scan_at` and `brief` are touched by its owner only,
 *      and ownership passes through `owned`.
 *   I2 An object is in at most one retired list, once, and is freed by the owner of that list after
 *      a look at all records that found its address in no slot.
 *   I3 A record that is in the list stays there: `next` does not change.
 *
 * What is retired and not yet freed: in each list at most the SCAN_MOST that start a scan, plus
 * what slots hold. That is why a stopped thread keeps RECLAIM_SLOTS objects and no more.
 *
 * Orders
 *   H1 hold, slot (seq_cst)           -> H3: a scan that follows the unlinking sees the address.
 *   H3 scan, slot (seq_cst)           <- H1, H4: what the slot's owner did with the object it no
 *      longer holds is over before the object is freed.
 *   H4 leave, slot (release)          -> H3.
 *   H5 give back, owned (release)     -> H6: the owner's fields (I1).
 *   H6 take, owned (acquire)          <- H5.
 *   H7 publish a record, list (seq_cst) -> H8, H9: its contents and `next`.
 *   H8 walk, list (acquire)           <- H7.
 *   H9 scan, list (seq_cst)           <- H7: a record that is published after it holds nothing
 *      that was unlinked before it: its first H1 follows H7, and its look at the source that.
 *
 * H1, H3, H7 and H9 are seq_cst for the StoreLoad pair of reclaim.h; its other half, the look at
 * the source, is the structure's own (in queue.c U8).
 * Layer: 1 */
#include "reclaim.h"

#include "check.h"
#include "mem.h"
#include "os.h"

#include <pthread.h>

#ifndef SCAN_LEAST
#define SCAN_LEAST 8  /* a list shorter than this is not worth a scan */
#define SCAN_MOST  64 /* a list this much longer than after the last scan starts one */
#endif
#define BATCH   128 /* objects that are looked up in one pass over the records */
#define BUCKETS 256 /* of the table of one pass; a power of two, at least twice BATCH */
#define SPARES  16  /* records for threads that arrive when there is no memory */

THREAD_LOCAL struct reclaim_record *reclaim_own;

static THREAD_LOCAL bool exiting; /* this thread's destructor has run */

static SHARED(struct reclaim_record *) records; /* newest first; written by who adds one */
static shared_u32            record_count;      /* in the list, about: how long lists may get */
static struct reclaim_record spares[SPARES];
static shared_u32            spares_used;
static pthread_key_t         key;
static bool                  has_key; /* written once, by pthread_once */
static pthread_once_t        once = PTHREAD_ONCE_INIT;

/* The calling thread is its owner; its slots are cleared. */
static void give_back(struct reclaim_record *record)
{
    for (unsigned i = 0; i < RECLAIM_SLOTS; i++) {
        store_release(&record->hazards[i], NULL); /* H4 -> H3 */
    }
    record->brief = false;
    store_release(&record->owned, 0); /* H5 -> H6 */
}

static void thread_ends(void *argument)
{
    struct reclaim_record *record = argument;
    reclaim_own = NULL;
    exiting = true;
    for (unsigned i = 0; i < RECLAIM_SLOTS; i++) {
        store_release(&record->hazards[i], NULL); /* H4 -> H3 */
    }
    reclaim_scan(record);
    give_back(record);
}

static void make_key(void) { has_key = pthread_key_create(&key, thread_ends) == 0; }

/* A record that somebody gave back, or NULL. */
static struct reclaim_record *take_old(void)
{
    for (struct reclaim_record *record = load_acquire(&records); /* H8 <- H7 */
         record != NULL; record = record->next) {
        uint32_t unowned = 0;
        /* relaxed: only saves the CAS */
        /* H6 <- H5 */
        if (load_relaxed(&record->owned) == 0 && cas_acquire(&record->owned, &unowned, 1)) {
            return record;
        }
    }
    return NULL;
}

/* A new record, in the list and owned, or NULL: there is no memory. */
static struct reclaim_record *make_new(void)
{
    struct reclaim_record *record = mem_zalloc(sizeof *record, alignof(struct reclaim_record));
    if (record == NULL) {
        /* relaxed (both): a count that hands out indices, each once; the first look keeps it from
         * wrapping */
        if (load_relaxed(&spares_used) >= SPARES) { return NULL; }
        uint32_t index = add_relaxed(&spares_used, 1);
        if (index >= SPARES) { return NULL; }
        record = &spares[index];
    }
    store_relaxed(&record->owned, 1); /* relaxed: nobody sees it before H7 */
    record->scan_at = SCAN_LEAST;
    struct reclaim_record *first = load_relaxed(&records); /* relaxed: compared by the CAS */
    do {
        record->next = first;
    } while (!cas_seq_cst(&records, &first, record)); /* H7 -> H8, H9 */
    add_relaxed(&record_count, 1);                    /* relaxed: a hint */
    return record;
}

struct reclaim_record *reclaim_enter_slow(void)
{
    pthread_once(&once, make_key);
    struct reclaim_record *record;
    unsigned               looks = 0;
    while ((record = take_old()) == NULL && (record = make_new()) == NULL) {
        os_pause(&looks); /* no memory: until a thread gives its record back, or memory comes */
    }
    if (!exiting && has_key && pthread_setspecific(key, record) == 0) {
        reclaim_own = record;
    } else {
        record->brief = true;
    }
    return record;
}

void reclaim_leave_slow(struct reclaim_record *record) { give_back(record); }

static size_t bucket_of(const void *object)
{
    return (size_t)(((uintptr_t)object >> 6) * 0x9e3779b97f4a7c15u >> 56) % BUCKETS;
}

/* Marks those of the table's objects that a slot holds. */
static void mark_held(struct retired **table)
{
    for (struct reclaim_record *record = load_seq_cst(&records); /* H9 <- H7 */
         record != NULL; record = record->next) {
        for (unsigned i = 0; i < RECLAIM_SLOTS; i++) {
            void *object = load_seq_cst(&record->hazards[i]); /* H3 <- H1, H4 */
            if (object == NULL) { continue; }
            for (size_t at = bucket_of(object); table[at] != NULL; at = (at + 1) % BUCKETS) {
                if (table[at]->object == object) {
                    table[at]->held = true;
                    break;
                }
            }
        }
    }
}

void reclaim_scan(struct reclaim_record *record)
{
    struct retired *rest = record->retired, *kept = NULL;
    uint32_t        kept_count = 0;
    record->retired = NULL; /* an object's free may retire others into this record */
    record->retired_count = 0;
    record->scan_at = UINT32_MAX;
    while (rest != NULL) {
        struct retired *table[BUCKETS] = {NULL}, *batch = rest;
        unsigned        count = 0;
        for (; rest != NULL && count < BATCH; rest = rest->next, count++) {
            rest->held = false;
            size_t at = bucket_of(rest->object);
            while (table[at] != NULL) { at = (at + 1) % BUCKETS; }
            table[at] = rest;
        }
        mark_held(table);
        while (batch != rest) {
            struct retired *retired = batch;
            batch = batch->next;
            if (retired->held) {
                retired->next = kept;
                kept = retired;
                kept_count++;
            } else {
                retired->free(retired);
            }
        }
    }
    while (kept != NULL) {
        struct retired *retired = kept;
        kept = kept->next;
        retired->next = record->retired;
        record->retired = retired;
    }
    record->retired_count += kept_count;
    uint32_t slots = RECLAIM_SLOTS * load_relaxed(&record_count); /* relaxed: a hint */
    uint32_t more = 2 * slots < SCAN_LEAST ? SCAN_LEAST : 2 * slots;
    record->scan_at = record->retired_count + (more > SCAN_MOST ? SCAN_MOST : more);
}

void reclaim_retire(struct reclaim_record *record, struct retired *retired)
{
    retired->next = record->retired;
    record->retired = retired;
    record->retired_count++;
    if (record->retired_count >= record->scan_at) { reclaim_scan(record); }
}
