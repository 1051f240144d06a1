/* channels_frozen.c: row C17: a thread that stands still at a random instant of a call leaves all
 * others able to complete theirs.
 *
 * A victim works on a channel and is stopped by a signal, whose handler waits until it is told to
 * go on. Meanwhile helpers must go on with the same channel, writing and reading, and what they
 * write must be readable.
 *
 * The row excepts the allocator, which has locks of its own: this program is linked so that the
 * library's calls of it come through the functions below (-Wl,--wrap), and a victim that is inside
 * one is stopped as it comes out. */
#define _GNU_SOURCE
#include "pipeline.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <signal.h>
#include <string.h>

#define HELPERS 2
#define BATCH   8
#define STEPS   60 /* that each helper must complete while the victim stands still */

static atomic_uint frozen, thawed; /* how often the victim stopped, and was told to go on */

static _Thread_local volatile sig_atomic_t in_allocator, to_stop;

static void stand_still(int number)
{
    (void)number;
    if (in_allocator) {
        to_stop = 1;
        return;
    }
    unsigned        turn = atomic_fetch_add(&frozen, 1) + 1;
    struct timespec moment = {.tv_nsec = 20000};
    while (atomic_load(&thawed) < turn) { nanosleep(&moment, NULL); }
}

static void leave_allocator(void)
{
    in_allocator = 0;
    if (to_stop) {
        to_stop = 0;
        stand_still(SIGUSR1);
    }
}

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void  __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
void  __wrap_free(void *memory);

void *__wrap_malloc(size_t size)
{
    in_allocator = 1;
    void *memory = __real_malloc(size);
    leave_allocator();
    return memory;
}

void *__wrap_calloc(size_t count, size_t size)
{
    in_allocator = 1;
    void *memory = __real_calloc(count, size);
    leave_allocator();
    return memory;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    in_allocator = 1;
    void *memory = __real_aligned_alloc(alignment, size);
    leave_allocator();
    return memory;
}

void __wrap_free(void *memory)
{
    in_allocator = 1;
    __real_free(memory);
    leave_allocator();
}

static void catch_signal(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = stand_still;
    action.sa_flags = SA_RESTART;
    cr_assert_eq(sigaction(SIGUSR1, &action, NULL), 0);
}

/* A random number; *state is not 0. */
static uint64_t dice(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state * 0x2545f4914f6cdd1du >> 32;
}

static void spin(uint64_t ns)
{
    uint64_t end = now_ns() + ns;
    while (now_ns() < end) {}
}

typedef struct ice {
    async_writer *writer;
    async_reader *reader;
    atomic_bool   stop;
    atomic_uint   odd; /* statuses that must not be */
    atomic_long   in, out;
    atomic_ulong  turns; /* calls that the victim made */
} ice;

typedef struct helper {
    ice         *on;
    atomic_ulong writes, reads; /* that moved an item */
    atomic_long  behind;        /* items written more than read */
    thread       thread;
} helper;

static async_status write_some(ice *on, size_t count, size_t *written)
{
    static const uint64_t items[BATCH] = {1, 2, 3, 4, 5, 6, 7, 8};
    async_status status = async_writer_write(on->writer, items, count, written, async_now());
    atomic_fetch_add(&on->odd, status != ASYNC_OK && status != ASYNC_TIMEOUT);
    atomic_fetch_add(&on->in, (long)*written);
    return status;
}

static async_status read_some(ice *on, size_t count, size_t *got)
{
    uint64_t     items[BATCH];
    async_status status = async_reader_read(on->reader, items, count, got, async_now());
    atomic_fetch_add(&on->odd, status != ASYNC_OK && status != ASYNC_TIMEOUT);
    atomic_fetch_add(&on->out, (long)*got);
    return status;
}

static void victim_body(void *arg)
{
    ice     *on = arg;
    uint64_t seed = 88172645463325252u;
    while (!atomic_load(&on->stop)) {
        size_t     count = 1 + dice(&seed) % BATCH, moved = 0;
        async_view view = {0};
        switch (dice(&seed) % 8) {
        case 0:
            async_writer_release(async_writer_retain(on->writer));
            async_reader_release(async_reader_retain(on->reader));
            break;
        case 1:
            if (async_reader_borrow(on->reader, &view, count, async_now()) == ASYNC_OK) {
                atomic_fetch_add(&on->out, (long)view.count);
                async_view_return(&view);
            }
            break;
        case 2:
        case 3:
        case 4:
            read_some(on, count, &moved);
            break;
        default:
            write_some(on, count, &moved);
            break;
        }
        atomic_fetch_add(&on->turns, 1);
    }
}

