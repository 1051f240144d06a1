/* replay.c: runs a target on files, and on those in folders, without libFuzzer: the corpus as a
 * test with any compiler. [-n ROUNDS] PATH... */
#define _GNU_SOURCE
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_LIMIT (1 << 20)
#define SECONDS    60 /* for one file: a hang */

static unsigned files;

static void fatal(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

static void run_file(const char *path)
{
    FILE    *file = fopen(path, "rbe");
    uint8_t *data = malloc(SIZE_LIMIT);
    if (file == NULL || data == NULL) { fatal(path); }
    size_t size = fread(data, 1, SIZE_LIMIT, file);
    fclose(file);
    uint8_t *exact = malloc(size + (size == 0)); /* a byte too far is found */
    if (exact == NULL) { fatal(path); }
    memcpy(exact, data, size);
    free(data);
    char note[300];
    int  length = snprintf(note, sizeof note, "%s\n", path);
    /* The name stands in front of whatever ends the program. */
    if (getenv("FUZZ_VERBOSE") != NULL && write(STDERR_FILENO, note, (size_t)length) < 0) {
        fatal(path);
    }
    alarm(SECONDS);
    fuzz_one(exact, size);
    alarm(0);
    free(exact);
    files++;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void run_path(const char *path)
{
    struct stat     info;
    struct dirent **entries;
    if (stat(path, &info) != 0) { fatal(path); }
    if (!S_ISDIR(info.st_mode)) {
        run_file(path);
        return;
    }
    int count = scandir(path, &entries, NULL, by_name);
    if (count < 0) { fatal(path); }
    for (int i = 0; i < count; i++) {
        char *inside;
        if (entries[i]->d_name[0] != '.') {
            if (asprintf(&inside, "%s/%s", path, entries[i]->d_name) < 0) { fatal(path); }
            run_path(inside);
            free(inside);
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    int first = 1, rounds = 1;
    if (argc > 2 && strcmp(argv[1], "-n") == 0) {
        rounds = atoi(argv[2]);
        first = 3;
    }
    for (int round = 0; round < rounds; round++) {
        for (int i = first; i < argc; i++) { run_path(argv[i]); }
    }
    printf("%u files\n", files);
    return files == 0;
}
