/* json.h: the results as JSON, and back from there what --compare needs. docs/howto/scaling.md
 * describes the format. */
#ifndef SCALE_JSON_H
#define SCALE_JSON_H

#include "results.h"

#include <stdio.h>

/* Of the format; a file of another one is refused. */
enum { JSON_FORMAT = 1 };

/* A file_writer; what: struct results. */
bool json_write(FILE *out, const void *results);

/* Meta data and the seconds of the runs. False: it can't be read, and message says why. */
bool json_read(const char *path, struct results *out, char *message, size_t size);

#endif
