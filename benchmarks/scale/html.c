/* html.c: see html.h. */
#define _GNU_SOURCE

#include "html.h"

#include "format.h"
#include "plots.h"
#include "svg.h"
#include "table.h"
#include "words.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char head[] =
    "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
    "<style>\n"
    ":root{color-scheme:light dark}\n"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.6rem}h2{font-size:1.2rem;margin-top:2rem}\n"
    "div.wide{overflow-x:auto}\n"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}\n"
    "th,td{padding:.2rem .7rem;text-align:right;white-space:nowrap}\n"
    "td.l,th.l{text-align:left}\n"
    "thead th{border-bottom:2px solid #888}tr.next td{border-top:1px solid #8886}\n"
    "div.plots{display:flex;flex-wrap:wrap;gap:1.5rem}\n"
    "svg{width:min(100%,34rem);height:auto}\n"
    "</style>\n";

static void put_words(FILE *out, const struct results *r)
{
    char  *text = NULL;
    size_t size;
    FILE  *words = open_memstream(&text, &size);
    if (words == NULL) return;
    words_write(words, r);
    if (fclose(words) == 0) {
        char *rest = text, *line;
        fputs("<ul>\n", out);
        while ((line = strsep(&rest, "\n")) != NULL) {
            if (*line == '\0') continue;
            fputs("<li>", out);
            svg_text(out, line);
            fputs("</li>\n", out);
        }
        fputs("</ul>\n", out);
    }
    free(text);
}

static void put_table(FILE *out, const struct results *r)
{
    char cells[TABLE_COLUMNS][32];
    bool crowded = false;
    fputs("<div class=\"wide\"><table><thead><tr>", out);
    for (size_t k = 0; k < TABLE_COLUMNS; k++) fprintf(out, "<th>%s</th>", table_headings[k]);
    fputs("</tr></thead><tbody>\n", out);
    for (size_t c = 0; c < r->chunk_count; c++)
        for (size_t w = 0; w < r->worker_count; w++) {
            table_cells(results_point(r, c, w), cells);
            crowded = crowded || !results_point(r, c, w)->within;
            fprintf(out, "<tr%s>", w == 0 && c > 0 ? " class=\"next\"" : "");
            for (size_t k = 0; k < TABLE_COLUMNS; k++) fprintf(out, "<td>%s</td>", cells[k]);
            fputs("</tr>\n", out);
        }
    fputs("</tbody></table></div>\n", out);
    if (crowded) fputs("<p>* more threads at work than CPUs</p>\n", out);
}

static void put_stages(FILE *out, const struct curve *curve)
{
    const struct prediction *p = &curve->prediction;
    char                     work[FIGURE], part[FIGURE], path[FIGURE];
    fprintf(out,
            "<h2>Stages, chunk %zu</h2>\n<div class=\"wide\"><table><thead><tr>"
            "<th class=\"l\">stage</th><th>chunks</th><th>work</th><th>of all</th>"
            "<th>on the critical path</th><th>at a time</th></tr></thead><tbody>\n",
            curve->chunk);
    for (size_t s = 0; s < p->stage_count; s++) {
        const struct predicted_stage *stage = &p->stages[s];
        if (stage->chunks == 0) continue;
        fputs("<tr><td class=\"l\">", out);
        svg_text(out, stage->name);
        fprintf(out, "</td><td>%zu</td><td>%s</td><td>%s</td><td>%s</td><td>", stage->chunks,
                format_seconds(work, stage->work),
                format_percent(part, p->work > 0 ? stage->work / p->work : 0),
                format_seconds(path, stage->on_path));
        if (stage->at_a_time == 0)
            fputs("any</td></tr>\n", out);
        else
            fprintf(out, "%u</td></tr>\n", stage->at_a_time);
    }
    fprintf(
        out,
        "</tbody></table></div>\n<p>A steal costs %s (%s), a wake-up %s (%s), working side by side "
        "%s for each chunk (%s).</p>\n",
        format_seconds(work, p->costs.steal), p->costs.steal_measured ? "measured" : "assumed",
        format_seconds(path, p->costs.wake), p->costs.wake_measured ? "measured" : "assumed",
        format_seconds(part, p->costs.share), p->costs.share_workers > 0 ? "measured" : "assumed");
}

bool html_write(FILE *out, const void *results)
{
    const struct results *r = results;
    size_t                best, workers;
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<title>async-scale: ",
          out);
    svg_text(out, r->workload);
    fprintf(out, "</title>\n%s</head><body>\n<h1>How ", head);
    svg_text(out, r->workload);
    fputs(" scales</h1>\n<p>", out);
    svg_text(out, r->summary);
    fprintf(out, ". %" PRIu64 " items (", r->items);
    svg_text(out, r->item);
    fprintf(out, " each), %zu round%s, seed %" PRIu64 "%s.<br>", r->reference_count,
            r->reference_count == 1 ? "" : "s", r->seed, r->pinned ? ", pinned" : "");
    svg_text(out, r->machine);
    fprintf(out, "; %u CPU%s; async ", r->cpus, r->cpus == 1 ? "" : "s");
    svg_text(out, r->version);
    fputs("; ", out);
    svg_text(out, r->date);
    fputs("</p>\n<h2>In words</h2>\n", out);
    put_words(out, r);
    fputs("<h2>In figures</h2>\n", out);
    put_table(out, r);
    fputs("<h2>In pictures</h2>\n<div class=\"plots\">\n", out);
    bool done = true;
    for (size_t i = 0; i < PLOTS; i++)
        if (plots_has(r, i)) done = plots_write_one(out, r, i) && done;
    fputs("</div>\n", out);
    if (results_best(r, &best, &workers) && r->curves[best].prediction.count > 0)
        put_stages(out, &r->curves[best]);
    fputs("</body></html>\n", out);
    return done && !ferror(out);
}
