/* svg.c: see svg.h. */
#include "svg.h"

#include "format.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 640, HEIGHT = 300, LEFT = 70, RIGHT = 18, TOP = 50, BELOW = 46, LEGEND_ROW = 20 };
enum { COLOURS = 6, CHARACTER = 7 };

static const char *const colours[COLOURS] = {"#0072B2", "#D55E00", "#009E73",
                                             "#CC79A7", "#E69F00", "#56B4E9"};

static const char style[] =
    "<style>.t{fill:#767676;font:12px system-ui,sans-serif}.h{font-size:14px;font-weight:600}"
    ".a{stroke:#767676;fill:none}.g{stroke:#767676;opacity:.25;fill:none}"
    "@media(prefers-color-scheme:light){.t{fill:#333}}"
    "@media(prefers-color-scheme:dark){.t{fill:#ddd}}</style>\n";

void svg_text(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) switch (*text) {
        case '&':
            fputs("&amp;", out);
            break;
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*text, out);
        }
}

static void label(FILE *out, double x, double y, const char *anchor, const char *more,
                  const char *text)
{
    fprintf(out, "<text class=\"t%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", more, x, y,
            anchor);
    svg_text(out, text);
    fputs("</text>\n", out);
}

static void begin(FILE *out, double height, const char *title, const char *note)
{
    fprintf(out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" "
            "height=\"%.0f\" role=\"img\">\n<title>",
            WIDTH, height, WIDTH, height);
    svg_text(out, title);
    fprintf(out, "</title>\n%s", style);
    label(out, LEFT, 20, "start", " h", title);
    if (note != NULL) label(out, LEFT, 38, "start", "", note);
}

/* ── Axes ───────────────────────────────────────────────────────────────────────────────────── */

static double place(const struct svg_axis *axis, double value, double from, double to)
{
    double part = axis->log ? log(value / axis->low) / log(axis->high / axis->low)
                            : (value - axis->low) / (axis->high - axis->low);
    return from + part * (to - from);
}

static double x_of(const struct svg_plot *plot, double value)
{
    return place(&plot->x, value, LEFT, WIDTH - RIGHT);
}

static double y_of(const struct svg_plot *plot, double value)
{
    return place(&plot->y, value, TOP + HEIGHT, TOP);
}

/* 1, 2, 5 times a power of ten, about five of them; or powers of two, of four. */
static size_t choose_ticks(const struct svg_axis *axis, double *ticks)
{
    size_t count = 0;
    if (axis->log) {
        double factor = 2;
        while (log(axis->high / axis->low) / log(factor) > SVG_TICKS - 2) factor *= factor;
        double exponent = ceil(log(axis->low) / log(factor) - 1e-9);
        for (double tick = pow(factor, exponent); tick <= axis->high * 1.0001 && count < SVG_TICKS;
             tick *= factor)
            ticks[count++] = tick;
        return count;
    }
    double raw = (axis->high - axis->low) / 5, power = pow(10, floor(log10(raw)));
    double step = power * (raw / power > 5 ? 10 : raw / power > 2 ? 5 : raw / power > 1 ? 2 : 1);
    for (double tick = ceil(axis->low / step) * step;
         tick <= axis->high + step / 1000 && count < SVG_TICKS; tick += step)
        ticks[count++] = tick;
    return count;
}

static void tick_text(char *text, double value, bool percent)
{
    static const char *const units[] = {"", " k", " M", " G", " T"};
    size_t                   unit = 0;
    if (percent) {
        snprintf(text, FIGURE, "%.0f %%", 100 * value);
        return;
    }
    while (value >= (unit == 0 ? 10000 : 1000) && unit < 4) {
        value /= 1000;
        unit++;
    }
    snprintf(text, FIGURE, "%.4g%s", fabs(value) < 1e-12 ? 0 : value, units[unit]);
}

