/* play.c: a random history is planned, played and collected: see play.h, and channel_history.c for
 * what is in it. */
#include "play.h"

#include "linear.h"

#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define THREADS         SCHEDULE_THREADS
#define MAIN            SCHEDULE_THREADS
#define OPERATIONS_MOST 4 /* of a thread */
#define RESCUES_MOST    3
#define ITEM_SIZE_MOST  40
#define SEGMENT         240 /* words: where the queue takes a new segment */
#define NS_PER_MS       1000000u

typedef struct plan {
    operation_kind kind;
    unsigned       count;
    async_wait     wait;
    uint64_t       ms; /* of a wait within a time */
} plan;

typedef struct player {
    bool      writer, reader; /* holds; the thread's own during the round */
    unsigned  planned, count;
    plan      plans[OPERATIONS_MOST];
    operation operations[HISTORY_OPERATIONS];
} player;

static schedule_mode mode;
static uint64_t      dice_state;

static player        players[THREADS + 1];
static async_writer *writer;
static async_reader *reader;
static size_t        item_size;
history              taken;
static unsigned char next_item;
static atomic_uint   releases, arrived;
static atomic_bool   wrong;

static _Thread_local operation *now; /* that this thread is in */

static void fail(const char *what)
{
    fprintf(stderr, "channel_history: %s\n", what);
    atomic_store(&wrong, true);
}

static unsigned roll(unsigned below)
{
    uint64_t z = (dice_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ (z >> 31)) % below);
}

/* ---- items ---- */

static void make(unsigned char *at, unsigned char number)
{
    for (size_t i = 0; i < item_size; i++) { at[i] = (unsigned char)(number + 7 * i); }
}

static unsigned char number_of(const unsigned char *at)
{
    for (size_t i = 0; i < item_size; i++) {
        if (at[i] != (unsigned char)(at[0] + 7 * i)) { fail("an item is not what was written"); }
    }
    return at[0];
}

static void discard(void *items, size_t count, void *context)
{
    (void)context;
    for (size_t i = 0; i < count; i++) {
        unsigned char number = number_of((unsigned char *)items + i * item_size);
        if (now == NULL || now->discarded == HISTORY_ITEMS) {
            fail("items were discarded outside of any call, or too many");
            return;
        }
        now->discards[now->discarded++] = number;
    }
}

static void release(void *context)
{
    (void)context;
    atomic_fetch_add(&releases, 1);
}

/* ---- playing ---- */

static void check_time(const plan *p, uint64_t began)
{
    if (now->status == ASYNC_TIMEOUT && p->ms != 0 &&
        schedule_now_ns() < began + p->ms * NS_PER_MS) {
        fail("a wait was over too early");
    }
}

static void do_write(const plan *p)
{
    unsigned char items[HISTORY_ITEMS * ITEM_SIZE_MOST];
    for (unsigned i = 0; i < p->count; i++) { make(items + i * item_size, now->items[i]); }
    size_t written;
    now->begin = schedule_stamp();
    now->status = async_writer_write(writer, items, p->count, &written, now->wait);
    now->end = schedule_stamp();
    now->done = (unsigned)written;
}

static void do_read(void)
{
    unsigned char items[HISTORY_ITEMS * ITEM_SIZE_MOST];
    size_t        got;
    now->begin = schedule_stamp();
    now->status = async_reader_read(reader, items, now->count, &got, now->wait);
    now->end = schedule_stamp();
    now->done = (unsigned)got;
    for (size_t i = 0; i < got; i++) { now->items[i] = number_of(items + i * item_size); }
}

static void do_borrow(void)
{
    async_view view;
    now->begin = schedule_stamp();
    now->status = async_reader_borrow(reader, &view, now->count, now->wait);
    now->end = schedule_stamp();
    now->done = (unsigned)view.count;
    for (size_t i = 0; i < view.count; i++) {
        now->items[i] = number_of((const unsigned char *)view.items + i * item_size);
    }
    async_view_return(&view);
}

/* The thread's next operation. The items of a write have been numbered before. */
static void perform(player *me, const plan *p, const unsigned char *numbers)
{
    now = &me->operations[me->count];
    *now = (operation){.kind = p->kind, .thread = (unsigned)(me - players), .count = p->count};
    now->wait = p->wait;
    uint64_t began = schedule_now_ns();
    if (p->ms != 0 && p->wait.kind == ASYNC_WAIT_UNTIL) {
        now->wait = async_until_ns(began + p->ms * NS_PER_MS);
    }
    switch (p->kind) {
    case OP_WRITE:
        memcpy(now->items, numbers, p->count);
        do_write(p);
        check_time(p, began);
        break;
    case OP_READ:
        do_read();
        check_time(p, began);
        break;
    case OP_BORROW:
        do_borrow();
        check_time(p, began);
        break;
    case OP_CLOSE:
        now->begin = schedule_stamp();
        async_writer_close(writer);
        now->end = schedule_stamp();
        break;
    case OP_CLOSED:
        now->begin = schedule_stamp();
        now->answer = async_writer_closed(writer);
        now->end = schedule_stamp();
        break;
    case OP_DROP_WRITER:
        now->begin = schedule_stamp();
        async_writer_release(writer);
        now->end = schedule_stamp();
        break;
    case OP_DROP_READER:
        now->begin = schedule_stamp();
        async_reader_release(reader);
        now->end = schedule_stamp();
        break;
    case OP_STUCK:
        now->begin = schedule_stamp();
        now->end = schedule_stamp();
        break;
    }
    now = NULL;
    me->count++;
}

