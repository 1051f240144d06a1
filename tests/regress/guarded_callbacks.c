/* guarded_callbacks.c: F51. pthread_exit (or an exception) out of a function that a read called by
 * itself, without workers, or out of a callback or a sink in a client's thread, passed through the
 * call unseen: the thread was counted as one that is inside for ever, and the pool's end waited for
 * it. It ends the program with a message, as it does in a worker.
 *
 * Each end is that of a child process. */
#include "pipeline.h"
#include "watchdog.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static async_writer *writer;
static async_reader *reader;

static int each_exits(const void *in, void *out, void *context)
{
    (void)context;
    if (*(const uint64_t *)in == 1) { pthread_exit(NULL); } /* the second one: made by the read */
    *(uint64_t *)out = *(const uint64_t *)in;
    return 0;
}

static int pre_write_exits(void *items, size_t count, void *context)
{
    (void)items;
    (void)count;
    (void)context;
    pthread_exit(NULL);
}

static int pre_read_exits(size_t count, void *context)
{
    (void)count;
    (void)context;
    pthread_exit(NULL);
}

static void post_read_exits(void *items, size_t *count, void *context)
{
    (void)items;
    (void)count;
    (void)context;
    pthread_exit(NULL);
}

static int sink_exits(const void *items, size_t count, void *context)
{
    (void)items;
    (void)count;
    (void)context;
    pthread_exit(NULL);
}

static void make_channel(void)
{
    channel_of(&writer, &reader, 0, NULL);
    write_numbers(writer, 0, 3);
}

static void by_direct_read(void)
{
    uint64_t item;
    reader = TASK(pool_of(0), .name = "culprit", .source = range_of(0, 10), .each = each_exits);
    for (unsigned i = 0; i < 2; i++) {
        (void)async_reader_read(reader, &item, 1, NULL, async_forever());
    }
}

static void by_pre_write(void)
{
    make_channel();
    (void)async_writer_set_pre(writer, pre_write_exits, NULL, NULL, NULL);
    write_numbers(writer, 0, 1);
}

static void by_pre_read(void)
{
    uint64_t item;
    make_channel();
    (void)async_reader_set_pre(reader, pre_read_exits, NULL, NULL, NULL);
    (void)async_reader_read(reader, &item, 1, NULL, async_now());
}

static void by_post_read(void)
{
    uint64_t item;
    make_channel();
    (void)async_reader_set_post(reader, post_read_exits, NULL, NULL, NULL);
    (void)async_reader_read(reader, &item, 1, NULL, async_now());
}

static void by_post_read_all(void)
{
    void  *items;
    size_t count;
    make_channel();
    (void)async_reader_set_post(reader, post_read_exits, NULL, NULL, NULL);
    (void)async_reader_read_all(reader, &items, &count, async_now());
}

static void by_sink(void)
{
    make_channel();
    (void)async_reader_for_each(reader, sink_exits, NULL, async_now());
}

typedef struct way {
    const char *title;
    void (*body)(void);
    const char *says;
} way;

static const way ways[] = {
    {"a read that makes the item itself", by_direct_read, "a function of task \"culprit\""},
    {"the pre callback of a write", by_pre_write, "a callback or a sink"},
    {"the pre callback of a read", by_pre_read, "a callback or a sink"},
    {"the post callback of a read", by_post_read, "a callback or a sink"},
    {"the post callback of read_all", by_post_read_all, "a callback or a sink"},
    {"the sink of for_each", by_sink, "a callback or a sink"},
};

static void run(void *argument)
{
    const way *w = argument;
    w->body();
    give_up("it was not left");
}

int main(void)
{
    for (unsigned i = 0; i < sizeof ways / sizeof *ways; i++) {
        way       w = ways[i];
        child_end end = child_run(run, &w, &(child_options){.seconds = 60, .capture = true});
        if (end.hung || end.signal != SIGABRT || strstr(end.said, w.says) == NULL) {
            fprintf(stderr, "%s: %s, exit status %d, signal %d, no word of it:\n%s\n", w.title,
                    end.hung ? "hung" : "ended", end.code, end.signal, end.said);
            return 1;
        }
        free(end.said);
    }
    return 0;
}
