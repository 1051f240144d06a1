/* task.h: what the runtime knows of a task, and who may touch which part of it.
 *
 * A task is its output channel and what fills it. Nothing is queued for a task but its demand: the
 * numbers `missing` and `backlog`. A job in a deque only says "look at this task"; whoever looks
 * claims a run of chunks from the backlog, draws its input and executes it (docs/design/demand.md,
 * docs/design/strand.md).
 *
 * Strand: a chain of tasks that are linked one to one inside one pool, with the same chunk size, is
 * executed as one: a run drawn at its head passes through all functions, and only the output of its
 * end goes into a channel. A task alone is a strand of one.
 *
 * Life: live -> stopped (`stop` has the reason, no new run enters) -> finalized (the last run has
 * left: the output has ended, the inputs are let go) -> freed (nobody holds a count of `out`).
 * Layer: 3 */
#ifndef ASYNC_RUNTIME_TASK_H
#define ASYNC_RUNTIME_TASK_H

#include "channel.h"
#include "turn.h"

#define FUSE_MAX 32 /* stages of a strand */
#ifndef ORDER_RUNS
/* runs between the oldest unfinished and the newest of an ordered task */
#define ORDER_RUNS 256
#endif
#define STREAM_BYTES 65536 /* of a chunk where none was set and everything is wanted */

#define ORIGINS 8 /* channels that the input of one run may come from */

struct context;
struct order;

struct origin {
    struct channel *channel;
    size_t          count;
};

/* One input of a task: owned by the consumer, lives as long as it does. */
struct edge {
    /* in input->readers while the consumer's chunk lacks items; added under the draw turn */
    struct waiter      waiter;
    struct async_task *consumer; /* the owner */
    /* while it waits: the end of the strand whose draw waits; one count of it */
    struct async_task    *runner;
    struct channel       *input;      /* its read end is held until the consumer is finalized */
    SHARED(struct edge *) next;       /* appended under the graph lock */
    shared_i64            asked;      /* of the input by this consumer, and not yet taken */
    shared_bool           armed;      /* the waiter is in use */
    shared_bool           listed;     /* it is in the consumer's `told` or in its `ready` */
    struct edge          *next_told;  /* in one of them */
    bool                  met;        /* a draw has seen it; under the draw turn */
    struct edge          *next_asked; /* in the consumer's `askable` */
    /* its consumer no longer wants the input; under the graph lock */
    bool        let;
    shared_bool ended; /* gave its last item; written under the draw turn */
};

struct async_task {
    struct channel out; /* first: its counts are the task's */

    /* Set at creation, never changed. */
    struct async_pool  *pool; /* holds one count of it */
    async_each_fn      *each;
    async_batch_fn     *batch;
    async_emit_fn      *emit;
    struct async_source source; /* kind NONE: the task has inputs */
    size_t              input_size;
    size_t              chunk; /* max_chunksize; 0: not set */
    size_t              min_count;
    unsigned            max_parallel;
    unsigned            depth;                    /* of the strand above it, this one included */
    bool                ordered, in_place, fused; /* fused: with the task of its one input */
    size_t              direct; /* items that a read may make itself at a time (direct.c) */
    /* has an input from another pool, or a task fused above it has */
    shared_bool foreign;
    bool        greedy; /* takes whatever is there, up to the chunk: for_each's sink */
    bool        hidden; /* not counted: for_each's */
    uint64_t    number; /* async_task_number */

    /* The graph. */
    SHARED(struct edge *) inputs;
    struct edge          *last_input; /* under the graph lock */
    /* somebody else reads its output: its consumer is not fused with it any more */
    shared_bool exposed;
    shared_u32  consumers;
    /* under the graph lock: whose runs may run this task too; NULL: none */
    struct async_task *fused_consumer;
    shared_size        demand_min; /* M: the largest min_count here and upstream */
    shared_u32         demand_min_version;
    uint64_t           visited; /* by the walk of this number; under the graph lock */
    /* this and the next two: of the walk that is going on; under the graph lock */
    struct async_task    *walk_next;
    struct edge          *walk_edge;
    size_t                walk_max;
    shared_u64            helped;    /* by the search of this number (help.c) */
    SHARED(struct edge *) helped_at; /* where the last search went up from here; NULL: nowhere */
    struct async_task    *prev_in_pool, *next_in_pool; /* under the pool's mutex */
    bool                  listed;

