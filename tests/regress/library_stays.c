/* library_stays.c: F50. A plug-in that brought the shared library in and was closed took it from
 * under its workers, whose next instruction was gone. The library stays loaded.
 *
 * Nothing of the library is linked to this program, which opens it as a plug-in would, closes it
 * while workers run, and goes on. */
#include <async/async.h>

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ASKED 100

/* A function of the library. */
#define FIND(name)                                                                                 \
    __extension__({                                                                                \
        void *found = dlsym(library, #name);                                                       \
        if (found == NULL) { fail(dlerror()); }                                                    \
        (__typeof__(name) *)(uintptr_t)found;                                                      \
    })

static void fail(const char *why)
{
    fprintf(stderr, "%s\n", why);
    abort();
}

static int slow(const void *in, void *out, void *context)
{
    (void)context;
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    *(uint64_t *)out = *(const uint64_t *)in;
    return 0;
}

int main(void)
{
    void *library = dlopen(ASYNC_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) { fail(dlerror()); }
    __typeof__(async_pool_create)    *create = FIND(async_pool_create);
    __typeof__(async_pool_add_task)  *add_task = FIND(async_pool_add_task);
    __typeof__(async_reader_read)    *read = FIND(async_reader_read);
    __typeof__(async_reader_release) *release = FIND(async_reader_release);
    __typeof__(async_pool_destroy)   *destroy = FIND(async_pool_destroy);
    async_pool                       *pool;
    async_reader                     *reader;
    async_source       source = {ASYNC_SOURCE_RANGE, sizeof(uint64_t), .count = UINT64_MAX};
    async_wait         forever = {.kind = ASYNC_WAIT_FOREVER};
    async_task_options task = {
        .source = &source, .each = slow, .max_chunksize = 1, .min_count = ASKED};
    uint64_t items[ASKED];
    size_t   got;
    if (create(&pool, 2, NULL) != ASYNC_OK) { fail("no pool"); }
    if (add_task(pool, &reader, &task) != ASYNC_OK) { fail("no task"); }
    if (read(reader, items, 1, &got, forever) != ASYNC_OK) { fail("no item"); }

    if (dlclose(library) != 0) { fail(dlerror()); }
    library = dlopen(ASYNC_LIBRARY, RTLD_NOW | RTLD_NOLOAD);
    if (library == NULL) { fail("the library was taken from under its workers"); }

    if (read(reader, items, ASKED - 1, &got, forever) != ASYNC_OK) { fail("no more items"); }
    release(reader);
    if (destroy(pool, ASYNC_DROP) != ASYNC_OK) { fail("the pool does not end"); }
    return 0;
}