static unsigned char numbers_of[THREADS][OPERATIONS_MOST][HISTORY_ITEMS];

void play(unsigned thread)
{
    player *me = &players[thread];
    if (mode == SCHEDULE_PARALLEL) {
        atomic_fetch_add(&arrived, 1);
        while (atomic_load(&arrived) < THREADS) { sched_yield(); }
    }
    for (unsigned i = 0; i < me->planned; i++) {
        me->writer &= me->plans[i].kind != OP_DROP_WRITER;
        me->reader &= me->plans[i].kind != OP_DROP_READER;
        perform(me, &me->plans[i], numbers_of[thread][i]);
    }
}

/* ---- planning ---- */

/* Nobody may sleep for good where main has no end to wake it with. In SCHEDULE_SERIAL it may use a
 * sleeper's own. */
static void plan_wait(plan *p)
{
    unsigned kind = roll(20), timed = mode == SCHEDULE_SERIAL ? 7 : 2;
    p->wait = async_forever();
    if (kind < 9) {
        p->wait = async_now();
    } else if (kind < 9 + timed || (mode == SCHEDULE_PARALLEL && !players[MAIN].writer)) {
        p->ms = 1 + roll(2);
        p->wait = roll(2) == 0 ? async_per_item_ms(p->ms)
                               : (async_wait){ASYNC_WAIT_UNTIL, 0}; /* from its begin on */
    }
}

/* An operation for a thread that holds these ends. */
static operation_kind plan_kind(bool writes, bool reads, bool ends)
{
    unsigned kind = roll(ends ? 12 : 40);
    if (writes && reads && kind > 5) {
        writes = roll(2) == 0;
        reads = !writes;
    }
    if (kind == 0) { return writes ? OP_CLOSE : OP_DROP_READER; }
    if (kind == 1) { return writes ? OP_DROP_WRITER : OP_DROP_READER; }
    if (kind == 2 && writes) { return OP_CLOSED; }
    if (writes && (!reads || kind < 6)) { return OP_WRITE; }
    return roll(5) == 0 ? OP_BORROW : OP_READ;
}

static void plan_thread(unsigned thread, bool ends)
{
    player  *me = &players[thread];
    bool     writes = me->writer, reads = me->reader;
    unsigned most = 1 + roll(OPERATIONS_MOST);
    for (me->planned = 0; me->planned < most && (writes || reads); me->planned++) {
        plan *p = &me->plans[me->planned];
        *p = (plan){.kind = plan_kind(writes, reads, ends)};
        if (p->kind == OP_DROP_WRITER) {
            writes = false;
        } else if (p->kind == OP_DROP_READER) {
            reads = false;
        } else if (p->kind == OP_WRITE || p->kind == OP_READ || p->kind == OP_BORROW) {
            p->count = 1 + (roll(2) == 0 ? 0 : roll(3));
            plan_wait(p);
        }
        for (unsigned i = 0; p->kind == OP_WRITE && i < p->count; i++) {
            numbers_of[thread][me->planned][i] = next_item++;
        }
    }
}

static void plan_history(void)
{
    memset(players, 0, sizeof players);
    next_item = 1;
    unsigned kind = roll(4);
    taken = (history){.capacity = roll(4)};
    for (unsigned i = 0; i < THREADS; i++) {
        players[i].writer = kind >= 2 || (kind == 0 ? i > 0 : i == 0);
        players[i].reader = kind >= 2 || !players[i].writer;
    }
    bool kept = roll(2) == 0;
    players[MAIN].writer = kept && roll(3) != 0;
    players[MAIN].reader = kept && roll(3) != 0;
    for (unsigned i = 0; i <= THREADS; i++) {
        taken.writers += players[i].writer;
        taken.readers += players[i].reader;
    }
    bool ends = roll(2) == 0;
    for (unsigned i = 0; i < THREADS; i++) { plan_thread(i, ends); }
}

