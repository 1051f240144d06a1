/* check.h: what must hold, said so that a broken promise stops the program at once.
 *
 * CHECK is in every build and guards what would corrupt memory; DEBUG_CHECK only where
 * ASYNC_DEBUG is set.
 * Layer: 0 */
#ifndef ASYNC_RUNTIME_CHECK_H
#define ASYNC_RUNTIME_CHECK_H

#include "cc.h"

/* Prints "async: FILE:LINE: message" to stderr and aborts. */
_Noreturn void panic_at(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

#define panic(...)       panic_at(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition) (likely(condition) ? (void)0 : panic("broken: %s", #condition))
#ifdef ASYNC_DEBUG
#define DEBUG_CHECK(condition) CHECK(condition)
#else
#define DEBUG_CHECK(condition) ((void)sizeof(condition))
#endif

#endif
