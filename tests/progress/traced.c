/* traced.c: see traced.h. */
#define _GNU_SOURCE
#include "traced.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ASLEEP 10 /* looks, a millisecond apart, at which a thread sleeps */

void traced_skip_system(struct traced *traced)
{
    /* The clock is the kernel's too: it is read in a loop that ends when no tick falls into it,
     * which may be never for who is stepped through it. */
    static const char *const names[] = {"malloc", "calloc",      "realloc",      "aligned_alloc",
                                        "free",   "malloc_trim", "clock_gettime"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        void *entry = dlsym(RTLD_NEXT, names[i]);
        if (entry != NULL && traced->skipped_count < SKIPPED_MAX) {
            traced->skipped[traced->skipped_count++] = (uintptr_t)entry;
        }
    }
}

void traced_print_place(uintptr_t address)
{
    Dl_info info;
    if (dladdr((void *)address, &info) == 0) {
        printf("0x%lx\n", (unsigned long)address);
        return;
    }
    const char *slash = strrchr(info.dli_fname, '/');
    printf("%s 0x%lx", slash == NULL ? info.dli_fname : slash + 1,
           (unsigned long)(address - (uintptr_t)info.dli_fbase));
    if (info.dli_sname != NULL) {
        printf(" (%s + 0x%lx)", info.dli_sname,
               (unsigned long)(address - (uintptr_t)info.dli_saddr));
    }
    printf("\n");
}

void process_print_threads(pid_t process)
{
    char command[400];
    snprintf(command, sizeof command,
             "for t in /proc/%d/task/*; do echo \"thread ${t##*/}: $(cut -d ' ' -f 3 $t/stat), "
             "syscall and last its stack pointer and where it is: $(cat $t/syscall)\"; done >&2; "
             "grep -F r-xp /proc/%d/maps >&2",
             (int)process, (int)process);
    if (system(command) != 0) { fprintf(stderr, "freezer: /proc cannot be read\n"); }
}

uint64_t process_cpu_time(pid_t process)
{
    clockid_t       clock;
    struct timespec time;
    if (clock_getcpuclockid(process, &clock) != 0 || clock_gettime(clock, &time) != 0) { return 0; }
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

char traced_state(pid_t id)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)id);
    FILE *file = fopen(path, "r");
    if (file == NULL) { return '?'; }
    const char *read = fgets(line, sizeof line, file);
    fclose(file);
    const char *after_name = read == NULL ? NULL : strrchr(line, ')');
    return after_name == NULL ? '?' : after_name[2];
}

#ifdef __x86_64__

