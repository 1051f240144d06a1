/* api.h: what the calls of api.c and api_read.c share. */
#ifndef FUZZ_API_H
#define FUZZ_API_H

#include "model.h"

#define VIEWS 3

extern async_view fuzz_views[VIEWS];

/* The next byte, taken as a number below `below`; 0 where there are no more. */
unsigned fuzz_take(unsigned below);
/* A node whose reader the client holds, or NULL. */
node *fuzz_held_node(void);

/* api_read.c: one call each. */
void read_items(void);
void read_all(void);
void for_each(void);
void borrow(void);

#endif
