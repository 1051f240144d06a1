/* table.c: see table.h. */
#include "table.h"

#include "format.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

const char *const table_headings[TABLE_COLUMNS] = {
    "workers", "chunk", "items/s", "95 % interval", "speed-up",  "efficiency", "time/chunk",
    "steals",  "parks", "idle",    "runtime",       "predicted", "error"};

static void or_dash(char *cell, bool known)
{
    if (!known) strcpy(cell, "-");
}

void table_cells(const struct point *point, char cells[TABLE_COLUMNS][32])
{
    char low[FIGURE], high[FIGURE];
    bool measured = point->count > 0;
    snprintf(cells[0], 32, "%u%s", point->workers, point->within ? "" : "*");
    snprintf(cells[1], 32, "%zu", point->chunk);
    or_dash(format_count(cells[2], point->throughput.middle), measured);
    format_count(low, point->throughput.low);
    format_count(high, point->throughput.high);
    snprintf(cells[3], 32, "%.13s - %.13s", low, high);
    or_dash(cells[3], measured && point->throughput.coverage > 0);
    or_dash(format_ratio(cells[4], point->speedup.middle), point->speedup.middle > 0);
    or_dash(format_percent(cells[5], point->efficiency.middle), point->speedup.middle > 0);
    or_dash(format_seconds(cells[6], point->chunk_time), measured && point->chunks > 0);
    snprintf(cells[7], 32, "%" PRIu64, point->steals);
    snprintf(cells[8], 32, "%" PRIu64, point->parks);
    or_dash(cells[7], point->counted);
    or_dash(cells[8], point->counted);
    or_dash(format_percent(cells[9], point->shares.idle), point->shares.known);
    or_dash(format_percent(cells[10], point->shares.runtime), point->shares.known);
    or_dash(format_ratio(cells[11], point->predicted), point->predicted > 0);
    or_dash(format_percent(cells[12], point->error), point->compared);
}

/* printf's widths count bytes, and there is a 'µ'. */
static void put_right(FILE *out, const char *text, size_t width)
{
    for (size_t n = format_width(text); n < width; n++) fputc(' ', out);
    fputs(text, out);
}

void table_write(FILE *out, const struct results *r)
{
    char   cells[TABLE_COLUMNS][32];
    size_t widths[TABLE_COLUMNS];
    bool   crowded = false;
    for (size_t i = 0; i < TABLE_COLUMNS; i++) widths[i] = format_width(table_headings[i]);
    for (size_t i = 0; i < r->worker_count * r->chunk_count; i++) {
        table_cells(&r->points[i], cells);
        crowded = crowded || !r->points[i].within;
        for (size_t k = 0; k < TABLE_COLUMNS; k++)
            if (format_width(cells[k]) > widths[k]) widths[k] = format_width(cells[k]);
    }
    for (size_t k = 0; k < TABLE_COLUMNS; k++) {
        fputs(k == 0 ? "" : "  ", out);
        put_right(out, table_headings[k], widths[k]);
    }
    fputc('\n', out);
    for (size_t c = 0; c < r->chunk_count; c++) {
        if (c > 0 && r->worker_count > 1) fputc('\n', out);
        for (size_t w = 0; w < r->worker_count; w++) {
            table_cells(results_point(r, c, w), cells);
            for (size_t k = 0; k < TABLE_COLUMNS; k++) {
                fputs(k == 0 ? "" : "  ", out);
                put_right(out, cells[k], widths[k]);
            }
            fputc('\n', out);
        }
    }
    if (crowded) fputs("* more threads at work than CPUs\n", out);
}
