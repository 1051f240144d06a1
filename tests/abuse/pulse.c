/* pulse.c: see pulse.h. */
#include "pulse.h"

#include "pipeline.h"

#include <stdatomic.h>

static struct {
    thread               thread;
    atomic_bool          over;
    atomic_uint_fast64_t began_ms, late_ms; /* its present turn; the worst since it was asked */
    uint64_t             most_ms;
} pulse;

/* A turn takes two of the clock's milliseconds where it is in time. */
static uint64_t late_of(uint64_t began, uint64_t now)
{
    return now > began + 2 ? now - began - 2 : 0;
}

static void pulse_body(void *unused)
{
    (void)unused;
    while (!atomic_load(&pulse.over)) {
        uint64_t began = now_ms();
        atomic_store(&pulse.began_ms, began);
        sleep_ms(1);
        uint64_t late = late_of(began, now_ms());
        if (late > atomic_load(&pulse.late_ms)) { atomic_store(&pulse.late_ms, late); }
    }
}

void pulse_start(void)
{
    pulse.most_ms = 0;
    atomic_store(&pulse.began_ms, now_ms());
    atomic_store(&pulse.over, false);
    thread_start(&pulse.thread, pulse_body, NULL);
}

void pulse_stop(void)
{
    atomic_store(&pulse.over, true);
    thread_join(&pulse.thread);
}

uint64_t pulse_late_ms(void)
{
    uint64_t lasts = late_of(atomic_load(&pulse.began_ms), now_ms()),
             late = atomic_exchange(&pulse.late_ms, 0);
    if (lasts > late) { late = lasts; }
    if (late > pulse.most_ms) { pulse.most_ms = late; }
    return late;
}

uint64_t pulse_most_late_ms(void) { return pulse.most_ms; }
