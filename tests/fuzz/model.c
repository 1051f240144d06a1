/* model.c: see model.h. The functions that the library calls, and the sums at the end. */
#define _GNU_SOURCE
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

node     nodes[NODES];
unsigned node_count;
bool     any_cancel;

void model_wrong(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    fprintf(stderr, "%s:%d: ", file, line);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    abort();
}

void model_reset(void)
{
    memset(nodes, 0, sizeof nodes);
    node_count = 0;
    any_cancel = false;
}

/* ── Items ───────────────────────────────────────────────────────────────────────────────────── */

static void check_from(const item *i, uint32_t gives)
{
    if (i->id >= IDS || i->at >= NODES || i->weight == 0 || i->weight > WHOLE ||
        (gives & 1u << i->at) == 0) {
        WRONG("a strange item: id %u, weight %u, made by %u; from nodes %x", i->id, i->weight,
              i->at, gives);
    }
}

static void goes(const item *i)
{
    node    *n = &nodes[i->at];
    unsigned gone = atomic_fetch_add(&n->gone[i->id], i->weight) + i->weight;
    /* An array's items are made by whoever draws them. */
    unsigned made = n->source == ARRAY && n->function == PASS ? WHOLE
                                                              : atomic_load(&n->made[i->id]);
    if (gone > made) {
        WRONG("item %u of node %u: made %u, came out %u", i->id, i->at, made, gone);
    }
}

static uint32_t input_gives(const node *n)
{
    uint32_t gives = 0;
    for (unsigned i = 0; i < n->input_count; i++) {
        gives |= atomic_load(&nodes[n->inputs[i]].gives);
    }
    return gives;
}

/* An item's turn in the node's function. */
static item enters(node *n, const void *in)
{
    item i;
    if (n->source == RANGE) {
        i = (item){.id = (uint32_t) * (const uint64_t *)in, .weight = WHOLE, .raw = 1};
    } else {
        memcpy(&i, in, sizeof i);
    }
    if (n->source == NONE) {
        check_from(&i, input_gives(n));
        goes(&i);
    } else {
        MUST(i.raw == 1 && i.id >= n->first && i.id < n->first + n->count);
        MUST(atomic_fetch_add(&n->drawn[i.id], 1) == 0);
    }
    i.raw = 0;
    i.at = n->number;
    return i;
}

static void makes(node *n, const item *i, void *out)
{
    atomic_fetch_add(&n->made[i->id], i->weight);
    memcpy(out, i, sizeof *i);
}

static void begin_call(node *n, size_t count)
{
    MUST(atomic_load(&n->released) == 0);
    MUST(count > 0 && (n->max_chunk == 0 || count <= n->max_chunk));
    unsigned running = atomic_fetch_add(&n->running, 1) + 1;
    MUST(n->max_parallel == 0 || running <= n->max_parallel);
}

/* What some functions do besides. */
static void acts(node *n)
{
    if (n->function == READS) {
        item         i;
        size_t       got;
        async_status status = async_reader_read(n->inner, &i, 1, &got, async_now());
        MUST(got == (status == ASYNC_OK));
        MUST(status != ASYNC_INVALID && status != ASYNC_NO_MEMORY && status != ASYNC_SYSTEM);
        if (got == 1) {
            check_from(&i, UINT32_MAX);
            goes(&i);
        }
    }
    if (n->function < CANCELS || n->function == READS || atomic_exchange(&n->done_once, true)) {
        return;
    }
    /* Its own reader is held by somebody, else it would not run; the client does not let go of
     * readers of such tasks before the end. */
    async_task *task = async_reader_task(n->inner);
    MUST(task != NULL);
    switch (n->function) {
    case CANCELS:
        MUST(async_task_cancel(task) == ASYNC_OK);
        MUST(async_stopping());
        break;
    case REMOVES:
        MUST(async_pool_remove_task(n->pool, task) == ASYNC_OK);
        break;
    default: {
        async_status status = async_pool_set_size(n->pool, n->first % 3);
        MUST(status == ASYNC_OK || status == ASYNC_CLOSED);
        MUST(async_pool_destroy(n->pool, ASYNC_DROP) == ASYNC_DEADLOCK);
    }
    }
}

static int call_each(const void *in, void *out, void *context)
{
    node *n = context;
    MUST(atomic_load(&n->released) == 0);
    item i = enters(n, in);
    if (i.id == n->fail_id) { return async_fail(7, "item %u", i.id); }
    acts(n);
    makes(n, &i, out);
    return 0;
}

