/* checker_test.c [rounds] [seed]: the checker of linear.h, with histories that it must accept and
 * others that it must refuse: written by hand, and at random (checker_random.h). */
#include "checker_random.h"
#include "linear.h"

#include <inttypes.h>
#include <stdlib.h>

static history  h;
static unsigned failures, cases;

/* ---- by hand ---- */

static operation *add(operation_kind kind, unsigned thread, uint64_t begin, uint64_t end)
{
    operation *op = &h.operations[h.count++];
    *op = (operation){.kind = kind, .thread = thread, .begin = begin, .end = end};
    return op;
}

static void begin(size_t capacity)
{
    h = (history){.capacity = capacity, .writers = 2, .readers = 2};
}

/* A write of `count` items from `first` on. */
static operation *writes(unsigned thread, uint64_t from, uint64_t to, unsigned first,
                         unsigned count, unsigned done, async_status status)
{
    operation *op = add(OP_WRITE, thread, from, to);
    op->count = count;
    op->done = done;
    op->status = status;
    for (unsigned i = 0; i < count; i++) { op->items[i] = (unsigned char)(first + i); }
    return op;
}

/* A read of `count` that gave the items of the text "1 2 3". */
static operation *reads(unsigned thread, uint64_t from, uint64_t to, unsigned count,
                        const char *items, async_status status)
{
    operation *op = add(OP_READ, thread, from, to);
    op->count = count;
    op->status = status;
    for (char *end; *items != '\0'; items = *end == ' ' ? end + 1 : end) {
        op->items[op->done++] = (unsigned char)strtoul(items, &end, 10);
    }
    return op;
}

static void discards(operation *op, unsigned char first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        op->discards[op->discarded++] = (unsigned char)(first + i);
    }
}

static void judge(const char *name, bool acceptable)
{
    linear_result result = linear_check(&h);
    cases++;
    if (result.accepted != acceptable) {
        failures++;
        fprintf(stderr, "%s: should be %s\n", name, acceptable ? "accepted" : "refused");
        linear_print(&h, &result, stderr);
    }
}

#define ACCEPT(name) judge(name, true)
#define REFUSE(name) judge(name, false)

static void order(void)
{
    begin(0);
    writes(0, 1, 2, 1, 3, 3, ASYNC_OK);
    reads(1, 3, 4, 3, "1 2 3", ASYNC_OK);
    ACCEPT("first in, first out");

    begin(0);
    writes(0, 1, 2, 1, 3, 3, ASYNC_OK);
    reads(1, 3, 4, 3, "1 3 2", ASYNC_OK);
    REFUSE("two items changed places");

    begin(0);
    writes(0, 1, 2, 1, 1, 1, ASYNC_OK);
    writes(1, 3, 4, 2, 1, 1, ASYNC_OK);
    reads(2, 5, 6, 2, "2 1", ASYNC_OK);
    REFUSE("the later write first");

    begin(0);
    writes(0, 1, 4, 1, 1, 1, ASYNC_OK);
    writes(1, 2, 3, 2, 1, 1, ASYNC_OK);
    reads(2, 5, 6, 2, "2 1", ASYNC_OK);
    ACCEPT("writes that overlap, either first");

    begin(0);
    writes(0, 1, 4, 1, 2, 2, ASYNC_OK);
    writes(1, 2, 3, 5, 2, 2, ASYNC_OK);
    reads(2, 5, 6, 4, "1 5 2 6", ASYNC_OK);
    ACCEPT("two batches mixed, each in its order");

    begin(0);
    writes(0, 1, 4, 1, 2, 2, ASYNC_OK);
    writes(1, 2, 3, 5, 2, 2, ASYNC_OK);
    reads(2, 5, 6, 4, "1 6 2 5", ASYNC_OK);
    REFUSE("two batches mixed, one out of order");

    begin(0);
    writes(0, 1, 2, 1, 2, 2, ASYNC_OK);
    reads(1, 3, 6, 1, "2", ASYNC_OK);
    reads(2, 4, 5, 1, "1", ASYNC_OK);
    ACCEPT("reads that overlap, either first");

    begin(0);
    writes(0, 1, 2, 1, 2, 2, ASYNC_OK);
    reads(1, 3, 4, 1, "2", ASYNC_OK);
    reads(2, 5, 6, 1, "1", ASYNC_OK);
    REFUSE("reads one after the other, the second item first");

    begin(0);
    writes(0, 1, 2, 1, 4, 4, ASYNC_OK);
    reads(1, 3, 6, 2, "1 3", ASYNC_OK);
    reads(2, 4, 5, 2, "2 4", ASYNC_OK);
    ACCEPT("two batch reads mixed");

    begin(0);
    reads(1, 1, 2, 1, "1", ASYNC_OK);
    writes(0, 3, 4, 1, 1, 1, ASYNC_OK);
    REFUSE("read before it was written");

    begin(0);
    writes(0, 1, 2, 1, 1, 1, ASYNC_OK);
    reads(1, 3, 4, 1, "1", ASYNC_OK);
    reads(2, 5, 6, 1, "1", ASYNC_OK);
    REFUSE("read twice");

    begin(0);
    reads(1, 1, 2, 1, "9", ASYNC_OK);
    REFUSE("read and never written");
}

