/* pin.c: see pin.h. */
#define _GNU_SOURCE

#include "pin.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The lowest CPU of the same core; the CPU itself where the system doesn't say. */
static int core_of(int cpu)
{
    char path[96];
    int  first = cpu;
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *file = fopen(path, "re");
    if (file == NULL) return cpu;
    if (fscanf(file, "%d", &first) != 1) first = cpu;
    fclose(file);
    return first;
}

bool pin_init(struct pin *pin)
{
    *pin = (struct pin){0};
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return false;
    int *cpus = calloc((size_t)CPU_COUNT(&set), sizeof *cpus);
    int *ranks = calloc((size_t)CPU_COUNT(&set), sizeof *ranks); /* the n-th of its core */
    if (cpus == NULL || ranks == NULL) {
        free(cpus);
        free(ranks);
        return false;
    }
    size_t count = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET((size_t)cpu, &set)) continue;
        int rank = 0;
        for (size_t i = 0; i < count; i++) rank += core_of(cpus[i]) == core_of(cpu);
        size_t at = count++;
        for (; at > 0 && ranks[at - 1] > rank; at--) {
            cpus[at] = cpus[at - 1];
            ranks[at] = ranks[at - 1];
        }
        cpus[at] = cpu;
        ranks[at] = rank;
    }
    free(ranks);
    *pin = (struct pin){.cpus = cpus, .count = count};
    return true;
}

void pin_free(struct pin *pin) { free(pin->cpus); }

static int ascending(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

int *pin_threads(size_t *count)
{
    *count = 0;
    DIR *folder = opendir("/proc/self/task");
    if (folder == NULL) return NULL;
    size_t               room = 64;
    int                 *threads = malloc(room * sizeof *threads);
    const struct dirent *entry;
    if (threads == NULL) {
        closedir(folder);
        return NULL;
    }
    while ((entry = readdir(folder)) != NULL) {
        int number = atoi(entry->d_name);
        if (number <= 0) continue;
        if (*count == room) {
            int *more = realloc(threads, 2 * room * sizeof *threads);
            if (more == NULL) break;
            threads = more;
            room *= 2;
        }
        threads[(*count)++] = number;
    }
    closedir(folder);
    qsort(threads, *count, sizeof *threads, ascending);
    return threads;
}

bool pin_new_threads(const struct pin *pin, const int *old, size_t old_count)
{
    size_t count, next = 0;
    int   *threads = pin_threads(&count);
    bool   done = threads != NULL && pin->count > 0;
    for (size_t i = 0; done && i < count; i++) {
        if (bsearch(&threads[i], old, old_count, sizeof *old, ascending) != NULL) continue;
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET((size_t)pin->cpus[next++ % pin->count], &one);
        done = sched_setaffinity(threads[i], sizeof one, &one) == 0;
    }
    free(threads);
    return done;
}