static void helper_body(void *arg)
{
    helper  *h = arg;
    uint64_t seed = 1181783497276652981u + (uint64_t)(uintptr_t)h;
    while (!atomic_load(&h->on->stop)) {
        size_t count = 1 + dice(&seed) % 4, written = 0, got = 0;
        write_some(h->on, count, &written);
        atomic_fetch_add(&h->writes, written > 0);
        read_some(h->on, count, &got);
        atomic_fetch_add(&h->reads, got > 0);
        atomic_fetch_add(&h->behind, (long)written - (long)got);
    }
}

static bool all_went_on(helper *helpers, const unsigned long *writes, const unsigned long *reads)
{
    for (unsigned i = 0; i < HELPERS; i++) {
        if (atomic_load(&helpers[i].writes) < writes[i] + STEPS ||
            atomic_load(&helpers[i].reads) < reads[i] + STEPS) {
            return false;
        }
    }
    return true;
}

static void freeze_at_random_instants(size_t capacity, unsigned instants)
{
    ice                        on;
    thread                     victim;
    helper                     helpers[HELPERS];
    uint64_t                   seed = 2862933555777941757u, items[1000];
    static const unsigned long none[HELPERS];
    memset(&on, 0, sizeof on);
    memset(helpers, 0, sizeof helpers);
    catch_signal();
    channel_of(&on.writer, &on.reader, capacity, NULL);
    thread_start(&victim, victim_body, &on);
    for (unsigned i = 0; i < HELPERS; i++) {
        helpers[i].on = &on;
        thread_start(&helpers[i].thread, helper_body, &helpers[i]);
    }
    cr_assert(UNTIL(SOON, all_went_on(helpers, none, none) && atomic_load(&on.turns) > 0));
    for (unsigned turn = 1; turn <= instants; turn++) {
        unsigned long writes[HELPERS], reads[HELPERS];
        long          behind[HELPERS];
        spin(dice(&seed) % 200000);
        cr_assert_eq(pthread_kill(victim.id, SIGUSR1), 0);
        cr_assert(UNTIL(SOON, atomic_load(&frozen) == turn));
        for (unsigned i = 0; i < HELPERS; i++) {
            writes[i] = atomic_load(&helpers[i].writes);
            reads[i] = atomic_load(&helpers[i].reads);
            behind[i] = atomic_load(&helpers[i].behind);
        }
        bool ok = UNTIL(SOON, all_went_on(helpers, writes, reads));
        long more = 0; /* written and not found again: no more than what is under way */
        for (unsigned i = 0; i < HELPERS; i++) {
            more += atomic_load(&helpers[i].behind) - behind[i];
        }
        atomic_store(&thawed, turn);
        cr_assert(ok, "capacity %zu, instant %u: a helper is stuck", capacity, turn);
        cr_assert(capacity != 0 || more <= 6 * BATCH, "instant %u: %ld not found", turn, more);
    }
    atomic_store(&on.stop, true);
    thread_join(&victim);
    for (unsigned i = 0; i < HELPERS; i++) { thread_join(&helpers[i].thread); }
    cr_assert_eq(atomic_load(&on.odd), 0);
    async_writer_close(on.writer);
    long   rest = 0;
    size_t got = 0;
    do {
        got = 0;
        async_reader_read(on.reader, items, 1000, &got, async_forever());
        rest += (long)got;
    } while (got > 0);
    cr_assert_eq(atomic_load(&on.out) + rest, atomic_load(&on.in));
    async_writer_release(on.writer);
    async_reader_release(on.reader);
}

/* C17: unbounded: writes always succeed, and what was written behind the frozen thread is found. */
Test(C, C17_frozen_on_an_unbounded_channel) { freeze_at_random_instants(0, 400); }

/* C17: bounded: the frozen one may hold its slots, the others are free. */
Test(C, C17_frozen_on_a_bounded_channel) { freeze_at_random_instants(64, 400); }

#define ENDINGS 6000

/* Channels that the victim ends, each in one of three ways. */
typedef struct endings {
    async_writer *writer[ENDINGS];
    async_reader *reader[ENDINGS];
    atomic_uint   at;      /* the one that the victim is about to end */
    atomic_uint   allowed; /* as far as it may go for now */
    atomic_bool   stop;
    atomic_uint   odd;
} endings;

