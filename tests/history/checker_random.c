/* checker_random.c: random histories for checker_test.c, good ones and damaged ones.
 *
 * A good one is made by the sequential queue itself, with each operation's interval stretched
 * around its moment; and each way of breaking one is such that no queue could have had it. */
#include "checker_random.h"

#include <string.h>

static history h;

static operation *add(operation_kind kind, unsigned thread, uint64_t begin, uint64_t end)
{
    operation *op = &h.operations[h.count++];
    *op = (operation){.kind = kind, .thread = thread, .begin = begin, .end = end};
    return op;
}

static uint64_t random_state;

static unsigned roll(unsigned below)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ (z >> 31)) % below);
}

/* What the operations do at their moments, one after the other. */
history random_history(uint64_t seed)
{
    random_state = seed;
    unsigned char queue[HISTORY_ITEMS], next = 1;
    unsigned      in = 0, out = 0;
    bool          closed = false;
    uint64_t      now = 100;
    uint64_t      free_from[HISTORY_THREADS] = {0};
    h = (history){.capacity = roll(4), .writers = 2, .readers = 2};
    for (unsigned i = 0; i < 12; i++, now += 100) {
        unsigned   thread = roll(3);
        operation *op = add(OP_READ, thread, 0, 0);
        unsigned   what = roll(12);
        op->count = 1 + roll(3);
        if (what < 5 && next + op->count < HISTORY_ITEMS) {
            op->kind = OP_WRITE;
            for (unsigned k = 0; k < op->count; k++) { op->items[k] = next++; }
            while (op->done < op->count && !closed && (h.capacity == 0 || in - out < h.capacity)) {
                queue[in++] = op->items[op->done++];
            }
            op->status = op->done == op->count ? ASYNC_OK : closed ? ASYNC_CLOSED : ASYNC_TIMEOUT;
        } else if (what < 10) {
            while (op->done < op->count && out < in) { op->items[op->done++] = queue[out++]; }
            op->status = op->done == op->count ? ASYNC_OK : closed ? ASYNC_END : ASYNC_TIMEOUT;
        } else {
            op->kind = what == 10 || i < 6 ? OP_CLOSED : OP_CLOSE;
            op->count = 0;
            op->answer = op->kind == OP_CLOSED && closed;
            closed |= op->kind == OP_CLOSE;
        }
        /* An interval around `now`, that does not touch the thread's last one. */
        uint64_t early = now - free_from[thread] < 250 ? now - free_from[thread] : 250;
        op->begin = (now - 1 - roll((unsigned)early - 1)) * 64 + i;
        op->end = (now + 1 + roll(250)) * 64 + 32 + i;
        free_from[thread] = op->end / 64 + 2;
        if (free_from[thread] > now + 90) {
            now = free_from[thread]; /* its next moment comes after that */
        }
    }
    /* What is left comes out at last. */
    add(OP_CLOSE, 3, 99999998, 99999999);
    operation *rest = add(OP_READ, 3, 100000000, 100000001);
    rest->count = HISTORY_ITEMS;
    rest->status = ASYNC_END;
    while (out < in) { rest->items[rest->done++] = queue[out++]; }
    return h;
}

static operation *some(operation_kind kind, bool with_items)
{
    for (unsigned i = 0, at = roll(h.count); i < h.count; i++, at++) {
        operation *op = &h.operations[at % h.count];
        if (op->kind == kind && (!with_items || op->done > 0)) { return op; }
    }
    return NULL;
}

/* Who got the item. */
static const operation *getter(unsigned char item)
{
    for (unsigned i = 0; i < h.count; i++) {
        const operation *op = &h.operations[i];
        if (op->kind == OP_READ && memchr(op->items, item, op->done) != NULL) { return op; }
    }
    return NULL;
}

/* Breaks it; false: there was nothing to break in this way. */
static bool damage(unsigned how)
{
    operation *op = some(OP_READ, true), *other = some(OP_READ, true);
    switch (how) {
    case 0: /* an item twice */
        if (op == NULL || other == op) { return false; }
        op->items[0] = other->items[0];
        return true;
    case 1: /* an item lost */
        op = &h.operations[h.count - 1];
        if (op->done == 0) { return false; }
        op->done--;
        return true;
    case 2: /* two of one batch changed places */
        op = some(OP_WRITE, true);
        if (op == NULL || op->done < 2 ||
            (getter(op->items[0]) != getter(op->items[1]) &&
             getter(op->items[0])->end > getter(op->items[1])->begin)) {
            return false; /* or those who got them may have changed places */
        }
        unsigned char first = op->items[0];
        op->items[0] = op->items[1];
        op->items[1] = first;
        return true;
    case 3: /* refused, yet it came out */
        op = some(OP_WRITE, true);
        if (op == NULL) { return false; }
        op->done--;
        op->status = h.capacity == 0 ? ASYNC_CLOSED : ASYNC_TIMEOUT;
        return true;
    case 4: /* accepted, and it never came out */
        op = some(OP_WRITE, false);
        if (op == NULL || op->done == op->count) { return false; }
        op->done++;
        op->status = op->done == op->count ? ASYNC_OK : op->status;
        return true;
    default: /* a status that its count does not go with */
        if (op == NULL || op->done != op->count) { return false; }
        op->status = ASYNC_TIMEOUT;
        return true;
    }
}

bool damage_history(history *broken)
{
    h = *broken;
    bool done = damage(roll(6));
    *broken = h;
    return done;
}
