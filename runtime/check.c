/* check.c: the end of a program whose promise was broken. See check.h.
 *
 * The message goes out in one write(2), so that it is whole even when several threads panic at
 * once, and needs no lock and no memory: whoever is in trouble may hold stdio's lock or have found
 * the heap in pieces.
 * Layer: 0 */
#include "check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void panic_at(const char *file, int line, const char *format, ...)
{
    char        text[512];
    const char *slash = strrchr(file, '/');
    if (slash != NULL) { file = slash + 1; }
    int    used = snprintf(text, sizeof text, "async: %s:%d: ", file, line);
    size_t length = used < 0 ? 0 : min_size((size_t)used, sizeof text - 2);

    va_list arguments;
    va_start(arguments, format);
    used = vsnprintf(text + length, sizeof text - 1 - length, format, arguments);
    va_end(arguments);
    if (used > 0) { length = min_size(length + (size_t)used, sizeof text - 2); }
    text[length++] = '\n';

    for (size_t done = 0; done < length;) {
        ssize_t wrote = write(STDERR_FILENO, text + done, length - done);
        if (wrote <= 0) { break; } /* nobody listens: what is left is the abort itself */
        done += (size_t)wrote;
    }
    abort();
}
