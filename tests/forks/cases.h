/* cases.h: what the programs of this folder share: which sanitizer they are built with, and reads
 * that must end in a certain way. */
#ifndef FORKS_CASES_H
#define FORKS_CASES_H

#include "pipeline.h"
#include "watchdog.h"

#if defined(__has_feature)
#define FEATURE(name) __has_feature(name)
#else
#define FEATURE(name) 0
#endif
#if defined(__SANITIZE_THREAD__) || FEATURE(thread_sanitizer)
#define TSAN true
#else
#define TSAN false
#endif
#if defined(__SANITIZE_ADDRESS__) || FEATURE(address_sanitizer)
#define ASAN true
#else
#define ASAN false
#endif

#define WANT_READ(reader, items, count, wait, wanted_status, wanted_got)                           \
    do {                                                                                           \
        size_t       want_got = SIZE_MAX;                                                          \
        async_status want_status = async_reader_read((reader), (items), (count), &want_got,        \
                                                     (wait));                                      \
        WANT_STATUS(want_status, wanted_status);                                                   \
        WANT_EQ(want_got, wanted_got);                                                             \
    } while (0)

static inline async_wait soon(void) { return async_within_ms(SOON); }

#endif