static void draw_axes(FILE *out, const struct svg_plot *plot)
{
    double ticks[SVG_TICKS];
    char   text[FIGURE];
    for (int vertical = 0; vertical < 2; vertical++) {
        const struct svg_axis *axis = vertical ? &plot->y : &plot->x;
        size_t                 count = axis->tick_count;
        if (count > 0)
            memcpy(ticks, axis->ticks, count * sizeof *ticks);
        else
            count = choose_ticks(axis, ticks);
        for (size_t i = 0; i < count; i++) {
            tick_text(text, ticks[i], axis->percent);
            if (vertical) {
                double y = y_of(plot, ticks[i]);
                fprintf(out, "<path class=\"g\" d=\"M%d %.1fH%d\"/>\n", LEFT, y, WIDTH - RIGHT);
                label(out, LEFT - 8, y + 4, "end", "", text);
            } else {
                double x = x_of(plot, ticks[i]);
                fprintf(out, "<path class=\"a\" d=\"M%.1f %dv5\"/>\n", x, TOP + HEIGHT);
                label(out, x, TOP + HEIGHT + 19, "middle", "", text);
            }
        }
    }
    fprintf(out, "<path class=\"a\" d=\"M%d %dV%dH%d\"/>\n", LEFT, TOP, TOP + HEIGHT,
            WIDTH - RIGHT);
    label(out, (LEFT + WIDTH - RIGHT) / 2.0, TOP + HEIGHT + 38, "middle", "", plot->x.label);
    fprintf(out,
            "<text class=\"t\" text-anchor=\"middle\" transform=\"translate(16 %d)rotate(-90)\">",
            TOP + HEIGHT / 2);
    svg_text(out, plot->y.label);
    fputs("</text>\n", out);
}

/* ── Series ─────────────────────────────────────────────────────────────────────────────────── */

static void marker(FILE *out, unsigned colour, double x, double y)
{
    const char *fill = colours[colour % COLOURS];
    switch (colour % COLOURS) {
    case 0:
        fprintf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"4\" fill=\"%s\"/>\n", x, y, fill);
        break;
    case 1:
        fprintf(out, "<path d=\"M%.1f %.1fh7v7h-7z\" fill=\"%s\"/>\n", x - 3.5, y - 3.5, fill);
        break;
    case 2:
        fprintf(out, "<path d=\"M%.1f %.1fl5 8h-10z\" fill=\"%s\"/>\n", x, y - 5, fill);
        break;
    case 3:
        fprintf(out, "<path d=\"M%.1f %.1fl5 5l-5 5l-5-5z\" fill=\"%s\"/>\n", x, y - 5, fill);
        break;
    case 4:
        fprintf(out, "<path d=\"M%.1f %.1fl5-8h-10z\" fill=\"%s\"/>\n", x, y + 5, fill);
        break;
    default:
        fprintf(out, "<path d=\"M%.1f %.1fl8 8m0-8l-8 8\" stroke=\"%s\" stroke-width=\"2.5\"/>\n",
                x - 4, y - 4, fill);
    }
}

static void line_style(FILE *out, const struct svg_series *series)
{
    const char *colour = colours[series->colour % COLOURS];
    switch (series->look) {
    case SVG_MEASURED:
        fprintf(out, "stroke=\"%s\" stroke-width=\"1.8\"", colour);
        break;
    case SVG_LAW:
        fprintf(out, "stroke=\"%s\" stroke-width=\"1.8\" stroke-dasharray=\"7 4\"", colour);
        break;
    case SVG_MODEL:
        fprintf(out, "stroke=\"%s\" stroke-width=\"1.3\" stroke-dasharray=\"2 3\"", colour);
        break;
    case SVG_IDEAL:
        fputs("stroke=\"#767676\" stroke-width=\"1\"", out);
        break;
    }
}

static void draw_series(FILE *out, const struct svg_plot *plot, const struct svg_series *series)
{
    if (series->count > 1) {
        fputs("<path fill=\"none\" ", out);
        line_style(out, series);
        fprintf(out, " clip-path=\"url(#%s)\" d=\"", plot->id);
        for (size_t i = 0; i < series->count; i++)
            fprintf(out, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x_of(plot, series->x[i]),
                    y_of(plot, series->y[i]));
        fputs("\"/>\n", out);
    }
    for (size_t i = 0; series->low != NULL && i < series->count; i++) {
        double x = x_of(plot, series->x[i]), low = y_of(plot, series->low[i]);
        double high = y_of(plot, series->high[i]);
        if (low - high < 2) continue; /* shorter than the marker is wide */
        fprintf(out, "<path fill=\"none\" stroke=\"%s\" d=\"M%.1f %.1fh8m-4 0V%.1fm-4 0h8\"/>\n",
                colours[series->colour % COLOURS], x - 4, low, high);
    }
    for (size_t i = 0; series->look == SVG_MEASURED && i < series->count; i++)
        marker(out, series->colour, x_of(plot, series->x[i]), y_of(plot, series->y[i]));
}

