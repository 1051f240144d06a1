/* csv.c: see csv.h. */
#include "csv.h"

#include "results.h"

#include <inttypes.h>
#include <string.h>

/* In quotes where there is something in it that would end it. */
static void put_text(FILE *out, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        fputs(text, out);
        return;
    }
    fputc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"') fputc('"', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

/* What isn't known stays empty. */
static void put_number(FILE *out, double value, bool known)
{
    if (known)
        fprintf(out, ",%.9g", value);
    else
        fputc(',', out);
}

static void put_interval(FILE *out, const struct interval *interval, bool known)
{
    put_number(out, interval->middle, known);
    put_number(out, interval->low, known && interval->coverage > 0);
    put_number(out, interval->high, known && interval->coverage > 0);
}

static void put_point(FILE *out, const struct results *r, const struct point *point)
{
    bool measured = point->count > 0;
    put_text(out, r->workload);
    fprintf(out, ",%" PRIu64 ",%u,%zu,%zu,%d", r->items, point->workers, point->chunk, point->count,
            point->within);
    put_interval(out, &point->time, measured);
    put_interval(out, &point->throughput, measured);
    put_interval(out, &point->speedup, point->speedup.middle > 0);
    put_number(out, point->efficiency.middle, point->speedup.middle > 0);
    put_number(out, (double)point->chunks, measured);
    put_number(out, point->chunk_time, measured && point->chunks > 0);
    put_number(out, (double)point->steals, point->counted);
    put_number(out, (double)point->parks, point->counted);
    put_number(out, point->shares.functions, point->shares.known);
    put_number(out, point->shares.idle, point->shares.known);
    put_number(out, point->shares.runtime, point->shares.known);
    put_number(out, point->predicted, point->predicted > 0);
    put_number(out, point->error, point->compared);
    fputc('\n', out);
}

bool csv_write(FILE *out, const void *results)
{
    const struct results *r = results;
    fputs(
        "workload,items,workers,chunk,runs,within_cpus,seconds,seconds_low,seconds_high,"
        "items_per_second,items_per_second_low,items_per_second_high,speedup,speedup_low,"
        "speedup_high,efficiency,chunks,seconds_per_chunk,steals,parks,functions_share,idle_share,"
        "runtime_share,predicted_speedup,prediction_error\n",
        out);
    for (size_t i = 0; i < r->worker_count * r->chunk_count; i++) put_point(out, r, &r->points[i]);
    return !ferror(out);
}
