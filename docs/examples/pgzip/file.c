/* file.c: opening and writing files, and leaving nothing half done behind.
 *
 * A new output is made under its own name, which nobody can have taken (O_EXCL). One that replaces
 * another (-f) has a temporary name until it is complete. Either is removed when anything fails,
 * and by the signals that end the program. */
#define _GNU_SOURCE

#include "pgzip.h"

#include <async/async.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ── Signals ────────────────────────────────────────────────────────────────────────────────── */

static const int ending_signals[] = {SIGHUP, SIGINT, SIGTERM, SIGXCPU, SIGXFSZ};
enum { ENDING_SIGNALS = sizeof ending_signals / sizeof *ending_signals };

/* What a signal has to remove. Only the main thread takes signals: the workers block them all. */
static const char *volatile unfinished;

static void remove_and_end(int signal_number)
{
    int saved = errno;
    if (unfinished != NULL) unlink(unfinished);
    raise(signal_number); /* on return it does what it always does (SA_RESETHAND) */
    errno = saved;
}

void catch_signals(void)
{
    struct sigaction action = {.sa_handler = remove_and_end,
                               .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    for (size_t i = 0; i < ENDING_SIGNALS; i++) sigaddset(&action.sa_mask, ending_signals[i]);
    for (size_t i = 0; i < ENDING_SIGNALS; i++) {
        struct sigaction old;
        sigaction(ending_signals[i], NULL, &old);
        if (old.sa_handler != SIG_IGN) /* nohup stays nohup */
            sigaction(ending_signals[i], &action, NULL);
    }
}

static void hold_signals(int how)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ENDING_SIGNALS; i++) sigaddset(&set, ending_signals[i]);
    sigprocmask(how, &set, NULL);
}

/* ── Names ──────────────────────────────────────────────────────────────────────────────────── */

/* FILE.gz stands for FILE, FILE.tgz for FILE.tar. */
static const struct suffix {
    const char *packed, *plain;
} suffixes[] = {
    {".gz", ""},
    {".tgz", ".tar"},
};

static const struct suffix *suffix_of(const char *path)
{
    size_t length = strlen(path);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        size_t of_suffix = strlen(suffixes[i].packed);
        if (length > of_suffix && path[length - of_suffix - 1] != '/' &&
            strcmp(path + length - of_suffix, suffixes[i].packed) == 0)
            return &suffixes[i];
    }
    return NULL;
}

/* The first `length` bytes of one and all of the other; NULL: out of memory. */
static char *join(const char *first, size_t length, const char *second)
{
    char *joined;
    return asprintf(&joined, "%.*s%s", (int)length, first, second) < 0 ? NULL : joined;
}

/* Whether the output gets a name of its own that is made from the input's. */
static bool names_output(const struct settings *settings)
{
    return !settings->to_stdout && settings->output == NULL;
}

static bool removes_input(const struct job *job)
{
    return job->in_path != NULL && names_output(job->settings) && !job->settings->keep;
}

/* ── The input ──────────────────────────────────────────────────────────────────────────────── */

static enum verdict open_stdin(struct job *job)
{
    job->in = STDIN_FILENO;
    job->in_name = "stdin";
    if (job->settings->decompress && !job->settings->force && isatty(STDIN_FILENO))
        return complain("compressed data not read from a terminal. "
                        "Use -f to force decompression.");
    return fstat(job->in, &job->in_info) == 0 ? DONE : input_failed(job, errno);
}

/* What gzip leaves alone too. */
static enum verdict check_input(const struct job *job)
{
    const struct settings *settings = job->settings;
    const char            *name = job->in_name;
    const struct suffix   *suffix = suffix_of(name);
    const struct stat     *info = &job->in_info;

