/* list.c: the built-in workloads by name. */
#include "workloads/list.h"

#include <string.h>

static const struct workload *const all[] = {
    &workload_compute, &workload_memory, &workload_skewed,
    &workload_chain,   &workload_gzip,   &workload_channel,
};

const struct workload *const *workload_list(size_t *count)
{
    *count = sizeof all / sizeof *all;
    return all;
}

const struct workload *workload_find(const char *name)
{
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i]->name, name) == 0) return all[i];
    return NULL;
}
