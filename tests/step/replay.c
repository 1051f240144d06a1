/* replay.c: F65. A seed of the STEP hook replays: with turns, the same execution three times out of
 * three, step by step, with the same results; and other seeds give other executions. With delays,
 * every item arrives exactly once.
 *
 * Arguments: [seconds] [threads] [seed]. */
#define _GNU_SOURCE
#include "queue.h"
#include "step.h"
#include "stress.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EACH 6 /* items of a writer */

struct play {
    struct queue queue;
    unsigned     writers;
    uint64_t     got[STEP_THREADS][STEP_THREADS * EACH]; /* by reader */
    unsigned     count[STEP_THREADS];
};

struct player {
    struct play *play;
    unsigned     number;
    thread       thread;
};

static void body(void *argument)
{
    struct player *player = argument;
    struct play   *play = player->play;
    unsigned       me = player->number;
    step_enter(me);
    if (me < play->writers) {
        for (uint64_t i = 0; i < EACH; i++) {
            uint64_t item = me * EACH + i;
            MUST_EQ(queue_put_word(&play->queue, item), QUEUE_OK);
        }
    } else {
        for (unsigned i = 0; i < 2 * EACH; i++) {
            uint64_t item;
            bool     end;
            if (queue_read_word(&play->queue, &item, &end) == 1) {
                play->got[me][play->count[me]++] = item;
            }
        }
    }
    step_leave();
}

/* What happened, as one number: who got what, and the steps. */
static uint64_t round_of(enum step_mode mode, unsigned threads, uint64_t seed)
{
    static struct play play;
    play = (struct play){.writers = (threads + 1) / 2};
    MUST(queue_init(&play.queue, sizeof(uint64_t)));
    step_begin(mode, threads, seed);
    struct player players[STEP_THREADS];
    for (unsigned i = 0; i < threads; i++) {
        players[i] = (struct player){.play = &play, .number = i};
        thread_start(&players[i].thread, body, &players[i]);
    }
    for (unsigned i = 0; i < threads; i++) { thread_join(&players[i].thread); }
    uint64_t what = step_end();

    bool     seen[STEP_THREADS * EACH] = {false};
    unsigned count = 0;
    for (unsigned i = play.writers; i < threads; i++) {
        uint64_t last[STEP_THREADS] = {0};
        for (unsigned j = 0; j < play.count[i]; j++) {
            uint64_t item = play.got[i][j], writer = item / EACH;
            MUST(!seen[item] && item + 1 > last[writer]);
            seen[item] = true;
            last[writer] = item + 1;
            what = (what ^ (item * STEP_THREADS + i)) * 0x100000001b3u;
            count++;
        }
    }
    uint64_t item;
    while (queue_read_word(&play.queue, &item, NULL) == 1) {
        MUST(!seen[item]);
        seen[item] = true;
        count++;
    }
    MUST_EQ(count, play.writers * EACH);
    queue_destroy(&play.queue);
    stress_moves(count);
    return what;
}

/* The same, in a process of its own. */
static uint64_t replayed(unsigned threads, uint64_t seed)
{
    char    command[4096 + 64], answer[64] = "";
    ssize_t length = readlink("/proc/self/exe", command, 4096);
    MUST(length > 0);
    snprintf(command + length, 64, " replay %u %" PRIu64, threads, seed);
    FILE *output = popen(command, "r");
    MUST(output != NULL);
    MUST(fgets(answer, sizeof answer, output) != NULL);
    MUST_EQ(pclose(output), 0);
    return strtoull(answer, NULL, 10);
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "replay") == 0) {
        printf("%" PRIu64 "\n",
               round_of(STEP_TURNS, (unsigned)atoi(argv[2]), strtoull(argv[3], NULL, 10)));
        return 0;
    }
    stress s;
    stress_start(&s, "step_replay", 3, argc, argv);
    unsigned threads = s.threads < 2 ? 2 : s.threads > 8 ? 8 : s.threads;
    uint64_t before = 0, different = 0, rounds = 0;
    while (stress_next(&s)) {
        uint64_t first = replayed(threads, s.seed);
        for (int again = 0; again < 2; again++) { MUST_EQ(replayed(threads, s.seed), first); }
        different += first != before;
        before = first;
        rounds++;
        round_of(STEP_DELAYS, threads, s.seed);
        MUST(step_count() > 50);
    }
    MUST(different + rounds / 100 >= rounds);
    stress_end(&s);
    return 0;
}
