/* A disk quota that is used up, for who may not set one: loaded with LD_PRELOAD, write() below $QUOTA_FOLDER fails. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int used_up(int descriptor)
{
    const char *folder = getenv("QUOTA_FOLDER");
    char link[64], path[4096];
    ssize_t length;
    if (folder == NULL || *folder == '\0')
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    length = readlink(link, path, sizeof path - 1);
    return length > 0 && (size_t)length > strlen(folder) && strncmp(path, folder, strlen(folder)) == 0;
}

ssize_t write(int descriptor, const void *data, size_t count)
{
    static ssize_t (*real)(int, const void *, size_t);
    if (real == NULL)
        real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (used_up(descriptor)) {
        errno = EDQUOT;
        return -1;
    }
    return real(descriptor, data, count);
}
