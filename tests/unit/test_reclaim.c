/* test_reclaim.c: the hazard pointers of runtime/reclaim.c. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "os.h"
#include "reclaim.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct object {
    struct retired retired;
    shared_u32     freed;
};

static shared_u32 freed_count;

static void object_free(struct retired *retired)
{
    struct object *object = container_of(retired, struct object, retired);
    add_relaxed(&object->freed, 1);
    add_relaxed(&freed_count, 1);
}

static void object_retire(struct object *object)
{
    struct reclaim_record *record = reclaim_enter();
    object->retired.object = object;
    object->retired.free = object_free;
    reclaim_retire(record, &object->retired);
    reclaim_leave(record);
}

static void scan(void)
{
    struct reclaim_record *record = reclaim_enter();
    reclaim_scan(record);
    reclaim_leave(record);
}

static struct object  objects[1000];
static shared_u32     stage;
static struct object *held;

static void wait_for(uint32_t value)
{
    while (load_acquire(&stage) < value) { os_yield(); }
}

static void *holder(void *argument)
{
    struct reclaim_record *record = reclaim_enter();
    reclaim_hold(record, RECLAIM_HEAD, held);
    store_release(&stage, 1);
    wait_for(2);
    if (argument == NULL) { reclaim_hold(record, RECLAIM_HEAD, NULL); }
    reclaim_leave(record);
    store_release(&stage, 3);
    return NULL;
}

Test(reclaim, what_is_held_stays_and_all_else_is_freed)
{
    pthread_t thread;
    held = &objects[500];
    cr_assert_eq(pthread_create(&thread, NULL, holder, NULL), 0);
    wait_for(1);
    for (size_t i = 0; i < 1000; i++) { object_retire(&objects[i]); }
    scan();
    for (size_t i = 0; i < 1000; i++) {
        cr_assert_eq(load_relaxed(&objects[i].freed), i == 500 ? 0 : 1);
    }
    store_release(&stage, 2);
    wait_for(3);
    scan();
    cr_assert_eq(load_relaxed(&objects[500].freed), 1);
    pthread_join(thread, NULL);
}

Test(reclaim, the_list_is_bounded_without_a_scan_of_ones_own)
{
    for (size_t i = 0; i < 1000; i++) {
        object_retire(&objects[i]);
        cr_assert_leq(i + 1 - load_relaxed(&freed_count), 64);
    }
}

Test(reclaim, a_thread_that_ends_holds_nothing)
{
    pthread_t thread;
    held = &objects[0];
    cr_assert_eq(pthread_create(&thread, NULL, holder, &stage), 0);
    wait_for(1);
    object_retire(&objects[0]);
    scan();
    cr_assert_eq(load_relaxed(&objects[0].freed), 0);
    store_release(&stage, 2);
    pthread_join(thread, NULL);
    scan();
    cr_assert_eq(load_relaxed(&objects[0].freed), 1);
}

static struct reclaim_record *seen_record;

static void *note_record(void *argument)
{
    (void)argument;
    seen_record = reclaim_enter();
    reclaim_leave(seen_record);
    return NULL;
}

Test(reclaim, records_are_reused_after_their_threads)
{
    struct reclaim_record *first = NULL;
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        cr_assert_eq(pthread_create(&thread, NULL, note_record, NULL), 0);
        pthread_join(thread, NULL);
        if (first == NULL) { first = seen_record; }
        cr_assert_eq(seen_record, first);
    }
}

/* In the last round of destructors ThreadSanitizer takes the thread for ended. */
#if defined(__SANITIZE_THREAD__)
enum { LATE_ROUNDS = 3 };
#elif defined(__has_feature)
enum { LATE_ROUNDS = __has_feature(thread_sanitizer) ? 3 : 4 };
#else
enum { LATE_ROUNDS = 4 };
#endif

static pthread_key_t late_key;
static shared_u32    late_rounds;

static void late(void *argument)
{
    struct reclaim_record *record = reclaim_enter();
    reclaim_hold(record, RECLAIM_TAIL, (void *)&late_rounds);
    reclaim_leave(record);
    if (add_relaxed(&late_rounds, 1) + 1 < LATE_ROUNDS) { pthread_setspecific(late_key, argument); }
}
static void *ends_late(void *argument)
{
    note_record(NULL);
    pthread_setspecific(late_key, argument);
    return NULL;
}

Test(reclaim, destructors_of_a_thread_may_use_it_and_leave_nothing_behind)
{
    pthread_t thread;
    cr_assert_eq(pthread_key_create(&late_key, late), 0);
    for (int i = 0; i < 10; i++) {
        store_relaxed(&late_rounds, 0);
        cr_assert_eq(pthread_create(&thread, NULL, ends_late, &stage), 0);
        pthread_join(thread, NULL);
        cr_assert_eq(load_relaxed(&late_rounds), (uint32_t)LATE_ROUNDS);
    }
    struct reclaim_record *before = seen_record;
    cr_assert_eq(pthread_create(&thread, NULL, note_record, NULL), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(seen_record, before, "the record was not given back");
}

/* F48, M10 */
Test(reclaim, the_child_of_a_fork_goes_on_with_its_own_record)
{
    struct reclaim_record *record = reclaim_enter();
    pid_t                  child = fork();
    cr_assert(child >= 0);
    if (child == 0) {
        if (reclaim_enter() != record) { _exit(1); }
        for (size_t i = 0; i < 1000; i++) { object_retire(&objects[i]); }
        scan();
        _exit(load_relaxed(&freed_count) == 1000 ? 0 : 2);
    }
    int status = -1;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
    reclaim_leave(record);
}
