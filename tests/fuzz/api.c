/* api.c: bytes as a sequence of public calls: pools, tasks of each kind, channels, reads of each
 * kind, resizes, cancels, removals, endings and bad arguments, by one client thread while workers
 * run. What must hold is in model.c. */
#include "api.h"
#include "fuzz.h"
#include "pipeline.h"

#include <string.h>

#define POOLS 3
#define CALLS 80

static const uint8_t *bytes;
static size_t         left;
static async_pool    *pools[POOLS];
static bool           pool_plain[POOLS]; /* of size 0 from its beginning on */
async_view            fuzz_views[VIEWS];
static unsigned       next_id;

unsigned fuzz_take(unsigned below)
{
    if (left == 0) { return 0; }
    left--;
    return *bytes++ % below;
}

static node *any_node(void) { return node_count == 0 ? NULL : &nodes[fuzz_take(node_count)]; }

/* A node whose reader the client holds. */
node *fuzz_held_node(void)
{
    node *n = any_node();
    return n != NULL && n->reader != NULL ? n : NULL;
}

/* ── Pools ───────────────────────────────────────────────────────────────────────────────────── */

static void make_pool(void)
{
    unsigned           i = fuzz_take(POOLS), workers = fuzz_take(4), how = fuzz_take(16);
    async_pool_options options = {
        .readers_help = how & 1, .window = how & 2 ? 2 : 0, .max_threads = how & 4 ? 4 : 0};
    if (pools[i] == NULL) {
        MUST(async_pool_create(&pools[i], workers, how & 8 ? NULL : &options) == ASYNC_OK);
        MUST(async_pool_size(pools[i]) == workers);
        pool_plain[i] = workers == 0;
    }
}

static void resize_pool(void)
{
    unsigned i = fuzz_take(POOLS), workers = fuzz_take(4);
    if (pools[i] != NULL) {
        MUST(async_pool_set_size(pools[i], workers) == ASYNC_OK);
        pool_plain[i] = false;
        for (unsigned k = 0; k < node_count; k++) { nodes[k].in_order = false; }
    }
}

static void destroy_pool(unsigned i, async_ending how)
{
    if (pools[i] == NULL) { return; }
    any_cancel = any_cancel || how == ASYNC_DROP;
    for (unsigned k = 0; k < node_count; k++) {
        nodes[k].touched = nodes[k].touched || nodes[k].pool == pools[i];
    }
    MUST(async_pool_destroy(pools[i], how) == ASYNC_OK);
    for (unsigned k = 0; k < node_count; k++) {
        if (nodes[k].pool == pools[i]) {
            MUST(nodes[k].reader == NULL || async_reader_pool(nodes[k].reader) == NULL);
            MUST(nodes[k].reader == NULL || async_task_done(async_reader_task(nodes[k].reader)));
            nodes[k].pool = NULL;
        }
    }
    pools[i] = NULL;
}

/* ── Nodes ───────────────────────────────────────────────────────────────────────────────────── */

static node *new_node(void)
{
    if (node_count == NODES) { return NULL; }
    node *n = &nodes[node_count];
    n->number = node_count;
    n->fail_id = UINT32_MAX;
    return n;
}

static void make_channel(void)
{
    node *n = new_node();
    if (n == NULL) { return; }
    unsigned              how = fuzz_take(8);
    async_channel_options options = {
        .capacity = fuzz_take(6), .discard = node_discard, .release = node_release, .context = n};
    n->source = CHANNEL;
    MUST(async_channel_create(&n->writer, &n->reader, sizeof(item), &options) == ASYNC_OK);
    n->open = n->in_order = true;
    atomic_store(&n->gives, 1u << n->number);
    n->pre_fails = how == 7;
    if (how >= 6) {
        MUST(async_writer_set_pre(n->writer, node_pre_write, n, NULL, NULL) == ASYNC_OK);
    }
    node_count++;
}

