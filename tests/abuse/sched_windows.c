/* sched_windows.c: rows F24, F32, F38 and F47: threads that stand still at the worst moments. The
 * program's own threads have the role STEP_NEVER unless they say otherwise, workers have 0. */
#include "rows.h"

#include "deque.h"
#include "pipeline.h"
#include "pool.h"
#include "pulse.h"
#include "steps.h"

#include <string.h>

#define CLIENT       1
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A thing that must happen at once happens within this; where the machine is busy otherwise, as
 * late as it lets threads run at all, but never later than the second. What was lost never does. */
#define AT_ONCE_MS      100
#define AT_ONCE_LATE_MS 1000

/* ── F24 ─────────────────────────────────────────────────────────────────────────────────────── */

typedef struct theft {
    struct deque     *deque;
    enum deque_result result;
    void             *job;
    thread            thread;
} theft;

static void steal_one(void *arg)
{
    theft *t = arg;
    t->result = deque_steal(t->deque, &t->job);
}

/* A thief stands still while the array grows three times; then the job that it was after is still
 * there (`meanwhile` 0), was stolen by another (1), or was popped with all the others (2). */
static void frozen_thief(void)
{
    static const char *const sites[] = {"deque_steal: top", "deque_steal: array",
                                        "deque_steal: slot"};
    static int               values[64];
    for (unsigned at = 0; at < COUNT(sites) * 3; at++) {
        unsigned     meanwhile = at % 3;
        struct deque deque;
        void        *job = NULL;
        step_role(STEP_NEVER);
        ROW_CHECK(deque_init(&deque, 4));
        for (unsigned i = 0; i < 2; i++) { ROW_CHECK(deque_push(&deque, &values[i])); }
        theft t = {.deque = &deque};
        step_order(0, sites[at / 3]);
        thread_start(&t.thread, steal_one, &t);
        ROW_CHECK(step_await(0));
        if (meanwhile == 1) {
            ROW_EQ(deque_steal(&deque, &job), DEQUE_TAKEN);
            ROW_CHECK(job == &values[0]);
        }
        /* 4, 8, 16, 32, 64 */
        for (unsigned i = 2; i < 40; i++) { ROW_CHECK(deque_push(&deque, &values[i])); }
        if (meanwhile == 2) {
            for (unsigned i = 40; i-- > 0;) { ROW_CHECK(deque_pop(&deque) == &values[i]); }
        }
        step_go(0);
        thread_join(&t.thread);
        if (meanwhile == 0) {
            ROW_EQ(t.result, DEQUE_TAKEN);
            ROW_CHECK(t.job == &values[0]);
        } else if (meanwhile == 1 && at / 3 > 0) {
            ROW_EQ(t.result, DEQUE_LOST);
        } else if (meanwhile == 2) { /* it may have looked at bottom before or after */
            ROW_CHECK(t.result == DEQUE_LOST || t.result == DEQUE_EMPTY);
        }
        if (meanwhile != 2) {
            for (unsigned i = 40; i-- > 1;) { ROW_CHECK(deque_pop(&deque) == &values[i]); }
        }
        ROW_CHECK(deque_pop(&deque) == NULL);
        deque_destroy(&deque);
    }
}

/* The owner has claimed the last job and stands; two thieves come. One of the three gets it. */
static void frozen_owner_body(void *arg)
{
    theft *t = arg;
    t->job = deque_pop(t->deque);
}

static void frozen_owner(void)
{
    static int values[3];
    for (unsigned jobs = 1; jobs <= 3; jobs++) {
        struct deque deque;
        step_role(STEP_NEVER);
        ROW_CHECK(deque_init(&deque, 4));
        for (unsigned i = 0; i < jobs; i++) { ROW_CHECK(deque_push(&deque, &values[i])); }
        theft t = {.deque = &deque};
        step_order(0, "deque_pop: claimed");
        thread_start(&t.thread, frozen_owner_body, &t);
        ROW_CHECK(step_await(0));
        unsigned taken[3] = {0, 0, 0};
        for (unsigned i = 0; i < 2 * jobs; i++) {
            void *job;
            if (deque_steal(&deque, &job) == DEQUE_TAKEN) { taken[(int *)job - values]++; }
        }
        step_go(0);
        thread_join(&t.thread);
        if (t.job != NULL) { taken[(int *)t.job - values]++; }
        for (void *job; (job = deque_pop(&deque)) != NULL;) { taken[(int *)job - values]++; }
        for (unsigned i = 0; i < jobs; i++) { ROW_EQ(taken[i], 1); }
        deque_destroy(&deque);
    }
}

