/* mcuq_semihost_host.c: the file operations of mcuq_semihost.h on the host, over stdio. */
#include <stdio.h>

#include "mcuq_semihost.h"

enum { FILES = 8 };

static FILE *files[FILES];

int32_t mcuq_semihost_open(const char *path, int32_t mode)
{
    for (int32_t handle = 1; handle < FILES; handle++) {
        if (files[handle] == NULL) {
            files[handle] = fopen(path, (mode == MCUQ_SEMIHOST_WRITE) ? "wb" : "rb");
            return (files[handle] != NULL) ? handle : -1;
        }
    }
    return -1;
}

uint32_t mcuq_semihost_read(int32_t handle, void *data, uint32_t bytes)
{
    return (uint32_t)fread(data, 1, bytes, files[handle]);
}

uint32_t mcuq_semihost_write(int32_t handle, const void *data, uint32_t bytes)
{
    return (uint32_t)fwrite(data, 1, bytes, files[handle]);
}

int32_t mcuq_semihost_close(int32_t handle)
{
    const int failed = fclose(files[handle]);
    files[handle] = NULL;
    return failed ? -1 : 0;
}
