/* crew.c: thread ids that were seen, and the context switches of threads. */
#define _GNU_SOURCE
#include "crew.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool crew_has(crew *c, pid_t id)
{
    for (unsigned i = 0; i < CREW_MAX; i++) {
        if (atomic_load(&c->ids[i]) == (int)id) { return true; }
    }
    return false;
}

void crew_note(crew *c)
{
    pid_t id = gettid();
    if (crew_has(c, id)) { return; }
    unsigned at = atomic_fetch_add(&c->count, 1);
    if (at >= CREW_MAX) { give_up("more than %d threads", CREW_MAX); }
    atomic_store(&c->ids[at], (int)id);
}

unsigned crew_size(crew *c) { return atomic_load(&c->count); }

unsigned threads_at_rest(void)
{
    static unsigned at_rest;
    if (at_rest == 0) { at_rest = thread_count(); }
    if (!UNTIL(SOON, thread_count() == at_rest)) {
        give_up("%u threads, not %u, after %d ms", thread_count(), at_rest, SOON);
    }
    return at_rest;
}

uint64_t switches_of_others(pid_t except, unsigned *threads)
{
    uint64_t sum = 0;
    unsigned count = 0;
    DIR     *dir = opendir("/proc/self/task");
    if (dir == NULL) { give_up("/proc/self/task: %s", strerror(errno)); }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        pid_t id = (pid_t)atoi(entry->d_name);
        char  path[300], line[200];
        if (id <= 0 || id == gettid() || id == except) { continue; }
        snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
        FILE *file = fopen(path, "r");
        if (file == NULL) { continue; /* the thread has ended */ }
        count++;
        while (fgets(line, sizeof line, file) != NULL) {
            unsigned long long switches;
            if (sscanf(line, "voluntary_ctxt_switches: %llu", &switches) == 1 ||
                sscanf(line, "nonvoluntary_ctxt_switches: %llu", &switches) == 1) {
                sum += switches;
            }
        }
        fclose(file);
    }
    closedir(dir);
    if (threads != NULL) { *threads = count; }
    return sum;
}

#if defined(__SANITIZE_THREAD__)
#define SANITIZER_THREAD true
#elif defined(__has_feature)
#define SANITIZER_THREAD __has_feature(thread_sanitizer)
#else
#define SANITIZER_THREAD false
#endif

bool others_stand_still(pid_t except, unsigned threads)
{
    if (SANITIZER_THREAD) {
        sleep_ms(100);
        return true;
    }
    for (unsigned i = 0; i < 3; i++) {
        sleep_ms(10);
        unsigned seen;
        uint64_t before = switches_of_others(except, &seen), cpu = cpu_ns();
        sleep_ms(100);
        uint64_t switches = switches_of_others(except, NULL) - before;
        /* A thread that spins alone on a CPU makes no switch; `except` may use a little. */
        if (seen == threads && switches == 0 && cpu_ns() - cpu < 30000000) { return true; }
    }
    return false;
}
