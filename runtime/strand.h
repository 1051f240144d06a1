/* strand.h: one run of chunks on its way through a strand: what draw.c fills in and run.c executes.
 * Layer: 3 */
#ifndef ASYNC_RUNTIME_STRAND_H
#define ASYNC_RUNTIME_STRAND_H

#include "task.h"

/* The outputs of one run: a run, and blocks of which `used` items from the start count. */
struct pieces {
    struct run    first;
    struct block *more, *last;
    bool          cut; /* the run was stopped early: what comes behind it is discarded */
};

/* What a function of the end emits goes behind the items of one block: the run's `out`, then those
 * of its pieces. */
struct async_emitter {
    struct strand *strand;
    struct block  *block;
    unsigned char *at;
    size_t         item_size;
    size_t         holds, room; /* items: in all, and left */
};

struct strand {
    /* 0: the end, whose output is kept; stages - 1: the head, which draws */
    struct async_task *stage[FUSE_MAX];
    uint64_t           position[FUSE_MAX]; /* of the first input item, in the stage's own count */
    unsigned           stages;
    bool               ordered;
    uint32_t           traced;      /* it is recorded (trace.c); 0: it is not */
    bool               called_back; /* an input's reader has callbacks; settled before the draw */
    bool               cut;         /* stopped before all its items were through */
    bool               numbered; /* `number` was given, and its place in the order must be filled */
    bool               drawing;  /* its thread is in the source's function, with the draw turn */
    bool               ended;    /* the head got fewer than it asked for */
    async_status       end_status;
    async_error        end_error; /* where end_status is FAILED */
    uint64_t           number;    /* of the run, where ordered */
    size_t             chunk;     /* items of one call; SIZE_MAX: all */
    size_t             limit;     /* items that buffers were made for */
    size_t             count;     /* items drawn */
    size_t             planned;   /* items claimed from the backlog */

    struct run    input; /* block NULL: the source's memory, or none (range) */
    uint64_t      range_first;
    bool          writable; /* the input's memory is this run's alone */
    struct origin origins[ORIGINS];
    unsigned      origin_count;

    struct block        *out;        /* for 1:1 outputs; NULL where the input's block is used */
    struct block        *scratch[2]; /* of one granule */
    size_t               granule;
    struct pieces        pieces;
    struct async_emitter emitter;  /* where the end emits; during strand_execute */
    size_t               produced; /* items */
};

/* One call of the function of an `each` task for each item. Returns its code, with the items that
 * were done before it. */
static inline int task_call_each(const struct async_task *task, const unsigned char *in,
                                 unsigned char *out, size_t count, size_t *done)
{
    for (size_t i = 0; i < count; i++) {
        int code = task->each(in, out, task->out.context);
        if (unlikely(code != 0)) {
            *done = i;
            return code;
        }
        in += task->input_size;
        out += task->out.item_size;
    }
    return 0;
}

/* Its items are its input's. */
static inline bool task_passes(const struct async_task *task)
{
    return task->each == NULL && task->batch == NULL && task->emit == NULL;
}

/* Its items may lie where its input lay. */
static inline bool task_works_in_place(const struct async_task *task)
{
    return task_passes(task) ||
           (task->in_place && task->emit == NULL && task->input_size == task->out.item_size);
}

/* draw.c: claims a run from the backlog of strand->stage[0] and draws its input. */
/* items to make buffers for */
size_t          draw_limit(const struct strand *strand, size_t backlog, struct run_options options);
enum run_result strand_draw(struct strand *strand, struct run_options options);
/* of the backlog: how many */
size_t draw_claim(struct async_task *task, size_t count);
/* of what was drawn; first NULL: as counted */
void draw_positions(struct strand *strand, const uint64_t *first);
/* draw_inputs.c */
enum run_result draw_inputs(struct strand *strand, size_t want, size_t backlog,
                            struct run_options options);
/* Nothing is scheduled any more: its edge waits no longer, and nobody behind it. */
void draw_forget(struct async_task *end);
void draw_let_go(struct async_task *task); /* the stash, at the end */
/* graph.c; when it returns the waiter is free. An end other than `by` that it was armed for is
 * announced, unless `by` is NULL. */
void   edge_disarm(struct edge *edge, const struct async_task *by);
size_t draw_available(const struct async_task *head);
size_t draw_unasked(const struct async_task *head, size_t backlog);

/* buffers.c */
/* buffers for up to strand->limit items; false: no memory */
bool strand_prepare(struct strand *strand);
void strand_free(struct strand *strand); /* what is left of the buffers */
/* execute.c: passes the drawn items through the stages. */
/* special: a bit for each stage whose chunks may not just be given to its function */
void strand_execute(struct strand *strand, uint32_t special);

/* emit.c */
/* The next outputs go behind the `used` items of the block. */
void emit_into(struct async_emitter *emitter, struct block *block, size_t used);
/* The count of items of the block that is being filled is right again. */
void emit_settle(struct strand *strand);

/* order.c */
struct order *order_create(void);
void          order_destroy(struct async_task *task);
bool          order_has_room(struct async_task *task);
void          order_put(struct async_task *task, uint64_t number, struct pieces *pieces);

/* run.c: outputs of the task into its channel, or to the discard callback. */
void pieces_publish(struct async_task *task, struct pieces *pieces);
void pieces_discard(struct async_task *task, struct pieces *pieces);
void strand_discard_input(struct strand *strand, size_t from);

#endif
