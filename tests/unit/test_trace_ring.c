/* test_trace_ring.c: the ring of runtime/trace_ring.c: wraps, what is kept and what is lost, and a
 * reader beside the writer. */
#include "trace_ring.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };

/* Event n: each field says so. */
static async_trace_event event_of(uint64_t n)
{
    return (async_trace_event){.start = n,
                               .end = n * 3 + 1,
                               .task = ~n,
                               .sequence = n << 20,
                               .items_in = n ^ UINT64_C(0x5555555555555555),
                               .items_out = n * UINT64_C(0x9e3779b97f4a7c15),
                               .worker = (uint32_t)(n * 7),
                               .kind = (uint16_t)(n % 4),
                               .waited_for = (uint16_t)(n % 65521)};
}

static bool is_whole(const async_trace_event *event)
{
    async_trace_event wanted = event_of(event->start);
    return memcmp(event, &wanted, sizeof wanted) == 0;
}

static void put_next(struct trace_ring *ring, uint64_t *next)
{
    async_trace_event event = event_of((*next)++);
    ring_put(ring, &event);
}

/* Every size, all numbers of events put since the last look and taken then: across the wrap of the
 * slots again and again, beside an account of what must be there. */
Test(trace_ring, keeps_the_newest_of_every_size)
{
    for (size_t size = 1; size <= 5; size++) {
        static struct trace_ring ring;
        cr_assert(ring_prepare(&ring, size));
        uint64_t put = 0, read = 0, lost = 0;
        for (unsigned round = 0; round < 500; round++) {
            unsigned puts = round * 17 % (2 * (unsigned)size + 3), count = round * 5 % 7;
            for (unsigned i = 0; i < puts; i++) { put_next(&ring, &put); }
            async_trace_event events[MOST];
            if (put - read > size) {
                lost += put - read - size;
                read = put - size;
            }
            size_t wanted = put - read < count ? put - read : count;
            cr_assert_eq(ring_take(&ring, events, count), wanted, "size %zu, round %u", size,
                         round);
            for (size_t i = 0; i < wanted; i++) {
                cr_assert(is_whole(&events[i]) && events[i].start == read + i);
            }
            read += wanted;
            cr_assert_eq(ring_lost(&ring), lost);
        }
        cr_assert_gt(lost, 0);
        ring_free(&ring);
    }
}

/* The count of events is 64 bits wide, and of no ring a multiple. */
Test(trace_ring, goes_on_where_32_bits_end)
{
    static struct trace_ring ring;
    async_trace_event        events[MOST];
    cr_assert(ring_prepare(&ring, 3));
    uint64_t put = (UINT64_C(1) << 32) - 2;
    store_relaxed(&ring.head, put);
    ring.next = put;
    ring.at = put % 4;
    for (unsigned i = 0; i < 10; i++) {
        uint64_t first = put;
        put_next(&ring, &put);
        put_next(&ring, &put);
        cr_assert_eq(ring_take(&ring, events, MOST), 2);
        cr_assert(is_whole(&events[0]) && events[0].start == first);
        cr_assert(is_whole(&events[1]) && events[1].start == first + 1);
    }
    cr_assert_eq(ring_lost(&ring), 0);
    ring_free(&ring);
}

Test(trace_ring, one_that_keeps_none_counts)
{
    static struct trace_ring ring;
    async_trace_event        events[MOST];
    uint64_t                 put = 0;
    for (unsigned i = 0; i < 5; i++) { put_next(&ring, &put); }
    cr_assert_eq(ring_take(&ring, events, MOST), 0);
    cr_assert_eq(ring_lost(&ring), 5);
    cr_assert_not(ring_prepare(&ring, SIZE_MAX));
    cr_assert_not(ring_prepare(&ring, SIZE_MAX / 8));
    put_next(&ring, &put);
    cr_assert_eq(ring_take(&ring, events, MOST), 0);
}

Test(trace_ring, prepared_again_it_is_empty)
{
    static struct trace_ring ring;
    async_trace_event        events[MOST];
    for (size_t size = 4; size < 7; size++) {
        for (unsigned again = 0; again < 2; again++) {
            uint64_t put = 0;
            cr_assert(ring_prepare(&ring, size));
            cr_assert_eq(ring_take(&ring, events, MOST), 0);
            cr_assert_eq(ring_lost(&ring), 0);
            for (unsigned i = 0; i < 9; i++) { put_next(&ring, &put); }
            cr_assert_eq(ring_take(&ring, events, 2), 2);
            cr_assert_eq(events[0].start, 9 - size);
        }
    }
    ring_free(&ring);
}

struct writing {
    struct trace_ring *ring;
    uint64_t           events, *put;
    shared_u32         done;
};

static void *write_all(void *argument)
{
    struct writing *w = argument;
    while (*w->put < w->events) { put_next(w->ring, w->put); }
    store_release(&w->done, 1);
    return NULL;
}

/* A reader beside a writer that laps it: each event is whole, and later than the one before; none
 * is missing but those that are counted. */
Test(trace_ring, no_event_is_torn, .timeout = 60)
{
    static const size_t sizes[] = {1, 2, 7, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        static struct trace_ring ring;
        uint64_t                 put = 0, read = 0, next = 0;
        struct writing           w = {.ring = &ring, .events = 300000, .put = &put};
        pthread_t                thread;
        cr_assert(ring_prepare(&ring, sizes[s]));
        cr_assert_eq(pthread_create(&thread, NULL, write_all, &w), 0);
        for (bool last = false; !last;) {
            async_trace_event events[MOST];
            last = load_acquire(&w.done) != 0;
            for (size_t got; (got = ring_take(&ring, events, MOST)) > 0;) {
                for (size_t i = 0; i < got; i++) {
                    cr_assert(is_whole(&events[i]), "event %llu is not whole",
                              (unsigned long long)events[i].start);
                    cr_assert(events[i].start >= next);
                    next = events[i].start + 1;
                }
                read += got;
            }
            cr_assert_leq(read + ring_lost(&ring), w.events);
        }
        pthread_join(thread, NULL);
        cr_assert_eq(next, w.events);
        cr_assert_eq(read + ring_lost(&ring), w.events);
        ring_free(&ring);
    }
}