static int call_batch(const void *in, void *out, size_t count, size_t *done, void *context)
{
    node *n = context;
    begin_call(n, count);
    int code = 0;
    for (size_t k = 0; k < count && code == 0; k++) {
        code = call_each((const char *)in + k * (n->source == RANGE ? 8 : sizeof(item)),
                         (item *)out + k, context);
        *done = k + (code == 0);
    }
    atomic_fetch_sub(&n->running, 1);
    return code;
}

static int call_emit(const void *in, size_t count, size_t *done, async_emitter *out, void *context)
{
    node *n = context;
    begin_call(n, count);
    int code = 0;
    for (; *done < count; ++*done) {
        item i = enters(n, (const char *)in + *done * (n->source == RANGE ? 8 : sizeof(item)));
        if (i.id == n->fail_id) {
            code = 9;
            break;
        }
        item two[2] = {i, i};
        if (n->function == DOUBLE && i.weight >= 2) {
            two[0].weight = i.weight / 2;
            two[1].weight = i.weight - i.weight / 2;
            makes(n, &two[0], &two[0]);
            makes(n, &two[1], &two[1]);
            MUST(async_emit(out, two, 2) == ASYNC_OK);
        } else if (n->function == DOUBLE || i.id % 3 != 0) {
            makes(n, &i, &i);
            MUST(async_emit(out, &i, 1) == ASYNC_OK);
        }
    }
    atomic_fetch_sub(&n->running, 1);
    return code;
}

static int call_next(void *items, size_t count, size_t *got, void *context)
{
    node *n = context;
    MUST(atomic_fetch_add(&n->in_next, 1) == 0);
    MUST(!n->short_given && atomic_load(&n->released) == 0 && *got == 0 && count > 0);
    for (; *got < count && n->given < n->count; ++*got) {
        item i = {.id = n->first + n->given++,
                  .weight = WHOLE,
                  .at = n->number,
                  .raw = n->function != PASS};
        if (n->function == PASS) { makes(n, &i, &i); }
        ((item *)items)[*got] = i;
    }
    n->short_given = *got < count;
    int code = n->short_given && n->source_fails ? 5 : 0;
    atomic_fetch_sub(&n->in_next, 1);
    return code;
}

void node_discard(void *items, size_t count, void *context)
{
    node *n = context;
    MUST(count > 0 && items != NULL && atomic_load(&n->released) == 0);
    for (size_t k = 0; k < count; k++) {
        check_from((item *)items + k, atomic_load(&n->gives));
        goes((item *)items + k);
    }
    atomic_fetch_add(&n->discarded, (unsigned)count);
}

void node_release(void *context)
{
    node *n = context;
    MUST(atomic_fetch_add(&n->released, 1) == 0);
    if (n->function == READS) { async_reader_release(n->inner); }
}

void node_post(void *items, size_t *count, void *context)
{
    node  *n = context;
    item  *all = items;
    size_t kept = 0;
    for (size_t k = 0; k < *count; k++) {
        check_from(&all[k], atomic_load(&n->gives));
        if (all[k].id % 5 == 0) {
            goes(&all[k]);
        } else {
            all[kept++] = all[k];
        }
    }
    *count = kept;
}

int node_pre(size_t count, void *context)
{
    node *n = context;
    MUST(count > 0);
    return n->pre_fails ? 3 : 0;
}

int node_pre_write(void *items, size_t count, void *context)
{
    node *n = context;
    for (size_t k = 0; k < count; k++) { MUST(((item *)items)[k].at == n->number); }
    return n->pre_fails ? 4 : 0;
}

/* ── Nodes ───────────────────────────────────────────────────────────────────────────────────── */

void node_options(node *n, async_task_options *options, async_source *source)
{
    options->item_size = sizeof(item);
    options->context = n;
    options->release = node_release;
    /* Items that pass go back to where they were made, or to the callback that the task has. */
    if (n->function != PASS || n->source != NONE || n->own_discard) {
        options->discard = node_discard;
    }
    switch (n->function) {
    case PASS:
        break;
    case EACH:
        options->each = call_each;
        break;
    case FILTER:
    case DOUBLE:
        options->emit = call_emit;
        break;
    default:
        options->batch = call_batch;
        break;
    }
    if (n->source == NEXT) {
        *source = async_source_from(call_next, n, sizeof(item));
    } else if (n->source == RANGE) {
        *source = async_source_range(n->first, n->count);
    } else if (n->source == ARRAY) {
        for (unsigned i = 0; i < n->count; i++) {
            n->array[i] = (item){
                .id = n->first + i, .weight = WHOLE, .at = n->number, .raw = n->function != PASS};
        }
        *source = async_source_array(n->array, n->count, sizeof(item));
    }
    options->source = n->source == NONE ? NULL : source;
}

