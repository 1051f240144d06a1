/* csv.h: the results as comma-separated values: a line of names, then one for each point. */
#ifndef SCALE_CSV_H
#define SCALE_CSV_H

#include <stdbool.h>
#include <stdio.h>

/* A file_writer; what: struct results. */
bool csv_write(FILE *out, const void *results);

#endif
