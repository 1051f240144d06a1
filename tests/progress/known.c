/* known.c: the freezer proves itself on queues that are known to block: it must find points of
 * theirs. ck_ring's enqueue for several producers takes a place and then waits for those before it
 * to have published theirs; a queue with a mutex blocks while it is held. And calls that hold
 * nobody up must have none: a mutex's queue before the lock and after the unlock. */
#include "freezer.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#ifdef HAVE_CK
#include <ck_ring.h>
#endif

#define RING 1024 /* slots */

static void *const item = (void *)0x10;

/* ---- a mutex ---- */

static struct {
    pthread_mutex_t mutex;
    void           *items[RING];
    unsigned        head, tail;
} locked = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static bool locked_put(void *what)
{
    pthread_mutex_lock(&locked.mutex);
    bool room = locked.tail - locked.head < RING;
    if (room) { locked.items[locked.tail++ % RING] = what; }
    pthread_mutex_unlock(&locked.mutex);
    return room;
}

static bool locked_take(void **what)
{
    pthread_mutex_lock(&locked.mutex);
    bool any = locked.tail != locked.head;
    if (any) { *what = locked.items[locked.head++ % RING]; }
    pthread_mutex_unlock(&locked.mutex);
    return any;
}

static void locked_prepare(const struct scene *scene)
{
    locked.head = locked.tail = 0;
    for (size_t i = 0; i < scene->filled; i++) { MUST(locked_put(item)); }
}

static void locked_write(const struct scene *scene)
{
    (void)scene;
    locked_put(item);
}

static void locked_read(const struct scene *scene)
{
    void *what;
    (void)scene;
    locked_take(&what);
}

static void locked_other(const struct scene *scene, unsigned who, unsigned turn)
{
    void *what;
    (void)scene;
    (void)who;
    (void)turn;
    while (!locked_put(item)) { sched_yield(); }
    while (!locked_take(&what)) { sched_yield(); }
}

static void nothing(const struct scene *scene) { (void)scene; }

/* ---- ck_ring ---- */

#ifdef HAVE_CK
static ck_ring_t        ring;
static ck_ring_buffer_t slots[RING];

static void ring_prepare(const struct scene *scene)
{
    ck_ring_init(&ring, RING);
    for (size_t i = 0; i < scene->filled; i++) { MUST(ck_ring_enqueue_mpmc(&ring, slots, item)); }
}

static void ring_write(const struct scene *scene)
{
    (void)scene;
    (void)ck_ring_enqueue_mpmc(&ring, slots, item);
}

static void ring_other(const struct scene *scene, unsigned who, unsigned turn)
{
    void *what;
    (void)scene;
    (void)who;
    (void)turn;
    while (!ck_ring_enqueue_mpmc(&ring, slots, item)) { sched_yield(); }
    while (!ck_ring_dequeue_mpmc(&ring, slots, &what)) { sched_yield(); }
}
#endif

static const struct scene scenes[] = {
    {.operation = "mutex: put",
     .variant = "half",
     .prepare = locked_prepare,
     .call = locked_write,
     .other = locked_other,
     .finish = nothing,
     .filled = RING / 2},
    {.operation = "mutex: take",
     .variant = "half",
     .prepare = locked_prepare,
     .call = locked_read,
     .other = locked_other,
     .finish = nothing,
     .filled = RING / 2},
#ifdef HAVE_CK
    {.operation = "ck_ring mpmc: enqueue",
     .variant = "empty",
     .prepare = ring_prepare,
     .call = ring_write,
     .other = ring_other,
     .finish = nothing},
    {.operation = "ck_ring mpmc: enqueue",
     .variant = "half",
     .prepare = ring_prepare,
     .call = ring_write,
     .other = ring_other,
     .finish = nothing,
     .filled = RING / 2},
#endif
};

int main(int argc, char **argv)
{
#ifndef HAVE_CK
    printf("no ck_ring.h (package libck-dev): the queue with a mutex has to do\n");
#endif
    return freezer_main(scenes, sizeof scenes / sizeof scenes[0], SOME_BLOCK, argc, argv);
}