    /* Life: read by every run, and for each chunk, and written seldom. */
    shared_u32 stop;       /* async_status; OK: live */
    shared_u64 abort_from; /* runs of this number and above are to end early */
    shared_u32 counted;    /* in the pool's number of tasks */
    /* by clients that hold its reader and by live tasks that consume it */
    shared_u32 wanted;
    /* finalized: no run of it is inside, its inputs have been let go */
    shared_bool        gone;
    shared_bool        dropped;       /* cancelled itself: what it has made is not wanted */
    async_error        error;         /* its own; under the error lock */
    async_error        out_error;     /* what its readers learn; under the error lock */
    uint64_t           error_run;     /* number of the run that failed; under the error lock */
    struct async_task *next_unwanted; /* in the list of who takes it out; that happens once */
    struct async_task *next_dead;     /* in the list of who finalizes */

    /* Demand: written by readers, consumers and finished runs. */
    alignas(FALSE_SHARING) shared_i64 missing; /* asked - ready - in flight */
    shared_i64         asked;
    shared_u32         streams;  /* unbounded readers */
    shared_bool        limited;  /* a chunk, where none was set, is STREAM_BYTES */
    shared_u32         queued;   /* a job for it is in a deque or in the injector */
    shared_bool        waits;    /* the edge of its only input was armed since draw_forget */
    struct async_task *next_job; /* in the pool's overflow: whose job it is */
    /* NULL: nobody. Else the context of the thread that has put its poke off, and whose list the
     * task is in (demand.c). */
    SHARED(const struct context *) poker;
    struct async_task             *next_poked;

    /* Claims and draws: written by whoever starts a run. */
    alignas(FALSE_SHARING) shared_i64 backlog; /* scheduled and not yet claimed */
    shared_u32    turn;
    shared_u32    active;           /* runs inside, where max_parallel is set */
    shared_u32    refused;          /* somebody found `active` at its limit and went away */
    shared_u32    run_chunks;       /* chunks that a run takes: so many as last 24 to 72 us */
    shared_u32    runs;             /* that were drawn, about: each eighth is timed */
    shared_u64    cursor;           /* of an array or range source */
    shared_u64    sequence;         /* runs drawn, where the strand is ordered */
    shared_u32    waited_for;       /* async_trace_wait: why the last look led to no run */
    struct run    stash;            /* under the turn: input that is short of a chunk */
    size_t        stash_room;       /* items that still fit behind the stash */
    struct origin origins[ORIGINS]; /* of the stash's items */
    unsigned      origin_count;
    async_status  end_seen; /* what the inputs that have ended said; under the turn */
    shared_size   stashed;  /* its count, for others to see */
    /* items below: taken singly when there was no memory for a stash; under the turn */
    size_t          pocketed;
    struct channel *pocket_of;
    alignas(16) unsigned char pocket[QUEUE_INLINE];
    /* under the turn; of a task that takes its inputs one after the other: this one. NULL: the
     * first */
    struct edge *current;
    /* under the turn; of one that takes them as they come: those that may have items */
    struct edge *ready, *last_ready;
    /* those that were told of items, or are new; any thread pushes, who has the turn takes all */
    SHARED(struct edge *) told;
    shared_u32            live; /* inputs that have not ended */
    /* These, down to `asked_edges`: under the turn, of several inputs. The tasks among them, those
     * first that are asked first; some that have ended, perhaps. */
    struct edge *askable, *last_askable;
    size_t       askables; /* that have not ended */
    size_t       plain;    /* inputs that are plain channels and have not ended */
    /* the sum of `asked` of the tasks that have not ended, but for what was taken back since */
    int64_t    asked_edges;
    shared_i64 taken_back; /* of the edges, by demands that ended */

    /* What every run writes, also of a stage in the middle of its strand: on one line. */
    alignas(FALSE_SHARING) shared_u32 running; /* runs inside, TASK_STOPPED, TASK_FINAL */
    shared_u64 drawn;                          /* items */
    shared_u64 chunks;
    shared_u64 made;
    /* chunks of one item that reads made themselves: counted in none of the above */
    shared_u64    singles;
    shared_size   emitted; /* outputs of a run of late: room that the next one is given at once */
    struct order *order;   /* NULL: unordered */
};

enum { TASK_STOPPED = 1u << 31, TASK_FINAL = 1u << 30 };

static inline struct async_task *task_of_reader(const async_reader *reader)
{
    return channel_of_reader(reader)->task;
}

/* task.c: life. */
static inline bool task_live(const struct async_task *task)
{
    return load_acquire(&task->stop) == ASYNC_OK; /* X2 <- X1 */
}

/* The last run has left the task, which has stopped. */
void task_finalize_if_last(struct async_task *task);