/* ── F32 ─────────────────────────────────────────────────────────────────────────────────────── */

/* From a worker's last look for work to its sleep, and from a push to the wake-up that it makes. */
static const char *const worker_sites[] = {
    "search: counted",       "search: left",     "event_prepare: announced",
    "event_prepare: fenced", "find_job: looked", "event_wait: about to sleep",
};
static const char *const pusher_sites[] = {
    "pool_push: pushed",     "pool_push: fenced",   "pool_push: waking",
    "event_notify: changed", "event_notify: found", "event_notify: moved",
};

static uint64_t worst_ms;

#define HANDS 8 /* that a wake-up goes through, each as late as the machine is */

static void windows_say(unsigned both, unsigned meetings)
{
    row_says("%u of %u meetings with both standing; at most %llu ms; the machine was late by %llu",
             both, meetings, (unsigned long long)worst_ms,
             (unsigned long long)pulse_most_late_ms());
    ROW_CHECK(both > 0);
}

/* Lets the two go on, either first. */
static void go_both(unsigned one, unsigned two)
{
    step_go(one);
    sleep_ms(2); /* as far as it gets */
    step_go(two);
}

static void wait_at_once(thread *t, const char *worker_site, const char *pusher_site)
{
    uint64_t start = now_ms();
    (void)pulse_late_ms();
    if (!thread_join_within(t, SOON)) {
        row_failed(__FILE__, __LINE__, "a wake-up was lost: worker at \"%s\", push at \"%s\"",
                   worker_site, pusher_site);
    }
    uint64_t took = now_ms() - start, late = pulse_late_ms(), most = AT_ONCE_MS + (HANDS * late);
    if (took > worst_ms) { worst_ms = took; }
    if (took > (most < AT_ONCE_LATE_MS ? most : AT_ONCE_LATE_MS)) {
        row_failed(__FILE__, __LINE__,
                   "%llu ms, the machine late by %llu: worker at \"%s\", push at \"%s\"",
                   (unsigned long long)took, (unsigned long long)late, worker_site, pusher_site);
    }
}

/* A read of one item in a thread with a role. */
typedef struct asking {
    async_reader *reader;
    unsigned      role;
    async_status  status;
    size_t        got;
    thread        thread;
} asking;

static void ask(void *arg)
{
    asking  *a = arg;
    uint64_t item;
    step_role(a->role);
    a->status = async_reader_read(a->reader, &item, 1, &a->got, async_forever());
}

static void asking_start(asking *a, async_reader *reader, unsigned role)
{
    *a = (asking){.reader = reader, .role = role};
    thread_start(&a->thread, ask, a);
}

static void asking_check(const asking *a)
{
    ROW_STATUS(a->status, ASYNC_OK);
    ROW_EQ(a->got, 1);
}

/* The only worker stands anywhere on its way to sleep while a client pushes, and stands too. */
static void push_from_outside(void)
{
    step_role(STEP_NEVER);
    pulse_start();
    async_pool *pool = pool_of(1);
    pool->left_alone = true;
    async_reader *first = TASK(pool, .source = range_of(0, 1000000), .each = each_add_one);
    async_reader *second = TASK(pool, .source = range_of(0, 1000000), .each = each_add_one);
    unsigned      both = 0;
    uint64_t      rounds = row_number(1);
    for (unsigned at = 0; at < rounds * COUNT(worker_sites) * COUNT(pusher_sites) * 2; at++) {
        const char *worker_site = worker_sites[at / 2 % COUNT(worker_sites)];
        const char *pusher_site = pusher_sites[at / 2 / COUNT(worker_sites) % COUNT(pusher_sites)];
        asking      one, two;
        step_order(0, worker_site);
        asking_start(&one, first, STEP_NEVER);
        if (!step_await(0)) {
            row_failed(__FILE__, __LINE__, "no worker came to \"%s\"", worker_site);
        }
        step_order(CLIENT, pusher_site);
        asking_start(&two, second, CLIENT);
        /* It stands, or has nobody to wake there and waits for its item. */
        ROW_CHECK(UNTIL(20, step_stopped(CLIENT)) || thread_asleep(&two.thread));
        both += step_stopped(CLIENT);
        if (at % 2 == 0) {
            go_both(0, CLIENT);
        } else {
            go_both(CLIENT, 0);
        }
        wait_at_once(&one.thread, worker_site, pusher_site);
        wait_at_once(&two.thread, worker_site, pusher_site);
        asking_check(&one);
        asking_check(&two);
    }
    windows_say(both, (unsigned)(rounds * COUNT(worker_sites) * COUNT(pusher_sites) * 2));
    pulse_stop();
    async_reader_release(first);
    async_reader_release(second);
    pool_end(pool);
}

