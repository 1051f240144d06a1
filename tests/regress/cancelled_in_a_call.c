/* cancelled_in_a_call.c: F52. async_pool_destroy joined the workers, and for_each slept until the
 * sink's running call was over, with functions of the C library that are cancellation points: a
 * thread that was cancelled (pthread_cancel) was unwound out of them, and left the call half done.
 * No call is a cancellation point.
 *
 * Threads begin these calls with the cancellation pending, and are to come out of them as usual. */
#include "pipeline.h"

static atomic_bool returned;

/* The thread must not be unwound behind the call either, where a sanitizer guards its frames. */
static void *call(void *argument)
{
    void (*body)(void) = *(void (**)(void))argument;
    int state;
    pthread_cancel(pthread_self());
    body();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    atomic_store(&returned, true);
    return NULL;
}

static pthread_t begin(void (**body)(void))
{
    pthread_t id;
    atomic_store(&returned, false);
    if (pthread_create(&id, NULL, call, body) != 0) { give_up("no thread"); }
    return id;
}

static void end(pthread_t id, const char *name)
{
    pthread_join(id, NULL);
    if (!atomic_load(&returned)) { give_up("a thread was unwound out of %s", name); }
}

/* ---- destroy ---- */

static async_pool   *pool;
static pthread_key_t key;

/* A worker's thread ends slowly, so that the join has to wait for it. */
static void linger(void *value)
{
    (void)value;
    sleep_ms(100);
}

static int each_lingers(const void *in, void *out, void *context)
{
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in;
    return pthread_setspecific(key, &key);
}

static void destroy(void)
{
    async_status status = async_pool_destroy(pool, ASYNC_DRAIN);
    if (status != ASYNC_OK) { give_up("destroy: %s", async_status_name(status)); }
}

static void try_destroy(void)
{
    uint64_t item;
    void (*body)(void) = destroy;
    if (pthread_key_create(&key, linger) != 0) { give_up("no key"); }
    pool = pool_of(1);
    async_reader *reader = TASK(pool, .source = range_of(0, 10), .each = each_lingers);
    if (async_reader_read(reader, &item, 1, NULL, async_forever()) != ASYNC_OK) {
        give_up("no item");
    }
    end(begin(&body), "async_pool_destroy");
    async_reader_release(reader);
    pthread_key_delete(key);
}

/* ---- for_each ---- */

static async_reader *items;
static gate          hold;

static int held(const void *some, size_t count, void *context)
{
    (void)some;
    (void)count;
    gate_pass(context);
    return ASYNC_CONTINUE;
}

static void for_each(void)
{
    async_status status = async_reader_for_each(items, held, &hold, async_forever());
    if (status != ASYNC_CANCELLED) { give_up("for_each: %s", async_status_name(status)); }
}

/* Its pool is cancelled while a worker is in the sink, which is waited for. */
static void try_for_each(void)
{
    void (*body)(void) = for_each;
    pool = pool_of(1);
    items = TASK(pool, .source = range_of(0, 10), .each = each_add_one);
    pthread_t id = begin(&body);
    gate_arrived(&hold, 1);
    if (async_pool_cancel(pool) != ASYNC_OK) { give_up("cancel"); }
    sleep_ms(100);
    gate_open(&hold);
    end(id, "async_reader_for_each");
    async_reader_release(items);
    pool_end(pool);
}

int main(void)
{
    try_destroy();
    try_for_each();
    return 0;
}