/* The channel, as if it had been in use for a while. */
static void open_channel(void)
{
    static const size_t sizes[] = {8, 8, 12, 24, 40};
    item_size = sizes[roll(sizeof sizes / sizeof sizes[0])];
    async_channel_options options = {
        .capacity = taken.capacity, .discard = discard, .release = release};
    if (async_channel_create(&writer, &reader, item_size, &options) != ASYNC_OK) {
        fail("no channel");
        exit(1);
    }
    size_t words = item_size > 24 ? 1 : (item_size + 7) / 8;
    size_t before = roll(3) == 0 ? (SEGMENT - roll(12)) / words : roll(2);
    for (size_t i = 0; i < before; i++) {
        unsigned char item[ITEM_SIZE_MOST];
        make(item, 99);
        if (async_writer_write(writer, item, 1, NULL, async_now()) != ASYNC_OK ||
            async_reader_read(reader, item, 1, NULL, async_now()) != ASYNC_OK) {
            fail("one item does not go through");
        }
    }
    for (unsigned i = 1; i < taken.writers; i++) { async_writer_retain(writer); }
    for (unsigned i = 1; i < taken.readers; i++) { async_reader_retain(reader); }
}

/* ---- one history ---- */

static bool held(bool write_end)
{
    for (unsigned i = 0; i <= THREADS; i++) {
        if (write_end ? players[i].writer : players[i].reader) { return true; }
    }
    return false;
}

static void collect(void)
{
    for (unsigned i = 0; i <= THREADS; i++) {
        for (unsigned k = 0; k < players[i].count; k++) {
            taken.operations[taken.count++] = players[i].operations[k];
        }
    }
}

/* Whether main may use an end: one of its own, or one that a sleeper has. */
static bool may_use(bool write_end)
{
    if (mode == SCHEDULE_PARALLEL) {
        return write_end ? players[MAIN].writer : players[MAIN].reader;
    }
    return held(write_end);
}

/* Everyone sleeps for good. True: not any more, the channel is closed. */
static bool rescue(unsigned tries)
{
    player  *me = &players[MAIN];
    unsigned what = tries < RESCUES_MOST ? roll(4) : 0;
    if (mode == SCHEDULE_SERIAL) { perform(me, &(plan){.kind = OP_STUCK}, NULL); }
    if (!may_use(true) || tries > RESCUES_MOST) {
        fail("threads sleep on a channel that is closed");
        collect();
        history_print(&taken, stderr);
        abort();
    }
    if (what == 1) {
        perform(me, &(plan){.kind = OP_WRITE, .count = 1}, &next_item);
        next_item++;
        return false;
    }
    if (what == 2 && may_use(false)) {
        perform(me, &(plan){.kind = OP_READ, .count = 1}, NULL);
        return false;
    }
    perform(me, &(plan){.kind = OP_CLOSE}, NULL);
    return true;
}

static void finish(void)
{
    player *me = &players[MAIN];
    if (held(true) && (held(false) || roll(2) == 0)) {
        perform(me, &(plan){.kind = OP_CLOSE}, NULL);
    }
    if (held(false) && roll(4) != 0) {
        perform(me, &(plan){.kind = OP_READ, .count = HISTORY_ITEMS, .wait = async_forever()},
                NULL);
    }
    bool readers_first = roll(2) == 0;
    for (unsigned end = 0; end < 2; end++) {
        for (unsigned i = 0; i <= THREADS; i++) {
            if ((end == 0) == readers_first ? players[i].reader : players[i].writer) {
                operation_kind kind = (end == 0) == readers_first ? OP_DROP_READER : OP_DROP_WRITER;
                perform(me, &(plan){.kind = kind}, NULL);
            }
        }
    }
    if (atomic_load(&releases) != 1) { fail("the channel's release was not called once"); }
}

static void count_up(report *r)
{
    for (unsigned i = 0; i < taken.count; i++) {
        const operation *op = &taken.operations[i];
        r->operations++;
        r->timeouts += op->status == ASYNC_TIMEOUT;
        r->ends += op->status == ASYNC_END;
        r->refusals += op->status == ASYNC_CLOSED;
        r->stuck += op->kind == OP_STUCK;
        for (unsigned k = 0; k < i; k++) {
            const operation *other = &taken.operations[k];
            r->overlaps += op->begin < other->end && other->begin < op->end;
        }
    }
}

/* False: it is not one that a queue could have had. */
bool play_history(schedule_mode how, uint64_t seed, report *r)
{
    mode = how;
    dice_state = seed;
    r->histories++;
    atomic_store(&releases, 0);
    atomic_store(&arrived, 0);
    schedule_round(seed);
    plan_history();
    open_channel();
    bool closed = false;
    for (unsigned tries = 0; schedule_wait(!closed) == ALL_STUCK; tries++) {
        closed = rescue(tries);
    }
    finish();
    collect();
    linear_result result = linear_check(&taken);
    r->states += result.states;
    count_up(r);
    if (!result.accepted) {
        linear_print(&taken, &result, stderr);
    } else if (atomic_load(&wrong)) {
        history_print(&taken, stderr);
    }
    return result.accepted && !atomic_load(&wrong);
}
