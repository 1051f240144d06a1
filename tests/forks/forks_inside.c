/* forks_inside.c: fork() from inside functions: F49 (M10). */
#include "fork_cases.h"

/* ---- F49: from inside ---- */

typedef struct forker {
    uint64_t at;                    /* the item at which to fork */
    void (*body)(struct forker *f); /* what the child does; then its function returns */
    pid_t       child, parent;
    async_pool *pool;
    bool        worker; /* forked by a worker: it ends with the function */
} forker;

static int forks_at(const void *in, void *out, void *context)
{
    forker *f = context;
    *(uint64_t *)out = *(const uint64_t *)in + 1;
    if (*(const uint64_t *)in == f->at && getpid() == f->parent && fork_here(&f->child)) {
        f->body(f);
    }
    return 0;
}

static int next_forks(void *items, size_t count, size_t *got, void *context)
{
    forker *f = context;
    for (*got = 0; *got < count; ++*got) { ((uint64_t *)items)[*got] = f->at; }
    if (getpid() == f->parent && f->child == 0 && fork_here(&f->child)) { f->body(f); }
    return 0;
}

static void just_returns(forker *f) { (void)f; }

static void uses_the_rest(forker *f)
{
    uint64_t items[5];
    WANT_EQ(thread_count(), 1);
    WANT_EQ(async_pool_size(f->pool), 0);
    WANT_STATUS(async_pool_destroy(f->pool, ASYNC_DRAIN), ASYNC_DEADLOCK);
    async_reader *r = TASK(f->pool, .source = range_of(0, 10), .each = each_add_one);
    WANT_READ(r, items, 5, async_forever(), ASYNC_OK, 5);
    async_reader_release(r);
    new_pools_work(1);
}

static void exits_inside(forker *f)
{
    (void)f;
    exit(0);
}

static void from_inside(unsigned n, void (*body)(forker *f), bool source)
{
    uint64_t items[20];
    forker   f = {.at = 5, .body = body, .parent = getpid(), .pool = pool_of(n), .worker = n > 0};
    async_source  from = async_source_from(next_forks, &f, sizeof(uint64_t));
    async_reader *a = source ? TASK(f.pool, .source = &from, .max_chunksize = 4)
                             : TASK(f.pool, .source = range_of(0, 100), .each = forks_at,
                                    .context = &f, .max_chunksize = 4, .order = ASYNC_ORDERED);
    async_reader *b = TASK(f.pool, .input = a, .each = each_add_one, .max_chunksize = 3);
    async_reader *other = TASK(f.pool, .source = range_of(0, 100), .each = each_add_one);
    size_t        got = 0;
    async_status  status = async_reader_read(b, items, 20, &got, async_forever());
    if (getpid() != f.parent) { /* N = 0: this very thread */
        WANT_EQ(n, 0);
        WANT_STATUS(status, ASYNC_CANCELLED);
        WANT_READ(a, items, 1, async_forever(), ASYNC_CANCELLED, 0);
        WANT_READ(other, items, 10, async_forever(), ASYNC_OK, 10);
        async_reader_release(a);
        async_reader_release(b);
        async_reader_release(other);
        WANT_EQ(async_pool_num_tasks(f.pool), 0);
        pool_end(f.pool);
        new_pools_work(1);
        exit(0);
    }
    WANT_STATUS(status, ASYNC_OK);
    WANT_EQ(got, 20);
    wait_for(f.child);
    async_reader_release(a);
    async_reader_release(b);
    async_reader_release(other);
    pool_end(f.pool);
}

static void f49_function(void)
{
    for (unsigned n = 0; n <= (OTHERS_MAY_ALLOCATE ? 4 : 1); n++) {
        from_inside(n, just_returns, false);
        from_inside(n, uses_the_rest, false);
        from_inside(n, exits_inside, false);
    }
}

static void f49_source(void)
{
    for (unsigned n = 0; n <= (OTHERS_MAY_ALLOCATE ? 4 : 1); n++) {
        from_inside(n, just_returns, true);
        from_inside(n, uses_the_rest, true);
        from_inside(n, exits_inside, true);
    }
}

/* In a function that was called while another one of this thread waits, in a sink, and with pools
 * being drained. */
typedef struct nested {
    async_reader *inner;
    forker        forker;
} nested;

static int reads_inner(const void *in, void *out, void *context)
{
    nested      *s = context;
    uint64_t     item;
    async_status status = async_reader_read(s->inner, &item, 1, NULL, async_forever());
    WANT_STATUS(status, getpid() == s->forker.parent ? ASYNC_OK : ASYNC_CANCELLED);
    *(uint64_t *)out = *(const uint64_t *)in;
    return 0;
}

static int sink_forks(const void *items, size_t count, void *context)
{
    (void)items;
    (void)count;
    forker *f = context;
    if (getpid() == f->parent && f->child == 0) { (void)fork_here(&f->child); }
    return ASYNC_CONTINUE;
}

static void f49_nested(void)
{
    for (unsigned n = 0; n <= 1; n++) {
        uint64_t    items[10];
        async_pool *pool = pool_of(n);
        nested s = {.forker = {.at = 3, .body = just_returns, .parent = getpid(), .pool = pool}};
        s.inner = TASK(pool, .source = range_of(0, 100), .each = forks_at, .context = &s.forker,
                       .max_chunksize = 1);
        async_reader *r = TASK(pool, .source = range_of(0, 100), .each = reads_inner, .context = &s,
                               .max_chunksize = 1);
        async_status  status = async_reader_read(r, items, 10, NULL, async_forever());
        WANT_STATUS(status, getpid() == s.forker.parent ? ASYNC_OK : ASYNC_CANCELLED);
        async_reader_release(r);
        async_reader_release(s.inner);
        pool_end(pool);
        if (getpid() != s.forker.parent) { exit(0); }
        wait_for(s.forker.child);
    }
}

static void f49_sink(void)
{
    for (unsigned n = 0; n <= (OTHERS_MAY_ALLOCATE ? 2 : 1); n++) {
        async_pool   *pool = pool_of(n);
        forker        f = {.parent = getpid(), .pool = pool};
        async_reader *r = TASK(pool, .source = range_of(0, 1000), .each = each_add_one,
                               .max_chunksize = 10);
        async_status  status = async_reader_for_each(r, sink_forks, &f, async_forever());
        WANT_STATUS(status, getpid() == f.parent ? ASYNC_OK : ASYNC_CANCELLED);
        async_reader_release(r);
        pool_end(pool);
        if (getpid() != f.parent) { exit(0); }
        wait_for(f.child);
    }
}

static const watched cases[] = {
    {.name = "F49_in_a_function", .body = f49_function},
    {.name = "F49_in_a_source", .body = f49_source},
    {.name = "F49_while_another_function_waits", .body = f49_nested},
    {.name = "F49_in_a_sink", .body = f49_sink},
};

int main(int argc, char **argv)
{
    if (!CHILDREN_MAY_START_THREADS) {
        puts("forks: ThreadSanitizer does not support threads in the child of a process with "
             "threads");
        return 77;
    }
    return WATCHED_MAIN(argc, argv, cases);
}
