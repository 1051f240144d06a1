/* channel_windows.c: threads that stop, or are delayed, between two steps of the runtime. It is
 * linked with the runtime as it is with the STEP hook. */
#define _GNU_SOURCE
#include "abuse.h"

#include "atomic.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- the hook ---- */

static _Thread_local const char *own_site;   /* where this thread stops, once */
static _Thread_local uint64_t    own_delays; /* dice of its delays; 0: none */
static SHARED(const char *)      any_site;   /* where the first thread without a site stops, once */
static gate                      window;     /* what it stops at */

void async_step(const char *site);

void async_step(const char *site)
{
    if (own_site != NULL && strcmp(site, own_site) == 0) {
        own_site = NULL;
        gate_pass(&window);
        return;
    }
    const char *any = atomic_load_explicit(&any_site, memory_order_relaxed);
    if (any != NULL && strcmp(site, any) == 0 &&
        atomic_compare_exchange_strong(&any_site, &any, NULL)) {
        gate_pass(&window);
        return;
    }
    if (own_delays != 0) {
        dice     d = {own_delays};
        unsigned luck = roll(&d, 64);
        own_delays = d.state | 1;
        if (luck == 0) {
            sleep_us(1);
        } else if (luck < 12) {
            sched_yield();
        } else if (luck < 24) {
            linger(luck * 20);
        }
    }
}

/* Something done by a thread of its own, on a stack that is gone as soon as it has ended: who still
 * touches what lay there faults. */
struct guest {
    pthread_t     id;
    void         *stack;
    thread        look; /* for thread_asleep */
    async_reader *reader;
    async_writer *writer;
    const char   *site;
    size_t        count, done;
    async_wait    wait;
    async_status  status;
    atomic_bool   ended;
};
#define STACK ((size_t)4 << 20)

static void guest_start(struct guest *g, void *(*body)(void *))
{
    pthread_attr_t attributes;
    g->stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK,
                    -1, 0);
    WANT(g->stack != MAP_FAILED);
    WANT_EQ(pthread_attr_init(&attributes), 0);
    WANT_EQ(pthread_attr_setstack(&attributes, g->stack, STACK), 0);
    WANT_EQ(pthread_create(&g->id, &attributes, body, g), 0);
    pthread_attr_destroy(&attributes);
}

static void guest_end(struct guest *g)
{
    WANT_EQ(pthread_join(g->id, NULL), 0);
    WANT_EQ(munmap(g->stack, STACK), 0);
}

static void *guest_reads(void *arg)
{
    struct guest *g = arg;
    uint64_t      items[8];
    own_site = g->site;
    atomic_store(&g->look.tid, (int)syscall(SYS_gettid));
    g->status = async_reader_read(g->reader, items, g->count, &g->done, g->wait);
    async_reader_release(g->reader);
    atomic_store(&g->ended, true);
    return NULL;
}

