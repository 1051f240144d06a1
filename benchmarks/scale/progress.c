/* progress.c: see progress.h.
 *
 *   [=========>            ]  41%  0:07 left  round 3 of 7: 2 workers, chunk 64 */
#define _GNU_SOURCE

#include "progress.h"

#include "clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { BAR = 24 };

static void draw(const struct progress *progress, const char *what)
{
    double part = progress->all == 0 ? 1 : (double)progress->done / (double)progress->all;
    char   bar[BAR + 1], left[24] = "-:--", line[256];
    size_t filled = (size_t)(part * BAR);
    for (size_t i = 0; i < BAR; i++) bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
    bar[BAR] = '\0';
    if (progress->done > 0) {
        double seconds = (clock_seconds() - progress->started) * (1 - part) / part;
        int    whole = seconds < 360000 ? (int)(seconds + 0.5) : 360000;
        snprintf(left, sizeof left, "%d:%02d", whole / 60, whole % 60);
    }
    snprintf(line, sizeof line, "[%s] %3.0f%%  %s left  %s", bar, part * 100, left, what);
    struct winsize size;
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col
                                                                                  : 80;
    fprintf(stderr, "\r%.*s\033[K", columns - 1, line);
    fflush(stderr);
}

void progress_start(struct progress *progress, size_t all, bool quiet)
{
    *progress = (struct progress){
        .shown = !quiet && isatty(STDERR_FILENO) == 1, .started = clock_seconds(), .all = all};
}

void progress_step(struct progress *progress, const char *what)
{
    if (progress->shown) draw(progress, what);
    progress->done++;
}

void progress_end(struct progress *progress)
{
    if (progress->shown) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    progress->shown = false;
}
