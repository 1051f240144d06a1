/* plugin.c: see plugin.h. */
#define _GNU_SOURCE

#include "plugin.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static bool prepare(uint64_t items, uint64_t seed, void **data)
{
    (void)items;
    (void)seed;
    (void)data; /* plugin_open's caller sets it: the function */
    return true;
}

static void discard(void *data) { (void)data; }

static int build(const async_scale_build *build, void *data, async_scale_pipeline *out)
{
    /* The only way from dlsym's object pointer to a function that ISO C leaves open. */
    async_scale_workload_fn *function;
    memcpy(&function, data, sizeof function);
    return function(build, out);
}

bool plugin_is_path(const char *text)
{
    size_t length = strlen(text);
    return strchr(text, '/') != NULL || (length > 3 && strcmp(text + length - 3, ".so") == 0);
}

bool plugin_open(struct plugin *plugin, const char *path, char *message, size_t size)
{
    *plugin = (struct plugin){0};
    char local[4096];
    if (strchr(path, '/') == NULL) { /* dlopen would look for it in the system's folders */
        snprintf(local, sizeof local, "./%s", path);
        path = local;
    }
    plugin->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (plugin->handle == NULL) {
        const char *why = dlerror(); /* begins with the path, most of the time */
        bool        named = strncmp(why, path, strlen(path)) == 0;
        snprintf(message, size, "%s%s%s", named ? "" : path, named ? "" : ": ", why);
        return false;
    }
    plugin->function = dlsym(plugin->handle, "async_scale_workload");
    if (plugin->function == NULL) {
        snprintf(message, size,
                 "%s: it exports no function async_scale_workload (async/scale.h declares it)",
                 path);
        plugin_close(plugin);
        return false;
    }
    const char *slash = strrchr(path, '/');
    snprintf(plugin->name, sizeof plugin->name, "%.100s", slash == NULL ? path : slash + 1);
    plugin->workload = (struct workload){.name = plugin->name,
                                         .summary = "a plug-in",
                                         .item = "an item",
                                         .items = 100000,
                                         .chunks = {1, 64, 4096},
                                         .chunk_count = 3,
                                         .threads_per_worker = 1,
                                         .prepare = prepare,
                                         .discard = discard,
                                         .build = build};
    return true;
}

void plugin_close(struct plugin *plugin)
{
    if (plugin->handle != NULL) dlclose(plugin->handle);
    plugin->handle = NULL;
}
