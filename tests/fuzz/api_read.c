/* api_read.c: the ways to read, and what each may answer. */
#include "api.h"

static async_wait some_wait(const node *n)
{
    switch (fuzz_take(4)) {
    case 0:
        return async_now();
    case 1:
        return async_within_ms(1);
    case 2:
        return async_per_item_ms(1);
    default:
        return node_finite(n) ? async_forever() : async_within_ms(1);
    }
}

static void ended(node *n, async_status status, size_t wanted, size_t got)
{
    node_status(n, status, wanted, got);
    if (status == ASYNC_END) { node_complete(n); }
}

void read_items(void)
{
    node    *n = fuzz_held_node();
    unsigned count = fuzz_take(24);
    item     items[24];
    if (n != NULL && count > 0) {
        size_t       got = 99;
        async_status status = async_reader_read(n->reader, items, count, &got, some_wait(n));
        MUST(got <= count);
        node_read(n, items, got);
        ended(n, status, count, got);
    }
}

void read_all(void)
{
    node *n = fuzz_held_node();
    if (n != NULL) {
        void        *items = &items;
        size_t       count = 99;
        async_status status = async_reader_read_all(n->reader, &items, &count, some_wait(n));
        MUST((items != NULL) == (count > 0));
        node_read(n, items, count);
        async_free(items);
        /* OK is the end here. */
        if (n->sticky == ASYNC_OK || status != ASYNC_OK) {
            ended(n, status == ASYNC_OK ? ASYNC_END : status, SIZE_MAX, count);
        }
    }
}

struct sink {
    node       *n;
    unsigned    calls;
    int         says;
    atomic_uint running;
};

static int sink(const void *items, size_t count, void *context)
{
    struct sink *s = context;
    MUST(atomic_fetch_add(&s->running, 1) == 0 && count > 0);
    node_read(s->n, items, count);
    atomic_fetch_sub(&s->running, 1);
    return s->calls-- > 0 ? ASYNC_CONTINUE : s->says;
}

void for_each(void)
{
    node       *n = fuzz_held_node();
    struct sink s = {.n = n, .calls = fuzz_take(4), .says = (int)fuzz_take(3)};
    if (n == NULL) { return; }
    static const int answers[] = {0, 11, ASYNC_STOP};
    s.says = answers[s.says];
    async_status status = async_reader_for_each(n->reader, sink, &s, some_wait(n));
    bool         stopped = s.says != 0 && s.calls == UINT32_MAX;
    MUST(atomic_load(&s.running) == 0);
    if (stopped) {
        MUST(status == (s.says == ASYNC_STOP ? ASYNC_OK : ASYNC_FAILED));
    } else {
        MUST(status == ASYNC_OK || status == ASYNC_TIMEOUT ||
             (status == ASYNC_FAILED && n->may_fail) || (status == ASYNC_CANCELLED && any_cancel));
    }
}

void borrow(void)
{
    node    *n = fuzz_held_node();
    unsigned v = fuzz_take(VIEWS), count = 1 + fuzz_take(12);
    if (n == NULL) { return; }
    MUST(async_view_return(&fuzz_views[v]) == ASYNC_OK);
    async_status status = async_reader_borrow(n->reader, &fuzz_views[v], count, some_wait(n));
    if (n->post_drops) {
        MUST(status == ASYNC_UNSUPPORTED && fuzz_views[v].count == 0);
        return;
    }
    MUST((status == ASYNC_OK) == (fuzz_views[v].count > 0) && fuzz_views[v].count <= count);
    MUST((fuzz_views[v].items != NULL) == (fuzz_views[v].count > 0));
    node_read(n, fuzz_views[v].items, fuzz_views[v].count);
    ended(n, status, fuzz_views[v].count > 0 ? fuzz_views[v].count : count, fuzz_views[v].count);
}
