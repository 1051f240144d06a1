/* freezer.h: stops a thread at a STEP of the runtime's sources until it is thawed. A test includes
 * this first, then the sources that it wants to stop in, which it thereby compiles once more with
 * the hook. */
#ifndef UNIT_FREEZER_H
#define UNIT_FREEZER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define ASYNC_STEP
#include "atomic.h"
#include "os.h"

#include <string.h>

/* One thread that stops the first time it comes by `site`. */
struct freezer {
    const char *site;
    void (*body)(void *argument);
    void      *argument;
    pthread_t  thread;
    shared_u32 state; /* 0 running, 1 frozen, 2 thawed, 3 ended */
};

static _Thread_local struct freezer *freezer_own;

void async_step(const char *site)
{
    struct freezer *freezer = freezer_own;
    if (freezer == NULL || strcmp(site, freezer->site) != 0) { return; }
    freezer_own = NULL;
    store_release(&freezer->state, 1);
    while (load_acquire(&freezer->state) == 1) { os_yield(); }
}

static void *freezer_main(void *argument)
{
    struct freezer *freezer = argument;
    freezer_own = freezer;
    freezer->body(freezer->argument);
    store_release(&freezer->state, 3);
    return NULL;
}

/* Runs body(argument) in a thread of its own until it is frozen at `site`. False: it never came
 * there. */
static bool freezer_start(struct freezer *freezer, const char *site, void (*body)(void *),
                          void *argument)
{
    freezer->site = site;
    freezer->body = body;
    freezer->argument = argument;
    store_relaxed(&freezer->state, 0);
    if (pthread_create(&freezer->thread, NULL, freezer_main, freezer) != 0) { return false; }
    while (load_acquire(&freezer->state) == 0) { os_yield(); }
    return load_acquire(&freezer->state) == 1;
}

/* Lets it go on, to its end. */
static void freezer_thaw(struct freezer *freezer)
{
    store_release(&freezer->state, 2);
    pthread_join(freezer->thread, NULL);
}

#endif