static void write_items(void)
{
    node    *n = any_node();
    unsigned count = fuzz_take(8), how = fuzz_take(2);
    if (n == NULL || n->writer == NULL || next_id + count > IDS) { return; }
    item items[8];
    for (unsigned k = 0; k < count; k++) { /* a reader may have them before the call returns */
        items[k] = (item){.id = next_id + k, .weight = WHOLE, .at = n->number};
        atomic_store(&n->made[next_id + k], WHOLE);
    }
    size_t       written = 99;
    async_status status = async_writer_write(n->writer, items, count, &written,
                                             how == 0 ? async_now() : async_within_ms(1));
    MUST(written <= count && (status == ASYNC_OK) == (written == count));
    MUST(status == ASYNC_OK || status == ASYNC_TIMEOUT || status == ASYNC_CLOSED ||
         (status == ASYNC_FAILED && n->pre_fails && written == 0));
    MUST(!n->open || status != ASYNC_CLOSED || n->reader == NULL || any_cancel);
    MUST(n->open || count == 0 || status != ASYNC_OK);
    for (size_t k = written; k < count; k++) { /* the others never appear */
        MUST(atomic_load(&n->gone[next_id + k]) == 0);
        atomic_store(&n->made[next_id + k], 0);
    }
    next_id += count;
}

static void close_writer(void)
{
    node    *n = any_node();
    unsigned how = fuzz_take(3);
    if (n == NULL || n->writer == NULL) { return; }
    n->open = false;
    MUST(async_writer_close(n->writer) == ASYNC_OK);
    MUST(async_writer_closed(n->writer));
    if (how > 0) {
        async_writer_release(n->writer);
        n->writer = NULL;
    }
}

static void take_input(node *n, node *input)
{
    n->inputs[n->input_count++] = input->number;
    n->in_order = n->in_order && input->in_order && n->input_count == 1;
    n->may_fail = n->may_fail || input->may_fail || input->pre_fails;
    input->consumers++;
}

/* What is upstream of a task may fail later on; so may all that is downstream then. */
static void spread_failures(void)
{
    for (unsigned round = 0; round < node_count; round++) {
        for (unsigned k = 0; k < node_count; k++) {
            for (unsigned i = 0; i < nodes[k].input_count; i++) {
                const node *input = &nodes[nodes[k].inputs[i]];
                nodes[k].may_fail = nodes[k].may_fail || input->may_fail ||
                                    (input->pre_fails && input->source != CHANNEL);
                if (nodes[k].function == PASS) {
                    atomic_fetch_or(&nodes[k].gives, atomic_load(&input->gives));
                }
                nodes[k].in_order = nodes[k].in_order && input->in_order;
            }
        }
    }
}

