/* words.h: the results in words: what was found, and what limits it. */
#ifndef SCALE_WORDS_H
#define SCALE_WORDS_H

#include "results.h"

#include <stdio.h>

/* A paragraph a line. */
void words_write(FILE *out, const struct results *results);

/* "stage 'write' (one chunk at a time)"; for the plots as well. */
void words_limit(char *text, size_t size, const struct prediction *p, enum limit limit,
                 size_t stage);

#endif
