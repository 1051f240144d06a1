/* plain.c of gzip: zlib loops side by side, THREADS of them, each over its share of the file's
 * blocks of 128 KiB: deflated at level 6 with the 32 KiB before as the dictionary. What comes out
 * is thrown away; the check sum of what was read, and the size of what was packed, are printed as a
 * line of JSON. Usage: gzip_plain THREADS FILE */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { BLOCK = 128 << 10, DICTIONARY = 32 << 10, MAX_THREADS = 64 };

struct share {
    int      file;
    off_t    from, to; /* of the file */
    uLong    crc;
    uint64_t packed;
};

static void fail(const char *what)
{
    fprintf(stderr, "gzip_plain: %s\n", what);
    exit(1);
}

static void *pack(void *argument)
{
    struct share  *share = argument;
    unsigned char *in = malloc(DICTIONARY + BLOCK);
    z_stream       stream = {0};
    if (in == NULL || deflateInit2(&stream, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        fail("no memory");
    size_t         room = deflateBound(&stream, BLOCK) + 16;
    unsigned char *out = malloc(room);
    if (out == NULL) fail("no memory");
    share->crc = crc32(0, NULL, 0);
    for (off_t at = share->from; at < share->to; at += BLOCK) {
        off_t   before = at < DICTIONARY ? at : DICTIONARY;
        size_t  wanted = (size_t)(share->to - at < BLOCK ? share->to - at : BLOCK);
        ssize_t got = pread(share->file, in, (size_t)before + wanted, at - before);
        if (got != (ssize_t)((size_t)before + wanted)) fail("a short read");
        if (deflateReset(&stream) != Z_OK ||
            (before > 0 && deflateSetDictionary(&stream, in, (uInt)before) != Z_OK))
            fail("deflate");
        stream.next_in = in + before;
        stream.avail_in = (uInt)wanted;
        stream.next_out = out;
        stream.avail_out = (uInt)room;
        if (deflate(&stream, Z_SYNC_FLUSH) != Z_OK || stream.avail_in != 0) fail("deflate");
        share->crc = crc32(share->crc, in + before, (uInt)wanted);
        share->packed += room - stream.avail_out;
    }
    deflateEnd(&stream);
    free(in);
    free(out);
    return NULL;
}

int main(int argc, char **argv)
{
    int         threads = argc == 3 ? atoi(argv[1]) : 0;
    struct stat info;
    if (threads < 1 || threads > MAX_THREADS) {
        fprintf(stderr, "usage: gzip_plain THREADS FILE\n");
        return 2;
    }
    int file = open(argv[2], O_RDONLY);
    if (file < 0 || fstat(file, &info) != 0) {
        perror(argv[2]);
        return 1;
    }
    static struct share shares[MAX_THREADS];
    static pthread_t    ids[MAX_THREADS];
    off_t               blocks = (info.st_size + BLOCK - 1) / BLOCK;
    for (int i = 0; i < threads; i++) {
        shares[i].file = file;
        shares[i].from = blocks * i / threads * BLOCK;
        shares[i].to = i + 1 == threads ? info.st_size : blocks * (i + 1) / threads * BLOCK;
        if (pthread_create(&ids[i], NULL, pack, &shares[i]) != 0) fail("no thread");
    }
    uLong    crc = crc32(0, NULL, 0);
    uint64_t packed = 0;
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        crc = crc32_combine(crc, shares[i].crc, shares[i].to - shares[i].from);
        packed += shares[i].packed;
    }
    printf("{\"crc\": %lu, \"packed\": %llu}\n", crc, (unsigned long long)packed);
    return 0;
}
