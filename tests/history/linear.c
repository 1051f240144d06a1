/* linear.c: the search of linear.h. */
#include "linear.h"

#include <stdlib.h>
#include <string.h>

#define STAMPS      (2 * HISTORY_OPERATIONS)
#define NOBODY      0xff
#define TABLE_LEAST 1024
#define LAST_DROP   0x80 /* a drop's steps, once it is known to be the last, begin here */

/* One stamp: the begin or the end of an operation. */
typedef struct stamp {
    uint64_t      at;
    unsigned char operation;
    bool          end;
} stamp;

/* No padding: states are compared and hashed as bytes. */
typedef struct state {
    unsigned char passed;                   /* stamps */
    unsigned char running[HISTORY_THREADS]; /* each thread's operation, or NOBODY */
    unsigned char steps[HISTORY_THREADS];   /* that it has taken */
    unsigned char closed;
    unsigned char writers, readers; /* holds */
    unsigned char count;
    unsigned char queue[HISTORY_ITEMS]; /* front first, 0 behind the last */
} state;

static const history *checked;
static stamp          stamps[STAMPS];
static unsigned       stamp_count;
static linear_result  result;
static unsigned       furthest;

/* ---- the memory of states: a hash table with open addressing ---- */

static state   *table;
static uint8_t *used;
static size_t   table_size, table_count; /* a power of two */

static uint64_t hash_of(const state *s)
{
    uint64_t             hash = 1469598103934665603u;
    const unsigned char *bytes = (const unsigned char *)s;
    for (size_t i = 0; i < sizeof *s; i++) { hash = (hash ^ bytes[i]) * 1099511628211u; }
    return hash ^ hash >> 32;
}

static bool table_add(const state *s);

static void table_resize(size_t size)
{
    state   *old = table;
    uint8_t *old_used = used;
    size_t   old_size = table_size;
    table = malloc(size * sizeof *table);
    used = calloc(size, 1);
    if (table == NULL || used == NULL) {
        fputs("linear.c: no memory\n", stderr);
        abort();
    }
    table_size = size;
    table_count = 0;
    for (size_t i = 0; i < old_size; i++) {
        if (old_used[i] != 0) { table_add(&old[i]); }
    }
    free(old);
    free(old_used);
}

/* False: it was there already. */
static bool table_add(const state *s)
{
    if (2 * (table_count + 1) > table_size) { table_resize(2 * table_size); }
    size_t at = hash_of(s) & (table_size - 1);
    while (used[at] != 0) {
        if (memcmp(&table[at], s, sizeof *s) == 0) { return false; }
        at = (at + 1) & (table_size - 1);
    }
    table[at] = *s;
    used[at] = 1;
    table_count++;
    return true;
}

/* ---- the sequential queue ---- */

static void push(state *s, unsigned char item) { s->queue[s->count++] = item; }

static bool pop(state *s, unsigned char item)
{
    if (s->count == 0 || s->queue[0] != item) { return false; }
    memmove(s->queue, s->queue + 1, --s->count);
    s->queue[s->count] = 0;
    return true;
}

/* Room that the other running operations may hold. */
static size_t held_by_others(const state *s, unsigned thread)
{
    size_t held = 0;
    for (unsigned t = 0; t < HISTORY_THREADS; t++) {
        if (t == thread || s->running[t] == NOBODY) { continue; }
        const operation *op = &checked->operations[s->running[t]];
        unsigned         steps = s->steps[t];
        if (op->kind == OP_WRITE) {
            unsigned most = op->status == ASYNC_CLOSED ? op->count : op->done;
            held += steps < most ? most - steps : 0;
        } else if (op->kind == OP_READ || op->kind == OP_BORROW) {
            held += steps < op->done ? steps : op->done;
        }
    }
    return held;
}

static bool full(const state *s, size_t held)
{
    return checked->capacity != 0 && s->count + held >= checked->capacity;
}

/* Items that the sleeper still wants. */
static unsigned wanted(const state *s, unsigned thread)
{
    const operation *op = &checked->operations[s->running[thread]];
    if (op->kind == OP_BORROW || op->wait.kind == ASYNC_WAIT_PER_ITEM) { return 1; }
    return op->count - s->steps[thread];
}

