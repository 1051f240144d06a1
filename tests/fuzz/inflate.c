/* inflate.c: pgzip -d on anything: the file it is given, its output, its exit code and whether it
 * said why, against what zlib makes of the same bytes in one piece.
 *
 * The first byte of the input says how a file is made of the rest: 0 as it is; 1 a member around
 * deflated data, its sums right; 2 two of them and a byte behind; 3 the rest deflated, then a byte
 * of that changed, or its end cut off. */
#define _GNU_SOURCE
#include "fuzz.h"
#include "pgzip.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#define FILE_MAX  20000
#define PLAIN_MAX (8u << 20)
#define MUST(condition)                                                                            \
    ((condition)                                                                                   \
         ? (void)0                                                                                 \
         : (fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition), abort()))

/* ── What pgzip says, instead of its progress.c ──────────────────────────────────────────────── */

static unsigned complaints, warnings;

void progress_start(struct job *job) { (void)job; }

void progress_update(struct job *job) { (void)job; }

void progress_end(struct job *job) { (void)job; }

enum verdict complain(const char *format, ...)
{
    complaints++;
    MUST(format[0] != '\0');
    return FAILED;
}

enum verdict warn(const struct job *job, const char *format, ...)
{
    (void)job;
    (void)format;
    warnings++;
    return WARNED;
}

enum verdict input_failed(const struct job *job, int error)
{
    (void)job;
    MUST(error != 0);
    complaints++;
    return FAILED;
}

enum verdict output_failed(const struct job *job, int error) { return input_failed(job, error); }

/* ── What zlib says ──────────────────────────────────────────────────────────────────────────── */

static unsigned char plain[PLAIN_MAX];

static bool at_member(const unsigned char *file, size_t size)
{
    return size >= 2 && file[0] == 0x1f && file[1] == 0x8b;
}

static enum verdict expected(const unsigned char *file, size_t size, size_t *plain_size)
{
    *plain_size = 0;
    if (!at_member(file, size)) { return FAILED; }
    while (at_member(file, size)) {
        z_stream stream = {0};
        MUST(inflateInit2(&stream, 15 + 16) == Z_OK);
        stream.next_in = (unsigned char *)(uintptr_t)file;
        stream.avail_in = (uInt)size;
        stream.next_out = plain + *plain_size;
        stream.avail_out = (uInt)(PLAIN_MAX - *plain_size);
        int result = inflate(&stream, Z_FINISH);
        *plain_size += stream.total_out;
        file += stream.total_in;
        size -= stream.total_in;
        inflateEnd(&stream);
        if (result != Z_STREAM_END) { return FAILED; }
    }
    for (; size > 0; size--) {
        if (*file++ != 0) { return WARNED; }
    }
    return DONE;
}

/* ── The file ────────────────────────────────────────────────────────────────────────────────── */

static unsigned char file_bytes[FILE_MAX];
static size_t        file_size;

static void put(const void *bytes, size_t size)
{
    size = size < FILE_MAX - file_size ? size : FILE_MAX - file_size;
    if (size > 0) {
        memcpy(file_bytes + file_size, bytes, size);
        file_size += size;
    }
}

static void put_number(uint32_t number)
{
    unsigned char bytes[4] = {(unsigned char)number, (unsigned char)(number >> 8),
                              (unsigned char)(number >> 16), (unsigned char)(number >> 24)};
    put(bytes, 4);
}

/* A member around these deflated data, whatever they are, up to their end. */
static void put_member(const uint8_t *data, size_t size)
{
    static const unsigned char header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    z_stream                   stream = {.next_in = (unsigned char *)(uintptr_t)data,
                                         .avail_in = (uInt)size,
                                         .next_out = plain,
                                         .avail_out = PLAIN_MAX};
    MUST(inflateInit2(&stream, -15) == Z_OK);
    inflate(&stream, Z_FINISH);
    uLong count = stream.total_out;
    put(header, sizeof header);
    put(data, stream.total_in);
    inflateEnd(&stream);
    put_number((uint32_t)crc32(0, plain, (uInt)count));
    put_number((uint32_t)count);
}

static void make_file(const uint8_t *data, size_t size)
{
    file_size = 0;
    unsigned how = size > 0 ? data[0] & 3 : 0;
    if (size > 0) {
        data++;
        size--;
    }
    if (how == 0) {
        put(data, size);
    } else if (how == 3 && size >= 4) {
        unsigned char packed[FILE_MAX];
        z_stream      stream = {.next_in = (unsigned char *)(uintptr_t)(data + 4),
                                .avail_in = (uInt)(size - 4 < 4096 ? size - 4 : 4096),
                                .next_out = packed,
                                .avail_out = FILE_MAX};
        MUST(deflateInit2(&stream, 1 + data[0] % 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY) == Z_OK);
        MUST(deflate(&stream, Z_FINISH) == Z_STREAM_END);
        size_t count = stream.total_out, at = (data[1] | (size_t)data[2] << 8) % count;
        deflateEnd(&stream);
        packed[at] ^= data[3];
        put(packed, data[0] >= 128 ? at : count);
    } else {
        put_member(data, size);
        if (how == 2) {
            put_member(data, size);
            put(data, size > 0);
        }
    }
}

/* ── One input ───────────────────────────────────────────────────────────────────────────────── */

static char folder[64], packed_path[80], plain_path[80];

static void leave(void)
{
    unlink(packed_path);
    unlink(plain_path);
    rmdir(folder);
}

static void begin(void)
{
    const char *where = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%.40s/async-fuzz-XXXXXX", where != NULL ? where : "/tmp");
    MUST(mkdtemp(folder) != NULL);
    snprintf(packed_path, sizeof packed_path, "%s/f.gz", folder);
    snprintf(plain_path, sizeof plain_path, "%s/f", folder);
    atexit(leave);
}

/* As pgzip.c's process does it. */
static enum verdict unpack(void)
{
    static const struct settings settings = {.decompress = true};
    struct job                   job = {.settings = &settings, .in = -1, .out = -1};
    enum verdict                 verdict = open_input(&job, packed_path);
    if (verdict == DONE) { verdict = open_output(&job); }
    if (verdict == DONE) {
        verdict = decompress_job(&job);
        verdict = remove_input(&job, close_output(&job, verdict));
    }
    close_job(&job);
    return verdict;
}

int fuzz_one(const uint8_t *data, size_t size)
{
    static unsigned char out[PLAIN_MAX];
    if (folder[0] == '\0') { begin(); }
    make_file(data, size);
    size_t       plain_size;
    enum verdict wanted = expected(file_bytes, file_size, &plain_size);

    int file = open(packed_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    MUST(file >= 0 && write(file, file_bytes, file_size) == (ssize_t)file_size);
    close(file);
    complaints = warnings = 0;
    enum verdict verdict = unpack();
    MUST(verdict == wanted);
    MUST(complaints == (verdict == FAILED) && warnings == (verdict == WARNED));
    if (verdict == FAILED) {
        /* Nothing is left of the output, and the input stays. */
        MUST(access(plain_path, F_OK) != 0 && errno == ENOENT);
        MUST(access(packed_path, F_OK) == 0);
        return 0;
    }
    file = open(plain_path, O_RDONLY | O_CLOEXEC);
    MUST(file >= 0);
    size_t got = 0;
    for (ssize_t part; (part = read(file, out + got, PLAIN_MAX - got)) > 0;) {
        got += (size_t)part;
    }
    close(file);
    MUST(got == plain_size && memcmp(out, plain, got) == 0);
    MUST(access(packed_path, F_OK) != 0);
    unlink(plain_path);
    return 0;
}