typedef struct visitor {
    endings     *all;
    atomic_ulong steps;
    thread       thread;
} visitor;

/* close; release of the only writer; release of the only reader. */
static void end_them(void *arg)
{
    endings *all = arg;
    uint64_t items[3] = {0};
    for (unsigned i = 0; i < ENDINGS && !atomic_load(&all->stop); i++) {
        while (i >= atomic_load(&all->allowed) && !atomic_load(&all->stop)) { sched_yield(); }
        atomic_store(&all->at, i);
        async_writer_write(all->writer[i], items, 3, NULL, async_now());
        async_reader_read(all->reader[i], items, 1, NULL, async_now());
        switch (i % 3) {
        case 0:
            async_writer_close(all->writer[i]);
            break;
        case 1:
            async_writer_release(all->writer[i]);
            break;
        default:
            async_reader_release(all->reader[i]);
            break;
        }
    }
    atomic_store(&all->stop, true);
}

/* Works on the channel that the victim is at, with the end that the victim does not release. */
static void visit(void *arg)
{
    visitor *v = arg;
    uint64_t items[2] = {0};
    while (!atomic_load(&v->all->stop)) {
        unsigned     i = atomic_load(&v->all->at);
        async_status status;
        if (i % 3 != 1) {
            status = async_writer_write(v->all->writer[i], items, 2, NULL, async_now());
            atomic_fetch_add(&v->all->odd, status != ASYNC_OK && status != ASYNC_TIMEOUT &&
                                               status != ASYNC_CLOSED);
        }
        if (i % 3 != 2) {
            status = async_reader_read(v->all->reader[i], items, 2, NULL, async_now());
            atomic_fetch_add(&v->all->odd,
                             status != ASYNC_OK && status != ASYNC_TIMEOUT && status != ASYNC_END);
        }
        atomic_fetch_add(&v->steps, 1);
    }
}

static bool all_stepped(visitor *visitors, const unsigned long *steps)
{
    for (unsigned i = 0; i < HELPERS; i++) {
        if (atomic_load(&visitors[i].steps) < steps[i] + STEPS) { return false; }
    }
    return true;
}

/* C17: frozen in a close or a release. */
Test(C, C17_frozen_in_an_end)
{
    static endings all;
    visitor        visitors[HELPERS];
    thread         victim;
    uint64_t       seed = 3935559000370003845u;
    unsigned       turn = 0;
    memset(visitors, 0, sizeof visitors);
    catch_signal();
    for (unsigned i = 0; i < ENDINGS; i++) {
        channel_of(&all.writer[i], &all.reader[i], i % 2 == 0 ? 0 : 4096, NULL);
    }
    thread_start(&victim, end_them, &all);
    for (unsigned i = 0; i < HELPERS; i++) {
        visitors[i].all = &all;
        thread_start(&visitors[i].thread, visit, &visitors[i]);
    }
    static const unsigned long none[HELPERS];
    cr_assert(UNTIL(SOON, all_stepped(visitors, none)));
    while (!atomic_load(&all.stop) && turn < 300) {
        unsigned long steps[HELPERS];
        atomic_store(&all.allowed, atomic_load(&all.at) + 60);
        spin(dice(&seed) % 20000);
        cr_assert_eq(pthread_kill(victim.id, SIGUSR1), 0);
        if (!UNTIL(SOON, atomic_load(&frozen) == turn + 1 || atomic_load(&all.stop)) ||
            atomic_load(&all.stop)) {
            break;
        }
        turn++;
        for (unsigned i = 0; i < HELPERS; i++) { steps[i] = atomic_load(&visitors[i].steps); }
        bool ok = UNTIL(SOON, all_stepped(visitors, steps));
        atomic_store(&thawed, turn);
        cr_assert(ok, "instant %u, channel %u: a helper is stuck", turn, atomic_load(&all.at));
    }
    atomic_store(&thawed, ENDINGS);
    atomic_store(&all.stop, true);
    thread_join(&victim);
    for (unsigned i = 0; i < HELPERS; i++) { thread_join(&visitors[i].thread); }
    cr_assert_eq(atomic_load(&all.odd), 0);
    cr_assert_geq(turn, 95);
    for (unsigned i = 0; i < ENDINGS; i++) {
        bool ended = i <= atomic_load(&all.at);
        if (!ended || i % 3 != 1) { async_writer_release(all.writer[i]); }
        if (!ended || i % 3 != 2) { async_reader_release(all.reader[i]); }
    }
}