/* One worker pushes onto its own deque from within a chunk, and stays in it: the other, which
 * stands on its way to sleep, is the only one that can run the job. */
typedef struct pushing {
    gate          go, pushed, end;
    async_writer *writer;
} pushing;

static int push_inside(const void *in, void *out, void *context)
{
    pushing *p = context;
    *(uint64_t *)out = *(const uint64_t *)in;
    gate_pass(&p->go);
    step_role(CLIENT);
    size_t written;
    (void)async_writer_write(p->writer, in, 1, &written, async_now());
    step_role(0);
    gate_open(&p->pushed);
    gate_pass(&p->end);
    return 0;
}

static void push_from_inside(void)
{
    step_role(STEP_NEVER);
    pulse_start();
    unsigned both = 0;
    uint64_t rounds = row_number(1);
    for (unsigned at = 0; at < rounds * COUNT(worker_sites) * COUNT(pusher_sites) * 2; at++) {
        const char *worker_site = worker_sites[at / 2 % COUNT(worker_sites)];
        const char *pusher_site = pusher_sites[at / 2 / COUNT(worker_sites) % COUNT(pusher_sites)];
        pushing     p = {0};
        async_reader *end;
        async_pool   *pool = pool_of(2);
        pool->left_alone = true;
        channel_of(&p.writer, &end, 0, NULL);
        async_reader *inside = TASK(pool, .source = range_of(0, 1), .each = push_inside,
                                    .context = &p);
        async_reader *fed = TASK(pool, .input = end, .each = each_add_one);
        async_reader *other = TASK(pool, .source = range_of(0, 1000000), .each = each_add_one);
        asking        busy, waiting, trigger;
        asking_start(&busy, inside, STEP_NEVER);
        gate_arrived(&p.go, 1);
        asking_start(&waiting, fed, STEP_NEVER);
        ROW_CHECK(UNTIL(SOON, counts_of(fed).asked == 1) && thread_asleep(&waiting.thread));
        step_order(0, worker_site);
        asking_start(&trigger, other, STEP_NEVER);
        if (!step_await(0)) {
            row_failed(__FILE__, __LINE__, "no worker came to \"%s\"", worker_site);
        }
        step_order(CLIENT, pusher_site);
        gate_open(&p.go);
        ROW_CHECK(UNTIL(SOON, step_stopped(CLIENT) || atomic_load(&p.pushed.open)));
        both += step_stopped(CLIENT);
        if (at % 2 == 0) {
            go_both(0, CLIENT);
        } else {
            go_both(CLIENT, 0);
        }
        wait_at_once(&trigger.thread, worker_site, pusher_site);
        wait_at_once(&waiting.thread, worker_site, pusher_site);
        asking_check(&trigger);
        asking_check(&waiting);
        gate_open(&p.end);
        thread_join(&busy.thread);
        asking_check(&busy);
        async_reader_release(inside);
        async_reader_release(fed);
        async_reader_release(other);
        async_reader_release(end);
        async_writer_release(p.writer);
        pool_end(pool);
    }
    pulse_stop();
    windows_say(both, (unsigned)(rounds * COUNT(worker_sites) * COUNT(pusher_sites) * 2));
}

/* ── F56 ─────────────────────────────────────────────────────────────────────────────────────── */

/* Roles of three workers; CLIENT is none of them. */
static const unsigned worker_roles[] = {0, 2, 3};

typedef struct standing {
    async_pool *pool;
    gate        together;
    atomic_uint roles;
} standing;

