/* progress.c: what the user sees on standard error: the progress line and the messages.
 *
 *   words.txt   45% [===========>              ]    115.2 MiB    38.1 MiB/s     0:03 left */
#define _GNU_SOURCE

#include "pgzip.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define ERASE_LINE "\r\033[K"

enum { FIRST_AFTER = 500, THEN_EVERY = 100 }; /* milliseconds: a short run draws nothing */

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/* ── The line ───────────────────────────────────────────────────────────────────────────────── */

static size_t columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* "h:mm:ss" or "m:ss"; "-:--" where nobody can know. */
static void format_time(char *text, size_t size, double seconds)
{
    uint64_t s = seconds < 360000 ? (uint64_t)(seconds + 0.5) : UINT64_MAX;
    if (s == UINT64_MAX)
        snprintf(text, size, "-:--");
    else if (s >= 3600)
        snprintf(text, size, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, size, "%" PRIu64 ":%02" PRIu64, s / 60, s % 60);
}

/* "[====>    ]", `width` in all. */
static void format_bar(char *text, size_t width, double part)
{
    size_t inside = width - 2;
    size_t filled = (size_t)((double)inside * part);
    text[0] = '[';
    for (size_t i = 0; i < inside; i++) text[1 + i] = i < filled ? '=' : i == filled ? '>' : ' ';
    text[1 + inside] = ']';
    text[width] = '\0';
}

/* The line for a terminal of `width` columns. Where it is narrow, the bar goes first. */
static void format_line(char *line, size_t size, size_t width, const struct progress *progress,
                        uint64_t done, int64_t elapsed)
{
    enum { MIB = 1 << 20, NAME_AT_MOST = 24, BAR_AT_LEAST = 10, BAR_AT_MOST = 60 };
    double rate = (double)done * 1000 / (double)(elapsed > 0 ? elapsed : 1);
    double part = 0;
    char   percent[8] = "", figures[64], left[32] = "", bar[BAR_AT_MOST + 1] = "";

    snprintf(figures, sizeof figures, "%7.1f MiB  %6.1f MiB/s", (double)done / MIB, rate / MIB);
    if (progress->total > 0) {
        uint64_t rest = done < progress->total ? progress->total - done : 0;
        char     time[24];
        part = 1 - (double)rest / (double)progress->total;
        snprintf(percent, sizeof percent, "%3.0f%% ", part * 100);
        format_time(time, sizeof time, (double)rest / (rate > 0 ? rate : 1e-9));
        snprintf(left, sizeof left, "  %7s left", time);
    }

    int name = (int)strnlen(progress->name, NAME_AT_MOST);
    while (name > 0 && (progress->name[name] & 0xc0) == 0x80)
        name--; /* not inside a UTF-8 character */
    size_t used = (size_t)name + strlen(percent) + strlen(figures) + strlen(left) + 4;
    if (progress->total > 0 && used + BAR_AT_LEAST < width) {
        size_t room = width - used - 1;
        format_bar(bar, room < BAR_AT_MOST ? room : BAR_AT_MOST, part);
    }
    snprintf(line, size < width ? size : width, "%.*s  %s%s%s%s%s", name, progress->name, percent,
             bar, *bar != '\0' ? "  " : "", figures, left);
}

void progress_start(struct job *job)
{
    struct progress *progress = &job->progress;
    bool             in_foreground = tcgetpgrp(STDERR_FILENO) == getpgrp(); /* so a terminal, too */
    if (job->settings->quiet || !in_foreground || isatty(job->out)) return;
    *progress = (struct progress){.name = basename(job->in_name), .started = now(), .shown = true};
    progress->next = progress->started + FIRST_AFTER;
    off_t at = lseek(job->in, 0, SEEK_CUR);
    if (S_ISREG(job->in_info.st_mode) && job->in_info.st_size > at)
        progress->total = (uint64_t)(job->in_info.st_size - at);
}

void progress_update(struct job *job)
{
    struct progress *progress = &job->progress;
    int64_t          time = progress->shown ? now() : 0;
    if (!progress->shown || time < progress->next) return;
    progress->next = time + THEN_EVERY;

    char line[512];
    format_line(line, sizeof line, columns(), progress, job->bytes_in, time - progress->started);
    fprintf(stderr, "\r%s\033[K", line);
}

void progress_end(struct job *job)
{
    if (job->progress.shown) fputs(ERASE_LINE, stderr);
    job->progress.shown = false;
}

/* ── Messages ───────────────────────────────────────────────────────────────────────────────── */

static void print_message(const char *format, va_list arguments)
{
    if (isatty(STDERR_FILENO)) fputs(ERASE_LINE, stderr);
    fputs("pgzip: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
}

enum verdict complain(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    print_message(format, arguments);
    va_end(arguments);
    return FAILED;
}

enum verdict warn(const struct job *job, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (!job->settings->quiet) print_message(format, arguments);
    va_end(arguments);
    return WARNED;
}

enum verdict input_failed(const struct job *job, int error)
{
    return complain("%s: %s", job->in_name, strerror(error));
}

enum verdict output_failed(const struct job *job, int error)
{
    if (error == EPIPE)
        raise(SIGPIPE); /* a worker's write can't; comes back where the signal is ignored */
    return complain("%s: %s", job->out_name, strerror(error));
}