static void add_task(bool with_source)
{
    node    *n = new_node(), *input = with_source ? NULL : fuzz_held_node();
    unsigned i = fuzz_take(POOLS), how = fuzz_take(64), fails = fuzz_take(8), chunk = fuzz_take(8),
             min = fuzz_take(8);
    unsigned parallel = fuzz_take(4);
    if (n == NULL || pools[i] == NULL || (!with_source && input == NULL)) { return; }
    n->pool = pools[i];
    n->function = (enum function)fuzz_take(READS + 1);
    n->source = with_source ? (enum source)(RANGE + fuzz_take(3)) : NONE;
    if (n->source == RANGE && n->function == PASS) { n->function = EACH; }
    if (n->function == READS && (input == NULL || nodes[0].reader == NULL)) { n->function = BATCH; }
    n->count = with_source ? fuzz_take(16) : 0;
    if (next_id + n->count > IDS) {
        *n = (node){.fail_id = 0};
        return;
    }
    n->first = next_id;
    next_id += n->count;
    n->fail_id = fails < 2 && n->function != PASS ? fuzz_take(IDS) : UINT32_MAX;
    n->source_fails = n->source == NEXT && fails == 2;
    n->max_chunk = chunk == 7 ? 0 : chunk;
    n->max_parallel = parallel == 3 ? 0 : parallel;
    n->own_discard = how & 1;
    bool ordered = (how & 2) != 0;
    n->in_order = ordered || pool_plain[i];
    n->may_fail = n->fail_id != UINT32_MAX || n->source_fails;
    if (input != NULL) { take_input(n, input); }
    bool makes = n->function != PASS || n->source != NONE;
    atomic_store(&n->gives, makes ? 1u << n->number : atomic_load(&input->gives));
    if (n->function == READS) {
        n->inner = async_reader_retain(nodes[0].reader);
        nodes[0].consumers += 2;
        nodes[0].in_order = false;
    }
    any_cancel = any_cancel || n->function == CANCELS;
    if (n->function == RESIZES) {
        pool_plain[i] = false;
        for (unsigned k = 0; k <= node_count; k++) { nodes[k].in_order = false; }
    }
    async_source       source;
    async_task_options options = {.name = how & 4 ? "fuzz" : NULL,
                                  .input = input != NULL ? input->reader : NULL,
                                  .min_count = min == 7 ? 40 : min,
                                  .max_chunksize = n->max_chunk,
                                  .order = ordered ? ASYNC_ORDERED : ASYNC_UNORDERED,
                                  .max_parallel = n->max_parallel,
                                  .in_place = how & 8};
    node_options(n, &options, &source);
    size_t tasks = async_pool_num_tasks(pools[i]);
    MUST(async_pool_add_task(pools[i], &n->reader, &options) == ASYNC_OK);
    MUST(async_pool_num_tasks(pools[i]) <= tasks + 1);
    node_count++;
    if (n->function == CANCELS || n->function == RESIZES || n->function == REMOVES) {
        n->inner = async_reader_retain(n->reader);
    }
    n->post_drops = (how & 48) == 16;
    n->pre_fails = (how & 48) == 48 && fails == 7;
    if (n->post_drops) {
        MUST(async_reader_set_post(n->reader, node_post, n, NULL, NULL) == ASYNC_OK);
    }
    if ((how & 48) == 48) {
        MUST(async_reader_set_pre(n->reader, node_pre, n, NULL, NULL) == ASYNC_OK);
        n->may_fail = n->may_fail || n->pre_fails;
    }
    spread_failures();
}

static bool is_upstream(const node *n, const node *of)
{
    if (n == of) { return true; }
    for (unsigned i = 0; i < of->input_count; i++) {
        if (is_upstream(n, &nodes[of->inputs[i]])) { return true; }
    }
    return false;
}

static void add_input(void)
{
    node *n = fuzz_held_node(), *input = fuzz_held_node();
    if (n == NULL || input == NULL || n->source == CHANNEL) { return; }
    async_task *task = async_reader_task(n->reader);
    bool        cycle = is_upstream(n, input), known = false;
    for (unsigned i = 0; i < n->input_count; i++) {
        known = known || n->inputs[i] == input->number;
    }
    bool will = !cycle && !known && n->source == NONE && n->input_count < NODES;
    if (will) { /* its items may come before the call returns */
        take_input(n, input);
        spread_failures();
    }
    async_status status = async_task_add_input(task, input->reader);
    if (n->source != NONE) {
        MUST(status == ASYNC_INVALID);
    } else if (known) {
        MUST(status == ASYNC_OK || status == ASYNC_CLOSED);
    } else if (cycle) {
        /* Of a task that has ended the inputs are gone, and with them the cycle. */
        MUST(status == ASYNC_CYCLE || status == ASYNC_CLOSED || status == ASYNC_OK);
        n->touched = input->touched = true;
        if (status == ASYNC_OK) {
            atomic_fetch_or(&n->gives, atomic_load(&input->gives));
            n->in_order = false;
            spread_failures();
        }
    } else {
        MUST(status == ASYNC_OK || status == ASYNC_CLOSED);
    }
}

static void set_touched(node *n) { n->touched = true; }