static unsigned steps_of_move(const operation *op) { return op->done + (op->status != ASYNC_OK); }

/* Whether the thread's operation has taken all its steps. */
static bool complete(const state *s, unsigned thread)
{
    const operation *op = &checked->operations[s->running[thread]];
    unsigned         steps = s->steps[thread];
    switch (op->kind) {
    case OP_WRITE:
    case OP_READ:
    case OP_BORROW:
        return steps == steps_of_move(op) && op->discarded == 0;
    case OP_DROP_WRITER:
        return (steps == 1 || steps == LAST_DROP + 2) && op->discarded == 0;
    case OP_DROP_READER:
        return (steps == 1 && op->discarded == 0) || steps == LAST_DROP + 3 + op->discarded;
    default:
        return steps == 1 && op->discarded == 0;
    }
}

static bool stuck(const state *s, unsigned self)
{
    unsigned readers = 0, unmet = 0;
    for (unsigned t = 0; t < HISTORY_THREADS; t++) {
        if (t == self || s->running[t] == NOBODY) { continue; }
        if (complete(s, t)) { return false; /* it would not sleep */ }
        switch (checked->operations[s->running[t]].kind) {
        case OP_WRITE:
            if (!full(s, 0)) { return false; }
            break;
        case OP_READ:
        case OP_BORROW:
            readers++;
            unmet += wanted(s, t) > s->count;
            break;
        default:
            return false; /* it does not sleep */
        }
    }
    return !s->closed && (readers == 0 || (unmet > 0 && !full(s, 0)));
}

static bool step_write(state *s, unsigned thread, const operation *op, unsigned steps)
{
    if (steps < op->done) {
        if (s->closed || full(s, 0)) { return false; }
        push(s, op->items[steps]);
        return true;
    }
    if (op->status == ASYNC_TIMEOUT) {
        return op->done < op->count && !s->closed && full(s, held_by_others(s, thread));
    }
    return op->status == ASYNC_CLOSED && op->done < op->count && s->closed;
}

static bool step_read(state *s, const operation *op, unsigned steps)
{
    if (steps < op->done) { return pop(s, op->items[steps]); }
    if (s->count != 0 || op->done >= op->count) { return false; }
    if (op->kind == OP_BORROW && op->done != 0) { return false; /* it has what it came for */ }
    return op->status == (s->closed ? ASYNC_END : ASYNC_TIMEOUT);
}

/* The first step takes the hold away. Who was the last counts on from LAST_DROP: he closes, and
 * discards what is left. */
static bool step_drop(state *s, unsigned thread, const operation *op, unsigned steps)
{
    if (steps == 0) {
        unsigned char *holds = op->kind == OP_DROP_WRITER ? &s->writers : &s->readers;
        if (*holds == 0) { return false; }
        if (--*holds == 0) { s->steps[thread] = LAST_DROP; }
        return true;
    }
    if (steps < LAST_DROP) { return false; /* it was not the last, and has nothing more to do */ }
    if (steps == LAST_DROP + 1) {
        s->closed = 1;
        return true;
    }
    if (steps < LAST_DROP + 2 + op->discarded) {
        return pop(s, op->discards[steps - LAST_DROP - 2]);
    }
    return s->count == 0;
}

/* The thread's operation, which is not complete, takes its next step. False: it can't now. */
static bool step(state *s, unsigned thread)
{
    const operation *op = &checked->operations[s->running[thread]];
    unsigned         steps = s->steps[thread];
    bool             took = false;
    switch (op->kind) {
    case OP_WRITE:
        took = step_write(s, thread, op, steps);
        break;
    case OP_READ:
    case OP_BORROW:
        took = step_read(s, op, steps);
        break;
    case OP_CLOSE:
        s->closed = 1;
        took = true;
        break;
    case OP_CLOSED:
        took = op->answer == (s->closed != 0);
        break;
    case OP_DROP_WRITER:
    case OP_DROP_READER:
        took = step_drop(s, thread, op, steps);
        break;
    case OP_STUCK:
        took = stuck(s, thread);
        break;
    }
    if (took) { s->steps[thread]++; }
    return took;
}

/* ---- the search ---- */

