/* treesum.c: SHA-256 of every file under folders, several files at a time.
 *
 *     treesum [-p WORKERS] FOLDER...
 *
 * prints what `find FOLDER -type f -exec sha256sum {} +` does, sorted by name:
 *
 *     next_files ──▶ sum_file ──▶ print_files
 *     walk           in parallel  one at a time, in the order of the walk
 *
 * What cannot be read is reported and left out; the exit code is 1 then. An error is part of the
 * item, not a failure of the task, for a failure would end the stream. */
#define _GNU_SOURCE

#include <async/async.h>

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHA256_SIZE = 32 };

struct file {
    char         *path;
    int           error; /* an errno; 0: the sum is valid */
    unsigned char sum[SHA256_SIZE];
};

struct report {
    bool incomplete;   /* something could not be read */
    int  output_error; /* an errno */
};

static void complain(const char *name, int error)
{
    fprintf(stderr, "treesum: %s: %s\n", name, strerror(error));
}

/* ── The walk ───────────────────────────────────────────────────────────────────────────────── */

static unsigned char name_byte(const FTSENT *entry, size_t i)
{
    if (i < entry->fts_namelen) return (unsigned char)entry->fts_name[i];
    return i == entry->fts_namelen && entry->fts_info == FTS_D ? '/' : '\0';
}

/* The order of the walk is that of the whole paths, byte by byte: a folder sorts as "name/". */
static int compare_names(const FTSENT **a, const FTSENT **b)
{
    size_t i = 0;
    while (name_byte(*a, i) == name_byte(*b, i) && name_byte(*a, i) != '\0') i++;
    return name_byte(*a, i) - name_byte(*b, i);
}

/* The next file or error of the walk; NULL at the end, with errno 0. */
static const FTSENT *next_entry(FTS *walk)
{
    for (;;) {
        errno = 0;
        FTSENT *entry = fts_read(walk);
        if (entry == NULL) return NULL;
        switch (entry->fts_info) {
        case FTS_F:
        case FTS_DNR: /* a folder that can't be read */
        case FTS_ERR:
        case FTS_NS:
            return entry;
        default: /* folders, links, devices */
            break;
        }
    }
}

/* The source: one caller at a time. */
static int next_files(void *items, size_t count, size_t *got, void *context)
{
    FTS         *walk = context;
    struct file *files = items;
    while (*got < count) {
        const FTSENT *entry = next_entry(walk);
        if (entry == NULL) return errno;
        char *path = strdup(entry->fts_path);
        if (path == NULL) return ENOMEM;
        int error = entry->fts_info == FTS_F ? 0 : entry->fts_errno;
        files[(*got)++] = (struct file){.path = path, .error = error};
    }
    return 0;
}

/* ── The sums ───────────────────────────────────────────────────────────────────────────────── */

/* 0 or an errno. */
static int sum_open_file(int fd, EVP_MD_CTX *digest, unsigned char *sum)
{
    unsigned char bytes[64 * 1024];
    if (!EVP_DigestInit_ex(digest, EVP_sha256(), NULL)) return ENOMEM;
    for (;;) {
        ssize_t n = read(fd, bytes, sizeof bytes);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno;
        if (n == 0) return EVP_DigestFinal_ex(digest, sum, NULL) ? 0 : ENOMEM;
        if (!EVP_DigestUpdate(digest, bytes, (size_t)n)) return ENOMEM;
    }
}

