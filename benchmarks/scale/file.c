/* file.c: see file.h. */
#define _GNU_SOURCE

#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_special(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

/* The file that a link leads to, so that the link stays one; or a copy of the path. NULL: no
 * memory. */
static char *target_of(const char *path)
{
    char *real = realpath(path, NULL);
    return real != NULL ? real : strdup(path);
}

/* Opens a new file beside `path`; *name is for free. -1 and errno. */
static int open_beside(const char *path, char **name)
{
    if (asprintf(name, "%s.XXXXXX", path) < 0) {
        *name = NULL;
        errno = ENOMEM;
        return -1;
    }
    int fd = mkostemp(*name, O_CLOEXEC);
    if (fd < 0) {
        int error = errno;
        free(*name);
        *name = NULL;
        errno = error;
    }
    return fd;
}

int file_probe(const char *path)
{
    struct stat info;
    if (strcmp(path, "-") == 0) return 0;
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode)) return EISDIR;
        if (!S_ISREG(info.st_mode)) return access(path, W_OK) == 0 ? 0 : errno;
        if (access(path, W_OK) != 0) return errno;
    }
    char *target = target_of(path), *name;
    if (target == NULL) return ENOMEM;
    int fd = open_beside(target, &name), error = fd < 0 ? errno : 0;
    free(target);
    if (fd < 0) return error;
    close(fd);
    unlink(name);
    free(name);
    return 0;
}

static int finish(FILE *file, bool written, bool sync)
{
    int error = written ? 0 : EIO;
    errno = 0;
    if (fflush(file) != 0 || ferror(file)) error = errno != 0 ? errno : EIO;
    if (error == 0 && sync && fsync(fileno(file)) != 0) error = errno;
    if (fclose(file) != 0 && error == 0) error = errno;
    return error;
}

static int write_directly(const char *path, file_writer *writer, const void *what)
{
    FILE *file;
    if (strcmp(path, "-") == 0) {
        int copy = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
        if (copy < 0) return errno;
        file = fdopen(copy, "w");
        if (file == NULL) close(copy);
    } else {
        file = fopen(path, "we");
    }
    if (file == NULL) return errno;
    bool written = writer(file, what);
    return finish(file, written, false);
}

int file_write(const char *path, file_writer *writer, const void *what)
{
    if (strcmp(path, "-") == 0 || is_special(path)) return write_directly(path, writer, what);
    char *target = target_of(path), *name;
    if (target == NULL) return ENOMEM;
    int fd = open_beside(target, &name), error = 0;
    if (fd < 0) {
        error = errno;
        free(target);
        return error;
    }
    struct stat info;
    mode_t      mask = umask(0);
    umask(mask);
    (void)fchmod(fd, stat(target, &info) == 0 ? info.st_mode & 0777 : 0666 & ~mask);
    FILE *file = fdopen(fd, "w");
    if (file == NULL) {
        error = errno;
        close(fd);
    } else {
        bool written = writer(file, what);
        error = finish(file, written, true);
    }
    if (error == 0 && rename(name, target) != 0) error = errno;
    if (error != 0) unlink(name);
    free(name);
    free(target);
    return error;
}
