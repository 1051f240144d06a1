/* channel_history.c serial|parallel [histories] [seed]: short histories of one channel, each of
 * which must be one that a first-in first-out queue with a close could have had (linear.h).
 *
 * A history: three threads with up to four operations each, on a channel of capacity 1, 2, 3 or
 * without bound, of items that go into the queue in one word, in several, or in blocks, some of
 * them begun right before the end of a segment of the queue. Threads hold both ends, or only what
 * they need, so that a release may be the last one. When all threads sleep for good, main writes,
 * reads or closes; when they are done it reads what is left and lets go of everything. So what was
 * accepted has to come out in the history itself.
 *
 * Histories come in batches of BATCH, each in a child process and with a seed of its own, so that a
 * failing one is the same again when its batch is played again: that is tried three times. The
 * first batch is always played twice, and has to be the same (serial). */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "play.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define BATCH      100
#define PATIENCE_S 120 /* of a batch */

static schedule_mode mode;

static void overdue(int signal)
{
    static const char text[] = "channel_history: a batch does not end\n";
    (void)signal;
    (void)!write(STDERR_FILENO, text, sizeof text - 1);
    abort();
}

static void batch_child(uint64_t seed, unsigned histories, report *r)
{
    signal(SIGALRM, overdue);
    alarm(PATIENCE_S);
    schedule_start(mode, play);
    for (unsigned i = 0; i < histories && !r->failed; i++) {
        r->failed = true; /* unless it comes back */
        r->failed = !play_history(mode, seed * 1000003 + i, r);
        r->digest = (r->digest ^ history_digest(&taken)) * 31;
    }
    r->steps = schedule_steps;
    r->switches = schedule_switches;
    if (!r->failed) { schedule_stop(); }
    exit(r->failed ? 1 : 0);
}

/* In a child, whose messages are heard or not. */
static report batch(uint64_t seed, unsigned histories, bool loud)
{
    static report *shared;
    if (shared == NULL) {
        shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                      0);
        if (shared == MAP_FAILED) {
            perror("mmap");
            exit(2);
        }
    }
    *shared = (report){0};
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        if (!loud && freopen("/dev/null", "w", stderr) == NULL) { exit(3); }
        batch_child(seed, histories, shared);
    }
    int status;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    /* A sanitizer's report at the end counts too. */
    shared->failed |= !WIFEXITED(status) || WEXITSTATUS(status) != 0;
    return *shared;
}

static void add(report *sum, const report *r)
{
    sum->operations += r->operations;
    sum->overlaps += r->overlaps;
    sum->timeouts += r->timeouts;
    sum->ends += r->ends;
    sum->refusals += r->refusals;
    sum->stuck += r->stuck;
    sum->states += r->states;
    sum->steps += r->steps;
    sum->switches += r->switches;
    sum->histories += r->histories;
}

static int failed(const char *program, const report *first, uint64_t seed, unsigned histories)
{
    unsigned same = 0;
    for (unsigned i = 0; i < 3; i++) {
        report again = batch(seed, histories, false);
        same += again.failed &&
                (mode == SCHEDULE_PARALLEL ||
                 (again.histories == first->histories && again.digest == first->digest));
    }
    fprintf(stderr,
            "channel_history: seed %" PRIu64 " fails in history %u; played again it failed%s %u of "
            "3 times\nagain: %s %s %u %" PRIu64 "\n",
            seed, first->histories, mode == SCHEDULE_SERIAL ? " in the same way" : "", same,
            program, mode == SCHEDULE_SERIAL ? "serial" : "parallel", histories, seed);
    return mode == SCHEDULE_SERIAL && same != 3 ? 4 : 1;
}

int main(int argc, char **argv)
{
    if (argc < 2 || (strcmp(argv[1], "serial") != 0 && strcmp(argv[1], "parallel") != 0)) {
        fprintf(stderr, "%s serial|parallel [histories] [seed]\n", argv[0]);
        return 2;
    }
    mode = strcmp(argv[1], "serial") == 0 ? SCHEDULE_SERIAL : SCHEDULE_PARALLEL;
    uint64_t wanted = argc > 2 ? strtoull(argv[2], NULL, 0) : 10000;
    uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : schedule_now_ns() % 1000000000;
    printf("%s: %" PRIu64 " histories, seed %" PRIu64 "\n", argv[1], wanted, seed);
    report sum = {0};
    for (uint64_t played = 0; played < wanted; seed++) {
        unsigned histories = wanted - played < BATCH ? (unsigned)(wanted - played) : BATCH;
        report   r = batch(seed, histories, true);
        if (r.failed) { return failed(argv[0], &r, seed, histories); }
        if (played == 0 && mode == SCHEDULE_SERIAL &&
            batch(seed, histories, true).digest != r.digest) {
            fprintf(stderr, "channel_history: seed %" PRIu64 " gave two different runs\n", seed);
            return 1;
        }
        add(&sum, &r);
        played += histories;
    }
    printf("%u histories of %.1f operations: %.1f overlap, %" PRIu64 " time-outs, %" PRIu64
           " ends, %" PRIu64 " refused writes, %" PRIu64 " times stuck; %.0f states each",
           sum.histories, (double)sum.operations / sum.histories,
           (double)sum.overlaps / sum.histories, sum.timeouts, sum.ends, sum.refusals, sum.stuck,
           (double)sum.states / sum.histories);
    if (mode == SCHEDULE_SERIAL) {
        printf("; %.0f steps, %.0f switches each", (double)sum.steps / sum.histories,
               (double)sum.switches / sum.histories);
    }
    putchar('\n');
    if (wanted >= 1000 && (sum.overlaps < sum.histories || sum.timeouts == 0 || sum.ends == 0 ||
                           sum.refusals == 0 || (mode == SCHEDULE_SERIAL && sum.stuck == 0))) {
        fputs("channel_history: that was too tame to be a test\n", stderr);
        return 1;
    }
    return 0;
}
