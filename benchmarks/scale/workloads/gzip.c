/* gzip.c: a compressor's pipeline. Text is read in lines of 1 KiB by a serial source, each chunk is
 * deflated as one piece (level 6), in order, and a serial sink "writes" what comes out.
 *
 *   read (serial) ──▶ deflate (parallel, ordered) ──▶ write (serial) */
#include "workloads/kernels.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { LINE = 1024, LINES = 4096, LEVEL = 6, WORDS = 4096, WORD_MOST = 10 };

struct line {
    char bytes[LINE];
};

/* What is made of a chunk stands in its first item; the others of it are all zero. */
struct piece {
    uint64_t bytes, packed;
    uint32_t crc;
};

/* LINES lines of words, which come again where more are asked for. */
struct text {
    uint64_t    items;
    uint32_t    crc; /* of all of them, one after the other */
    struct line lines[LINES];
};

struct stream {
    z_stream       z;
    struct stream *next;
    unsigned char  packed[];
};

struct job {
    const struct text *text;
    uint64_t           read; /* lines so far; the source's */
    size_t             room; /* for a piece that was packed */
    pthread_mutex_t    lock; /* of the spare streams: one for each worker after a while */
    struct stream     *spare;
    uint64_t           bytes, packed; /* the sink's */
    uint32_t           crc;
};

/* ── The text ───────────────────────────────────────────────────────────────────────────────── */

/* Words of 2 to 10 letters, the first ones more frequent than the others, as in a language. */
static void write_text(struct text *text, uint64_t seed)
{
    char    *to = (char *)text->lines, *end = to + sizeof text->lines;
    uint64_t n = 0;
    while (to < end) {
        uint64_t draw = random_at(seed, n++);
        uint64_t word = (draw % WORDS) * ((draw >> 20) % WORDS) / WORDS * ((draw >> 40) % WORDS) /
                        WORDS;
        size_t length = 2 + (size_t)(random_at(word, 0) % (WORD_MOST - 1));
        for (size_t i = 0; i < length && to < end; i++)
            *to++ = (char)('a' + random_at(word, i + 1) % 26);
        if (to < end) *to++ = draw >> 60 == 0 ? '\n' : ' ';
    }
}

static bool prepare(uint64_t items, uint64_t seed, void **data)
{
    struct text *text = malloc(sizeof *text);
    if (text == NULL) return false;
    write_text(text, seed);
    text->items = items;
    uLong once = crc32(0, (const Bytef *)text->lines, sizeof text->lines), all = crc32(0, NULL, 0);
    for (uint64_t i = 0; i < items / LINES; i++) all = crc32_combine(all, once, sizeof text->lines);
    all = crc32(all, (const Bytef *)text->lines, (uInt)(items % LINES * LINE));
    text->crc = (uint32_t)all;
    *data = text;
    return true;
}

/* ── The stages ─────────────────────────────────────────────────────────────────────────────── */

static int read_lines(void *items, size_t count, size_t *got, void *context)
{
    struct job  *job = context;
    struct line *lines = items;
    for (; *got < count && job->read < job->text->items; job->read++, ++*got)
        lines[*got] = job->text->lines[job->read % LINES];
    return 0;
}

static struct stream *take_stream(struct job *job)
{
    pthread_mutex_lock(&job->lock);
    struct stream *stream = job->spare;
    if (stream != NULL) job->spare = stream->next;
    pthread_mutex_unlock(&job->lock);
    if (stream != NULL) return stream;

