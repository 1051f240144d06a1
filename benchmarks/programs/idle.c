/* idle.c: what the workers of an idle pool do. Makes a pool of WORKERS workers, lets it work,
 * leaves it alone for 100 ms, and then counts, over MILLISECONDS, the voluntary context switches
 * of all its other threads and the CPU time of the process. Usage: idle WORKERS MILLISECONDS;
 * prints a line of JSON. */
#define _POSIX_C_SOURCE 200809L
#include <async/async.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int increment(const void *in, void *out, void *context)
{
    (void)context;
    *(uint64_t *)out = *(const uint64_t *)in + 1;
    return 0;
}

static void must(async_status status, const char *what)
{
    if (status != ASYNC_OK) {
        fprintf(stderr, "idle: %s: %s\n", what, async_status_text(status));
        exit(1);
    }
}

static void sleep_ms(long ms)
{
    struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&time, &time) != 0)
        ;
}

static double cpu_ms(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

/* The number of this process's threads but the first, and the sum of their voluntary switches. */
static long switches(unsigned *threads)
{
    DIR *folder = opendir("/proc/self/task");
    if (folder == NULL) {
        perror("idle: /proc/self/task");
        exit(1);
    }
    long sum = 0;
    *threads = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        long id = strtol(entry->d_name, NULL, 10);
        if (id == 0 || id == (long)getpid()) continue;
        char path[64];
        snprintf(path, sizeof path, "/proc/self/task/%ld/status", id);
        FILE *file = fopen(path, "r");
        if (file == NULL) continue;
        ++*threads;
        char line[256];
        while (fgets(line, sizeof line, file) != NULL) {
            if (strncmp(line, "voluntary_ctxt_switches:", 24) == 0)
                sum += strtol(line + 24, NULL, 10);
        }
        fclose(file);
    }
    closedir(folder);
    return sum;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: idle WORKERS MILLISECONDS\n");
        return 2;
    }
    async_pool   *pool = NULL;
    async_reader *reader = NULL;
    async_source  source = async_source_range(0, 100000);
    must(async_pool_create(&pool, (unsigned)strtoul(argv[1], NULL, 10), NULL), "async_pool_create");
    must(async_pool_add_task(
             pool, &reader,
             &(async_task_options){.source = &source, .each = increment, .max_chunksize = 16}),
         "async_pool_add_task");
    static uint64_t items[50000];
    must(async_reader_read(reader, items, 50000, NULL, async_forever()), "async_reader_read");

    sleep_ms(100);
    unsigned threads = 0;
    long     switches_before = switches(&threads);
    double   cpu_before = cpu_ms();
    sleep_ms(strtol(argv[2], NULL, 10));
    double cpu_after = cpu_ms();
    long   switches_after = switches(&threads);

    printf("{\"threads\": %u, \"milliseconds\": %s, \"switches\": %ld, \"cpu_ms\": %.3f}\n",
           threads, argv[2], switches_after - switches_before, cpu_after - cpu_before);
    async_reader_release(reader);
    must(async_pool_destroy(pool, ASYNC_DROP), "async_pool_destroy");
    return 0;
}