static int take_role(const void *in, void *out, void *context)
{
    standing *s = context;
    *(uint64_t *)out = *(const uint64_t *)in;
    step_role(worker_roles[atomic_fetch_add(&s->roles, 1) % 3]);
    gate_pass(&s->together);
    return 0;
}

/* A pool whose `workers` all sleep, each with a role of its own. */
static void standing_start(standing *s, unsigned workers)
{
    step_role(STEP_NEVER);
    *s = (standing){.pool = pool_of(workers)};
    asking        all[3];
    async_reader *r = TASK(s->pool, .source = range_of(0, 3), .each = take_role, .context = s,
                           .max_chunksize = 1);
    for (unsigned i = 0; i < workers; i++) { asking_start(&all[i], r, STEP_NEVER); }
    gate_arrived(&s->together, workers);
    gate_open(&s->together);
    for (unsigned i = 0; i < workers; i++) {
        thread_join(&all[i].thread);
        asking_check(&all[i]);
    }
    async_reader_release(r);
}

static void all_sleep(standing *s, unsigned workers)
{
    ROW_CHECK(UNTIL(SOON, atomic_load(&s->pool->idle.waiters) == workers));
}

static void order_workers(const char *site, unsigned but)
{
    for (unsigned i = 0; i < 3; i++) {
        if (worker_roles[i] != but) { step_order(worker_roles[i], site); }
    }
}

/* The role of the worker that follows the order, which the others need not follow any more. */
static unsigned await_worker(unsigned but)
{
    unsigned found = STEP_NEVER;
    for (uint64_t end = now_ms() + SOON; found == STEP_NEVER && now_ms() < end; sleep_us(50)) {
        for (unsigned i = 0; i < 3; i++) {
            if (worker_roles[i] != but && step_stopped(worker_roles[i])) {
                found = worker_roles[i];
            }
        }
    }
    ROW_CHECK(found != STEP_NEVER);
    for (unsigned i = 0; i < 3; i++) {
        if (worker_roles[i] != but && worker_roles[i] != found) { step_go(worker_roles[i]); }
    }
    return found;
}

/* Whoever pushes relies on the worker that stands, however long that takes. */
static void rely_on_searcher(standing *s)
{
    atomic_store(&s->pool->search_began, now_ns() + 60000000000u);
}

/* A worker that was woken for a job stops before it takes it; later, one that searches has stopped
 * when a job is pushed. Who waits for the job has another worker woken. */
static void searcher_stops(void)
{
    for (unsigned timed = 0; timed < 2; timed++) {
        standing s;
        standing_start(&s, 2);
        async_reader *r = TASK(s.pool, .source = range_of(0, 1000), .each = each_add_one);
        all_sleep(&s, 2);
        order_workers("search: counted", STEP_NEVER);
        for (unsigned i = 0; i < 2; i++) {
            static reading one;
            memset(&one, 0, sizeof one);
            if (i == 1) {
                all_sleep(&s, 1);
                rely_on_searcher(&s);
            }
            reading_start(&one, r, 1, timed ? async_within_ms(LATE) : async_forever());
            if (i == 0) { (void)await_worker(STEP_NEVER); }
            if (!thread_join_within(&one.thread, SOON)) {
                row_failed(__FILE__, __LINE__, "a job waits for the worker that stands (%u)", i);
            }
            ROW_STATUS(one.status, ASYNC_OK);
        }
        for (unsigned i = 0; i < 3; i++) { step_go(worker_roles[i]); }
        async_reader_release(r);
        pool_end(s.pool);
    }
}

/* Of three workers one has stopped in its search. Two jobs come while another one searches: that
 * one takes a job and passes the search on to the third. Nobody waits for the jobs. */