    if (S_ISDIR(info->st_mode)) return warn(job, "%s is a directory -- ignored", name);
    if (!names_output(settings)) return DONE;
    if (!S_ISREG(info->st_mode))
        return warn(job, "%s is not a directory or a regular file -- ignored", name);
    if (settings->decompress && suffix == NULL)
        return warn(job, "%s: unknown suffix -- ignored", name);
    if (!settings->decompress && suffix != NULL && !settings->force)
        return warn(job, "%s already has %s suffix -- unchanged", name, suffix->packed);
    if (info->st_nlink > 1 && removes_input(job) && !settings->force)
        return warn(job, "%s has %ju other link%s -- unchanged", name,
                    (uintmax_t)info->st_nlink - 1, info->st_nlink == 2 ? "" : "s");
    return DONE;
}

enum verdict open_input(struct job *job, const char *path)
{
    if (strcmp(path, "-") == 0) return open_stdin(job);

    /* As for gunzip, FILE is also a name of FILE.gz. */
    bool without_suffix = job->settings->decompress && suffix_of(path) == NULL &&
                          access(path, F_OK) != 0 && errno == ENOENT;
    job->in_path = join(path, strlen(path), without_suffix ? ".gz" : "");
    job->in_name = job->in_path != NULL ? job->in_path : path;
    if (job->in_path == NULL) return input_failed(job, ENOMEM);

    /* A link isn't what is to be replaced. */
    int no_links = removes_input(job) && !job->settings->force ? O_NOFOLLOW : 0;
    job->in = open(job->in_path, O_RDONLY | O_CLOEXEC | no_links);
    if (job->in < 0 && errno == ELOOP && no_links)
        return warn(job, "%s is a symbolic link -- ignored", job->in_name);
    if (job->in < 0 || fstat(job->in, &job->in_info) != 0) return input_failed(job, errno);
    return check_input(job);
}

enum verdict remove_input(const struct job *job, enum verdict verdict)
{
    if (verdict == FAILED || !removes_input(job) || unlink(job->in_path) == 0) return verdict;
    return input_failed(job, errno);
}

void close_job(struct job *job)
{
    if (job->in > STDERR_FILENO) close(job->in);
    free(job->in_path);
    free(job->out_path);
    free(job->temporary);
    free(job->replaced);
}

/* ── The output ─────────────────────────────────────────────────────────────────────────────── */

static char *output_path(const struct job *job)
{
    const char          *path = job->in_path;
    const struct suffix *suffix = suffix_of(job->in_name);
    if (job->settings->output != NULL) return strdup(job->settings->output);
    if (!job->settings->decompress) return join(path, strlen(path), ".gz");
    return join(path, strlen(path) - strlen(suffix->packed), suffix->plain);
}

