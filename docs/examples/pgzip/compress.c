/* compress.c: the pipeline.
 *
 *        ┌───────────────┐      ┌─────────────────┐      ┌────────────────┐
 *   in ─▶│  read_blocks  │─────▶│  deflate_block  │─────▶│  write_blocks  │─▶ out
 *        │ one at a time │      │   in parallel   │      │ one at a time, │
 *        └───────────────┘      └─────────────────┘      │    in order    │
 *                ▲                                       └────────────────┘
 *                └──────────────── spare blocks ◀────────────────┘
 *
 * What travels are pointers to blocks. There are as many blocks as are under way at the same time,
 * which the pool's window bounds, so memory doesn't grow with the input.
 *
 * The output is one gzip member, as from gzip itself. Each block is deflated on its own, but knows
 * the 32 KiB before it as its dictionary, so that little is lost by cutting; all but the last end
 * at a byte boundary (Z_SYNC_FLUSH), so that they can be put one after the other. */
#define _GNU_SOURCE

#include "pgzip.h"

#include <async/async.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define DICTIONARY 32768 /* deflate looks back as far as this */

/* A piece of the input, and what became of it. The last block is the one that isn't full; it may be
 * empty. */
struct block {
    size_t         dictionary;  /* bytes before `data` that belong to the input too */
    size_t         length;      /* bytes of data */
    size_t         packed_size; /* bytes of packed */
    uLong          crc;         /* of the data */
    bool           last;
    unsigned char *packed;
    unsigned char *data;
    unsigned char  memory[]; /* the dictionary's room, the data's, the packed data's */
};

/* Things to use again: put by any thread, taken by any thread, made when there is none. */
struct stock {
    async_writer *put;
    async_reader *take;
};

struct compressor {
    struct job  *job;
    size_t       block_size;
    size_t       packed_room; /* what a block can grow to */
    struct stock blocks;      /* struct block * */
    struct stock streams;     /* z_stream *, each of them reset */

    unsigned char tail[DICTIONARY]; /* read_blocks: the end of what was read, the next dictionary */
    size_t        tail_length;
    bool          ended;

    uLong crc; /* write_blocks: of all that was written */
    int   write_error;
};

/* ── Stocks ─────────────────────────────────────────────────────────────────────────────────── */

static async_status stock_open(struct stock *stock, async_discard_fn *discard)
{
    return async_channel_create(&stock->put, &stock->take, sizeof(void *),
                                &(async_channel_options){.discard = discard});
}

/* What is still in stock goes to the discard function. */
static void stock_close(struct stock *stock)
{
    async_writer_release(stock->put);
    async_reader_release(stock->take);
}

static void *stock_take(struct stock *stock)
{
    void *thing;
    return async_reader_read(stock->take, &thing, 1, NULL, async_now()) == ASYNC_OK ? thing : NULL;
}

static bool stock_put(struct stock *stock, void *thing)
{
    return async_writer_write(stock->put, &thing, 1, NULL, async_now()) == ASYNC_OK;
}

static struct block *take_block(struct compressor *c)
{
    struct block *block = stock_take(&c->blocks);
    if (block != NULL) return block;
    block = malloc(sizeof *block + DICTIONARY + c->block_size + c->packed_room);
    if (block != NULL) {
        block->data = block->memory + DICTIONARY;
        block->packed = block->data + c->block_size;
    }
    return block;
}

static void put_block(struct compressor *c, struct block *block)
{
    if (!stock_put(&c->blocks, block)) free(block);
}

/* For blocks that nobody wants: in stock at the end, or under way when something failed. */
static void discard_blocks(void *items, size_t count, void *context)
{
    (void)context;
    struct block **blocks = items;
    for (size_t i = 0; i < count; i++) free(blocks[i]);
}

