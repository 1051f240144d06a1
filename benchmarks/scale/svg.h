/* svg.h: plots as SVG: axes, lines with markers and error bars, stacked bars, a legend below.
 * They have no background, and colours (Okabe and Ito's) that can be told apart on light and dark
 * ones and by the colour-blind; lines differ in their markers, too. */
#ifndef SCALE_SVG_H
#define SCALE_SVG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { SVG_TICKS = 16 };

struct svg_axis {
    const char *label;
    double      low, high;
    bool        log;              /* both above 0 then */
    double      ticks[SVG_TICKS]; /* where tick_count is not 0; else chosen */
    size_t      tick_count;
    bool        percent; /* values are parts of 1 */
};

enum svg_look {
    SVG_MEASURED, /* markers, joined by a line */
    SVG_LAW,      /* dashes */
    SVG_MODEL,    /* a thin line without markers */
    SVG_IDEAL     /* grey dots */
};

struct svg_series {
    char          name[96];
    enum svg_look look;
    unsigned      colour;             /* 0, 1, … */
    double       *x, *y, *low, *high; /* low, high: NULL: no error bars */
    size_t        count;
};

struct svg_plot {
    const char              *id; /* of its own in a page */
    const char              *title;
    struct svg_axis          x, y;
    const struct svg_series *series;
    size_t                   series_count;
    const char              *note; /* a line below the title; NULL: none */
};

void svg_plot_write(FILE *out, const struct svg_plot *plot);

/* A row: a label, and parts of 1 one after the other. */
struct svg_bar {
    char   label[64];
    double parts[4];
};

struct svg_bars {
    const char           *title;
    const char *const    *names; /* of the parts */
    size_t                part_count;
    const struct svg_bar *bars;
    size_t                count;
};

void svg_bars_write(FILE *out, const struct svg_bars *bars);

/* Text between tags or in quotes: & < > " as entities. */
void svg_text(FILE *out, const char *text);

#endif
