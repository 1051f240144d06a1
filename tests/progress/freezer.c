/* freezer.c: the tracer, and the world that it traces: see freezer.h.
 *
 * The tracer forks the world: a process whose first thread is the victim and which has OTHERS more.
 * The two processes share the board. A round is one point of one scene:
 *
 *     tracer                          victim                      others
 *     board->scene = …; goes on       prepare, int3               sleep
 *     … to point k, stops             call
 *     board->go + 1                                               SUCCESSES turns, done + 1
 *     waits for them; goes on         … end of call, int3
 *                                     finish, prepare, int3       sleep
 *
 * Point k is reached by single steps. To save time they begin at an instruction shortly before it,
 * to which a hardware breakpoint leads that is passed as often as need be; a first round, all
 * single steps, has written down which instructions the call executes. Where a later round arrives
 * somewhere else than the first did (the call took another way), the point is stepped to from the
 * call's beginning.
 *
 * When are the others blocked? Not by the clock, since the machine may be busy with other things:
 * when their process has used SPIN_NS of CPU time and none of them has finished a turn, thousands
 * of times what a turn takes; or when all of them that are not done sleep, which none of their
 * calls may do. */
#define _GNU_SOURCE
#include "freezer.h"
#include "traced.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SPIN_NS    150000000u
#define QUIET      6     /* looks, 2 ms apart, at which all sleep and no CPU time passes */
#define POINTS_MAX 20000 /* of one call */
#define WATCHDOG   120   /* seconds for one round */
#define SHORTER    3     /* rounds in a row that ended before the point: no more points there */
#define SHOWN      12    /* blocking points that are named, of each scene */

struct board {
    atomic_uint seized, go, done; /* futex words */
    unsigned    scene, cpu;
    atomic_uint turns[OTHERS]; /* that were finished, in all rounds */
    atomic_int  ids[OTHERS];
    atomic_uint ended[OTHERS]; /* rounds that were finished */
};

static struct board       *board;
static const struct scene *scenes;

/* ---- both ---- */

static void futex_sleep(atomic_uint *word, unsigned value, long ns)
{
    struct timespec time = {ns / 1000000000, ns % 1000000000};
    syscall(SYS_futex, word, FUTEX_WAIT, value, ns == 0 ? NULL : &time, NULL, 0);
}

