/* mcuq_semihost.c: Arm semihosting 2.0; block layouts and operation numbers from that document. */
#include "mcuq_semihost.h"

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE0 = 0x04,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_ERRNO = 0x13,
    SYS_GET_CMDLINE = 0x15,
    SYS_EXIT_EXTENDED = 0x20,
    STOPPED_APPLICATION_EXIT = 0x20026
};

volatile uint32_t mcuq_semihost_present = 1;

#if defined(__arm__)
/* BKPT 0xAB with the operation in r0 and the block in r1; the answer comes back in r0. */
static int32_t trap(int32_t operation, uintptr_t block)
{
    register int32_t r0 __asm__("r0") = operation;
    register uintptr_t r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}
#elif defined(__riscv)
/* The three uncompressed instructions must lie in one page: hence the alignment. */
static __attribute__((noinline)) int32_t trap(int32_t operation, uintptr_t block)
{
    register int32_t a0 __asm__("a0") = operation;
    register uintptr_t a1 __asm__("a1") = block;
    __asm__ volatile(".option push\n\t"
                     ".option norvc\n\t"
                     ".balign 16\n\t"
                     "slli x0, x0, 0x1f\n\t"
                     "ebreak\n\t"
                     "srai x0, x0, 7\n\t"
                     ".option pop"
                     : "+r"(a0)
                     : "r"(a1)
                     : "memory");
    return a0;
}
#endif

int32_t mcuq_semihost_call(int32_t operation, const void *block)
{
    return mcuq_semihost_present ? trap(operation, (uintptr_t)block) : -1;
}

void mcuq_semihost_probe(void)
{
    (void)mcuq_semihost_call(SYS_ERRNO, 0);
}

static uint32_t length_of(const char *text)
{
    uint32_t length = 0;
    while (text[length] != '\0') {
        length++;
    }
    return length;
}

int32_t mcuq_semihost_open(const char *path, int32_t mode)
{
    const uintptr_t block[3] = {(uintptr_t)path, (uintptr_t)mode, length_of(path)};
    return mcuq_semihost_call(SYS_OPEN, block);
}

/* SYS_READ and SYS_WRITE answer with the number of bytes *not* moved. */
static uint32_t moved(int32_t operation, int32_t handle, uintptr_t data, uint32_t bytes)
{
    const uintptr_t block[3] = {(uintptr_t)handle, data, bytes};
    const uint32_t left = (uint32_t)mcuq_semihost_call(operation, block);
    return (left <= bytes) ? bytes - left : 0;
}

uint32_t mcuq_semihost_read(int32_t handle, void *data, uint32_t bytes)
{
    return moved(SYS_READ, handle, (uintptr_t)data, bytes);
}

uint32_t mcuq_semihost_write(int32_t handle, const void *data, uint32_t bytes)
{
    return moved(SYS_WRITE, handle, (uintptr_t)data, bytes);
}

int32_t mcuq_semihost_close(int32_t handle)
{
    const uintptr_t block[1] = {(uintptr_t)handle};
    return mcuq_semihost_call(SYS_CLOSE, block);
}

void mcuq_semihost_write0(const char *text)
{
    (void)mcuq_semihost_call(SYS_WRITE0, text);
}

int32_t mcuq_semihost_command_line(char *buffer, uint32_t bytes)
{
    volatile uintptr_t block[2] = {(uintptr_t)buffer, bytes};
    if (mcuq_semihost_call(SYS_GET_CMDLINE, (const void *)block) != 0) {
        return -1;
    }
    return (int32_t)block[1];
}

void mcuq_semihost_exit(int32_t code)
{
    const uintptr_t block[2] = {STOPPED_APPLICATION_EXIT, (uintptr_t)code};
    (void)mcuq_semihost_call(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}