static void shortness(void)
{
    begin(0);
    writes(0, 1, 2, 1, 1, 1, ASYNC_OK);
    reads(1, 3, 4, 1, "", ASYNC_TIMEOUT);
    REFUSE("empty, with an item in it");

    begin(0);
    writes(0, 1, 3, 1, 1, 1, ASYNC_OK);
    reads(1, 2, 4, 1, "", ASYNC_TIMEOUT);
    reads(1, 5, 6, 1, "1", ASYNC_OK);
    ACCEPT("empty, while the write was under way");

    begin(0);
    writes(0, 1, 2, 1, 2, 2, ASYNC_OK);
    reads(1, 3, 4, 3, "1", ASYNC_TIMEOUT);
    REFUSE("a short read, with one more in it");

    begin(0);
    writes(0, 1, 2, 1, 2, 2, ASYNC_OK);
    reads(1, 3, 6, 3, "1", ASYNC_TIMEOUT);
    reads(2, 4, 5, 1, "2", ASYNC_OK);
    ACCEPT("a short read, and another one took the rest");

    begin(0);
    writes(0, 1, 2, 1, 2, 2, ASYNC_OK);
    reads(1, 3, 4, 3, "1 2", ASYNC_OK);
    REFUSE("OK with less than the count");

    begin(0);
    writes(0, 1, 2, 1, 2, 2, ASYNC_OK);
    reads(1, 3, 4, 2, "1", ASYNC_OK)->kind = OP_BORROW;
    ACCEPT("a borrow of less than the count");

    begin(0);
    reads(1, 3, 4, 1, "", ASYNC_TIMEOUT)->wait = async_forever();
    REFUSE("a time-out of a wait for ever");

    begin(2);
    writes(0, 1, 2, 1, 3, 2, ASYNC_TIMEOUT);
    ACCEPT("full");

    begin(2);
    writes(0, 1, 2, 1, 3, 3, ASYNC_OK);
    REFUSE("more than the capacity");

    begin(2);
    writes(0, 1, 2, 1, 3, 1, ASYNC_TIMEOUT);
    REFUSE("full, with room for one");

    begin(0);
    writes(0, 1, 2, 1, 3, 1, ASYNC_TIMEOUT);
    REFUSE("full, and unbounded");

    begin(2);
    writes(0, 1, 6, 1, 2, 2, ASYNC_OK);
    writes(1, 2, 3, 5, 1, 0, ASYNC_TIMEOUT);
    reads(2, 4, 5, 1, "", ASYNC_TIMEOUT);
    ACCEPT("full: a write in progress holds the room");

    begin(2);
    writes(0, 1, 2, 1, 2, 2, ASYNC_OK);
    reads(2, 3, 6, 1, "1", ASYNC_OK);
    reads(3, 4, 5, 1, "2", ASYNC_OK);
    writes(1, 7, 8, 5, 1, 0, ASYNC_TIMEOUT);
    REFUSE("full, and no read holds the room any more");

    begin(1);
    writes(0, 1, 2, 1, 1, 1, ASYNC_OK);
    reads(2, 3, 8, 1, "1", ASYNC_OK);
    reads(3, 4, 5, 1, "", ASYNC_TIMEOUT);
    writes(1, 6, 7, 5, 1, 0, ASYNC_TIMEOUT);
    ACCEPT("full: a read in progress has taken the item and holds its room");

    begin(1);
    writes(0, 1, 4, 1, 1, 0, ASYNC_TIMEOUT);
    writes(1, 2, 3, 2, 1, 0, ASYNC_TIMEOUT);
    REFUSE("full: each of two holds the room against the other");
}

