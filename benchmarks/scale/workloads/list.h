/* list.h: the built-in workloads. */
#ifndef SCALE_WORKLOADS_LIST_H
#define SCALE_WORKLOADS_LIST_H

#include "workload.h"

extern const struct workload workload_compute, workload_memory, workload_skewed, workload_chain,
    workload_gzip, workload_channel;

#endif
