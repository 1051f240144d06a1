/* status.h: what a call answers, and what is known of an error. */
#ifndef ASYNC_STATUS_H
#define ASYNC_STATUS_H

#include <async/export.h>

#include <stdint.h>

/* name, text. The numbers are part of the ABI: new ones go to the end. */
#define ASYNC_STATUS_MAP(X)                                                                        \
    X(OK, "success")                                                                               \
    X(END, "end of the stream")                                                                    \
    X(TIMEOUT, "the wait is over")                                                                 \
    X(CLOSED, "closed")                                                                            \
    X(CANCELLED, "cancelled")                                                                      \
    X(FAILED, "a function failed")                                                                 \
    X(INVALID, "invalid argument")                                                                 \
    X(NO_MEMORY, "out of memory")                                                                  \
    X(CYCLE, "the task would be its own input")                                                    \
    X(BUSY, "no thread left to wait with")                                                         \
    X(DEADLOCK, "this wait could never end")                                                       \
    X(UNSUPPORTED, "not supported by this version")                                                \
    X(SYSTEM, "the operating system refused")

typedef enum async_status {
#define ASYNC_STATUS_ENUM(name, text) ASYNC_##name,
    ASYNC_STATUS_MAP(ASYNC_STATUS_ENUM)
#undef ASYNC_STATUS_ENUM
} async_status;

/* What is known of an error: a copy that stays valid for as long as its owner keeps it. */
typedef struct async_error {
    async_status status; /* ASYNC_OK: there is none; else FAILED, CANCELLED, NO_MEMORY, … */
    int          code;   /* what the user's function returned; 0 where no function failed */
    /* position, from 0, of the item in the order in which the task drew its inputs */
    uint64_t item;
    char     task[64];     /* the task's name, cut to fit; "" where it has none */
    char     message[256]; /* of async_fail, or the status's text */
} async_error;

ASYNC_EXTERN_BEGIN

/* The status's name ("TIMEOUT") and a short text ("the wait is over"); for a number that is no
 * status "UNKNOWN" and "unknown status". Static strings, never NULL.
 *
 * Threads: any.
 * Progress: wait-free.
 * Errors: none.
 * Since: 0.1 */
ASYNC_API const char *async_status_name(async_status status);
ASYNC_API const char *async_status_text(async_status status);

ASYNC_EXTERN_END

#endif