static double entry_width(const char *name) { return 46 + CHARACTER * (double)format_width(name); }

/* Where the entry goes; returns its row. */
static size_t flow(double *x, size_t row, const char *name)
{
    if (*x + entry_width(name) <= WIDTH - RIGHT || *x <= LEFT) return row;
    *x = LEFT;
    return row + 1;
}

static size_t legend_rows(const struct svg_plot *plot)
{
    double x = LEFT;
    size_t row = 0;
    for (size_t i = 0; i < plot->series_count; i++) {
        row = flow(&x, row, plot->series[i].name);
        x += entry_width(plot->series[i].name);
    }
    return row + 1;
}

static void draw_legend(FILE *out, const struct svg_plot *plot)
{
    double x = LEFT;
    size_t row = 0;
    for (size_t i = 0; i < plot->series_count; i++) {
        const struct svg_series *series = &plot->series[i];
        row = flow(&x, row, series->name);
        double y = TOP + HEIGHT + BELOW + 12 + LEGEND_ROW * (double)row;
        fprintf(out, "<path fill=\"none\" ");
        line_style(out, series);
        fprintf(out, " d=\"M%.1f %.1fh26\"/>\n", x, y - 4);
        if (series->look == SVG_MEASURED) marker(out, series->colour, x + 13, y - 4);
        label(out, x + 32, y, "start", "", series->name);
        x += entry_width(series->name);
    }
}

void svg_plot_write(FILE *out, const struct svg_plot *plot)
{
    double height = TOP + HEIGHT + BELOW + LEGEND_ROW * (double)legend_rows(plot) + 4;
    begin(out, height, plot->title, plot->note);
    fprintf(out, "<clipPath id=\"%s\"><path d=\"M%d %dh%dv%dh-%dz\"/></clipPath>\n", plot->id, LEFT,
            TOP, WIDTH - LEFT - RIGHT, HEIGHT, WIDTH - LEFT - RIGHT);
    draw_axes(out, plot);
    for (size_t i = 0; i < plot->series_count; i++) draw_series(out, plot, &plot->series[i]);
    draw_legend(out, plot);
    fputs("</svg>\n", out);
}

/* ── Bars ───────────────────────────────────────────────────────────────────────────────────── */

void svg_bars_write(FILE *out, const struct svg_bars *bars)
{
    enum { ROW = 24, THICK = 16, INDENT = 190, HEAD = 34 };
    double height = HEAD + ROW * (double)bars->count + 30 + LEGEND_ROW + 8;
    begin(out, height, bars->title, NULL);
    const double right = WIDTH - RIGHT;
    double       bottom = HEAD + ROW * (double)bars->count;
    for (int tick = 0; tick <= 4; tick++) {
        double x = INDENT + (right - INDENT) * tick / 4;
        char   text[FIGURE];
        fprintf(out, "<path class=\"g\" d=\"M%.1f %dV%.1f\"/>\n", x, HEAD, bottom);
        label(out, x, bottom + 16, tick == 4 ? "end" : "middle", "",
              (tick_text(text, tick / 4.0, true), text));
    }
    for (size_t i = 0; i < bars->count; i++) {
        double x = INDENT, y = HEAD + ROW * (double)i + 4;
        label(out, INDENT - 8, y + 12, "end", "", bars->bars[i].label);
        for (size_t k = 0; k < bars->part_count; k++) {
            double width = bars->bars[i].parts[k] * (right - INDENT);
            if (width < 0.05) continue;
            fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n",
                    x, y, width, THICK, colours[k % COLOURS]);
            x += width;
        }
    }
    double x = LEFT;
    for (size_t k = 0; k < bars->part_count; k++) {
        double y = bottom + 40;
        fprintf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"14\" height=\"12\" fill=\"%s\"/>\n", x,
                y - 10, colours[k % COLOURS]);
        label(out, x + 20, y, "start", "", bars->names[k]);
        x += 20 + entry_width(bars->names[k]) - 32;
    }
    fputs("</svg>\n", out);
}