static void closing(void)
{
    begin(0);
    writes(0, 1, 2, 1, 2, 2, ASYNC_OK);
    add(OP_CLOSE, 1, 3, 4);
    reads(2, 5, 6, 3, "1 2", ASYNC_END);
    writes(0, 7, 8, 5, 1, 0, ASYNC_CLOSED);
    add(OP_CLOSED, 0, 9, 10)->answer = true;
    ACCEPT("closed, read to the end");

    begin(0);
    writes(0, 1, 2, 1, 2, 2, ASYNC_OK);
    add(OP_CLOSE, 1, 3, 4);
    reads(2, 5, 6, 3, "1", ASYNC_END);
    REFUSE("the end, with an item in it");

    begin(0);
    add(OP_CLOSE, 1, 3, 4);
    writes(0, 5, 6, 1, 1, 1, ASYNC_OK);
    REFUSE("accepted after the close");

    begin(0);
    add(OP_CLOSE, 1, 3, 6);
    writes(0, 4, 5, 1, 1, 1, ASYNC_OK);
    reads(2, 7, 8, 2, "1", ASYNC_END);
    ACCEPT("accepted during the close");

    begin(0);
    add(OP_CLOSE, 1, 3, 8);
    reads(2, 4, 5, 1, "", ASYNC_END);
    writes(0, 6, 7, 1, 1, 1, ASYNC_OK);
    REFUSE("accepted after somebody saw the end");

    begin(0);
    reads(2, 4, 5, 1, "", ASYNC_END);
    add(OP_CLOSE, 1, 6, 8);
    REFUSE("the end before the close");

    begin(0);
    add(OP_CLOSE, 1, 1, 2);
    reads(2, 4, 5, 1, "", ASYNC_TIMEOUT);
    REFUSE("a time-out where the end is");

    begin(1);
    writes(0, 1, 2, 1, 1, 1, ASYNC_OK);
    add(OP_CLOSE, 1, 3, 4);
    writes(0, 5, 6, 2, 1, 0, ASYNC_TIMEOUT);
    REFUSE("full, where it is closed");

    begin(0);
    writes(0, 1, 2, 1, 1, 0, ASYNC_CLOSED);
    REFUSE("refused, and nobody closed");

    begin(0);
    add(OP_CLOSE, 1, 1, 2);
    add(OP_CLOSED, 0, 3, 4);
    REFUSE("closed, and asked: no");

    begin(0);
    add(OP_CLOSED, 0, 3, 4)->answer = true;
    REFUSE("open, and asked: yes");
}

static void leaving(void)
{
    begin(0);
    add(OP_DROP_WRITER, 0, 1, 2);
    writes(1, 3, 4, 1, 1, 1, ASYNC_OK);
    add(OP_DROP_WRITER, 1, 5, 6);
    reads(2, 7, 8, 2, "1", ASYNC_END);
    ACCEPT("the last writer closes, not the first");

    begin(0);
    add(OP_DROP_WRITER, 0, 1, 2);
    reads(2, 3, 4, 2, "", ASYNC_END);
    REFUSE("the first of two closes");

    begin(0);
    add(OP_DROP_WRITER, 0, 1, 2);
    add(OP_DROP_WRITER, 1, 3, 4);
    reads(2, 5, 6, 1, "", ASYNC_TIMEOUT);
    REFUSE("the last one does not close");

    begin(0);
    writes(0, 1, 2, 1, 2, 2, ASYNC_OK);
    add(OP_DROP_READER, 2, 3, 6);
    discards(add(OP_DROP_READER, 1, 4, 5), 1, 2);
    writes(0, 7, 8, 5, 1, 0, ASYNC_CLOSED);
    ACCEPT("the last reader discards");

    begin(0);
    writes(0, 1, 2, 1, 2, 2, ASYNC_OK);
    add(OP_DROP_READER, 2, 3, 4);
    discards(add(OP_DROP_READER, 1, 5, 6), 1, 1);
    REFUSE("one item is neither read nor discarded");

    begin(0);
    writes(0, 1, 2, 1, 2, 2, ASYNC_OK);
    discards(add(OP_DROP_READER, 2, 3, 4), 1, 2);
    add(OP_DROP_READER, 1, 5, 6);
    REFUSE("the first of two readers discards");

    begin(0);
    writes(0, 1, 2, 1, 1, 1, ASYNC_OK);
    reads(1, 3, 4, 1, "1", ASYNC_OK);
    add(OP_DROP_READER, 1, 5, 6);
    discards(add(OP_DROP_READER, 2, 7, 8), 1, 1);
    REFUSE("read and discarded");

    begin(0);
    add(OP_DROP_READER, 1, 1, 2);
    add(OP_DROP_READER, 2, 3, 4);
    writes(0, 5, 6, 1, 1, 1, ASYNC_OK);
    REFUSE("accepted after the last reader has left");

    begin(0);
    add(OP_DROP_READER, 1, 1, 2);
    discards(add(OP_DROP_READER, 2, 3, 6), 1, 1);
    writes(0, 4, 5, 1, 2, 1, ASYNC_CLOSED);
    ACCEPT("half a write while the last reader left");
}