    stream = calloc(1, sizeof *stream + job->room);
    if (stream == NULL) return NULL;
    /* -15: raw deflate with the largest window; 8: zlib's usual memory. */
    if (deflateInit2(&stream->z, LEVEL, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(stream);
        return NULL;
    }
    return stream;
}

static void put_stream(struct job *job, struct stream *stream)
{
    pthread_mutex_lock(&job->lock);
    stream->next = job->spare;
    job->spare = stream;
    pthread_mutex_unlock(&job->lock);
}

static int deflate_chunk(const void *in, void *out, size_t count, size_t *done, void *context)
{
    (void)done;
    struct job    *job = context;
    struct piece  *pieces = out;
    struct stream *stream = take_stream(job);
    if (stream == NULL) return ENOMEM;

    Bytef *bytes = (Bytef *)(uintptr_t)in; /* zlib only reads there */
    stream->z.next_in = bytes;
    stream->z.avail_in = (uInt)(count * LINE);
    stream->z.next_out = stream->packed;
    stream->z.avail_out = (uInt)job->room;
    int ended = deflate(&stream->z, Z_SYNC_FLUSH);
    memset(pieces, 0, count * sizeof *pieces);
    pieces[0].bytes = count * LINE - stream->z.avail_in;
    pieces[0].packed = job->room - stream->z.avail_out;
    pieces[0].crc = (uint32_t)crc32(0, bytes, (uInt)(count * LINE));
    bool whole = ended == Z_OK && stream->z.avail_out > 0 && deflateReset(&stream->z) == Z_OK;
    put_stream(job, stream);
    return whole ? 0 : EPROTO;
}

static int write_pieces(const void *items, size_t count, void *context)
{
    struct job         *job = context;
    const struct piece *pieces = items;
    for (size_t i = 0; i < count; i++) {
        if (pieces[i].bytes == 0) continue;
        job->crc = (uint32_t)crc32_combine(job->crc, pieces[i].crc, (z_off_t)pieces[i].bytes);
        job->bytes += pieces[i].bytes;
        job->packed += pieces[i].packed;
    }
    return ASYNC_CONTINUE;
}

/* ── One run ────────────────────────────────────────────────────────────────────────────────── */

static int check(uint64_t items, char *message, size_t size, void *context)
{
    const struct job *job = context;
    if (items != job->text->items || job->bytes != items * LINE) {
        snprintf(message, size, "%" PRIu64 " bytes were packed instead of %" PRIu64, job->bytes,
                 job->text->items * LINE);
        return EPROTO;
    }
    if (job->crc != job->text->crc || job->packed == 0) {
        snprintf(message, size, "the checksum of the text is %08" PRIx32 " instead of %08" PRIx32,
                 job->crc, job->text->crc);
        return EPROTO;
    }
    return 0;
}

static void release(void *context)
{
    struct job *job = context;
    while (job->spare != NULL) {
        struct stream *stream = job->spare;
        job->spare = stream->next;
        deflateEnd(&stream->z);
        free(stream);
    }
    pthread_mutex_destroy(&job->lock);
    free(job);
}

static int build(const async_scale_build *build, void *data, async_scale_pipeline *out)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL) return ENOMEM;
    job->text = data;
    job->crc = (uint32_t)crc32(0, NULL, 0);
    /* Beyond its bound, a piece ends with an empty block of 5 bytes. */
    job->room = deflateBound(NULL, (uLong)(build->chunk * LINE)) + 16;
    pthread_mutex_init(&job->lock, NULL);
    *out = (async_scale_pipeline){.version = ASYNC_SCALE_VERSION,
                                  .sink = write_pieces,
                                  .check = check,
                                  .release = release,
                                  .context = job};

    async_source             source = async_source_from(read_lines, job, sizeof(struct line));
    const async_task_options task = {.name = "deflate",
                                     .source = &source,
                                     .batch = deflate_chunk,
                                     .context = job,
                                     .item_size = sizeof(struct piece),
                                     .max_chunksize = build->chunk,
                                     .order = ASYNC_ORDERED};
    return build->add_task(build, &out->reader, &task) == ASYNC_OK ? 0 : ENOMEM;
}

const struct workload workload_gzip = {
    .name = "gzip",
    .summary = "deflates text: serial read, parallel deflate in order, serial write",
    .item = "a line of 1 KiB",
    .items = 6000,
    .chunks = {4, 32, 128},
    .chunk_count = 3,
    .threads_per_worker = 1,
    .prepare = prepare,
    .discard = free,
    .build = build,
};
