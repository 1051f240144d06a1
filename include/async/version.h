/* version.h: the version of the headers, and of the library that runs. */
#ifndef ASYNC_VERSION_H
#define ASYNC_VERSION_H

#include <async/export.h>

#define ASYNC_VERSION_MAJOR  0
#define ASYNC_VERSION_MINOR  1
#define ASYNC_VERSION_PATCH  0
#define ASYNC_VERSION_STRING "0.1.0"

ASYNC_EXTERN_BEGIN

/* The version of the library this program runs with, as "MAJOR.MINOR.PATCH"; never freed.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API const char *async_version(void);

ASYNC_EXTERN_END

#endif
