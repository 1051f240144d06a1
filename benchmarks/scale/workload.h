/* workload.h: what the laboratory runs. The built-in ones are in workloads/, a file each; one that
 * comes from a plug-in looks like them. */
#ifndef SCALE_WORKLOAD_H
#define SCALE_WORKLOAD_H

#include <async/scale.h>

#include <stdbool.h>

enum { WORKLOAD_CHUNKS = 4 };

struct workload {
    const char *name;
    const char *summary; /* a line for --list */
    const char *item;    /* what an item is */
    uint64_t    items;   /* by default */
    size_t      chunks[WORKLOAD_CHUNKS];
    size_t      chunk_count;
    /* threads that work for each worker: 2 where others than the pool's feed it */
    unsigned threads_per_worker;
    bool     feeds; /* items come from threads outside of the pool, as many as there are workers */

    /* Makes what all runs share; *data is NULL where there is nothing. False: no memory. */
    bool (*prepare)(uint64_t items, uint64_t seed, void **data);
    void (*discard)(void *data);
    /* As async_scale_workload. */
    int (*build)(const async_scale_build *build, void *data, async_scale_pipeline *out);
};

/* The built-in workloads; *count of them. */
const struct workload *const *workload_list(size_t *count);

/* NULL: there is none of that name. */
const struct workload *workload_find(const char *name);

#endif