/* The task: each file on any worker. */
static int sum_file(const void *in, void *out, void *context)
{
    (void)context;
    struct file file = *(const struct file *)in;
    if (file.error == 0) {
        int         fd = open(file.path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        EVP_MD_CTX *digest = EVP_MD_CTX_new();
        if (fd < 0)
            file.error = errno;
        else
            file.error = digest != NULL ? sum_open_file(fd, digest, file.sum) : ENOMEM;
        EVP_MD_CTX_free(digest);
        if (fd >= 0) close(fd);
    }
    *(struct file *)out = file;
    return 0;
}

/* For files that nobody printed. */
static void discard_files(void *items, size_t count, void *context)
{
    (void)context;
    struct file *files = items;
    for (size_t i = 0; i < count; i++) free(files[i].path);
}

/* ── The output ─────────────────────────────────────────────────────────────────────────────── */

/* As sha256sum does: a line whose name has to be escaped starts with a backslash. */
static void print_file(const struct file *file)
{
    char sum[2 * SHA256_SIZE + 1];
    for (size_t i = 0; i < SHA256_SIZE; i++) snprintf(sum + 2 * i, 3, "%02x", file->sum[i]);
    printf("%s%s  ", strpbrk(file->path, "\\\n\r") != NULL ? "\\" : "", sum);
    for (const char *c = file->path; *c != '\0'; c++) {
        switch (*c) { /* clang-format off */
        case '\\': fputs("\\\\", stdout); break;
        case '\n': fputs("\\n", stdout); break;
        case '\r': fputs("\\r", stdout); break;
        default: putchar(*c); break;
        } /* clang-format on */
    }
    putchar('\n');
}

/* The sink: one call at a time, in order. */
static int print_files(const void *items, size_t count, void *context)
{
    struct report     *report = context;
    const struct file *files = items;
    for (size_t i = 0; i < count; i++) {
        if (files[i].error != 0) {
            report->incomplete = true;
            complain(files[i].path, files[i].error);
        } else if (report->output_error == 0) {
            print_file(&files[i]);
            report->output_error = ferror(stdout) ? errno : 0;
        }
        free(files[i].path);
    }
    return report->output_error;
}

/* ── All together ───────────────────────────────────────────────────────────────────────────── */

static async_status sum_walk(async_pool *pool, FTS *walk, struct report *report,
                             async_error *failure)
{
    async_source  source = async_source_from(next_files, walk, sizeof(struct file));
    async_reader *files = NULL, *sums = NULL;

    const async_task_options walk_task = {
        .name = "walk",
        .source = &source,
        .discard = discard_files,
        .order = ASYNC_ORDERED,
        .max_chunksize = 1,
    };
    async_status status = async_pool_add_task(pool, &files, &walk_task);

    const async_task_options sum_task = {
        .name = "sum",
        .input = files,
        .each = sum_file,
        .discard = discard_files,
        .order = ASYNC_ORDERED,
        .max_chunksize = 1,
        .in_place = true,
    };
    if (status == ASYNC_OK) status = async_pool_add_task(pool, &sums, &sum_task);
    if (status == ASYNC_OK)
        status = async_reader_for_each(sums, print_files, report, async_forever());

    if (status == ASYNC_FAILED) async_reader_error(sums, failure);
    async_reader_release(files);
    async_reader_release(sums);
    return status;
}

static int sum_folders(char **folders, unsigned workers)
{
    FTS *walk = fts_open(folders, FTS_PHYSICAL | FTS_NOCHDIR, compare_names);
    if (walk == NULL) {
        complain("cannot walk", errno);
        return EXIT_FAILURE;
    }
    async_pool   *pool;
    async_error   failure = {.status = ASYNC_OK};
    struct report report = {.incomplete = false};
    async_status  status = async_pool_create(&pool, workers, NULL);
    if (status == ASYNC_OK) {
        status = sum_walk(pool, walk, &report, &failure);
        async_pool_destroy(pool, ASYNC_DROP);
    }
    fts_close(walk);

    if (report.output_error == 0 && fclose(stdout) != 0) report.output_error = errno;
    if (report.output_error == EPIPE)
        raise(SIGPIPE); /* ends the program, unless the signal is ignored */
    if (report.output_error != 0)
        complain("stdout", report.output_error);
    else if (failure.status == ASYNC_FAILED)
        complain("cannot walk", failure.code);
    else if (status != ASYNC_OK)
        fprintf(stderr, "treesum: %s\n", async_status_text(status));
    bool complete = status == ASYNC_OK && report.output_error == 0 && !report.incomplete;
    return complete ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    unsigned workers = ASYNC_ALL_CPUS;
    bool     valid = true;
    int      option;
    while ((option = getopt(argc, argv, "p:")) != -1) {
        char         *end = NULL;
        unsigned long number = option == 'p' ? strtoul(optarg, &end, 10) : 0;
        valid = valid && end != NULL && end != optarg && *end == '\0' && number <= 1024;
        workers = (unsigned)number;
    }
    if (!valid || optind == argc) {
        fputs("Usage: treesum [-p WORKERS] FOLDER...\n", stderr);
        return EXIT_FAILURE;
    }
    return sum_folders(argv + optind, workers);
}
