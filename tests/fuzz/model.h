/* model.h: what must become of every item, whatever is done with the public calls.
 *
 * A node is a task or a plain channel. An item says which node made it. Of each item that a node
 * has made, exactly as much goes again: into a function, to the client, to a discard callback, or
 * (dropped on purpose) to a callback after a read. An item that is doubled has half the weight
 * twice, so sums of weights are kept. */
#ifndef FUZZ_MODEL_H
#define FUZZ_MODEL_H

#include <async/async.h>

#include <stdatomic.h>

#define NODES 12
#define IDS   256 /* items of one run, of all sources and writers together */
#define WHOLE 1024u

typedef struct item {
    uint32_t id;
    uint32_t weight;
    uint32_t at;  /* the node that made it */
    uint32_t raw; /* of a source with a function: not made by anybody yet */
} item;

enum function { PASS, EACH, BATCH, FILTER, DOUBLE, CANCELS, RESIZES, REMOVES, READS };
enum source { CHANNEL, RANGE, ARRAY, NEXT, NONE };

typedef struct node {
    unsigned      number;
    enum source   source; /* CHANNEL: of a plain channel; NONE: it has inputs */
    enum function function;
    async_pool   *pool;
    async_reader *reader; /* NULL: the client has let go of it */
    async_writer *writer;
    async_reader *inner; /* READS */
    unsigned      inputs[NODES], input_count;
    unsigned      first, count, given; /* ids of a source; those that NEXT has given */
    bool          short_given, source_fails;
    unsigned      consumers;
    size_t        max_chunk;
    unsigned      max_parallel;
    uint32_t      fail_id; /* UINT32_MAX: none */
    bool          own_discard, post_drops, pre_fails;
    bool          in_order, may_fail, touched, open;
    uint32_t      last_id; /* that the client read */
    bool          any_read;
    async_status  sticky;
    atomic_uint   gives; /* bits of the nodes whose items come out */
    atomic_uint   running, in_next, released, discarded;
    atomic_uint   drawn[IDS], made[IDS], gone[IDS];
    atomic_bool   done_once;
    item          array[16];
} node;

extern node     nodes[NODES];
extern unsigned node_count;
extern bool     any_cancel; /* something was cancelled or dropped */

_Noreturn void model_wrong(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#define MUST(condition)                                                                            \
    ((condition) ? (void)0 : model_wrong(__FILE__, __LINE__, "not true: %s", #condition))
#define WRONG(...) model_wrong(__FILE__, __LINE__, __VA_ARGS__)

void model_reset(void);
/* A node's options, for a task with `function` and, where it has one, `source`. */
void node_options(node *n, async_task_options *options, async_source *source);
/* The client got these. */
void node_read(node *n, const item *items, size_t count);
/* What a read may say, and that it stays so. */
void node_status(node *n, async_status status, size_t wanted, size_t got);
/* Everything upstream has been read, and nothing was discarded. Only where nothing was done to it.
 * */
void node_complete(node *n);
bool node_finite(const node *n); /* reading it comes to an end */
void model_end(void);            /* all handles and pools are gone */

void node_discard(void *items, size_t count, void *context);
void node_release(void *context);
void node_post(void *items, size_t *count, void *context);
int  node_pre(size_t count, void *context);
int  node_pre_write(void *items, size_t count, void *context);

#endif