/* Its mode is the owner's only, until it is complete. */
static int open_new(struct job *job)
{
    job->out = open(job->out_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    if (job->out < 0) return errno;
    unfinished = job->out_path;
    return 0;
}

/* For a name that is taken: what a link points to is replaced, not the link; devices and pipes are
 * written to. */
static int open_instead(struct job *job)
{
    struct stat old;
    if (stat(job->out_path, &old) != 0) return errno;
    if (old.st_dev == job->in_info.st_dev && old.st_ino == job->in_info.st_ino)
        return EEXIST; /* the input itself */
    if (!S_ISREG(old.st_mode)) {
        job->out = open(job->out_path, O_WRONLY | O_CLOEXEC);
        return job->out < 0 ? errno : 0;
    }
    job->replaced = realpath(job->out_path, NULL);
    if (job->replaced == NULL) return errno;
    size_t folder = (size_t)(basename(job->replaced) - job->replaced);
    job->temporary = join(job->replaced, folder, ".pgzip-XXXXXX");
    if (job->temporary == NULL) return ENOMEM;
    job->out = mkostemp(job->temporary, O_CLOEXEC);
    if (job->out < 0) return errno;
    unfinished = job->temporary;
    return 0;
}

enum verdict open_output(struct job *job)
{
    const struct settings *settings = job->settings;
    if (settings->to_stdout || (settings->output == NULL && job->in_path == NULL)) {
        job->out = STDOUT_FILENO;
        job->out_name = "stdout";
        if (!settings->decompress && !settings->force && isatty(STDOUT_FILENO))
            return complain("compressed data not written to a terminal. "
                            "Use -f to force compression.");
        return DONE;
    }
    job->out_path = output_path(job);
    if (job->out_path == NULL) return input_failed(job, ENOMEM);
    job->out_name = job->out_path;

    hold_signals(SIG_BLOCK);
    int error = open_new(job);
    if (error == EEXIST && settings->force) error = open_instead(job);
    hold_signals(SIG_UNBLOCK);

    if (error == EEXIST) return warn(job, "%s already exists; not overwritten", job->out_name);
    return error == 0 ? DONE : output_failed(job, error);
}

/* Mode, owner and times of the input, as far as they can be given away. Where the group can't, its
 * permissions aren't either. */
static int copy_attributes(const struct job *job)
{
    const struct stat *from = &job->in_info;
    if (job->in_path == NULL || !S_ISREG(from->st_mode)) {
        mode_t mask = umask(0);
        umask(mask);
        return fchmod(job->out, 0666 & ~mask) == 0 ? 0 : errno;
    }
    mode_t mode = from->st_mode & 0777;
    if (fchown(job->out, (uid_t)-1, from->st_gid) != 0) mode &= ~(mode_t)S_IRWXG;
    if (fchmod(job->out, mode) != 0) return errno;
    if (fchown(job->out, from->st_uid, (gid_t)-1) != 0 && errno != EPERM) return errno;
    return futimens(job->out, (struct timespec[]){from->st_atim, from->st_mtim}) == 0 ? 0 : errno;
}

/* From here on the file is what it is to be, under the name that it is to have. */
static int complete_output(struct job *job)
{
    if (close(job->out) != 0) return errno;
    if (job->temporary != NULL && rename(job->temporary, job->replaced) != 0) return errno;
    return 0;
}

enum verdict close_output(struct job *job, enum verdict verdict)
{
    if (unfinished == NULL) { /* it isn't ours; standard output is closed once, in the end */
        if (job->out > STDERR_FILENO && close(job->out) != 0 && verdict != FAILED)
            return output_failed(job, errno);
        return verdict;
    }
    if (verdict == FAILED) {
        close(job->out);
    } else {
        int error = copy_attributes(job);
        if (error != 0)
            verdict = warn(job, "%s: mode, owner or times not kept: %s", job->out_name,
                           strerror(error));
        error = complete_output(job);
        if (error != 0) verdict = output_failed(job, error);
    }
    if (verdict == FAILED) unlink(unfinished);
    unfinished = NULL;
    return verdict;
}

/* ── Reading and writing ────────────────────────────────────────────────────────────────────── */

/* An input may be silent for long: looks now and then whether it is still wanted. */
static bool wait_for_input(int fd)
{
    struct pollfd input = {.fd = fd, .events = POLLIN};
    while (poll(&input, 1, 100) <= 0)
        if (async_stopping()) return false;
    return true;
}

int read_some(int fd, void *bytes, size_t size, size_t *got)
{
    for (;;) {
        if (!wait_for_input(fd)) return ECANCELED;
        ssize_t n = read(fd, bytes, size);
        if (n >= 0) {
            *got = (size_t)n;
            return 0;
        }
        if (errno != EINTR && errno != EAGAIN) return errno;
    }
}

int read_fully(int fd, void *bytes, size_t size, size_t *got)
{
    size_t n = 1;
    for (*got = 0; *got < size && n > 0; *got += n) {
        int error = read_some(fd, (char *)bytes + *got, size - *got, &n);
        if (error != 0) return error;
    }
    return 0;
}

int write_fully(struct job *job, const void *bytes, size_t size)
{
    size_t written = 0;
    while (written < size) {
        ssize_t n = write(job->out, (const char *)bytes + written, size - written);
        if (n > 0)
            written += (size_t)n;
        else if (n < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = job->out, .events = POLLOUT}, 1, -1);
        else if (n < 0 && errno != EINTR)
            return errno;
    }
    job->bytes_out += size;
    return 0;
}