static void broken(const char *what)
{
    fprintf(stderr, "freezer: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* What a stop was about. 0: a trap of ours; else the signal that the thread is to get. */
static int signal_of(int status)
{
    int number = WSTOPSIG(status);
    return number == SIGTRAP || status >> 16 != 0 ? 0 : number;
}

/* How it is set going again where a signal stopped it meanwhile. */
static bool last_stepped;
/* And how it came to its last stop. */
static int last_status;

static void resume(struct traced *traced, bool stepping, int number)
{
    last_stepped = stepping;
    if (ptrace(stepping ? PTRACE_SINGLESTEP : PTRACE_CONT, traced->id, NULL,
               (void *)(intptr_t)number) != 0 &&
        errno != ESRCH) {
        broken("ptrace");
    }
}

/* -1: it has ended. 0: nothing yet (only with WNOHANG). 1: it has stopped. */
static int wait_for(struct traced *traced, int flags)
{
    for (;;) {
        int   status;
        pid_t id = waitpid(traced->id, &status, __WALL | flags);
        if (id == 0) { return 0; }
        if (id < 0 && errno == EINTR) { continue; }
        if (id < 0) { return -1; }
        if (!WIFSTOPPED(status)) {
            if (WIFSIGNALED(status)) {
                fprintf(stderr, "freezer: the traced thread died of signal %d\n", WTERMSIG(status));
            }
            return -1;
        }
        int number = signal_of(status);
        if (number == 0) {
            last_status = status;
            return 1;
        }
        resume(traced, last_stepped, number);
    }
}

bool traced_wait(struct traced *traced) { return wait_for(traced, 0) > 0; }

bool traced_seize(struct traced *traced, pid_t id, const char **why)
{
    traced->id = id;
    traced->breakpoints = true;
    errno = 0;
    if (ptrace(PTRACE_SEIZE, id, NULL, (void *)(intptr_t)PTRACE_O_EXITKILL) != 0) {
        *why = strerror(errno);
        return false;
    }
    return true;
}

bool traced_interrupt(struct traced *traced)
{
    if (ptrace(PTRACE_INTERRUPT, traced->id, NULL, NULL) != 0) { return false; }
    /* The end of a step may come first: the interruption then comes before the next instruction. */
    bool there = traced_wait(traced);
    while (there && last_status >> 16 != PTRACE_EVENT_STOP) { there = traced_go(traced); }
    return there;
}

static uintptr_t word_of_user(const struct traced *traced, size_t offset)
{
    errno = 0;
    long word = ptrace(PTRACE_PEEKUSER, traced->id, (void *)offset, NULL);
    if (errno != 0 && errno != ESRCH) { broken("PTRACE_PEEKUSER"); }
    return (uintptr_t)word;
}

uintptr_t traced_at(const struct traced *traced)
{
    return word_of_user(traced, offsetof(struct user, regs.rip));
}

static uintptr_t stack_of(const struct traced *traced)
{
    return word_of_user(traced, offsetof(struct user, regs.rsp));
}

void traced_release(struct traced *traced) { resume(traced, false, 0); }

bool traced_go(struct traced *traced)
{
    traced_release(traced);
    return traced_wait(traced);
}

static bool set_breakpoint(struct traced *traced, uintptr_t address, bool on)
{
    /* The first debug register, and its bit in the control word: execution, one byte. */
    return ptrace(PTRACE_POKEUSER, traced->id, (void *)offsetof(struct user, u_debugreg[0]),
                  (void *)address) == 0 &&
           ptrace(PTRACE_POKEUSER, traced->id, (void *)offsetof(struct user, u_debugreg[7]),
                  (void *)(uintptr_t)(on ? 1 : 0)) == 0;
}

bool traced_go_to(struct traced *traced, uintptr_t address, bool *there)
{
    *there = false;
    if (!set_breakpoint(traced, address, true)) {
        traced->breakpoints = false;
        return true;
    }
    if (!traced_go(traced)) { return false; }
    set_breakpoint(traced, 0, false);
    *there = traced_at(traced) == address;
    return true;
}

static bool step(struct traced *traced)
{
    resume(traced, true, 0);
    return traced_wait(traced);
}

/* At the entry of a skipped function: until it has returned. */
static bool run_through(struct traced *traced)
{
    uintptr_t stack = stack_of(traced);
    errno = 0;
    uintptr_t back = (uintptr_t)ptrace(PTRACE_PEEKDATA, traced->id, (void *)stack, NULL);
    if (errno != 0) { broken("PTRACE_PEEKDATA"); }
    do {
        bool there = false;
        if (traced->breakpoints && !traced_go_to(traced, back, &there)) { return false; }
        if (!there && !step(traced)) { return false; }
    } while (traced_at(traced) != back || stack_of(traced) <= stack);
    return true;
}

static bool skips(const struct traced *traced, uintptr_t at)
{
    for (unsigned i = 0; i < traced->skipped_count; i++) {
        if (traced->skipped[i] == at) { return true; }
    }
    return false;
}

bool traced_step(struct traced *traced)
{
    if (!step(traced)) { return false; }
    return !skips(traced, traced_at(traced)) || run_through(traced);
}

bool traced_step_or_sleep(struct traced *traced, bool *stopped)
{
    resume(traced, true, 0);
    for (unsigned asleep = 0; asleep < ASLEEP;) {
        int result = wait_for(traced, WNOHANG);
        if (result < 0) { return false; }
        if (result > 0) {
            *stopped = true;
            return !skips(traced, traced_at(traced)) || run_through(traced);
        }
        if (traced_state(traced->id) == 'S') {
            struct timespec moment = {0, 1000000};
            asleep++;
            nanosleep(&moment, NULL);
        } else {
            asleep = 0;
        }
    }
    *stopped = false;
    return true;
}

#else

bool traced_seize(struct traced *traced, pid_t id, const char **why)
{
    (void)traced;
    (void)id;
    *why = "single steps are taken on x86-64 only";
    return false;
}
bool traced_go(struct traced *traced)
{
    (void)traced;
    return false;
}
bool traced_step(struct traced *traced) { return traced_go(traced); }
bool traced_go_to(struct traced *traced, uintptr_t address, bool *there)
{
    (void)address;
    *there = false;
    return traced_go(traced);
}
uintptr_t traced_at(const struct traced *traced)
{
    (void)traced;
    return 0;
}
bool traced_interrupt(struct traced *traced) { return traced_go(traced); }
void traced_release(struct traced *traced) { (void)traced; }
bool traced_step_or_sleep(struct traced *traced, bool *stopped)
{
    *stopped = false;
    return traced_go(traced);
}
bool traced_wait(struct traced *traced) { return traced_go(traced); }

#endif