/* Says what stands in the way, if this state has come further than the others. */
static void note_obstacle(const state *s)
{
    if (s->passed < furthest) { return; }
    furthest = s->passed;
    result.operation = stamps[s->passed].operation;
    memcpy(result.queue, s->queue, sizeof result.queue);
    result.queue_count = s->count;
    result.closed = s->closed != 0;
}

/* Passes the stamps that may be passed before anybody has to take a step. */
static bool pass_stamp(state *s)
{
    const stamp     *next = &stamps[s->passed];
    const operation *op = &checked->operations[next->operation];
    if (!next->end) {
        if (s->running[op->thread] != NOBODY) {
            note_obstacle(s); /* a thread does one thing at a time */
            return false;
        }
        s->running[op->thread] = next->operation;
        s->steps[op->thread] = 0;
    } else {
        if (!complete(s, op->thread)) {
            note_obstacle(s);
            return false;
        }
        s->running[op->thread] = NOBODY;
        s->steps[op->thread] = 0;
    }
    s->passed++;
    return true;
}

static bool search(const state *s)
{
    if (s->passed == stamp_count) { return true; }
    if (!table_add(s)) { return false; }
    state next = *s;
    if (pass_stamp(&next) && search(&next)) { return true; }
    for (unsigned t = 0; t < HISTORY_THREADS; t++) {
        if (s->running[t] == NOBODY || complete(s, t)) { continue; }
        next = *s;
        if (step(&next, t) && search(&next)) { return true; }
    }
    return false;
}

static int compare(const void *a, const void *b)
{
    const stamp *first = a, *second = b;
    return (first->at > second->at) - (first->at < second->at);
}

/* What no order of steps could mend. */
static bool well_formed(const history *h)
{
    unsigned written = 0;
    for (unsigned i = 0; i < h->count; i++) {
        const operation *op = &h->operations[i];
        bool moves = op->kind == OP_WRITE || op->kind == OP_READ || op->kind == OP_BORROW;
        bool enough = op->kind == OP_BORROW ? op->done >= 1 : op->done == op->count;
        result.operation = i;
        if (op->begin >= op->end || op->thread >= HISTORY_THREADS) { return false; }
        written += op->kind == OP_WRITE ? op->done : 0;
        if (written > HISTORY_ITEMS || op->count > HISTORY_ITEMS) { return false; }
        if (moves && (op->done > op->count || (op->status == ASYNC_OK) != enough ||
                      (op->status == ASYNC_TIMEOUT && op->wait.kind == ASYNC_WAIT_FOREVER))) {
            return false;
        }
    }
    return true;
}

linear_result linear_check(const history *h)
{
    checked = h;
    memset(&result, 0, sizeof result);
    if (!well_formed(h)) { return result; }
    stamp_count = 0;
    for (unsigned i = 0; i < h->count; i++) {
        stamps[stamp_count++] = (stamp){h->operations[i].begin, (unsigned char)i, false};
        stamps[stamp_count++] = (stamp){h->operations[i].end, (unsigned char)i, true};
    }
    qsort(stamps, stamp_count, sizeof stamps[0], compare);
    if (table_size != TABLE_LEAST) {
        free(table);
        free(used);
        table = NULL;
        used = NULL;
        table_size = 0;
        table_resize(TABLE_LEAST);
    }
    memset(used, 0, table_size);
    table_count = 0;
    furthest = 0;
    state first = {.writers = (unsigned char)h->writers, .readers = (unsigned char)h->readers};
    memset(first.running, NOBODY, sizeof first.running);
    result.accepted = search(&first);
    result.states = (unsigned)table_count;
    return result;
}

void linear_print(const history *h, const linear_result *refused, FILE *out)
{
    history_print(h, out);
    const operation *op = &h->operations[refused->operation];
    fprintf(out,
            "no order of their steps explains this; none passes the end of thread %u's operation "
            "of %llu .. %llu.\nNear there the queue may have been%s [",
            op->thread, (unsigned long long)op->begin, (unsigned long long)op->end,
            refused->closed ? " closed, with" : " open, with");
    for (unsigned i = 0; i < refused->queue_count; i++) {
        fprintf(out, "%s%u", i == 0 ? "" : " ", refused->queue[i]);
    }
    fputs("]\n", out);
}