/* C17: in a pool only the frozen worker's chunk waits for it, whichever chunk that is. */
Test(C, C17_only_its_chunk_waits)
{
    static const uint64_t held[] = {0, 50, 700};
    EACH_SIZE (n) {
        for (unsigned i = 0; i < 3; i++) {
            if (n < 2) { continue; }
            gate shut = {0};
            /* chunks that are long enough for a worker to hold one at a time */
            probe p = {.hold = &shut, .hold_one = true, .hold_value = held[i], .delay_us = 40};
            async_pool   *pool = pool_of(n);
            async_reader *reader = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                                        .context = &p, .max_chunksize = 1, .min_count = 1000);
            uint64_t     *items = malloc(1000 * sizeof *items);
            size_t        got = 0;
            cr_assert_not_null(items);
            async_status status = async_reader_read(reader, items, 999, &got,
                                                    async_within_ms(5000));
            cr_assert_eq(status, ASYNC_OK, "N = %u, %u held: %zu of 999", n, (unsigned)held[i],
                         got);
            for (size_t k = 0; k < 999; k++) { cr_assert_neq(items[k], held[i] + 1); }
            cr_assert_eq(atomic_load(&p.running), 1);
            gate_open(&shut);
            cr_assert_eq(async_reader_read(reader, items, 1, NULL, async_forever()), ASYNC_OK);
            cr_assert_eq(items[0], held[i] + 1);
            free(items);
            async_reader_release(reader);
            pool_end(pool);
        }
    }
}

typedef struct shut_source {
    gate     gate;
    uint64_t next;
} shut_source;

static int next_behind_a_gate(void *items, size_t count, size_t *got, void *context)
{
    shut_source *s = context;
    gate_pass(&s->gate);
    for (*got = 0; *got < count && s->next < 10; ++*got) { ((uint64_t *)items)[*got] = s->next++; }
    return 0;
}

/* C17: only its turn at a serial source waits, or its place in an ordered stream: other tasks of
 * the pool go on. At N = 0 the reading threads are the ones that stand and go. */
Test(C, C17_only_its_turn_waits)
{
    EACH_SIZE (n) {
        if (n == 1) { continue; }
        shut_source   s = {.next = 0};
        gate          shut = {0};
        probe         p = {.hold = &shut, .hold_one = true, .hold_value = 0};
        async_source  source = async_source_from(next_behind_a_gate, &s, sizeof(uint64_t));
        async_pool   *pool = pool_of(n);
        async_reader *still = TASK(pool, .source = &source, .max_chunksize = 2);
        async_reader *ordered = TASK(pool, .source = range_of(0, 50), .each = each_add_one,
                                     .context = &p, .max_chunksize = 1, .order = ASYNC_ORDERED);
        async_reader *other = TASK(pool, .source = range_of(0, 1000), .each = each_twice,
                                   .max_chunksize = 3);
        reading      *a = calloc(2, sizeof *a), *b = a + 1;
        cr_assert_not_null(a);
        reading_start(a, still, 10, async_forever());
        if (n != 2) { /* a second worker that stands still */
            reading_start(b, ordered, 50, async_forever());
            gate_arrived(&shut, 1);
        }
        gate_arrived(&s.gate, 1);
        uint64_t *items = malloc(1000 * sizeof *items);
        size_t    got = 0;
        cr_assert_not_null(items);
        async_status status = async_reader_read(other, items, 1000, &got, async_within_ms(SOON));
        cr_assert_eq(status, ASYNC_OK, "N = %u: %zu of 1000", n, got);
        cr_assert_not(thread_ended(&a->thread));
        cr_assert(n == 2 || !thread_ended(&b->thread));
        gate_open(&s.gate);
        gate_open(&shut);
        thread_join(&a->thread);
        cr_assert_eq(a->got, 10);
        if (n != 2) {
            thread_join(&b->thread);
            cr_assert_eq(b->got, 50);
        }
        for (uint64_t i = 0; i < b->got; i++) { cr_assert_eq(b->items[i], i + 1); }
        free(items);
        free(a);
        async_reader_release(still);
        async_reader_release(ordered);
        async_reader_release(other);
        pool_end(pool);
    }
}
