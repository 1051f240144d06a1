/* stress.c */
#include "stress.h"

#include <dirent.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PATIENCE_MS 20000

static stress              *current;
static atomic_uint_fast64_t moves;
static atomic_bool          over;
static thread               watchdog;
static char                 note[1024];

void stress_moves(uint64_t items)
{
    atomic_fetch_add_explicit(&moves, items, memory_order_relaxed);
}

void stress_note(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(note, sizeof note, format, arguments);
    va_end(arguments);
}

static _Noreturn void end_badly(void)
{
    fprintf(stderr, "%s: round %" PRIu64 " of seed %" PRIu64 "; again: %s 0.1 %u %" PRIu64 "\n%s\n",
            current->name, current->rounds, current->first_seed, current->name, current->threads,
            current->seed, note);
    fflush(stderr);
    abort();
}

void stress_failed(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: ", file, line);
    (void)vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    end_badly();
}

static void watch(void *arg)
{
    (void)arg;
    uint64_t last = 0, since = now_ms();
    while (!atomic_load(&over)) {
        sleep_ms(5);
        uint64_t now = atomic_load_explicit(&moves, memory_order_relaxed);
        if (now != last) {
            last = now;
            since = now_ms();
        }
        if (now_ms() - since > PATIENCE_MS) {
            fprintf(stderr, "%s: nothing has moved for %d s\n", current->name, PATIENCE_MS / 1000);
            end_badly();
        }
    }
}

void stress_start(stress *s, const char *name, unsigned threads, int argc, char **argv)
{
    *s = (stress){.name = name, .seconds = argc > 1 ? atof(argv[1]) : 1};
    s->threads = argc > 2 ? (unsigned)atoi(argv[2]) : threads;
    if (s->threads < 1 || s->threads > STRESS_THREADS_MAX) { s->threads = threads; }
    s->first_seed = argc > 3 ? strtoull(argv[3], NULL, 0) : now_ns();
    s->end = now_ns() + (uint64_t)(s->seconds * 1e9);
    s->report = argc > 4 ? atof(argv[4]) : 0;
    printf("%s: %.1f s, %u threads, seed %" PRIu64 "\n", name, s->seconds, s->threads,
           s->first_seed);
    fflush(stdout);
    current = s;
    thread_start(&watchdog, watch, NULL);
}

/* Entries of a folder of /proc/self. */
static unsigned entries(const char *path)
{
    unsigned count = 0;
    DIR     *dir = opendir(path);
    MUST(dir != NULL);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(dir);
    return count - 1; /* the folder itself was open */
}

/* Of runtime/block.c, for programs that have the runtime's objects: what it keeps, to use again, is
 * bounded but fills slowly; the rest of what is allocated must not grow at all. */
int64_t store_default_held(void) __attribute__((weak));

/* Between two rounds the program has the main thread and the watchdog, and whatever it keeps. */
static void report_rest(stress *s)
{
    uint64_t now = now_ns();
    if (s->report <= 0 || now < s->next_report) { return; }
    s->next_report = now + (uint64_t)(s->report * 1e9);
    malloc_trim(0); /* what the C library keeps for later is not held */
    struct mallinfo2 heap = mallinfo2();
    size_t           pages = 0;
    FILE            *file = fopen("/proc/self/statm", "r");
    MUST(file != NULL && fscanf(file, "%*s %zu", &pages) == 1);
    fclose(file);
    printf("rest: %" PRIu64 " rounds, %" PRIuFAST64 " moves, %zu KiB resident, %zu allocated, "
           "%" PRId64 " of them blocks, %u threads, %u descriptors\n",
           s->rounds, atomic_load(&moves), pages * (size_t)sysconf(_SC_PAGESIZE) / 1024,
           (heap.uordblks + heap.hblkhd) / 1024,
           store_default_held != NULL ? store_default_held() / 1024 : 0, thread_count(),
           entries("/proc/self/fd"));
    fflush(stdout);
}

bool stress_next(stress *s)
{
    report_rest(s);
    if (s->seed != 0 || s->rounds != 0) {
        s->rounds++;
        if (now_ns() >= s->end) { return false; }
    }
    s->seed = s->first_seed + s->rounds;
    stress_moves(1);
    return true;
}

void stress_end(const stress *s)
{
    atomic_store(&over, true);
    thread_join(&watchdog);
    printf("%s: %" PRIu64 " rounds, %" PRIuFAST64 " moves\n", s->name, s->rounds,
           atomic_load(&moves));
}