static void *guest_writes(void *arg)
{
    struct guest *g = arg;
    uint64_t      items[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    own_site = g->site;
    atomic_store(&g->look.tid, (int)syscall(SYS_gettid));
    g->status = async_writer_write(g->writer, items, g->count, &g->done, g->wait);
    async_writer_release(g->writer);
    atomic_store(&g->ended, true);
    return NULL;
}

static void *guest_closes(void *arg)
{
    struct guest *g = arg;
    own_site = g->site;
    atomic_store(&g->look.tid, (int)syscall(SYS_gettid));
    g->status = async_writer_close(g->writer);
    async_writer_release(g->writer);
    atomic_store(&g->ended, true);
    return NULL;
}

/* ---- F9 ---- */

/* The waker stands right after it has told the waiter, which goes home at once. */
static void the_waker_is_late(void *(*waker)(void *), void *(*sleeper)(void *), size_t count)
{
    async_writer *writer;
    async_reader *reader;
    probe         p = {0};
    channel_of(&writer, &reader, 4, &p);
    bool writer_sleeps = sleeper == guest_writes;
    if (writer_sleeps) { write_numbers(writer, 0, 4); }
    struct guest sleeps = {
        .reader = reader, .writer = writer, .count = count, .wait = async_forever()};
    struct guest wakes = {.reader = reader,
                          .writer = writer,
                          .count = count,
                          .wait = async_forever(),
                          .site = "thread_told: stored"};
    memset(&window, 0, sizeof window);
    guest_start(&sleeps, sleeper);
    WANT(thread_asleep(&sleeps.look));
    guest_start(&wakes, waker);
    gate_arrived(&window, 1);
    /* it looks before the kernel is told to wake it */
    WANT_EQ(pthread_kill(sleeps.id, SIGUSR1), 0);
    if (writer_sleeps) {
        WANT(UNTIL(SOON, atomic_load(&sleeps.ended)));
        guest_end(&sleeps);     /* its stack is gone */
        WANT_EQ(p.released, 0); /* the waker has its own end */
        gate_open(&window);
    } else { /* a reader first waits for the waker to leave the list */
        sleep_us(300);
        gate_open(&window);
        guest_end(&sleeps);
    }
    guest_end(&wakes);
    WANT_EQ(p.released, 1);
    WANT_STATUS(wakes.status, ASYNC_OK);
    WANT_STATUS(sleeps.status, waker == guest_closes ? ASYNC_END : ASYNC_OK);
}

/* The waker is a worker, and the pool is destroyed while it stands there. */
static void destroy_it(void *arg) { WANT_STATUS(async_pool_destroy(arg, ASYNC_DRAIN), ASYNC_OK); }

static void the_worker_is_late(void)
{
    async_pool   *pool = pool_of(1);
    gate          shut = {0};
    probe         p = {.hold = &shut};
    async_reader *reader = TASK(pool, .source = range_of(0, 4), .batch = batch_copy, .context = &p,
                                .release = probe_release);
    struct guest  sleeps = {.reader = reader, .count = 4, .wait = async_forever()};
    thread        end;
    memset(&window, 0, sizeof window);
    guest_start(&sleeps, guest_reads);
    gate_arrived(&shut, 1);
    WANT(thread_asleep(&sleeps.look));
    atomic_store(&any_site, "thread_told: stored");
    gate_open(&shut);
    gate_arrived(&window, 1);
    WANT_EQ(pthread_kill(sleeps.id, SIGUSR1), 0);
    thread_start(&end, destroy_it, pool);
    sleep_ms(2);
    WANT(!thread_ended(&end)); /* it waits for the worker */
    gate_open(&window);
    guest_end(&sleeps); /* its stack is gone, and it has released the reader */
    WANT_STATUS(sleeps.status, ASYNC_OK);
    WANT_EQ(sleeps.done, 4);
    thread_join(&end);
    WANT_EQ(p.released, 1);
}

static void on_signal(int number) { (void)number; }

static void destroyed_beside_the_waker(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    WANT_EQ(sigaction(SIGUSR1, &action, NULL), 0);
    for (uint64_t i = abuse_rounds(30); i-- > 0;) {
        the_waker_is_late(guest_writes, guest_reads, 1);
        the_waker_is_late(guest_writes, guest_reads, 4);
        the_waker_is_late(guest_closes, guest_reads, 2);
        the_waker_is_late(guest_reads, guest_writes, 1);
        the_waker_is_late(guest_reads, guest_writes, 3);
        the_worker_is_late();
    }
}

/* ---- F18: a deadline that comes while the writer stands between two steps ---- */

static void a_deadline_in_the_window(const char *site, size_t capacity, bool delivered)
{
    async_writer *writer, *own;
    async_reader *reader;
    uint64_t      item;
    size_t        got;
    channel_of(&writer, &reader, capacity, NULL);
    own = async_writer_retain(writer);
    struct guest sleeps = {
        .reader = async_reader_retain(reader), .count = 1, .wait = async_within_ms(1000)};
    struct guest wakes = {.writer = writer, .count = 1, .wait = async_forever(), .site = site};
    memset(&window, 0, sizeof window);
    guest_start(&sleeps, guest_reads);
    WANT(thread_asleep(&sleeps.look));
    guest_start(&wakes, guest_writes);
    gate_arrived(&window, 1);
    if (delivered) { /* its time is over: it finds that it was told, and waits for the teller */
        sleep_ms(1050);
        gate_open(&window);
    } else {
        WANT(UNTIL(SOON, atomic_load(&sleeps.ended)));
    }
    guest_end(&sleeps);
    WANT_STATUS(sleeps.status, delivered ? ASYNC_OK : ASYNC_TIMEOUT);
    WANT_EQ(sleeps.done, delivered ? 1 : 0);
    gate_open(&window);
    guest_end(&wakes);
    WANT_STATUS(wakes.status, ASYNC_OK);
    async_status rest = async_reader_read(reader, &item, 1, &got, async_now());
    WANT_STATUS(rest, delivered ? ASYNC_TIMEOUT : ASYNC_OK); /* delivered, or kept */
    WANT_EQ(got, delivered ? 0 : 1);
    async_writer_release(own);
    async_reader_release(reader);
}

static void a_deadline_between_two_steps(void)
{
    for (uint64_t i = abuse_rounds(1); i-- > 0;) {
        a_deadline_in_the_window("queue_put: ticket", 0, false);
        a_deadline_in_the_window("queue_put: ticket", 3, false);
        a_deadline_in_the_window("thread_told: stored", 0, true);
        a_deadline_in_the_window("thread_told: stored", 3, true);
    }
}

/* ---- F3, F8, F10, F18 with delays in every window ---- */

struct delayed {
    async_writer *writers[2];
    async_reader *readers[2];
    uint64_t      seed;
    unsigned      written[2];
    bool          leave; /* the readers leave in the middle */
    ledger        seen;
    meeting       begin;
};
#define EACH_WRITES 60

static void delayed_body(void *arg, unsigned index)
{
    struct delayed *d = arg;
    dice            dice_of = {d->seed * 5 + index};
    uint64_t        items[4];
    size_t          done;
    own_delays = (d->seed * 977 + index) | 1;
    if (index < 2) {
        unsigned     number = 0;
        async_status status = ASYNC_OK;
        while (number < EACH_WRITES && status != ASYNC_CLOSED) {
            size_t count = 1 + roll(&dice_of, 4);
            for (size_t i = 0; i < count; i++) { items[i] = index * 1000 + number + i; }
            async_wait wait = roll(&dice_of, 3) == 0 ? async_until_ns(now_ns() + 20000)
                                                     : async_forever();
            status = async_writer_write(d->writers[index], items, count, &done, wait);
            WANT((status == ASYNC_OK) == (done == count));
            number += (unsigned)done;
        }
        d->written[index] = number;
        async_writer_release(d->writers[index]);
    } else {
        unsigned     budget = d->leave ? roll(&dice_of, 40) : UINT32_MAX, sum = 0;
        int64_t      last[2] = {-1, -1};
        async_status status;
        do {
            size_t     count = 1 + roll(&dice_of, 4);
            async_wait wait = roll(&dice_of, 3) == 0 ? async_until_ns(now_ns() + 20000)
                                                     : async_forever();
            status = async_reader_read(d->readers[index - 2], items, count, &done, wait);
            for (size_t i = 0; i < done; i++) {
                WANT(items[i] < 2000 && (int64_t)items[i] > last[items[i] / 1000]);
                last[items[i] / 1000] = (int64_t)items[i];
            }
            ledger_add(&d->seen, items, done);
            sum += (unsigned)done;
        } while (status != ASYNC_END && sum < budget);
        async_reader_release(d->readers[index - 2]);
    }
    own_delays = 0;
}

static void delays_everywhere(void)
{
    uint64_t first = abuse_seed();
    for (uint64_t round = 0, rounds = abuse_rounds(600); round < rounds; round++) {
        struct delayed d = {.seed = first + round, .leave = round % 3 == 0};
        squad          s;
        probe          p = {.lost = &d.seen};
        dice           sizes = {d.seed};
        ledger_make(&d.seen, 2000);
        channel_of(&d.writers[0], &d.readers[0], roll(&sizes, 4), &p);
        d.writers[1] = async_writer_retain(d.writers[0]);
        d.readers[1] = async_reader_retain(d.readers[0]);
        async_writer *closer = async_writer_retain(d.writers[0]);
        squad_start(&s, 4, delayed_body, &d);
        if (roll(&sizes, 2) == 0) {
            linger(roll(&sizes, 20000));
            WANT_STATUS(async_writer_close(closer), ASYNC_OK);
        }
        async_writer_release(closer);
        squad_join(&s);
        unsigned all = d.written[0] + d.written[1];
        if (p.released != 1 || ledger_count(&d.seen, 0, 2000, 1) != all ||
            ledger_count(&d.seen, 0, d.written[0], 1) != d.written[0]) {
            watched_failed(__FILE__, __LINE__, "seed %llu: %zu of %u items once",
                           (unsigned long long)d.seed, ledger_count(&d.seen, 0, 2000, 1), all);
        }
        ledger_free(&d.seen);
    }
}

static const watched rows[] = {
    {"F9_destroyed_beside_the_waker", destroyed_beside_the_waker, ABUSE_SECONDS, 0, NULL},
    {"F18_a_deadline_between_two_steps", a_deadline_between_two_steps, ABUSE_SECONDS, 0, NULL},
    {"F3_F8_F10_F18_delays_everywhere", delays_everywhere, ABUSE_SECONDS, 0, NULL},
};

int main(int argc, char **argv) { return WATCHED_MAIN(argc, argv, rows); }