static void futex_wake(atomic_uint *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* The tracer and the victim take turns: on one CPU that is quicker. It is no matter if it fails. */
static void pin(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(board->cpu, &set);
    (void)sched_setaffinity(0, sizeof set, &set);
}

/* ---- the world ---- */

void scene_failed(const char *file, int line, const char *format, ...)
{
    va_list             list;
    const struct scene *scene = &scenes[board->scene];
    va_start(list, format);
    fprintf(stderr, "%s:%d: %s, %s: ", file, line, scene->operation, scene->variant);
    vfprintf(stderr, format, list);
    fprintf(stderr, "\n");
    va_end(list);
    _exit(1);
}

/* The call, between two int3; the points lie between the labels. */
void              victim_call(const struct scene *scene, void (*call)(const struct scene *scene));
extern const char victim_begin[], victim_end[];
#ifdef __x86_64__
__asm__(".text\n"
        ".globl victim_call\n"
        ".globl victim_begin\n"
        ".globl victim_end\n"
        ".type victim_call, @function\n"
        "victim_call:\n"
        "    subq $8, %rsp\n"
        "    int3\n"
        "victim_begin:\n"
        "    callq *%rsi\n"
        "victim_end:\n"
        "    int3\n"
        "    addq $8, %rsp\n"
        "    ret\n"
        ".size victim_call, . - victim_call\n");
#else
const char victim_begin[1], victim_end[1];

void victim_call(const struct scene *scene, void (*call)(const struct scene *scene))
{
    call(scene);
}
#endif

static void first_stop(void)
{
#ifdef __x86_64__
    __asm__ volatile("int3");
#endif
}

static void *other_main(void *argument)
{
    unsigned who = (unsigned)(uintptr_t)argument, round = 0;
    atomic_store(&board->ids[who], (int)syscall(SYS_gettid));
    for (;;) {
        while (atomic_load(&board->go) == round) { futex_sleep(&board->go, round, 0); }
        round++;
        const struct scene *scene = &scenes[board->scene];
        for (unsigned turn = 0; turn < SUCCESSES; turn++) {
            scene->other(scene, who, turn);
            atomic_fetch_add(&board->turns[who], 1);
        }
        atomic_store(&board->ended[who], round);
        if (atomic_fetch_add(&board->done, 1) == OTHERS - 1) { futex_wake(&board->done); }
    }
    return NULL;
}

static _Noreturn void world(void)
{
    pthread_t thread;
    for (uintptr_t i = 0; i < OTHERS; i++) {
        if (pthread_create(&thread, NULL, other_main, (void *)i) != 0) { _exit(2); }
    }
    for (unsigned i = 0; i < OTHERS; i++) {
        while (atomic_load(&board->ids[i]) == 0) { sched_yield(); }
    }
    pin();
    while (atomic_load(&board->seized) == 0) { futex_sleep(&board->seized, 0, 0); }
    first_stop();
    for (;;) {
        const struct scene *scene = &scenes[board->scene];
        scene->prepare(scene);
        victim_call(scene, scene->call);
        scene->finish(scene);
    }
}

/* ---- the tracer ---- */

/* To the instruction after `from` instructions, where the call comes for the `times`th time, and on
 * by single steps. */
struct way {
    size_t from, times;
};

struct freezer {
    pid_t               process;
    struct traced       victim;
    unsigned            rounds;
    uintptr_t          *trace;  /* where the victim was after k instructions */
    struct way         *ways;   /* how point k is reached with the fewest stops */
    size_t              length; /* instructions of the call */
    const struct scene *scene;
    size_t              point;
    unsigned            strayed; /* points at which a round took another way than the first */
};

static struct freezer *alarmed;

static void on_alarm(int number)
{
    (void)number;
    fprintf(stderr, "freezer: %s, %s, point %zu: nothing moves for %d s\n",
            alarmed->scene->operation, alarmed->scene->variant, alarmed->point, WATCHDOG);
    process_print_threads(alarmed->process);
    kill(alarmed->process, SIGKILL);
    _exit(1);
}

static _Noreturn void gave_up(const struct freezer *f, const char *why)
{
    fprintf(stderr, "freezer: %s, %s, point %zu: %s\n", f->scene->operation, f->scene->variant,
            f->point, why);
    kill(f->process, SIGKILL);
    exit(1);
}

static bool all_asleep(const struct freezer *f)
{
    for (unsigned i = 0; i < OTHERS; i++) {
        if (atomic_load(&board->ended[i]) != f->rounds &&
            traced_state(atomic_load(&board->ids[i])) != 'S') {
            return false;
        }
    }
    return true;
}

static unsigned all_turns(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < OTHERS; i++) { sum += atomic_load(&board->turns[i]); }
    return sum;
}

static void others_start(struct freezer *f)
{
    atomic_store(&board->done, 0);
    f->rounds++;
    atomic_store(&board->go, f->rounds);
    futex_wake(&board->go);
}

static void must_be_there(const struct freezer *f, bool there)
{
    if (!there) { gave_up(f, "the test's process has ended"); }
}

/* False: they are blocked. */
static bool others_finish(const struct freezer *f)
{
    uint64_t begun = process_cpu_time(f->process), last = begun;
    unsigned quiet = 0, turns = all_turns(), done;
    while ((done = atomic_load(&board->done)) != OTHERS) {
        futex_sleep(&board->done, done, 2000000);
        uint64_t now = process_cpu_time(f->process);
        unsigned moved = all_turns();
        if (moved != turns) {
            turns = moved;
            begun = now;
        }
        if (now - begun > SPIN_NS) { return false; }
        if (now == last) { must_be_there(f, strchr("ZX?", traced_state(f->process)) == NULL); }
        quiet = now == last && all_asleep(f) ? quiet + 1 : 0;
        if (quiet == QUIET && atomic_load(&board->done) != OTHERS) { return false; }
        last = now;
    }
    return true;
}

