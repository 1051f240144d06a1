/* pipeline.h: what tests need again and again: clocks, bounded waits, threads, gates, functions
 * that count what is done with them, and short ways to build pools, tasks and channels of
 * uint64_t items.
 *
 * Nothing here depends on a test framework: a helper that cannot do its work prints why and
 * aborts. Threads must not use a framework's assertions: they note what they saw, and the thread
 * of the test looks at it after the join. */
#ifndef SUPPORT_PIPELINE_H
#define SUPPORT_PIPELINE_H

#include <async/async.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Clocks, all monotonic. cpu_ns: CPU time of the whole process. */
uint64_t now_ns(void);
uint64_t now_ms(void);
uint64_t cpu_ns(void);
void     sleep_ms(unsigned ms);
void     sleep_us(unsigned us);

/* The process's threads now, and the voluntary context switches of all of them so far. */
unsigned thread_count(void);
uint64_t context_switches(void);

/* Waits until `expr` is true, at most `ms` milliseconds; whether it became true. */
#define UNTIL(ms, expr)                                                                            \
    __extension__({                                                                                \
        uint64_t until_end = now_ms() + (uint64_t)(ms);                                            \
        bool     until_ok;                                                                         \
        while (!(until_ok = (expr)) && now_ms() < until_end) { sleep_us(200); }                    \
        until_ok || (expr);                                                                        \
    })

/* Long enough for anything that happens at all, on a loaded machine. */
#define SOON 10000
#define LATE 50000 /* a whole test's work on a crowded machine */