static void sleeping(void)
{
    begin(2);
    writes(0, 1, 8, 1, 3, 3, ASYNC_OK)->wait = async_forever();
    add(OP_STUCK, 3, 2, 3);
    reads(3, 4, 5, 1, "1", ASYNC_OK);
    ACCEPT("a writer sleeps: it is full");

    begin(2);
    writes(0, 1, 2, 1, 1, 1, ASYNC_OK);
    writes(1, 3, 8, 5, 1, 1, ASYNC_OK)->wait = async_forever();
    add(OP_STUCK, 3, 4, 5);
    reads(3, 9, 10, 1, "1", ASYNC_OK);
    REFUSE("a writer sleeps, with room, or when it is done");

    begin(1);
    writes(0, 1, 2, 1, 1, 1, ASYNC_OK);
    writes(1, 3, 10, 5, 1, 1, ASYNC_OK)->wait = async_forever();
    add(OP_STUCK, 3, 4, 5);
    reads(3, 6, 7, 1, "1", ASYNC_OK);
    add(OP_STUCK, 3, 8, 9);
    reads(3, 11, 12, 1, "5", ASYNC_OK);
    REFUSE("a writer sleeps on, with room again");

    begin(0);
    reads(1, 1, 8, 2, "1 2", ASYNC_OK)->wait = async_forever();
    writes(0, 2, 3, 1, 1, 1, ASYNC_OK);
    add(OP_STUCK, 3, 4, 5);
    writes(0, 6, 7, 2, 1, 1, ASYNC_OK);
    ACCEPT("a reader sleeps: there is one, and it wants two");

    begin(0);
    reads(1, 1, 8, 2, "1 2", ASYNC_OK)->wait = async_forever();
    writes(0, 2, 3, 1, 2, 2, ASYNC_OK);
    add(OP_STUCK, 3, 4, 5);
    REFUSE("a reader sleeps, and all is there");

    begin(1);
    reads(1, 1, 8, 2, "1 2", ASYNC_OK)->wait = async_forever();
    writes(0, 2, 3, 1, 1, 1, ASYNC_OK);
    add(OP_STUCK, 3, 4, 5);
    writes(0, 6, 7, 2, 1, 1, ASYNC_OK);
    ACCEPT("a reader sleeps: it was full, so it has taken the first");

    begin(1);
    reads(1, 1, 12, 2, "2 3", ASYNC_OK)->wait = async_forever();
    writes(0, 2, 3, 1, 1, 1, ASYNC_OK);
    add(OP_STUCK, 3, 4, 5);
    reads(3, 6, 7, 1, "1", ASYNC_OK);
    writes(0, 8, 9, 2, 1, 1, ASYNC_OK);
    writes(0, 10, 11, 3, 1, 1, ASYNC_OK);
    REFUSE("a reader sleeps, and it is full");

    begin(0);
    reads(1, 1, 8, 2, "", ASYNC_END)->wait = async_forever();
    add(OP_CLOSE, 0, 2, 3);
    add(OP_STUCK, 3, 4, 5);
    REFUSE("a reader sleeps, and it is closed");
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 5000, broken = 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    order();
    shortness();
    closing();
    leaving();
    sleeping();
    unsigned by_hand = cases;
    for (unsigned i = 0; i < rounds && failures == 0; i++) {
        char name[64];
        h = random_history(seed * 1000003 + i);
        snprintf(name, sizeof name, "random history %u of seed %" PRIu64, i, seed);
        ACCEPT(name);
        if (damage_history(&h)) {
            snprintf(name, sizeof name, "random history %u of seed %" PRIu64 ", damaged", i, seed);
            REFUSE(name);
            broken++;
        }
    }
    printf("%u histories by hand, %u at random and %u of them damaged: %u were judged wrongly\n",
           by_hand, cases - by_hand - broken, broken, failures);
    return failures != 0 || broken < rounds / 4;
}
