/* steps.c: see steps.h. */
#include "steps.h"

#include "pipeline.h"

#include <string.h>

void async_step(const char *site);

static const char standing[] = "a thread follows the order";

static struct order {
    _Atomic(const char *) site; /* NULL: none; `standing`: it is followed */
    atomic_uint           left; /* threads that followed one and went on */
} orders[STEP_ROLES];

static _Thread_local unsigned own_role;

void step_role(unsigned role) { own_role = role; }

unsigned step_own_role(void) { return own_role; }

void async_step(const char *site)
{
    if (own_role >= STEP_ROLES) { return; }
    struct order *order = &orders[own_role];
    const char   *wanted = atomic_load_explicit(&order->site, memory_order_relaxed);
    if (wanted == NULL || wanted == standing || strcmp(wanted, site) != 0) { return; }
    if (!atomic_compare_exchange_strong(&order->site, &wanted, standing)) { return; }
    while (atomic_load(&order->site) == standing) { sleep_us(50); }
    atomic_fetch_add(&order->left, 1);
}

void step_order(unsigned role, const char *site) { atomic_store(&orders[role].site, site); }

bool step_stopped(unsigned role) { return atomic_load(&orders[role].site) == standing; }

bool step_await(unsigned role) { return UNTIL(SOON, step_stopped(role)); }

void step_go(unsigned role)
{
    struct order *order = &orders[role];
    unsigned      left = atomic_load(&order->left);
    if (atomic_exchange(&order->site, NULL) != standing) { return; }
    while (atomic_load(&order->left) == left) { sleep_us(20); }
}