/* Orders X3 to X5: see task.c. */
static inline void task_leave(struct async_task *task)
{
    /* X3 -> X4 */
    if (unlikely(sub_acq_rel(&task->running, 1) == (TASK_STOPPED | 1))) {
        task_finalize_if_last(task);
    }
}

/* False: it has stopped. True: task_leave must follow. */
static inline bool task_enter(struct async_task *task)
{
    uint32_t before = add_acquire(&task->running, 1); /* X5 <- X3 */
    if (likely((before & TASK_STOPPED) == 0)) { return true; }
    task_leave(task);
    return false;
}

/* the first reason stays, but END gives way */
void task_stop(struct async_task *task, async_status why);
/* runs of this number and above end at their next chunk */
void task_abort_from(struct async_task *task, uint64_t run);
void task_cancel(struct async_task *task);
/* Run number `run` has failed: ordered, those before it go on. */
void task_fail(struct async_task *task, uint64_t run, const async_error *error, bool ordered);
void task_inherit_error(struct async_task *task, const struct channel *from);
void task_errors_lock(void); /* every task's */
void task_errors_unlock(void);
void task_uncount(struct async_task *task);
/* NULL out of memory. Listed in its pool if it is not hidden. */
async_status task_create(struct async_task **out, struct async_pool *pool,
                         const async_task_options *options, bool greedy);
void         reader_hold(struct channel *channel);
void         reader_drop(struct channel *channel);

/* graph.c: edges. */
void         graph_lock(void);
void         graph_unlock(void);
uint64_t     graph_new_walk(void); /* a number for `visited`, under the lock */
struct edge *graph_link(struct async_task *consumer, struct channel *input); /* NULL: no memory */
void         graph_list_edge(struct edge *edge); /* it may have items for who draws */
size_t       graph_demand_min(struct async_task *task);
void         graph_let_go(struct async_task *task); /* of its inputs, at the end */
/* it has stopped: who runs it as a part of a strand looks */
void graph_nudge(struct async_task *task);
/* all that were ever run with this head, but for one, and have a backlog, are looked at */
void graph_announce(struct async_task *head, const struct async_task *but);
/* it and all upstream, counted; false: no memory */
bool graph_collect(struct channel *channel, struct channel ***found, size_t *count);
void graph_unwanted(struct async_task *task); /* nobody wants it any more, nor what only it wants */
/* The one input's task, where a run of `task` runs that one too; NULL where not. The caller is
 * inside `task`. */
static inline struct async_task *task_fused_with(const struct async_task *task)
{
    if (!task->fused) { return NULL; }
    /* relaxed: set before the task was shared */
    struct async_task *producer = load_relaxed(&task->inputs)->input->task;
    /* relaxed: either is right, it only decides how */
    return load_relaxed(&producer->exposed) ? NULL : producer;
}
/* The task that draws for the runs of `task`, entered; NULL: it has stopped. The caller is inside
 * `task`. */
struct async_task *task_enter_head(struct async_task *task);

/* demand.c: what is wanted. */
void demand_ask(struct async_task *task, size_t count, bool stream);
void demand_withdraw(struct async_task *task, size_t count);
/* ready items were taken that nobody had asked for */
void demand_unready(struct async_task *task, size_t count);
/* it made more than was planned: less of the backlog is needed */
void demand_trim(struct async_task *task);
void demand_schedule(struct async_task *task);
/* Makes the pokes that this thread has put off while it told an edge; context.telling is set. */
void demand_poke_put_off(void);
void demand_ask_edge(struct edge *edge, size_t count, bool stream);
/* Of count items that were taken those that had been asked for; the others are missing again: they
 * came in another input's stead, and were somebody else's to take. */
size_t demand_taken(struct edge *edge, size_t count);
/* there may be something to run: a worker, or who waits downstream, will look */
void   task_runnable(struct async_task *task);
size_t task_chunk(const struct async_task *task); /* SIZE_MAX: whatever is scheduled */

/* run.c: work. */
enum run_result {
    RUN_DONE,    /* a run was executed */
    RUN_NOTHING, /* nothing to claim */
    RUN_BUSY,    /* somebody else is at it, and whoever that is has it looked at again */
    RUN_INPUT,   /* there is demand but not enough input */
    RUN_STARVED  /* no memory */
};
struct run_options {
    bool single; /* one chunk at a time: there is a deadline */
    bool arm;    /* on RUN_INPUT, be told when there is enough */
};
enum run_result task_run(struct async_task *task, struct run_options options);

#endif
