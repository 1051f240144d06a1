/* watchdog.c: children that are watched, and the stacks of those that hang.
 *
 * How a stack is taken: the workers of a pool block all signals, so a signal alone does not reach
 * them. The watchdog attaches to the thread with ptrace, takes one signal out of its mask, lets it
 * go and sends that signal; the handler, which was installed before the fork, notes its backtrace
 * in memory that both processes share. A thread that does not answer (in a system call that cannot
 * be interrupted, or under ThreadSanitizer, which keeps signals back) is described by what /proc
 * says of it. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "watchdog.h"

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECONDS 60
#define FRAMES  64
#define SKIPPED 77
#define FAILED  1

/* ---- in the child: the handler ---- */

static struct shared_stack {
    atomic_int count; /* -1: not noted yet */
    void      *frames[FRAMES];
} * stack;

static int stack_signal(void) { return SIGRTMAX - 1; }

static void note_stack(int signal)
{
    (void)signal;
    int saved = errno;
    atomic_store(&stack->count, backtrace(stack->frames, FRAMES));
    errno = saved;
}

static void prepare_stacks(void)
{
    if (stack == NULL) {
        stack = mmap(NULL, sizeof *stack, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                     0);
        if (stack == MAP_FAILED) {
            perror("watchdog: mmap");
            abort();
        }
    }
    void *frame;
    (void)backtrace(&frame, 1); /* loads what it needs: the handler must not */
}

static void install_handler(void)
{
    struct sigaction action = {.sa_handler = note_stack, .sa_flags = SA_RESTART};
    sigaction(stack_signal(), &action, NULL);
}

/* ---- in the watchdog: the stacks of others ---- */

static uint64_t now_in_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void pause_us(unsigned us)
{
    struct timespec pause = {.tv_nsec = (long)us * 1000};
    nanosleep(&pause, NULL);
}

/* The first line of a file of /proc, or "". */
static const char *line_of(char *line, size_t size, const char *format, int pid, int tid,
                           const char *name)
{
    char path[96];
    snprintf(path, sizeof path, format, pid, tid, name);
    line[0] = '\0';
    FILE *file = fopen(path, "re");
    if (file == NULL) { return line; }
    if (fgets(line, (int)size, file) == NULL) { line[0] = '\0'; }
    fclose(file);
    line[strcspn(line, "\n")] = '\0';
    return line;
}

/* The file that an address of a process belongs to, and where its first byte is mapped. */
static bool module_of(int pid, uintptr_t address, char *module, size_t size, uintptr_t *base)
{
    char path[64], line[4500], name[4200] = "", last[4200] = "";
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *file = fopen(path, "re");
    if (file == NULL) { return false; }
    bool      found = false;
    uintptr_t first = 0;
    while (!found && fgets(line, sizeof line, file) != NULL) {
        unsigned long start, end, offset;
        name[0] = '\0';
        if (sscanf(line, "%lx-%lx %*s %lx %*s %*s %4199[^\n]", &start, &end, &offset, name) < 3) {
            continue;
        }
        if (offset == 0 && strcmp(name, last) != 0) {
            first = start;
            strcpy(last, name);
        }
        if (address >= start && address < end) {
            found = true;
            *base = strcmp(name, last) == 0 ? first : start;
            snprintf(module, size, "%s", name);
        }
    }
    fclose(file);
    return found && module[0] == '/';
}

static void print_frame(FILE *to, int pid, unsigned number, uintptr_t address)
{
    char      module[4200] = "", command[4500], line[1024];
    uintptr_t base = 0;
    fprintf(to, "    #%-2u ", number);
    if (!module_of(pid, address, module, sizeof module, &base)) {
        fprintf(to, "%#lx\n", (unsigned long)address);
        return;
    }
    uintptr_t offset = address - base;
    /* A return address stands behind its call. */
    snprintf(command, sizeof command, "addr2line -fpi -e '%s' %#lx 2>/dev/null", module,
             (unsigned long)offset - 1);
    FILE *pipe = strchr(module, '\'') == NULL ? popen(command, "r") : NULL;
    bool  told = false;
    while (pipe != NULL && fgets(line, sizeof line, pipe) != NULL) {
        if (line[0] == '?') { continue; }
        fprintf(to, "%s%s", told ? "        " : "", line);
        told = true;
    }
    if (pipe != NULL) { pclose(pipe); }
    if (!told) { fprintf(to, "%s+%#lx\n", module, (unsigned long)offset); }
}

