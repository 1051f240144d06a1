/* format.c: see format.h. */
#include "format.h"

#include <math.h>
#include <stdio.h>

/* Three digits of a value from 0 to 1000. */
static const char *three(char *text, size_t size, double value)
{
    int digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(text, size, "%.*f", digits, value);
    return text;
}

char *format_count(char *text, double value)
{
    static const char *const units[] = {"", " k", " M", " G", " T"};
    char                     digits[FIGURE];
    size_t                   unit = 0;
    while (value >= 999.5 && unit < 4) {
        value /= 1000;
        unit++;
    }
    if (unit == 0 && value == floor(value))
        snprintf(digits, sizeof digits, "%.0f", value);
    else
        three(digits, sizeof digits, value);
    snprintf(text, FIGURE, "%.20s%s", digits, units[unit]);
    return text;
}

char *format_seconds(char *text, double seconds)
{
    static const char *const units[] = {"s", "ms", "µs", "ns"};
    char                     digits[FIGURE];
    size_t                   unit = 0;
    while (seconds < 0.9995 && unit < 3) {
        seconds *= 1000;
        unit++;
    }
    snprintf(text, FIGURE, "%.20s %s", three(digits, sizeof digits, seconds), units[unit]);
    return text;
}

char *format_percent(char *text, double part)
{
    double percent = 100 * part;
    snprintf(text, FIGURE, "%.*f %%", percent != 0 && fabs(percent) < 9.95 ? 1 : 0, percent);
    return text;
}

char *format_ratio(char *text, double ratio)
{
    char digits[FIGURE];
    snprintf(text, FIGURE, "%.20s", three(digits, sizeof digits, ratio));
    return text;
}

size_t format_width(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) width += (*text & 0xc0) != 0x80;
    return width;
}
