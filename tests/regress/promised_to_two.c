/* promised_to_two.c: C16. A waiting reader that had been told of its items had not taken them yet
 * when the list was looked through again, by itself on its way back or by the next write: the
 * reader behind it was told of the same ones, and under load it overtook the first.
 *
 * The first reader, of one item, is stopped at its k-th step after it was told, for every k until
 * its read is over; then a second item is written. The second reader, of two, has to wait for the
 * third: it is told of nothing as long as one of the two items is the first one's. */
#include "channel.h"
#include "pipeline.h"
#include "step.h"

static async_writer *writer;
static async_reader *reader;
static atomic_int    stop_at; /* 0: not told yet */
static atomic_bool   stopped, go_on;

static _Thread_local bool counted;
static _Thread_local int  steps;

void async_step(const char *site)
{
    (void)site;
    int at = counted ? atomic_load(&stop_at) : 0;
    if (at == 0 || ++steps != at) { return; }
    atomic_store(&stopped, true);
    while (!atomic_load(&go_on)) { sleep_us(50); }
}

static uint64_t     first_item;
static async_status first_status;

static void read_first(void *nothing)
{
    (void)nothing;
    counted = true;
    first_status = async_reader_read(reader, &first_item, 1, NULL, async_forever());
    counted = false;
}

/* False: there is no k-th step. */
static bool try_step(int k)
{
    static thread  first;
    static reading second;
    channel_of(&writer, &reader, 0, NULL);
    shared_u32 *waiting = &channel_of_reader(reader)->readers.count;
    atomic_store(&stop_at, 0);
    atomic_store(&stopped, false);
    atomic_store(&go_on, false);
    first = (thread){0};
    second = (reading){0};
    thread_start(&first, read_first, NULL);
    /* counted, and in the list, too: else the second might come before it */
    if (!UNTIL(SOON, atomic_load(waiting) == 1) || !thread_asleep(&first)) {
        give_up("the first does not wait");
    }
    reading_start(&second, reader, 2, async_forever());
    if (!UNTIL(SOON, atomic_load(waiting) == 2) || !thread_asleep(&second.thread)) {
        give_up("the second does not wait");
    }

    atomic_store(&stop_at, k);
    write_numbers(writer, 0, 1);
    if (!UNTIL(SOON, atomic_load(&stopped) || thread_ended(&first))) { give_up("not told"); }
    bool there_is = atomic_load(&stopped);
    write_numbers(writer, 1, 1);
    if (atomic_load(waiting) != 1) { give_up("step %d: the second was told of its items", k); }
    atomic_store(&go_on, true);
    thread_join(&first);
    if (first_status != ASYNC_OK || first_item != 0) { give_up("step %d: overtaken", k); }

    write_numbers(writer, 2, 1);
    thread_join(&second.thread);
    if (second.status != ASYNC_OK || second.items[0] != 1 || second.items[1] != 2) {
        give_up("step %d: the second: %s", k, async_status_name(second.status));
    }
    async_writer_release(writer);
    async_reader_release(reader);
    return there_is;
}

int main(void)
{
    int k = 1;
    while (try_step(k)) { k++; }
    if (k <= 5) { give_up("%d steps: too few", k); }
    return 0;
}
