/* meeting_stress.c [seconds] [threads] [seed]: as many workers awake as there are jobs.
 *
 * A pool of N workers, and up to N tasks whose functions wait for each other: each read asks for
 * one item of every task, and none comes before all of them run at the same time. A job that nobody
 * was woken for is a hang. The reads come at random moments around the end of a worker's search,
 * when a job can fall between the one who stops looking and the one who thinks that somebody
 * looks. */
#include "pool.h"
#include "stress.h"

#include <sched.h>

enum { MEETINGS = 200, TASKS_MAX = 8 };

typedef struct meeting {
    atomic_uint arrived; /* over all meetings */
    unsigned    guests;
    atomic_uint called; /* the meeting that the threads may go to, counted from 1 */
} meeting;

typedef struct guest {
    thread        thread;
    dice          dice;
    meeting      *meeting;
    async_reader *reader;
} guest;

static int meet(const void *in, void *out, void *context)
{
    meeting *m = context;
    unsigned mine = atomic_fetch_add(&m->arrived, 1);
    unsigned wanted = (mine / m->guests + 1) * m->guests;
    while (atomic_load(&m->arrived) < wanted) { sched_yield(); }
    *(uint64_t *)out = *(const uint64_t *)in;
    return 0;
}

static void spin_ns(uint64_t ns)
{
    for (uint64_t end = now_ns() + ns; now_ns() < end;) {}
}

/* Reads one item a meeting. */
static void attend(void *arg)
{
    guest *g = arg;
    for (unsigned turn = 1; turn <= MEETINGS; turn++) {
        while (atomic_load(&g->meeting->called) < turn) { sched_yield(); }
        spin_ns(roll(&g->dice, one_in(&g->dice, 2) ? 3000 : 150000));
        uint64_t item;
        size_t   got = 0;
        MUST_STATUS(async_reader_read(g->reader, &item, 1, &got, async_forever()), ASYNC_OK);
        MUST_EQ(item, turn - 1);
        stress_moves(1);
        /* the last one to be through calls the next meeting */
        if (turn * g->meeting->guests == atomic_load(&g->meeting->arrived)) {
            unsigned before = turn;
            atomic_compare_exchange_strong(&g->meeting->called, &before, turn + 1);
        }
    }
}

static void play(stress *s)
{
    dice     d = {s->seed};
    unsigned workers = 2 + roll(&d, s->threads < TASKS_MAX ? s->threads : TASKS_MAX - 1);
    meeting  m = {.guests = 2 + roll(&d, workers - 1), .called = 1};
    guest    guests[TASKS_MAX + 2];
    stress_note("%u workers, %u tasks", workers, m.guests);

    async_pool *pool;
    MUST_STATUS(async_pool_create(&pool, workers, NULL), ASYNC_OK);
    pool->left_alone = true;
    for (unsigned i = 0; i < m.guests; i++) {
        guests[i] = (guest){.dice = {s->seed + i}, .meeting = &m};
        async_source       source = async_source_range(0, MEETINGS);
        async_task_options options = {.source = &source, .each = meet, .context = &m};
        MUST_STATUS(async_pool_add_task(pool, &guests[i].reader, &options), ASYNC_OK);
    }
    for (unsigned i = 0; i < m.guests; i++) { thread_start(&guests[i].thread, attend, &guests[i]); }
    for (unsigned i = 0; i < m.guests; i++) {
        pthread_join(guests[i].thread.id, NULL); /* the watchdog says when nothing moves */
        async_reader_release(guests[i].reader);
    }
    MUST_EQ(m.arrived, MEETINGS * m.guests);
    MUST_STATUS(async_pool_destroy(pool, ASYNC_DRAIN), ASYNC_OK);
}

int main(int argc, char **argv)
{
    stress s;
    stress_start(&s, "meeting_stress", 3, argc, argv);
    while (stress_next(&s)) { play(&s); }
    stress_end(&s);
    return 0;
}