void node_read(node *n, const item *items, size_t count)
{
    for (size_t k = 0; k < count; k++) {
        check_from(&items[k], atomic_load(&n->gives));
        goes(&items[k]);
        if (n->in_order && n->any_read && items[k].id < n->last_id) {
            WRONG("node %u: item %u came after item %u", n->number, items[k].id, n->last_id);
        }
        n->last_id = items[k].id;
        n->any_read = true;
    }
}

void node_status(node *n, async_status status, size_t wanted, size_t got)
{
    bool known = status == ASYNC_OK || status == ASYNC_TIMEOUT || status == ASYNC_END ||
                 (status == ASYNC_FAILED && n->may_fail) ||
                 (status == ASYNC_CANCELLED && any_cancel);
    if (!known || got > wanted || (status == ASYNC_OK && got != wanted)) {
        WRONG("node %u: a read of %zu gives %zu and %s", n->number, wanted, got,
              async_status_name(status));
    }
    if (n->pre_fails && n->source != CHANNEL && status == ASYNC_FAILED &&
        n->sticky != ASYNC_FAILED) {
        return; /* of this read, not of the stream */
    }
    if (n->sticky != ASYNC_OK && (status != n->sticky || got != 0)) {
        WRONG("node %u: %s, then %s with %zu items", n->number, async_status_name(n->sticky),
              async_status_name(status), got);
    }
    if (status == ASYNC_END || status == ASYNC_FAILED || status == ASYNC_CANCELLED) {
        n->sticky = status;
    }
}

static bool untouched(const node *n)
{
    if (n->touched || n->may_fail || n->consumers > 1 || n->function >= CANCELS) { return false; }
    for (unsigned i = 0; i < n->input_count; i++) {
        const node *input = &nodes[n->inputs[i]];
        if (!untouched(input) || input->any_read || input->sticky != ASYNC_OK) { return false; }
    }
    return true;
}

static void check_complete(node *n)
{
    MUST(atomic_load(&n->discarded) == 0);
    for (unsigned i = 0; i < IDS; i++) {
        bool own = n->source != NONE && n->source != CHANNEL && i >= n->first &&
                   i < n->first + n->count;
        unsigned gone = atomic_load(&n->gone[i]), made = atomic_load(&n->made[i]);
        if (n->source == ARRAY && n->function == PASS) {
            made = own ? WHOLE : 0;
        } else if (n->source == NEXT && n->function == PASS) {
            MUST(made == (own ? WHOLE : 0));
        } else if (n->source != CHANNEL && n->source != NONE) {
            MUST(atomic_load(&n->drawn[i]) == own);
        }
        if (gone != made) {
            WRONG("node %u at its end: of item %u was made %u, came out %u", n->number, i, made,
                  gone);
        }
    }
    for (unsigned i = 0; i < n->input_count; i++) { check_complete(&nodes[n->inputs[i]]); }
}

void node_complete(node *n)
{
    if (!any_cancel && n->consumers == 0 && untouched(n)) { check_complete(n); }
}

bool node_finite(const node *n)
{
    if (n->open) { return false; }
    for (unsigned i = 0; i < n->input_count; i++) {
        if (!node_finite(&nodes[n->inputs[i]])) { return false; }
    }
    return true;
}

void model_end(void)
{
    for (unsigned k = 0; k < node_count; k++) {
        node *n = &nodes[k];
        MUST(atomic_load(&n->released) == 1);
        MUST(atomic_load(&n->running) == 0);
        for (unsigned i = 0; i < IDS; i++) {
            unsigned made = atomic_load(&n->made[i]), gone = atomic_load(&n->gone[i]);
            if (made != gone && !(n->source == ARRAY && n->function == PASS)) {
                WRONG("node %u (function %d): of item %u was made %u, came out %u", k,
                      (int)n->function, i, made, gone);
            }
        }
    }
}
