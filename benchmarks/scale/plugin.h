/* plugin.h: a workload out of a shared object. */
#ifndef SCALE_PLUGIN_H
#define SCALE_PLUGIN_H

#include "workload.h"

struct plugin {
    void           *handle;
    struct workload workload;
    void           *function; /* async_scale_workload */
    char            name[128];
};

/* Whether it is the path of one rather than a name: there is a '/' in it, or it ends in ".so". */
bool plugin_is_path(const char *text);

/* False: it could not be loaded, and message says why. */
bool plugin_open(struct plugin *plugin, const char *path, char *message, size_t size);
void plugin_close(struct plugin *plugin);

#endif