/* Waits for the stop of a thread that was just attached to. */
static bool stopped(pid_t tid)
{
    for (unsigned i = 0; i < 200; i++) {
        int   status;
        pid_t got = waitpid(tid, &status, __WALL | WNOHANG);
        if (got == tid) { return WIFSTOPPED(status); }
        if (got < 0) { return false; }
        pause_us(5000);
    }
    return false;
}

/* Whether the thread may be reached by the signal now. */
static bool unblock(pid_t tid)
{
    if (ptrace(PTRACE_SEIZE, tid, NULL, NULL) != 0) { return false; }
    uint64_t mask = 0;
    bool     done = ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0 && stopped(tid) &&
                ptrace(PTRACE_GETSIGMASK, tid, (void *)sizeof mask, &mask) == 0;
    mask &= ~(UINT64_C(1) << (stack_signal() - 1));
    done = done && ptrace(PTRACE_SETSIGMASK, tid, (void *)sizeof mask, &mask) == 0;
    ptrace(PTRACE_DETACH, tid, NULL, NULL);
    return done;
}

static void print_thread(FILE *to, int pid, int tid)
{
    char line[512];
    fprintf(to, "  thread %d (%s)\n", tid,
            line_of(line, sizeof line, "/proc/%d/task/%d/%s", pid, tid, "comm"));
    atomic_store(&stack->count, -1);
    if (unblock(tid) && syscall(SYS_tgkill, pid, tid, stack_signal()) == 0) {
        for (unsigned i = 0; i < 200 && atomic_load(&stack->count) < 0; i++) { pause_us(5000); }
    }
    int count = atomic_load(&stack->count);
    for (int i = 2; i < count; i++) { /* without the handler and its return */
        print_frame(to, pid, (unsigned)i - 2, (uintptr_t)stack->frames[i]);
    }
    if (count >= 0) { return; }
    fprintf(to, "    did not answer; state: %s\n",
            line_of(line, sizeof line, "/proc/%d/task/%d/%s", pid, tid, "stat"));
    fprintf(to, "    system call: %s\n",
            line_of(line, sizeof line, "/proc/%d/task/%d/%s", pid, tid, "syscall"));
    fprintf(to, "    waits in: %s\n",
            line_of(line, sizeof line, "/proc/%d/task/%d/%s", pid, tid, "wchan"));
}

/* Calls f for each number that names an entry of a folder. */
static void each_number(FILE *to, const char *path, int pid,
                        void (*f)(FILE *to, int pid, int number))
{
    DIR *folder = opendir(path);
    if (folder == NULL) { return; }
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        int number = atoi(entry->d_name);
        if (number > 0) { f(to, pid, number); }
    }
    closedir(folder);
}

static void print_process(FILE *to, int group, int pid)
{
    char path[64];
    if (getpgid(pid) != group) { return; }
    fprintf(to, " process %d\n", pid);
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    each_number(to, path, pid, print_thread);
}

static void print_group(FILE *to, int group)
{
    kill(-group, SIGCONT); /* a thread that is stopped does not answer */
    each_number(to, "/proc", group, print_process);
    fflush(to);
}

/* ---- one child ---- */

static char *contents(int file)
{
    off_t size = lseek(file, 0, SEEK_END);
    char *text = calloc(1, (size_t)(size < 0 ? 0 : size) + 1);
    if (text != NULL && size > 0 && pread(file, text, (size_t)size, 0) < 0) { text[0] = '\0'; }
    return text;
}

static pid_t start(void (*body)(void *), void *argument, int output)
{
    pid_t parent = getpid();
    fflush(NULL);
    pid_t child = fork();
    if (child < 0) {
        perror("watchdog: fork");
        abort();
    }
    if (child > 0) {
        setpgid(child, child); /* in both, so that it is done when either goes on */
        return child;
    }
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) { _exit(FAILED); }
    install_handler();
    if (output >= 0) {
        dup2(output, STDERR_FILENO);
        close(output);
    }
    body(argument);
    exit(0);
}