static void end_node(void)
{
    node    *n = fuzz_held_node();
    unsigned how = fuzz_take(4);
    if (n == NULL) { return; }
    async_task *task = async_reader_task(n->reader);
    set_touched(n);
    switch (how) {
    case 0:
        any_cancel = true;
        MUST(async_task_cancel(task) == (task != NULL ? ASYNC_OK : ASYNC_INVALID));
        break;
    case 1:
        any_cancel = true;
        MUST(async_reader_cancel(n->reader) == ASYNC_OK);
        break;
    case 2:
        if (n->pool != NULL) {
            MUST(async_pool_remove_task(n->pool, task) == ASYNC_OK);
            MUST(async_task_done(task));
        }
        break;
    default:
        if (n->pool != NULL) {
            any_cancel = true;
            MUST(async_pool_cancel(n->pool) == ASYNC_OK);
        }
    }
}

static void release_reader(void)
{
    node *n = fuzz_held_node();
    if (n != NULL) {
        async_reader_release(n->reader);
        n->reader = NULL;
        set_touched(n);
    }
}

/* ── The rest ────────────────────────────────────────────────────────────────────────────────── */

static void look(void)
{
    node            *n = fuzz_held_node();
    async_task_stats stats;
    async_error      error;
    for (unsigned i = 0; i < POOLS; i++) {
        size_t most = 0;
        for (unsigned k = 0; k < node_count; k++) {
            most += nodes[k].pool == pools[i] && pools[i] != NULL;
        }
        MUST(async_pool_num_tasks(pools[i]) <= most);
    }
    if (n != NULL) {
        async_task *task = async_reader_task(n->reader);
        MUST((task == NULL) == (n->source == CHANNEL));
        MUST(async_reader_pool(n->reader) == n->pool);
        MUST(async_task_counts(task, &stats) == (task != NULL ? ASYNC_OK : ASYNC_INVALID));
        MUST(async_reader_error(n->reader, &error) == ASYNC_OK);
        MUST(error.status == ASYNC_OK || (error.status == ASYNC_FAILED && n->may_fail) ||
             (error.status == ASYNC_CANCELLED && any_cancel));
        MUST(async_reader_ready(n->reader) <= (size_t)IDS * 1024);
        async_reader_release(async_reader_retain(n->reader));
    }
}

static void misuse(void)
{
    node              *n = fuzz_held_node();
    async_pool        *pool = pools[fuzz_take(POOLS)];
    async_reader      *reader = (async_reader *)(uintptr_t)64;
    async_source       empty = {0}, range = async_source_range(0, 1);
    async_task_options both = {.source = &range,
                               .input = n != NULL ? n->reader : NULL,
                               .max_chunksize = fuzz_take(2) ? ASYNC_CHUNK_AUTO : 0};
    async_task_options bad[] = {
        {.item_size = 8},
        {.source = &empty},
        {.source = &range, .item_size = 16},
        {.source = &range, .input_size = 7, .each = (async_each_fn *)(uintptr_t)64},
        {.source = &range, .reserved = {1}},
        {.source = &range, .max_chunksize = SIZE_MAX - 1},
        {.source = &range, .order = (async_order)7},
    };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        reader = (async_reader *)(uintptr_t)64;
        MUST(async_pool_add_task(pool, &reader, &bad[i]) == ASYNC_INVALID && reader == NULL);
    }
    async_status status = async_pool_add_task(pool, &reader, &both);
    if (pool == NULL || both.input != NULL) {
        MUST(status == ASYNC_INVALID && reader == NULL);
    } else if (both.max_chunksize != 0) {
        MUST(status == ASYNC_UNSUPPORTED && reader == NULL);
    } else {
        MUST(status == ASYNC_OK);
        async_reader_release(reader);
    }
    MUST(async_pool_remove_task(pool, NULL) == ASYNC_INVALID);
    MUST(async_pool_destroy(pool, (async_ending)9) == ASYNC_INVALID);
    MUST(async_reader_read(NULL, NULL, 1, NULL, async_now()) == ASYNC_INVALID);
    MUST(async_writer_write(NULL, NULL, 1, NULL, async_now()) == ASYNC_INVALID);
    MUST(async_channel_create(NULL, &reader, 1, NULL) == ASYNC_INVALID);
    MUST(async_reader_cancel(NULL) == ASYNC_INVALID && async_view_return(NULL) == ASYNC_INVALID);
    if (n != NULL) {
        size_t got = 5;
        MUST(async_reader_read(n->reader, NULL, 1, &got, async_now()) == ASYNC_INVALID && got == 0);
        MUST(async_reader_read(n->reader, &got, 1, NULL, (async_wait){(async_wait_kind)9, 0}) ==
             ASYNC_INVALID);
        MUST(async_reader_read(n->reader, &got, SIZE_MAX / 2, NULL, async_now()) == ASYNC_INVALID);
        MUST(async_reader_read(n->reader, NULL, 0, &got, async_now()) == ASYNC_OK);
        MUST(async_reader_for_each(n->reader, NULL, NULL, async_now()) == ASYNC_INVALID);
        MUST(async_task_add_input(async_reader_task(n->reader), NULL) == ASYNC_INVALID);
    }
}

