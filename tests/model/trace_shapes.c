/* trace_shapes.c: a ring of events that is read while it is written round and round: what is read
 * is whole and in its order, and the rest is counted. */
#include "model.h"
#include "trace_ring.h"

#define EVENTS 3

static struct trace_ring ring;
static uint64_t          next, read;

static async_trace_event event_of(uint64_t n)
{
    return (async_trace_event){.start = n,
                               .end = n,
                               .task = n,
                               .sequence = n,
                               .items_in = n,
                               .items_out = n,
                               .worker = (uint32_t)n};
}

static void start_1(void) { EXPECT(ring_prepare(&ring, 1)); }
static void start_2(void) { EXPECT(ring_prepare(&ring, 2)); }

static void take(size_t count)
{
    async_trace_event events[EVENTS];
    size_t            got = ring_take(&ring, events, count);
    EXPECT(got <= count);
    for (size_t i = 0; i < got; i++) {
        const async_trace_event *e = &events[i];
        uint64_t                 n = e->start;
        EXPECT(e->end == n && e->task == n && e->sequence == n && e->items_in == n);
        EXPECT(e->items_out == n && e->worker == n);
        EXPECT(n >= next && n < EVENTS);
        next = n + 1;
        read++;
    }
    EXPECT(read + ring_lost(&ring) <= EVENTS);
}

static void write_and_read(unsigned thread)
{
    if (thread == 0) {
        for (uint64_t n = 0; n < EVENTS; n++) {
            async_trace_event event = event_of(n);
            ring_put(&ring, &event);
        }
    } else {
        take(1);
        take(EVENTS);
    }
}

static void all_is_counted(void)
{
    take(EVENTS);
    EXPECT(next == EVENTS); /* the newest is kept */
    EXPECT(read + ring_lost(&ring) == EVENTS);
    ring_free(&ring);
}

const struct model_shape trace_shapes[] = {
    {"trace/keeps-one", 2, 0, start_1, write_and_read, all_is_counted},
    {"trace/keeps-two", 2, 0, start_2, write_and_read, all_is_counted},
    {0},
};
