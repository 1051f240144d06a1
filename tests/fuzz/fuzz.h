/* fuzz.h: what a target is. */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* One input. Aborts where something is wrong. */
int fuzz_one(const uint8_t *data, size_t size);

#endif