/* The pool sizes that every row which holds for every N is tried with. */
static const unsigned pool_sizes[] = {0, 1, 2, 4, 16};
#define EACH_SIZE(n)                                                                               \
    for (unsigned n##_at = 0, n = pool_sizes[0];                                                   \
         n##_at < sizeof pool_sizes / sizeof pool_sizes[0];                                        \
         n##_at++, n = n##_at < sizeof pool_sizes / sizeof pool_sizes[0] ? pool_sizes[n##_at] : 0)

/* A thread whose end can be looked at and waited for with a bound. */
typedef struct thread {
    pthread_t id;
    void (*body)(void *arg);
    void       *arg;
    atomic_bool ended;
    atomic_int  tid; /* of the kernel; 0 before it runs */
} thread;

void thread_start(thread *t, void (*body)(void *arg), void *arg);
bool thread_ended(thread *t);
/* Joins the thread if it ends within `ms`; whether it did. */
bool thread_join_within(thread *t, unsigned ms);
/* Joins the thread, and aborts where it has not ended after LATE. */
void thread_join(thread *t);

/* Waits until the thread sleeps in the kernel (seen in several looks in a row); whether it does
 * within SOON. What it sleeps in is for the caller to know: its body must do nothing else. */
bool thread_asleep(thread *t);

/* Waits until `threads` of the pool's workers sleep for want of work, with nothing left in their
 * hands; whether they do within SOON. A pool's making returns while its threads still start, and a
 * sanitizer's allocator that such a thread is in at a fork stays locked in the child. */
bool pool_asleep(async_pool *pool, unsigned threads);

/* A gate is shut when zeroed. Passing waits until it is open. */
typedef struct gate {
    atomic_uint waiting; /* threads that arrived, also those that have passed */
    atomic_bool open;
} gate;

void gate_pass(gate *g);
void gate_open(gate *g);
/* Waits until `count` threads in all have arrived (aborts after SOON). */
void gate_arrived(gate *g, unsigned count);

/* How often each of the values 0 .. size - 1 was seen. */
typedef struct ledger {
    size_t       size;
    atomic_uint *seen;
    atomic_uint  strange; /* values that are out of range */
} ledger;

void ledger_make(ledger *l, size_t size);
void ledger_free(ledger *l);
void ledger_add(ledger *l, const uint64_t *items, size_t count);
/* The values of [first, end) that were seen exactly `times` times. */
size_t ledger_count(ledger *l, size_t first, size_t end, unsigned times);

/* The context of the functions below, and what they count in it. Zeroed, it only counts. */
#define PROBE_LOG 4096
typedef struct probe {
    /* what was seen */
    atomic_uint_fast64_t calls;   /* of the task's function */
    atomic_uint_fast64_t items;   /* that those calls got */
    atomic_uint          running; /* calls that run now */
    atomic_uint          most;    /* and the most at once */
    atomic_uint_fast64_t discards;
    atomic_uint_fast64_t discarded; /* items in them */
    atomic_uint_fast64_t released;
    atomic_size_t        logged;         /* sizes of the calls, in the order in which they began */
    size_t               log[PROBE_LOG]; /* the first PROBE_LOG of them */
    /* what to do */
    unsigned delay_us;   /* each call takes this long (sleeping) */
    unsigned together;   /* calls wait until so many of them have run at once */
    uint64_t fail_value; /* the function fails with `code` at this input, where */
    int      code;       /* code is not 0 */
    gate    *hold;       /* calls pass this gate first, after they were counted */
    uint64_t hold_value; /* with hold: only a call with this input does */
    bool     hold_one;   /* whether hold_value is meant */
    ledger  *lost;       /* discarded values are added here */
} probe;

/* Functions on uint64_t items. The context is a probe, or NULL. `each` counts each item as a call.
 * add_one: x + 1. twice: 2 x. square: x². even: only even items. none: nothing. pair: each item
 * two times. */
int  each_add_one(const void *in, void *out, void *context);
int  each_twice(const void *in, void *out, void *context);
int  each_square(const void *in, void *out, void *context);
int  batch_copy(const void *in, void *out, size_t count, size_t *done, void *context);
int  batch_add_one(const void *in, void *out, size_t count, size_t *done, void *context);
int  batch_twice(const void *in, void *out, size_t count, size_t *done, void *context);
int  emit_copy(const void *in, size_t count, size_t *done, async_emitter *out, void *context);
int  emit_add_one(const void *in, size_t count, size_t *done, async_emitter *out, void *context);
int  emit_even(const void *in, size_t count, size_t *done, async_emitter *out, void *context);
int  emit_none(const void *in, size_t count, size_t *done, async_emitter *out, void *context);
int  emit_pair(const void *in, size_t count, size_t *done, async_emitter *out, void *context);
void probe_discard(void *items, size_t count, void *context);
void probe_release(void *context);

/* A source of the numbers next, next + 1, … end - 1, and what was asked of it. */
typedef struct numbers {
    uint64_t    next, end;
    atomic_uint calls;
    atomic_uint running; /* must never pass 1 */
    atomic_bool overlap; /* whether it did */
    atomic_bool ended;   /* gave fewer than asked */
    atomic_bool after;   /* was called once more after that */
    unsigned    delay_us;
    uint64_t    fail_value; /* fails with `code` before this number, where code is not 0 */
    int         code;
    atomic_uint released;
} numbers;

int  next_number(void *items, size_t count, size_t *got, void *context);
void numbers_release(void *context);

/* Short ways; each aborts on failure. TASK(pool, .source = range_of(0, 9), .each = each_twice).
 * The sources stay valid until the calling thread has made eight more. */
async_pool   *pool_of(unsigned workers);
void          pool_end(async_pool *pool); /* destroys it, draining */
async_reader *task_of(async_pool *pool, const async_task_options *options);
#define TASK(pool, ...) task_of((pool), &(async_task_options){__VA_ARGS__})
const async_source *range_of(uint64_t first, uint64_t count);
const async_source *array_of(const uint64_t *items, size_t count);
const async_source *from_numbers(numbers *n);
/* A channel of uint64_t items; capacity 0: unbounded. p (may be NULL): discard and release. */
void channel_of(async_writer **writer, async_reader **reader, size_t capacity, probe *p);

/* Writes the numbers first .. first + count - 1, waiting forever. */
void write_numbers(async_writer *writer, uint64_t first, size_t count);
/* Reads all that comes until the end into an array that the caller frees with async_free. */
uint64_t *read_rest(async_reader *reader, size_t *count);
/* Task counters of a reader's task. */
async_task_stats counts_of(async_reader *reader);

/* A read in a thread of its own. Zero it, start it, look at it after thread_join(&r.thread). */
#define READING_ITEMS 1024
typedef struct reading {
    async_reader *reader;
    size_t        count; /* at most READING_ITEMS */
    async_wait    wait;
    async_status  status;
    size_t        got;
    uint64_t      began, ended; /* now_ns */
    uint64_t      items[READING_ITEMS];
    thread        thread;
} reading;

void reading_start(reading *r, async_reader *reader, size_t count, async_wait wait);

/* A write of the numbers first, first + 1, … in a thread of its own. */
typedef struct writing {
    async_writer *writer;
    size_t        count; /* at most READING_ITEMS */
    async_wait    wait;
    async_status  status;
    size_t        written;
    uint64_t      began, ended; /* now_ns */
    uint64_t      items[READING_ITEMS];
    thread        thread;
} writing;

void writing_start(writing *w, async_writer *writer, uint64_t first, size_t count, async_wait wait);

/* A message on stderr, then abort. */
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
