/* memory.c: F42: memory runs out at the n-th allocation, for every n, for that one call or until it
 * comes back. A call says NO_MEMORY, repeating it succeeds, nothing is lost, leaked, or hangs.
 *
 * Arguments: [kind [N [n]]]. */
#include "trials.h"

#include "pipeline.h"

#include <inttypes.h>
#include <stdio.h>

#define PASSES 20 /* free lists fill up to a bound; a leak goes on */

/* In one process, over all n, again and again: what leaks, leaks in every pass; what is kept for
 * the next time does not. */
static uint64_t pass(const trial_kind *kind, unsigned n, bool persists, unsigned *wrong)
{
    uint64_t at = 0, failed;
    do {
        static trial     t;
        struct injection fault = {
            .fault = FAULT_MEMORY, .at = ++at, .persists = persists, .held_ms = 5};
        t = (trial){.n = n, .fault = fault};
        inject_arm(&fault);
        kind->run(&t);
        inject_recover();
        failed = inject_failed();
        const char *what = atomic_load(&t.wrong);
        if (what == NULL) { what = inject_held_on(); }
        if (what != NULL) {
            fprintf(stderr, "%s %u, allocation %" PRIu64 ", repeated: %s: %s\n", kind->name, n, at,
                    what, async_status_name(t.status));
            ++*wrong;
        }
    } while (failed > 0 && at < 10000);
    return at - 1;
}

static unsigned leaks(bool persists)
{
    unsigned wrong = 0;
    uint64_t trials = 0, began = now_ms();
    for (unsigned k = 0; trial_kind_at(k) != NULL; k++) {
        const trial_kind *kind = trial_kind_at(k);
        for (unsigned n = 0; n <= 2; n++) {
            if (!trial_chosen(kind, n)) { continue; }
            trials += pass(kind, n, persists, &wrong);
            int64_t grown = 1;
            for (unsigned i = 0; grown > 0 && i < PASSES; i++) {
                int64_t before = inject_live();
                trials += pass(kind, n, persists, &wrong);
                grown = inject_live() - before;
            }
            if (grown > 0) {
                fprintf(stderr, "%s %u: %" PRId64 " allocations more after each pass\n", kind->name,
                        n, grown);
                wrong++;
            }
        }
    }
    printf("F42 counts of allocations, %s: %" PRIu64 " trials, %u wrong, %" PRIu64 " ms\n",
           persists ? "persisting" : "once", trials, wrong, now_ms() - began);
    return wrong;
}

int main(int argc, char **argv)
{
    trial_arguments(argc, argv);
    struct injection once = {.fault = FAULT_MEMORY};
    struct injection persisting = {.fault = FAULT_MEMORY, .persists = true, .held_ms = 5};
    unsigned         failed = trial_sweep(&once, "F42 one allocation fails", false, 0);
    failed += trial_sweep(&persisting, "F42 all allocations fail from one on", false, 0);
    if (argc <= 3) { failed += leaks(false) + leaks(true); }
    return failed != 0;
}
