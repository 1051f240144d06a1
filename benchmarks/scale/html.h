/* html.h: the results as one page, with plots, that needs nothing else. */
#ifndef SCALE_HTML_H
#define SCALE_HTML_H

#include <stdbool.h>
#include <stdio.h>

/* A file_writer; what: struct results. */
bool html_write(FILE *out, const void *results);

#endif
