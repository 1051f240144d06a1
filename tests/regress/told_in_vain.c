/* told_in_vain.c: a read with a deadline did not come back while another thread stood between its
 * claim, or its put, and the count of it: it was told of items that were not there, at once, again
 * and again, and never looked at its clock. Found by tests/history.
 *
 * A thread is stopped at its k-th step, for every k, in the middle of a read of a part of a run, or
 * of a write of an item that takes more than one slot; then a read with a deadline has to come
 * back. */
#include "step.h"

#include <async/async.h>

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

enum { ITEM = 12 };

static async_writer *writer;
static async_reader *reader;
static bool          writes;
static atomic_int    stop_at, stopped, go_on;

static _Thread_local bool counted;
static _Thread_local int  steps;

void async_step(const char *site)
{
    (void)site;
    if (!counted || ++steps != atomic_load(&stop_at)) { return; }
    atomic_store(&stopped, 1);
    while (!atomic_load(&go_on)) { sched_yield(); }
}

static void *other(void *argument)
{
    unsigned char item[2 * ITEM] = {0};
    (void)argument;
    counted = true;
    if (writes) {
        async_writer_write(writer, item, 1, NULL, async_now());
    } else {
        async_reader_read(reader, item, 1, NULL, async_now());
    }
    counted = false;
    atomic_fetch_add(&stopped, 2);
    return NULL;
}

/* False: there is no k-th step. */
static bool try_step(int k)
{
    pthread_t     thread;
    unsigned char items[4 * ITEM] = {0};
    size_t        got;
    assert(async_channel_create(&writer, &reader, ITEM, NULL) == ASYNC_OK);
    if (!writes) { assert(async_writer_write(writer, items, 2, NULL, async_now()) == ASYNC_OK); }
    atomic_store(&stop_at, k);
    atomic_store(&stopped, 0);
    atomic_store(&go_on, 0);
    assert(pthread_create(&thread, NULL, other, NULL) == 0);
    while (atomic_load(&stopped) == 0) { sched_yield(); }
    bool         there_is = atomic_load(&stopped) == 1;
    async_status status = async_reader_read(reader, items, 3, &got, async_within_ms(2));
    assert(status == ASYNC_TIMEOUT && got <= 2);
    status = async_reader_read(reader, items, 1, &got, async_per_item_ms(2));
    assert(status == ASYNC_OK || status == ASYNC_TIMEOUT);
    atomic_store(&go_on, 1);
    pthread_join(thread, NULL);
    async_writer_release(writer);
    async_reader_release(reader);
    return there_is;
}

int main(void)
{
    alarm(120); /* it hangs where it fails */
    for (int kind = 0; kind < 2; kind++) {
        int k = 1;
        writes = kind == 1;
        while (try_step(k)) { k++; }
        assert(k > 5);
    }
    return 0;
}
