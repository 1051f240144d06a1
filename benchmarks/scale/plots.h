/* plots.h: the results as plots. */
#ifndef SCALE_PLOTS_H
#define SCALE_PLOTS_H

#include "results.h"

#include <stdio.h>

enum { PLOTS = 5 };

/* The name of a plot's file, without ".svg": "throughput". */
const char *plots_name(size_t plot);

/* Whether there is anything to be seen on it. */
bool plots_has(const struct results *results, size_t plot);

/* False: no memory. */
bool plots_write_one(FILE *out, const struct results *results, size_t plot);

/* All that have something on them, as files in a folder, which is made where it isn't there. 0, or
 * an errno. */
int plots_write(const char *folder, const struct results *results);
int plots_probe(const char *folder); /* whether that will be possible */

#endif