static void call(void)
{
    switch (fuzz_take(21)) {
    case 0:
        make_pool();
        break;
    case 1:
        resize_pool();
        break;
    case 2:
        destroy_pool(fuzz_take(POOLS), fuzz_take(2) ? ASYNC_DRAIN : ASYNC_DROP);
        break;
    case 3:
        make_channel();
        break;
    case 4:
    case 5:
        write_items();
        break;
    case 6:
        close_writer();
        break;
    case 7:
    case 8:
        add_task(true);
        break;
    case 9:
    case 10:
        add_task(false);
        break;
    case 11:
        add_input();
        break;
    case 12:
        end_node();
        break;
    case 13:
        release_reader();
        break;
    case 14:
    case 15:
        read_items();
        break;
    case 16:
        read_all();
        break;
    case 17:
        for_each();
        break;
    case 18:
        borrow();
        break;
    case 19:
        look();
        break;
    default:
        misuse();
    }
}

int fuzz_one(const uint8_t *data, size_t size)
{
    bytes = data;
    left = size;
    next_id = 0;
    model_reset();
    unsigned ending = fuzz_take(8);
    for (unsigned i = 0; left > 0 && i < CALLS; i++) { call(); }
    /* The readers' end first: then nothing is left of the tasks; or the pools' end first. */
    if (ending & 1) {
        for (unsigned i = 0; i < POOLS; i++) {
            destroy_pool(i, ending & 2 ? ASYNC_DRAIN : ASYNC_DROP);
        }
    }
    for (unsigned i = 0; i < VIEWS; i++) { async_view_return(&fuzz_views[i]); }
    for (unsigned k = 0; k < node_count; k++) {
        node *n = &nodes[k];
        async_writer_release(n->writer);
        async_reader_release(n->reader);
        n->writer = NULL;
        n->reader = NULL;
    }
    for (unsigned i = 0; i < POOLS; i++) {
        bool kept = false;
        for (unsigned k = 0; k < node_count; k++) {
            kept = kept || (nodes[k].function >= CANCELS && nodes[k].inner != NULL);
        }
        MUST(pools[i] == NULL || kept || UNTIL(SOON, async_pool_num_tasks(pools[i]) == 0));
        if (pools[i] != NULL) {
            MUST(async_pool_destroy(pools[i], ending & 4 ? ASYNC_DRAIN : ASYNC_DROP) == ASYNC_OK);
            pools[i] = NULL;
        }
    }
    for (unsigned k = 0; k < node_count; k++) {
        if (nodes[k].function >= CANCELS && nodes[k].function < READS) {
            async_reader_release(nodes[k].inner);
        }
    }
    model_end();
    return 0;
}