/* From the end of the last round (or the world's beginning) to the beginning of the call. */
static void to_beginning(struct freezer *f, const struct scene *scene)
{
    alarm(WATCHDOG);
    board->scene = (unsigned)(scene - scenes);
    must_be_there(f, traced_go(&f->victim));
    if (traced_at(&f->victim) != (uintptr_t)victim_begin) { gave_up(f, "the call does not begin"); }
}

static bool at_end(const struct freezer *f)
{
    return traced_at(&f->victim) == (uintptr_t)victim_end;
}

/* From wherever it is frozen, to where the int3 behind the call has been executed. */
static void to_end(struct freezer *f)
{
    must_be_there(f, traced_go(&f->victim));
    if (traced_at(&f->victim) != (uintptr_t)victim_end + 1) { gave_up(f, "the call does not end"); }
}

/* The others' turns while the victim stands still, and then the round's end. False: it blocked
 * them. */
static bool freeze(struct freezer *f)
{
    others_start(f);
    bool free = others_finish(f);
    to_end(f);
    if (!free && !others_finish(f)) {
        process_print_threads(f->process);
        gave_up(f, "the others are stuck though the frozen thread went on");
    }
    return free;
}

/* The first round of a scene: all its steps are written down. */
static bool record(struct freezer *f)
{
    to_beginning(f, f->scene);
    for (f->length = 0; !at_end(f); f->length++) {
        if (f->length == POINTS_MAX) { gave_up(f, "the call does not end"); }
        f->trace[f->length] = traced_at(&f->victim);
        must_be_there(f, traced_step(&f->victim));
    }
    f->trace[f->length] = (uintptr_t)victim_end;
    for (size_t k = 0; k <= f->length; k++) {
        size_t times = 1;
        for (size_t i = 0; i < k; i++) { times += f->trace[i] == f->trace[k]; }
        struct way near = {k, times};
        if (k > 0 && f->ways[k - 1].times + (k - f->ways[k - 1].from) <= times) {
            near = f->ways[k - 1];
        }
        f->ways[k] = near;
    }
    f->point = f->length;
    return freeze(f);
}

/* False: the call has ended before. */
static bool step_to(struct freezer *f, size_t from, size_t point)
{
    for (; from < point; from++) {
        if (at_end(f)) { return false; }
        must_be_there(f, traced_step(&f->victim));
    }
    return true;
}

/* From the call's beginning, by the way that the first round has shown. False: it is not there. */
static bool hurry_to(struct freezer *f, size_t point)
{
    struct way way = f->ways[point];
    for (size_t i = 0; i < way.times; i++) {
        bool there;
        must_be_there(f, traced_go_to(&f->victim, f->trace[way.from], &there));
        if (!there) { return false; }
    }
    return step_to(f, way.from, point) && traced_at(&f->victim) == f->trace[point];
}

/* Freezes the victim at a point. False: the call has no such point. */
static bool play(struct freezer *f, size_t point, bool *free)
{
    f->point = point;
    to_beginning(f, f->scene);
    if (f->victim.breakpoints && point > 0) {
        if (hurry_to(f, point)) {
            *free = freeze(f);
            return true;
        }
        f->strayed++;
        if (traced_at(&f->victim) != (uintptr_t)victim_end + 1) { to_end(f); }
        others_start(f);
        if (!others_finish(f)) { gave_up(f, "the others are stuck though nobody is frozen"); }
        to_beginning(f, f->scene);
    }
    if (!step_to(f, 0, point)) {
        freeze(f);
        return false;
    }
    *free = freeze(f);
    return true;
}

struct figures {
    size_t points, blocking, strayed;
};

