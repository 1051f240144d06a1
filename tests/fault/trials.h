/* trials.h: small pipelines of each kind that check themselves and go on when a call is refused. A
 * trial is one run of one of them, in a process of its own, with one fault. */
#ifndef FAULT_TRIALS_H
#define FAULT_TRIALS_H

#include "inject.h"

#include <async/async.h>

#include <stdatomic.h>
#include <stddef.h>

#define TRIAL_ITEMS 1024

typedef struct trial {
    unsigned              n; /* workers of its pools */
    struct injection      fault;
    atomic_uint           refused; /* calls that were */
    _Atomic(const char *) wrong;   /* the first call, or condition, that was not as it must be */
    async_status          status;  /* what that call gave */
    atomic_uint           read[TRIAL_ITEMS], lost[TRIAL_ITEMS], made[TRIAL_ITEMS];
    atomic_uint           strange, released;
    uint64_t              next, end; /* of trial_next */
    async_reader         *inner;
    unsigned              count;
    bool                  patient; /* its calls may wait for memory instead of being refused */
} trial;

typedef struct trial_kind {
    const char *name;
    void (*run)(trial *t);
} trial_kind;

extern const trial_kind pipeline_kinds[], graph_kinds[];
const trial_kind       *trial_kind_at(unsigned i); /* NULL: there are no more */

/* ── For the kinds ───────────────────────────────────────────────────────────────────────────── */

void trial_wrong(trial *t, const char *what, async_status status);
#define EXPECT(t, condition) ((condition) ? (void)0 : trial_wrong((t), #condition, ASYNC_OK))

/* Whether the call was refused, for want of what fails here, and is to be repeated. */
bool trial_again(trial *t, const char *call, async_status status);

/* The client's call, until it isn't refused; whether it then did as it should. */
#define TRY(t, wanted, call)                                                                       \
    __extension__({                                                                                \
        async_status try_status;                                                                   \
        do {                                                                                       \
            inject_enter(#call, !(t)->patient);                                                    \
            try_status = (call);                                                                   \
        } while (trial_again((t), #call, try_status));                                             \
        if (try_status != (wanted)) { trial_wrong((t), #call, try_status); }                       \
        try_status == (wanted);                                                                    \
    })

/* A call that can't be refused, and may wait for memory to come back. */
#define SURELY(call) (inject_enter(#call, false), (void)(call))

async_pool   *trial_pool(trial *t, const async_pool_options *options);
void          trial_end(trial *t, async_pool *pool, async_ending how);
async_reader *trial_task(trial *t, async_pool *pool, async_task_options options);
#define ADD(t, pool, ...) trial_task((t), (pool), (async_task_options){__VA_ARGS__})
/* A channel of numbers whose discarded items are noted; false: could not be made. */
bool trial_channel(trial *t, size_t capacity, async_writer **writer, async_reader **reader);

/* Reads `count` numbers, and notes them; `expected` come, then the status is `wanted`. */
bool trial_read(trial *t, async_reader *reader, uint64_t *items, size_t count, async_status wanted,
                size_t expected);
/* Reads number after number until `wanted`, which comes after `expected` of them. */
void trial_read_rest(trial *t, async_reader *reader, async_status wanted, size_t expected);
/* Writes `count` numbers from `first` on. */
void trial_write(trial *t, async_writer *writer, uint64_t first, size_t count);

void trial_note(trial *t, const void *items, size_t count); /* as read */
/* All of 0 .. count - 1 were read, once, and nothing else; nothing was discarded. */
void trial_all_read(trial *t, size_t count);

/* Functions on numbers; the context is the trial. */
int  trial_next(void *items, size_t count, size_t *got, void *context); /* t->next .. t->end - 1 */
int  trial_copy_each(const void *in, void *out, void *context);
int  trial_copy_batch(const void *in, void *out, size_t count, size_t *done, void *context);
int  trial_copy_emit(const void *in, size_t count, size_t *done, async_emitter *out, void *context);
void trial_discard(void *items, size_t count, void *context);
void trial_release(void *context);

/* ── For the programs ────────────────────────────────────────────────────────────────────────── */

enum trial_end {
    TRIAL_PASSED,      /* the fault came, and all was as it must be */
    TRIAL_NOT_REACHED, /* there were fewer calls than fault.at */
    TRIAL_BAD,
    TRIAL_ABORTED, /* the library ended the program with a message (where it may) */
};

/* One trial in a child process: with the fault; then without. */
enum trial_end trial_run(const trial_kind *kind, unsigned n, const struct injection *fault,
                         bool may_abort);

/* The program's arguments choose one trial: [kind [n [at]]]. True: this one is chosen. */
void trial_arguments(int argc, char **argv);
bool trial_chosen(const trial_kind *kind, unsigned n);

/* For every kind, n = 0 and 2 (threads: 1 too) and every `at`, until there are no calls left to
 * fail; `most` bounds `at` (0: no bound). `fault` says the rest. Returns how many trials failed. */
unsigned trial_sweep(const struct injection *fault, const char *what, bool may_abort,
                     uint64_t most);

#endif
