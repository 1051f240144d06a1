/* spun_for_the_turn.c: F38. A reader whose time is over leaves the waiters' list, which one thread
 * at a time has the turn for, and waits for the turn. It yielded the CPU between two looks; but to
 * yield is in vain where the reader is real-time and who has the turn is not, and is on the same
 * CPU: it did not get to give it back until the kernel took the CPU away from the reader.
 *
 * The hook stops another reader with the turn. The one that leaves must have slept between most of
 * its looks; the kernel counts its sleeps, and not its yields. So no real-time priority is needed,
 * and how busy the machine is does not matter. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "channel.h"
#include "pipeline.h"
#include "step.h"
#include "turn.h"

#include <string.h>
#include <sys/resource.h>

#define LOOKS 400
#define SLEPT (LOOKS / 4) /* a sleep may be over before it began */

static struct waitlist *list;
static gate             leaver, holder;
static unsigned         looks;
static long             slept;

enum role { NOBODY, LEAVES, LEFT, HOLDS };
static _Thread_local enum role role;

static long sleeps_of_thread(void)
{
    struct rusage usage;
    if (getrusage(RUSAGE_THREAD, &usage) != 0) { give_up("getrusage"); }
    return usage.ru_nvcsw;
}

void async_step(const char *site)
{
    if (role == HOLDS && atomic_load(&list->turn) == TURN_TAKEN) {
        role = NOBODY;
        gate_pass(&holder);
    } else if (role == LEAVES && strcmp(site, "thread_waiter_sleep: about to sleep") == 0) {
        gate_pass(&leaver);
        role = LEFT;
    } else if (role == LEFT && strcmp(site, "cas_acq_rel") == 0) { /* a look at the turn */
        if (looks++ == 0) { slept = -sleeps_of_thread(); }
        if (looks == LOOKS) {
            slept += sleeps_of_thread();
            gate_open(&holder);
            role = NOBODY;
        }
    }
}

typedef struct brief {
    async_reader *reader;
    enum role     role;
    async_status  status;
    thread        thread;
} brief;

static void read_briefly(void *arg)
{
    brief   *b = arg;
    uint64_t item;
    role = b->role;
    b->status = async_reader_read(b->reader, &item, 1, NULL, async_within_ms(1));
    role = NOBODY;
}

int main(void)
{
    async_writer *writer;
    async_reader *reader;
    channel_of(&writer, &reader, 0, NULL);
    list = &channel_of_reader(reader)->readers;
    brief leaves = {.reader = reader, .role = LEAVES}, holds = {.reader = reader, .role = HOLDS};
    thread_start(&leaves.thread, read_briefly, &leaves);
    gate_arrived(&leaver, 1); /* it is in the list */
    thread_start(&holds.thread, read_briefly, &holds);
    gate_arrived(&holder, 1);
    gate_open(&leaver);
    thread_join(&leaves.thread);
    thread_join(&holds.thread);
    if (leaves.status != ASYNC_TIMEOUT || holds.status != ASYNC_TIMEOUT) {
        give_up("%s and %s", async_status_name(leaves.status), async_status_name(holds.status));
    }
    if (looks != LOOKS) { give_up("it looked %u times only", looks); }
    if (slept < SLEPT) { give_up("it looked %u times and slept %ld times", looks, slept); }
    async_writer_release(writer);
    async_reader_release(reader);
    return 0;
}
