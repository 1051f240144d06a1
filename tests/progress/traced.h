/* traced.h: one thread of another process under ptrace: run, stop, step, one instruction at a time.
 * The other threads of that process go on as they like: a ptrace stop is a thread's own. x86-64
 * only (on machines with load-linked and store-conditional a stepped pair never succeeds).
 *
 * Calls of the allocator and of the clock are run through: they are no steps. A system call is one
 * step. */
#ifndef PROGRESS_TRACED_H
#define PROGRESS_TRACED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SKIPPED_MAX 16

struct traced {
    pid_t     id;
    bool      breakpoints;          /* the hardware's work; without them all is stepped */
    uintptr_t skipped[SKIPPED_MAX]; /* entries of functions that are run through */
    unsigned  skipped_count;
};

/* Adds the allocator and the clock to what is run through. */
void traced_skip_system(struct traced *traced);

/* False: it is not permitted, or not to be had here; *why says so. */
bool traced_seize(struct traced *traced, pid_t id, const char **why);

/* All of these leave the thread stopped, and are called while it is. False: it has ended. */

/* Until its next int3. */
bool traced_go(struct traced *traced);
/* One instruction, or one call of a skipped function. */
bool traced_step(struct traced *traced);
/* Until it is about to execute `address` (again, if that is where it is), or its next int3; which
 * of them, *there says. */
bool traced_go_to(struct traced *traced, uintptr_t address, bool *there);
/* Where it is. */
uintptr_t traced_at(const struct traced *traced);

/* While it runs: stops it wherever it is. */
bool traced_interrupt(struct traced *traced);
/* Sets it running, and does not wait. */
void traced_release(struct traced *traced);
/* As traced_step, but where the instruction is a system call in which the thread sleeps, *stopped
 * is false, and it sleeps on: traced_interrupt, or traced_wait, is next. */
bool traced_step_or_sleep(struct traced *traced, bool *stopped);
/* Waits until it stops. */
bool traced_wait(struct traced *traced);

/* Where an address lies: the file, and the address in it as addr2line -e wants it. For a process
 * that was forked: what is there is here too. */
void traced_print_place(uintptr_t address);

/* Prints what each thread of a process is in. */
void process_print_threads(pid_t process);
/* What a process has used, ns; 0 where it is gone. */
uint64_t process_cpu_time(pid_t process);

/* What /proc says of a thread: R, S, D, t, Z …; ? where it is gone. */
char traced_state(pid_t id);

#endif
