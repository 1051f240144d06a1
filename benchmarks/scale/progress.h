/* progress.h: a bar on standard error, where that is a terminal. */
#ifndef SCALE_PROGRESS_H
#define SCALE_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

struct progress {
    bool   shown;
    double started;
    size_t done, all;
};

void progress_start(struct progress *progress, size_t all, bool quiet);
/* One more of them is done; `what` comes next. */
void progress_step(struct progress *progress, const char *what);
void progress_end(struct progress *progress); /* wipes it off */

#endif
