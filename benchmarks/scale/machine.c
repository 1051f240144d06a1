/* machine.c: see machine.h. */
#define _GNU_SOURCE

#include "machine.h"

#include <async/async.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

/* "model name : …" of /proc/cpuinfo; "" where there is none. */
static void read_model(char *model, size_t size)
{
    char  line[512];
    FILE *file = fopen("/proc/cpuinfo", "re");
    *model = '\0';
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *value = strchr(line, ':');
        if (value == NULL ||
            (strncmp(line, "model name", 10) != 0 && strncmp(line, "uarch", 5) != 0))
            continue;
        snprintf(model, size, "%s", value + 1 + strspn(value + 1, " \t"));
        model[strcspn(model, "\n")] = '\0';
        break;
    }
    if (file != NULL) fclose(file);
}

char *machine_name(void)
{
    char           model[256], *name;
    struct utsname system;
    read_model(model, sizeof model);
    if (uname(&system) != 0) return strdup(model[0] != '\0' ? model : "unknown machine");
    int length = asprintf(&name, "%s%s%s %s %s", model, model[0] != '\0' ? ", " : "",
                          system.sysname, system.release, system.machine);
    return length < 0 ? NULL : name;
}

char *machine_date(void)
{
    char      text[64];
    struct tm utc;
    time_t    now = time(NULL);
    gmtime_r(&now, &utc);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
    return strdup(text);
}

unsigned machine_cpus(void)
{
    async_pool *pool;
    if (async_pool_create(&pool, ASYNC_ALL_CPUS, NULL) != ASYNC_OK) return 1;
    unsigned cpus = async_pool_size(pool);
    (void)async_pool_destroy(pool, ASYNC_DROP);
    return cpus > 0 ? cpus : 1;
}