static void search_is_passed_on(void)
{
    standing s;
    standing_start(&s, 3);
    gate          hold = {0};
    probe         p = {.hold = &hold};
    async_reader *one = TASK(s.pool, .source = range_of(0, 1), .each = each_add_one, .context = &p);
    async_reader *two = TASK(s.pool, .source = range_of(0, 1), .each = each_add_one, .context = &p);
    async_reader *first = TASK(s.pool, .source = range_of(0, 1), .each = each_add_one);
    uint64_t      item;
    all_sleep(&s, 3);
    order_workers("search: counted", STEP_NEVER);
    asking asks;
    asking_start(&asks, first, STEP_NEVER);
    unsigned stands = await_worker(STEP_NEVER);
    thread_join(&asks.thread); /* see above */
    all_sleep(&s, 2);
    atomic_store(&s.pool->search_began, now_ns() - 1000000000);
    order_workers("search: counted", stands);
    ROW_STATUS(async_reader_read(one, &item, 1, NULL, async_now()), ASYNC_TIMEOUT);
    unsigned searches = await_worker(stands);
    rely_on_searcher(&s);
    ROW_STATUS(async_reader_read(two, &item, 1, NULL, async_now()), ASYNC_TIMEOUT);
    step_go(searches);
    gate_arrived(&hold, 2);
    gate_open(&hold);
    step_go(stands);
    async_reader_release(first);
    async_reader_release(one);
    async_reader_release(two);
    pool_end(s.pool);
}

/* ── F47 ─────────────────────────────────────────────────────────────────────────────────────── */

typedef struct ending_pool {
    async_pool  *pool;
    int          how; /* an async_ending; -1: only the size, to 0 */
    async_status status;
    thread       thread;
} ending_pool;

static void end_it(void *arg)
{
    ending_pool *e = arg;
    step_role(CLIENT);
    e->status = e->how < 0 ? async_pool_set_size(e->pool, 0)
                           : async_pool_destroy(e->pool, (async_ending)e->how);
}

/* A worker stands on its way to sleep while its pool is destroyed, or sized down to nothing. */
static void end_while_parking(void)
{
    static const char *const end_sites[] = {NULL, "event_notify: changed", "event_notify: found",
                                            "event_notify: moved"};
    step_role(STEP_NEVER);
    pulse_start();
    unsigned others = thread_count();
    uint64_t rounds = row_number(1);
    for (unsigned at = 0; at < rounds * COUNT(worker_sites) * COUNT(end_sites) * 3 * 2; at++) {
        const char   *worker_site = worker_sites[at / 6 % COUNT(worker_sites)];
        const char   *end_site = end_sites[at / 6 / COUNT(worker_sites) % COUNT(end_sites)];
        unsigned      workers = 1 + at / 6 % 2;
        async_pool   *pool = pool_of(workers);
        async_reader *r = TASK(pool, .source = range_of(0, 1000000), .each = each_add_one);
        asking        one;
        ending_pool   e = {.pool = pool, .how = (int)(at / 2 % 3) - 1};
        /* The item first: a destroyed pool may cancel the read. */
        asking_start(&one, r, STEP_NEVER);
        thread_join(&one.thread);
        asking_check(&one);
        step_order(0, worker_site);
        asking_start(&one, r, STEP_NEVER);
        if (!step_await(0)) {
            row_failed(__FILE__, __LINE__, "no worker came to \"%s\"", worker_site);
        }
        step_order(CLIENT, end_site);
        thread_start(&e.thread, end_it, &e);
        (void)UNTIL(50, step_stopped(CLIENT) || thread_ended(&e.thread));
        if (at % 2 == 0) {
            go_both(0, CLIENT);
        } else {
            go_both(CLIENT, 0);
        }
        wait_at_once(&e.thread, worker_site, end_site == NULL ? "nowhere" : end_site);
        wait_at_once(&one.thread, worker_site, end_site == NULL ? "nowhere" : end_site);
        ROW_STATUS(e.status, ASYNC_OK);
        ROW_CHECK(UNTIL(AT_ONCE_LATE_MS, thread_count() == others));
        async_reader_release(r);
        if (e.how < 0) { pool_end(pool); }
    }
    pulse_stop();
}

static const row rows[] = {
    {"F23", "the owner stands with the last job claimed", frozen_owner, 0},
    {"F24", "a thief stands while the array grows three times", frozen_thief, 0},
    {"F32", "a push from outside at each moment of a worker's going to sleep", push_from_outside,
     120},
    {"F32", "a push by another worker at each of these moments", push_from_inside, 120},
    {"F56", "a worker that searches, or was woken, stands for good", searcher_stops, 60},
    {"F56", "one does, and another passes the search on", search_is_passed_on, 60},
    {"F47", "the end of a pool at each of these moments", end_while_parking, 120},
};
ROWS(rows)