static z_stream *take_stream(struct compressor *c)
{
    z_stream *stream = stock_take(&c->streams);
    if (stream != NULL) return stream;
    stream = calloc(1, sizeof *stream);
    if (stream == NULL) return NULL;
    /* -15: raw deflate with the largest window; 8: zlib's usual memory. */
    int level = c->job->settings->level;
    if (deflateInit2(stream, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(stream);
        return NULL;
    }
    return stream;
}

static void free_stream(z_stream *stream)
{
    deflateEnd(stream);
    free(stream);
}

static void put_stream(struct compressor *c, z_stream *stream)
{
    if (deflateReset(stream) != Z_OK || !stock_put(&c->streams, stream)) free_stream(stream);
}

static void discard_streams(void *items, size_t count, void *context)
{
    (void)context;
    z_stream **streams = items;
    for (size_t i = 0; i < count; i++) free_stream(streams[i]);
}

/* ── Read ───────────────────────────────────────────────────────────────────────────────────── */

/* Fills a block: the end of the block before as its dictionary, then what comes next. */
static int read_block(struct compressor *c, struct block *block)
{
    block->dictionary = c->tail_length;
    memcpy(block->data - c->tail_length, c->tail, c->tail_length);

    int error = read_fully(c->job->in, block->data, c->block_size, &block->length);
    if (error != 0) return error;
    block->last = block->length < c->block_size;
    c->ended = block->last;

    /* Dictionary and data lie side by side: the new tail ends where the data do. */
    size_t known = block->dictionary + block->length;
    c->tail_length = known < DICTIONARY ? known : DICTIONARY;
    memcpy(c->tail, block->data + block->length - c->tail_length, c->tail_length);
    return 0;
}

/* The source: up to `count` blocks; fewer are the end. */
static int read_blocks(void *items, size_t count, size_t *got, void *context)
{
    struct compressor *c = context;
    struct block     **blocks = items;
    while (*got < count && !c->ended) {
        struct block *block = take_block(c);
        if (block == NULL) return ENOMEM;
        int error = read_block(c, block);
        if (error != 0) {
            put_block(c, block);
            return error;
        }
        blocks[(*got)++] = block;
    }
    return 0;
}

/* ── Deflate ────────────────────────────────────────────────────────────────────────────────── */

static bool deflate_with(z_stream *stream, struct block *block, size_t room)
{
    const unsigned char *dictionary = block->data - block->dictionary;
    if (block->dictionary > 0 &&
        deflateSetDictionary(stream, dictionary, (uInt)block->dictionary) != Z_OK)
        return false;
    stream->next_in = block->data;
    stream->avail_in = (uInt)block->length;
    stream->next_out = block->packed;
    stream->avail_out = (uInt)room;
    int result = deflate(stream, block->last ? Z_FINISH : Z_SYNC_FLUSH);
    block->packed_size = room - stream->avail_out;
    return result == (block->last ? Z_STREAM_END : Z_OK) && stream->avail_out > 0;
}

/* The task: as many at a time as there are workers. */
static int deflate_block(const void *in, void *out, void *context)
{
    struct compressor *c = context;
    struct block      *block = *(struct block *const *)in;
    z_stream          *stream = take_stream(c);
    if (stream == NULL) {
        put_block(c, block);
        return ENOMEM;
    }
    bool done = deflate_with(stream, block, c->packed_room);
    put_stream(c, stream);
    if (!done) {
        put_block(c, block);
        return EPROTO; /* zlib didn't keep its word */
    }
    block->crc = crc32(0, block->data, (uInt)block->length);
    *(struct block **)out = block;
    return 0;
}

/* ── Write ──────────────────────────────────────────────────────────────────────────────────── */

/* The sink: all the blocks, in their order. They are ours now, even if the disk is full. */
static int write_blocks(const void *items, size_t count, void *context)
{
    struct compressor   *c = context;
    struct block *const *blocks = items;
    for (size_t i = 0; i < count; i++) {
        struct block *block = blocks[i];
        if (c->write_error == 0)
            c->write_error = write_fully(c->job, block->packed, block->packed_size);
        c->crc = crc32_combine(c->crc, block->crc, (z_off_t)block->length);
        c->job->bytes_in += block->length;
        put_block(c, block);
    }
    progress_update(c->job);
    return c->write_error;
}

static void store32(unsigned char *to, uint64_t value)
{
    for (int i = 0; i < 4; i++) to[i] = (unsigned char)(value >> (8 * i));
}

/* Where the input has a name and a time, they are in the header. */
static int write_header(struct job *job)
{
    enum { FILE_NAME = 8, SLOWEST = 2, FASTEST = 4, UNIX = 3 };
    int           level = job->settings->level;
    unsigned char header[10] = {0x1f, 0x8b, Z_DEFLATED};
    header[8] = level == 9 ? SLOWEST : level == 1 ? FASTEST : 0;
    header[9] = UNIX;
    if (job->in_path == NULL || !S_ISREG(job->in_info.st_mode))
        return write_fully(job, header, sizeof header);

    const char *name = basename(job->in_path);
    int64_t     time = job->in_info.st_mtime;
    header[3] = FILE_NAME;
    store32(header + 4, time > 0 && time <= UINT32_MAX ? (uint64_t)time : 0);
    int error = write_fully(job, header, sizeof header);
    return error != 0 ? error : write_fully(job, name, strlen(name) + 1);
}

static int write_trailer(struct compressor *c)
{
    unsigned char trailer[8];
    store32(trailer, c->crc);
    store32(trailer + 4, c->job->bytes_in); /* modulo 2^32, as the format has it */
    return write_fully(c->job, trailer, sizeof trailer);
}

/* ── All together ───────────────────────────────────────────────────────────────────────────── */

/* Adds the two tasks and runs everything through them. *failure says what went wrong in them. */
static async_status run_tasks(struct compressor *c, async_pool *pool, async_error *failure)
{
    async_source  input = async_source_from(read_blocks, c, sizeof(struct block *));
    async_reader *blocks = NULL, *packed = NULL;

    const async_task_options read_task = {
        .name = "read",
        .source = &input,
        .discard = discard_blocks,
        .order = ASYNC_ORDERED,
        .max_chunksize = 1,
    };
    async_status status = async_pool_add_task(pool, &blocks, &read_task);

    const async_task_options deflate_task = {
        .name = "deflate",
        .input = blocks,
        .each = deflate_block,
        .context = c,
        .discard = discard_blocks,
        .order = ASYNC_ORDERED,
        .max_chunksize = 1,
        .in_place = true,
    };
    if (status == ASYNC_OK) status = async_pool_add_task(pool, &packed, &deflate_task);
    if (status == ASYNC_OK)
        status = async_reader_for_each(packed, write_blocks, c, async_forever());

    if (status != ASYNC_OK && packed != NULL) async_reader_error(packed, failure);
    async_reader_release(blocks);
    async_reader_release(packed);
    return status;
}

static enum verdict run_pool(struct compressor *c)
{
    struct job              *job = c->job;
    async_pool              *pool;
    const async_pool_options options = {.name = "pgzip"};
    async_status             status = async_pool_create(&pool, job->settings->workers, &options);
    if (status != ASYNC_OK)
        return complain("cannot start the workers: %s", async_status_text(status));

    async_error failure = {.status = ASYNC_OK};
    status = run_tasks(c, pool, &failure);
    async_pool_destroy(pool, ASYNC_DROP);

    if (c->write_error != 0) return output_failed(job, c->write_error);
    if (status == ASYNC_OK) return DONE;
    if (failure.status == ASYNC_FAILED) return input_failed(job, failure.code);
    return complain("%s: %s", job->in_name, async_status_text(status));
}

enum verdict compress_job(struct job *job)
{
    struct compressor c = {.job = job, .block_size = job->settings->block_size};
    /* Beyond its bound, a block that isn't the last ends with an empty one of 5 bytes. */
    c.packed_room = deflateBound(NULL, (uLong)c.block_size) + 16;

    enum verdict verdict = FAILED;
    int          error = write_header(job);
    if (error != 0) return output_failed(job, error);
    if (stock_open(&c.blocks, discard_blocks) != ASYNC_OK ||
        stock_open(&c.streams, discard_streams) != ASYNC_OK)
        input_failed(job, ENOMEM);
    else
        verdict = run_pool(&c);
    stock_close(&c.blocks);
    stock_close(&c.streams);
    if (verdict != DONE) return verdict;
    error = write_trailer(&c);
    return error == 0 ? DONE : output_failed(job, error);
}
