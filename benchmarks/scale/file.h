/* file.h: outputs that are there whole or not at all. */
#ifndef SCALE_FILE_H
#define SCALE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Writes something; false: it could not. */
typedef bool file_writer(FILE *out, const void *what);

/* Whether a file could be made there: before hours of measuring. 0, or an errno. "-": yes. */
int file_probe(const char *path);

/* A new file under another name, that takes `path` when it is complete; "-" is standard output.
 * What is no regular file (a pipe, a terminal) is written to directly. 0, or an errno; EIO where
 * the writer gave up. */
int file_write(const char *path, file_writer *writer, const void *what);

#endif