static double seconds_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void play_scene(struct freezer *f, struct figures *figures)
{
    double   begun = seconds_now();
    size_t   blocking[SHOWN], blocking_count = 0, points = 1;
    unsigned shorter = 0;
    f->strayed = 0;
    if (!record(f)) { blocking[blocking_count++] = f->length; }
    for (size_t k = 0; k < f->length && shorter < SHORTER; k++) {
        bool free = true;
        if (!play(f, k, &free)) {
            shorter++;
            continue;
        }
        shorter = 0;
        points++;
        if (!free) {
            if (blocking_count < SHOWN) { blocking[blocking_count] = k; }
            blocking_count++;
        }
    }
    printf("%-22s %-38s %-4s %7zu %9zu %7.1f\n", f->scene->operation, f->scene->variant,
           f->scene->row == NULL ? "F55" : f->scene->row, points, blocking_count,
           seconds_now() - begun);
    for (size_t i = 0; i < blocking_count && i < SHOWN; i++) {
        printf("    blocks after %zu instructions, at ", blocking[i]);
        traced_print_place(f->trace[blocking[i]]);
    }
    fflush(stdout);
    figures->points = points;
    figures->blocking = blocking_count;
    figures->strayed = f->strayed;
}

static int not_here(const char *why)
{
    fprintf(stderr, "skipped: no thread can be traced here: %s\n", why);
    return 77;
}

static struct freezer f;

void freezer_skip(void (*function)(void))
{
    f.victim.skipped[f.victim.skipped_count++] = (uintptr_t)function;
}

int freezer_main(const struct scene *all, size_t count, enum verdict wanted, int argc, char **argv)
{
    const char    *only = argc > 1 ? argv[1] : "", *why = "";
    struct figures sum = {0, 0, 0};
    double         begun = seconds_now();
    bool           ok = true;
    unsigned       played = 0;
    scenes = all;
    board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    f.trace = calloc(POINTS_MAX + 1, sizeof *f.trace);
    f.ways = calloc(POINTS_MAX + 1, sizeof *f.ways);
    if (board == MAP_FAILED || f.trace == NULL || f.ways == NULL) { return 2; }
    board->scene = 0;
    while (board->scene < count && strstr(all[board->scene].operation, only) == NULL &&
           strstr(all[board->scene].variant, only) == NULL) {
        board->scene++;
    }
    if (board->scene == count) {
        fprintf(stderr, "no such scene: %s\n", only);
        return 2;
    }
    board->cpu = sched_getcpu() < 0 ? 0 : (unsigned)sched_getcpu();
    traced_skip_system(&f.victim);
    f.process = fork();
    if (f.process == 0) { world(); }
    if (f.process < 0) { return not_here(strerror(errno)); }
    for (unsigned i = 0; i < OTHERS; i++) {
        while (atomic_load(&board->ids[i]) == 0) { sched_yield(); }
    }
    if (!traced_seize(&f.victim, f.process, &why)) {
        kill(f.process, SIGKILL);
        waitpid(f.process, NULL, 0);
        return not_here(why);
    }
    pin();
    alarmed = &f;
    signal(SIGALRM, on_alarm);
    f.scene = &all[board->scene];
    atomic_store(&board->seized, 1);
    futex_wake(&board->seized);
    printf("%-22s %-38s %-4s %7s %9s %7s\n", "call", "state", "row", "points", "blocking",
           "seconds");
    if (!traced_wait(&f.victim)) { gave_up(&f, "it does not begin"); }
    for (size_t i = 0; i < count; i++) {
        struct figures figures;
        if (strstr(all[i].operation, only) == NULL && strstr(all[i].variant, only) == NULL) {
            continue;
        }
        f.scene = &all[i];
        play_scene(&f, &figures);
        ok = ok &&
             (wanted == NONE_BLOCKS ? figures.blocking == 0
                                    : figures.blocking > 0 && figures.blocking < figures.points);
        sum.points += figures.points;
        sum.blocking += figures.blocking;
        sum.strayed += figures.strayed;
        played++;
    }
    alarm(0);
    kill(f.process, SIGKILL);
    printf("%u scenes, %zu points, %zu of them block; %zu were stepped to twice; %.1f s%s\n",
           played, sum.points, sum.blocking, sum.strayed, seconds_now() - begun,
           f.victim.breakpoints ? "" : "; no hardware breakpoints here");
    if (!ok) {
        printf(wanted == NONE_BLOCKS ? "FAILED: a frozen thread blocks the others\n"
                                     : "FAILED: this is known to block, and was not found to\n");
    }
    return ok ? 0 : 1;
}
