/* table.h: the results as a table of text. */
#ifndef SCALE_TABLE_H
#define SCALE_TABLE_H

#include "results.h"

#include <stdio.h>

enum { TABLE_COLUMNS = 13 };

/* Headings and cells, for the page as well. cells: TABLE_COLUMNS texts of 32 bytes. */
extern const char *const table_headings[TABLE_COLUMNS];
void                     table_cells(const struct point *point, char cells[TABLE_COLUMNS][32]);

void table_write(FILE *out, const struct results *results);

#endif
