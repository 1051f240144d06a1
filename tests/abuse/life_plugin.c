/* life_plugin.c: row F50: shared objects that are closed while their pools work. This program is
 * not linked with the shared library: it comes and goes with the plug-ins. */
#include "rows.h"

#include "pipeline.h"

#include <dlfcn.h>

typedef int  start_fn(int with_code);
typedef long items_fn(void);

static void *open_plugin(const char *path, int with_code)
{
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (plugin == NULL) { row_failed(__FILE__, __LINE__, "%s", dlerror()); }
    start_fn *start = (start_fn *)(uintptr_t)dlsym(plugin, "plugin_start");
    ROW_CHECK(start != NULL);
    ROW_EQ(start(with_code), 0);
    return plugin;
}

/* Its destructor destroys the pool, in the middle of its work. */
static void ends_its_pool(void)
{
    unsigned others = thread_count();
    for (unsigned i = 0; i < row_number(SANITIZED ? 5 : 20); i++) {
        void *plugin = open_plugin(PLUGIN_ENDING, 1);
        ROW_EQ(dlclose(plugin), 0);
        ROW_CHECK(UNTIL(SOON, thread_count() == others));
    }
}

/* The workers are in the library's code, which stays. */
static void leaves_its_pool(void)
{
    void    *plugin = open_plugin(PLUGIN_LEAVING, 0);
    unsigned threads = thread_count();
    ROW_EQ(dlclose(plugin), 0);
    sleep_ms(50);
    ROW_CHECK(thread_count() >= threads);
    void *again = open_plugin(PLUGIN_ENDING, 1);
    ROW_EQ(dlclose(again), 0);
}

/* An object that may not be unloaded: closing it is refused, its functions go on. */
static void stays(void)
{
    void     *plugin = open_plugin(PLUGIN_STAYING, 1);
    items_fn *items = (items_fn *)(uintptr_t)dlsym(plugin, "plugin_items");
    ROW_EQ(dlclose(plugin), 0);
    long before = items();
    ROW_CHECK(UNTIL(SOON, items() > before));
}

static const row rows[] = {
    {"F50 ending", "a plug-in that destroys its pool as it goes", ends_its_pool, 0},
    {"F50 leaving", "a plug-in goes, its pool is left behind and works", leaves_its_pool, 0},
    {"F50 staying", "a plug-in that is not to be unloaded goes on", stays, 0},
};
ROWS(rows)
