/* format.h: figures as people read them. */
#ifndef SCALE_FORMAT_H
#define SCALE_FORMAT_H

#include <stddef.h>

enum { FIGURE = 32 };

/* "12.3 M", "950", "1.20 G"; "35.0 ms", "1.20 µs"; "97 %". Into text of FIGURE bytes, which is also
 * what they return. */
char *format_count(char *text, double value);
char *format_seconds(char *text, double seconds);
char *format_percent(char *text, double part);
char *format_ratio(char *text, double ratio); /* "1.95" */

/* Screen columns of UTF-8 text. */
size_t format_width(const char *text);

#endif
