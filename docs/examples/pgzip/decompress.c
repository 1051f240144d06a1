/* decompress.c: the way back, in one thread: a deflated stream can only be read from its start.
 *
 * As gzip does, takes member after member, passes over zeros after the last one in silence, and
 * anything else with a warning. */
#include "pgzip.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct inflater {
    struct job   *job;
    z_stream      stream;
    bool          ended; /* nothing more to read */
    unsigned char in[64 * 1024];
    unsigned char out[128 * 1024];
};

/* Makes `count` bytes available; fewer only at the end of the input. 0 or an errno. */
static int want(struct inflater *d, size_t count)
{
    z_stream *stream = &d->stream;
    if (stream->avail_in >= count) return 0;
    memmove(d->in, stream->next_in, stream->avail_in);
    stream->next_in = d->in;
    while (stream->avail_in < count && !d->ended) {
        size_t got;
        int error = read_some(d->job->in, d->in + stream->avail_in, sizeof d->in - stream->avail_in,
                              &got);
        if (error != 0) return error;
        d->ended = got == 0;
        d->job->bytes_in += got;
        stream->avail_in += (uInt)got;
    }
    return 0;
}

static enum verdict ended_early(const struct inflater *d)
{
    return complain("%s: unexpected end of file", d->job->in_name);
}

static enum verdict corrupt(const struct inflater *d)
{
    const char *what = d->stream.msg != NULL ? d->stream.msg : "";
    return complain("%s: invalid compressed data--%s", d->job->in_name,
                    strcmp(what, "incorrect data check") == 0     ? "crc error"
                    : strcmp(what, "incorrect length check") == 0 ? "length error"
                                                                  : "format violated");
}

/* One member: header, deflated data, trailer. */
static enum verdict inflate_member(struct inflater *d)
{
    z_stream *stream = &d->stream;
    inflateReset(stream);
    for (;;) {
        stream->next_out = d->out;
        stream->avail_out = sizeof d->out;
        int result = inflate(stream, Z_NO_FLUSH);
        if (result == Z_MEM_ERROR) return complain("%s: out of memory", d->job->in_name);
        int error = write_fully(d->job, d->out, sizeof d->out - stream->avail_out);
        if (error != 0) return output_failed(d->job, error);
        progress_update(d->job);

        if (result == Z_STREAM_END) return DONE;
        if (result != Z_OK && result != Z_BUF_ERROR) return corrupt(d);
        if (stream->avail_out == 0) continue; /* there may be more of it */
        if ((error = want(d, 1)) != 0) return input_failed(d->job, error);
        if (stream->avail_in == 0) return ended_early(d);
    }
}

static bool at_member(const struct inflater *d)
{
    const unsigned char *next = d->stream.next_in;
    return d->stream.avail_in >= 2 && next[0] == 0x1f && next[1] == 0x8b;
}

/* What follows the last member. */
static enum verdict check_rest(struct inflater *d)
{
    z_stream *stream = &d->stream;
    for (;;) {
        for (; stream->avail_in > 0; stream->avail_in--)
            if (*stream->next_in++ != 0)
                return warn(d->job, "%s: decompression OK, trailing garbage ignored",
                            d->job->in_name);
        int error = want(d, 1);
        if (error != 0) return input_failed(d->job, error);
        if (stream->avail_in == 0) return DONE;
    }
}

static enum verdict inflate_members(struct inflater *d)
{
    int error = want(d, 2);
    if (error == 0 && d->stream.avail_in < 2) return ended_early(d);
    if (error == 0 && !at_member(d)) return complain("%s: not in gzip format", d->job->in_name);
    while (error == 0 && at_member(d)) {
        enum verdict verdict = inflate_member(d);
        if (verdict != DONE) return verdict;
        error = want(d, 2);
    }
    return error != 0 ? input_failed(d->job, error) : check_rest(d);
}

enum verdict decompress_job(struct job *job)
{
    struct inflater *d = calloc(1, sizeof *d);
    enum verdict     verdict;
    if (d != NULL) d->job = job;
    /* 15: any window; + 16: with gzip's header and trailer, whose sums are checked. */
    if (d == NULL || inflateInit2(&d->stream, 15 + 16) != Z_OK) {
        verdict = complain("%s: out of memory", job->in_name);
    } else {
        d->stream.next_in = d->in;
        verdict = inflate_members(d);
        inflateEnd(&d->stream);
    }
    free(d);
    return verdict;
}
