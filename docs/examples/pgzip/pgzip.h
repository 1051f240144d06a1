/* pgzip.h: what the parts of pgzip share.
 *
 *   compress.c     the pipeline: read -> deflate in parallel -> write in order
 *   decompress.c   the way back, in one thread
 *   file.c         opening and writing files, and leaving nothing half done behind
 *   progress.c     the line on the terminal, and the messages
 *   pgzip.c        options, and file after file */
#ifndef PGZIP_H
#define PGZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* How it went. The numbers are the exit codes, gzip's. A function that answers FAILED or WARNED has
 * said why. */
enum verdict { DONE = 0, FAILED = 1, WARNED = 2 };

/* What the command line asks for. */
struct settings {
    unsigned    workers;    /* threads that deflate; 0: the main one does; or ASYNC_ALL_CPUS */
    size_t      block_size; /* bytes of input that are deflated as one piece */
    int         level;      /* 1 to 9 */
    bool        decompress;
    bool        to_stdout;
    bool        keep;
    bool        force;
    bool        quiet;
    bool        verbose;
    const char *output; /* NULL: named after the input */
};

struct progress {
    const char *name;
    uint64_t    total;   /* bytes; 0: not known */
    int64_t     started; /* milliseconds */
    int64_t     next;    /* when to draw */
    bool        shown;
};

/* One file, or standard input, on its way to another, or to standard output. */
struct job {
    const struct settings *settings;

    int         in;
    const char *in_name; /* for messages */
    char       *in_path; /* NULL: standard input */
    struct stat in_info;
    uint64_t    bytes_in; /* done so far */

    int         out;
    const char *out_name;  /* for messages */
    char       *out_path;  /* NULL: standard output */
    char       *temporary; /* the name of a file that is to replace another, until it is complete */
    char       *replaced;  /* its name from then on */
    uint64_t    bytes_out;

    struct progress progress;
};

/* compress.c, decompress.c: from job->in to job->out. */
enum verdict compress_job(struct job *job);
enum verdict decompress_job(struct job *job);

/* file.c */

/* Makes the signals that end a program remove the unfinished output first. */
void catch_signals(void);

/* Opens the input; "-" is standard input. */
enum verdict open_input(struct job *job, const char *path);

/* Opens the output that belongs to the input. */
enum verdict open_output(struct job *job);

/* Gives a complete output its name, mode, owner and times; removes one that failed. */
enum verdict close_output(struct job *job, enum verdict verdict);

/* Removes the input, if the output is to replace it and didn't fail. */
enum verdict remove_input(const struct job *job, enum verdict verdict);

/* Closes the input and frees what belongs to the job. */
void close_job(struct job *job);

/* Reads at least one byte; none at the end of the input. 0 or an errno. */
int read_some(int fd, void *bytes, size_t size, size_t *got);

/* Reads `size` bytes; fewer at the end of the input. 0 or an errno. */
int read_fully(int fd, void *bytes, size_t size, size_t *got);

/* Writes to the job's output. 0 or an errno. */
int write_fully(struct job *job, const void *bytes, size_t size);

/* progress.c */

/* Draws the line now and then; one thread at a time. progress_end wipes it off. */
void progress_start(struct job *job);
void progress_update(struct job *job);
void progress_end(struct job *job);

/* One line on standard error, with the program's name before it; what went wrong, or, unless they
 * were to be kept quiet, what ought to be known. */
enum verdict complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
enum verdict warn(const struct job *job, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* "NAME: reason". A broken pipe ends the program as its signal does. */
enum verdict input_failed(const struct job *job, int error);
enum verdict output_failed(const struct job *job, int error);

#endif
