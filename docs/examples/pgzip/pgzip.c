/* pgzip.c: a gzip that uses all CPUs. Options, and file after file. */
#define _GNU_SOURCE

#include "pgzip.h"

#include <async/async.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static const char help[] =
    "Usage: pgzip [OPTION]... [FILE]...\n"
    "Compress FILEs in place, deflating on all CPUs, or decompress them.\n"
    "\n"
    "  -1, --fast          compress faster\n"
    "  -9, --best          compress better; -6 lies between and is the default\n"
    "  -b, --blocksize=KIB deflate pieces of this many KiB (1 to 65536; 128)\n"
    "  -c, --stdout        write on standard output, keep the FILEs\n"
    "  -d, --decompress    decompress\n"
    "  -f, --force         overwrite outputs, compress links, use a terminal for data\n"
    "  -h, --help          give this help\n"
    "  -k, --keep          keep the FILEs\n"
    "  -o, --output=OUT    write to OUT, keep the FILE\n"
    "  -p, --processes=N   use N worker threads (0 to 1024; as many as there are CPUs);\n"
    "                      0: the main thread does the work\n"
    "  -q, --quiet         no warnings and no progress line\n"
    "  -v, --verbose       name each FILE and how much smaller it became\n"
    "  -V, --version       give the version\n"
    "\n"
    "With no FILE, or when FILE is -, read standard input and write standard output.\n"
    "The exit code is 0, 1 for an error, 2 for a warning.\n";

static const char short_options[] = "123456789b:cdfhko:p:qvV";

static const struct option long_options[] = {
    {"fast", no_argument, NULL, '1'},
    {"best", no_argument, NULL, '9'},
    {"blocksize", required_argument, NULL, 'b'},
    {"stdout", no_argument, NULL, 'c'},
    {"to-stdout", no_argument, NULL, 'c'},
    {"decompress", no_argument, NULL, 'd'},
    {"uncompress", no_argument, NULL, 'd'},
    {"force", no_argument, NULL, 'f'},
    {"help", no_argument, NULL, 'h'},
    {"keep", no_argument, NULL, 'k'},
    {"output", required_argument, NULL, 'o'},
    {"processes", required_argument, NULL, 'p'},
    {"quiet", no_argument, NULL, 'q'},
    {"silent", no_argument, NULL, 'q'},
    {"verbose", no_argument, NULL, 'v'},
    {"version", no_argument, NULL, 'V'},
    {NULL, 0, NULL, 0},
};

static _Noreturn void misused(void)
{
    fputs("Try 'pgzip --help' for more information.\n", stderr);
    exit(FAILED);
}

static unsigned long number(int option, const char *text, unsigned long least, unsigned long most)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < least || value > most) {
        complain("-%c takes a number from %lu to %lu, not '%s'", option, least, most, text);
        misused();
    }
    return value;
}

/* Returns when all options are understood; optind is the first FILE then. */
static struct settings parse_options(int argc, char **argv)
{
    struct settings settings = {.workers = ASYNC_ALL_CPUS, .block_size = 128 << 10, .level = 6};
    int             option;
    argv[0] = basename(argv[0]); /* for getopt's messages */
    while ((option = getopt_long(argc, argv, short_options, long_options, NULL)) != -1) {
        switch (option) { /* clang-format off */
        case 'b': settings.block_size = number('b', optarg, 1, 65536) << 10; break;
        case 'c': settings.to_stdout = true; break;
        case 'd': settings.decompress = true; break;
        case 'f': settings.force = true; break;
        case 'h': fputs(help, stdout); exit(DONE);
        case 'k': settings.keep = true; break;
        case 'o': settings.output = optarg; break;
        case 'p': settings.workers = (unsigned)number('p', optarg, 0, 1024); break;
        case 'q': settings.quiet = true; settings.verbose = false; break;
        case 'v': settings.verbose = true; settings.quiet = false; break;
        case 'V': printf("pgzip %s (zlib %s)\n", async_version(), zlibVersion()); exit(DONE);
        case '?': misused();
        default: settings.level = option - '0'; break;
        } /* clang-format on */
    }
    if (settings.output != NULL && (settings.to_stdout || argc - optind > 1)) {
        complain(settings.to_stdout ? "-o and -c exclude each other" : "-o takes a single FILE");
        misused();
    }
    return settings;
}

/* As gzip -v: what became of the file, by how much it is smaller. */
static void describe(const struct job *job)
{
    bool   decompress = job->settings->decompress;
    double plain = (double)(decompress ? job->bytes_out : job->bytes_in);
    double packed = (double)(decompress ? job->bytes_in : job->bytes_out);
    fprintf(stderr, "%s:\t%5.1f%%", job->in_name, plain > 0 ? 100 * (1 - packed / plain) : 0);
    bool kept = job->settings->keep || job->settings->output != NULL;
    if (job->out_path != NULL)
        fprintf(stderr, " -- %s %s", kept ? "created" : "replaced with", job->out_name);
    fputc('\n', stderr);
}

static enum verdict process(const struct settings *settings, const char *path)
{
    struct job   job = {.settings = settings, .in = -1, .out = -1};
    enum verdict verdict = open_input(&job, path);
    if (verdict == DONE) verdict = open_output(&job);
    if (verdict == DONE) {
        progress_start(&job);
        verdict = settings->decompress ? decompress_job(&job) : compress_job(&job);
        progress_end(&job);
        verdict = remove_input(&job, close_output(&job, verdict));
        if (verdict != FAILED && settings->verbose) describe(&job);
    }
    close_job(&job);
    return verdict;
}

/* Gives files that are opened other numbers than 0, 1 and 2, even where those are closed: no
 * message must end up in an output. Using a standard file that is closed still fails. */
static void occupy_standard_files(void)
{
    int fd;
    do fd = open("/dev/null", O_CLOEXEC | O_PATH);
    while (fd >= 0 && fd <= STDERR_FILENO);
    close(fd);
}

/* An error outweighs a warning. */
static enum verdict worse(enum verdict a, enum verdict b)
{
    return a == FAILED || b == FAILED ? FAILED : a > b ? a : b;
}

int main(int argc, char **argv)
{
    occupy_standard_files();
    struct settings settings = parse_options(argc, argv);
    catch_signals();

    enum verdict verdict = optind == argc ? process(&settings, "-") : DONE;
    for (int i = optind; i < argc; i++) verdict = worse(verdict, process(&settings, argv[i]));

    if (close(STDOUT_FILENO) != 0 && errno != EBADF)
        verdict = complain("stdout: %s", strerror(errno));
    return (int)verdict;
}