child_end child_run(void (*body)(void *), void *argument, const child_options *options)
{
    child_options o = options == NULL ? (child_options){0} : *options;
    if (o.report == NULL) { o.report = stderr; }
    if (o.seconds == 0) { o.seconds = SECONDS; }
    prepare_stacks();
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* what the child leaves behind is waited for, too */
    int       output = o.capture ? memfd_create("stderr", MFD_CLOEXEC) : -1;
    pid_t     child = start(body, argument, output);
    child_end end = {.code = -1};
    uint64_t  last = now_in_ms() + (uint64_t)o.seconds * 1000;
    unsigned  us = 50;
    for (;;) {
        int   status;
        pid_t got = waitpid(-child, &status, WNOHANG);
        if (got < 0 && errno == ECHILD) { break; }
        if (got == child) {
            end.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
            end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
        }
        if (got == 0 && now_in_ms() >= last && !end.hung) {
            end.hung = true;
            fprintf(o.report, "watchdog: not over after %u s; all stacks:\n", o.seconds);
            print_group(o.report, child);
            kill(-child, SIGKILL);
        }
        if (got == 0) {
            pause_us(us);
            us += us < 2000 ? us / 2 : 0; /* there are programs of thousands of short children */
        }
    }
    if (output >= 0) {
        end.said = contents(output);
        close(output);
    }
    return end;
}

/* ---- a program of them ---- */

static void run_case(void *argument)
{
    const watched *one = argument;
    one->body();
}

/* 0, FAILED or SKIPPED. */
static int try_case(const watched *one)
{
    child_options options = {.seconds = one->seconds,
                             .capture = one->signal != 0 || one->says != NULL};
    uint64_t      began = now_in_ms();
    child_end     end = child_run(run_case, (void *)(uintptr_t)one, &options);
    double        seconds = (double)(now_in_ms() - began) / 1000;
    const char   *why = NULL;
    if (end.hung) {
        why = "hung";
    } else if (one->signal != 0 ? end.signal != one->signal
                                : end.code != 0 && end.code != SKIPPED) {
        why = "ended the wrong way";
    } else if (one->says != NULL && (end.said == NULL || strstr(end.said, one->says) == NULL)) {
        why = "did not say what it must";
    }
    if (why != NULL && end.said != NULL) { fprintf(stderr, "%s", end.said); }
    free(end.said);
    if (why != NULL) {
        printf("FAILED %s: %s (exit status %d, signal %d; %.2f s)\n", one->name, why, end.code,
               end.signal, seconds);
    } else {
        printf("%-6s %s (%.2f s)\n", end.code == SKIPPED ? "skip" : "ok", one->name, seconds);
    }
    fflush(stdout);
    return why != NULL ? FAILED : end.code == SKIPPED ? SKIPPED : 0;
}

static bool chosen(int argc, char **argv, const char *name)
{
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], name, strlen(argv[i])) == 0) { return true; }
    }
    return argc < 2;
}

int watched_main(int argc, char **argv, const watched *cases, size_t count)
{
    unsigned ran = 0, failed = 0, skipped = 0;
    for (size_t i = 0; i < count; i++) {
        if (argc > 1 && strcmp(argv[1], "-l") == 0) {
            puts(cases[i].name);
        } else if (chosen(argc, argv, cases[i].name)) {
            int result = try_case(&cases[i]);
            ran++;
            failed += result == FAILED;
            skipped += result == SKIPPED;
        }
    }
    if (argc > 1 && strcmp(argv[1], "-l") == 0) { return 0; }
    printf("%u cases, %u failed, %u skipped\n", ran, failed, skipped);
    if (ran == 0) { return FAILED; } /* no test passes by a misspelt name */
    return failed > 0 ? FAILED : skipped == ran ? SKIPPED : 0;
}

/* ---- inside a child ---- */

static void say(const char *format, va_list arguments)
{
    char   text[1024];
    int    length = vsnprintf(text, sizeof text - 1, format, arguments);
    size_t used = length < 0                         ? 0
                  : (size_t)length < sizeof text - 1 ? (size_t)length
                                                     : sizeof text - 2;
    text[used] = '\n';
    /* Not stdio: another thread may have been in it when this process was forked. */
    ssize_t written = write(STDERR_FILENO, text, used + 1);
    (void)written;
}

void watched_skip(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(format, arguments);
    va_end(arguments);
    _exit(SKIPPED);
}

void watched_failed(const char *file, int line, const char *format, ...)
{
    char place[1024];
    snprintf(place, sizeof place, "%s:%d: %s", file, line, format);
    va_list arguments;
    va_start(arguments, format);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    say(place, arguments);
#pragma GCC diagnostic pop
    va_end(arguments);
    _exit(FAILED);
}
