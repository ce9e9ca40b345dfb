/* bare.c: see bare.h; and what printf and clock of a C library need. */
#include "bare.h"
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include "mcuq_semihost.h"

/* QEMU's mps2 boards count 25 MHz; its RISC-V ones nanoseconds, with -icount. */
#if defined(__arm__)
#define SYST ((volatile uint32_t *)0xE000E010)

uint32_t bare_micros(void)
{
    if ((SYST[0] & 1U) == 0) {
        SYST[1] = 0xFFFFFF;
        SYST[2] = 0;
        SYST[0] = 5;
    }
    return (0xFFFFFF - SYST[2]) / 25U;
}
#else
uint32_t bare_micros(void)
{
    uint32_t cycles;
    __asm__ volatile(".option push\n\t"
                     ".option arch, +zicsr\n\t"
                     "csrr %0, mcycle\n\t"
                     ".option pop"
                     : "=r"(cycles));
    return cycles / 1000U;
}
#endif

void bare_print(const char *text)
{
    mcuq_semihost_write0(text);
}

clock_t clock(void)
{
    return (clock_t)(bare_micros() * (uint64_t)CLOCKS_PER_SEC / 1000000U);
}

#if defined(__PICOLIBC__)
static int put(char c, FILE *file)
{
    (void)file;
    bare_print((const char[]){c, '\0'});
    return c;
}

static FILE console = FDEV_SETUP_STREAM(put, NULL, NULL, _FDEV_SETUP_WRITE);
FILE *const stdout = &console;
#else
int _write(int file, const char *text, int length);
int _read(int file, char *text, int length);
int _close(int file);
int _lseek(int file, int offset, int whence);
int _fstat(int file, void *status);
int _isatty(int file);
void *_sbrk(int bytes);
void _exit(int code);
int _kill(int process, int signal);
int _getpid(void);

int _write(int file, const char *text, int length)
{
    (void)file;
    for (int i = 0; i < length; i++) {
        bare_print((const char[]){text[i], '\0'});
    }
    return length;
}

int _read(int file, char *text, int length)
{
    (void)file, (void)text, (void)length;
    return 0;
}

int _close(int file)
{
    (void)file;
    return 0;
}

int _lseek(int file, int offset, int whence)
{
    (void)file, (void)offset, (void)whence;
    return 0;
}

int _fstat(int file, void *status)
{
    (void)file, (void)status;
    return -1;
}

int _isatty(int file)
{
    (void)file;
    return 1;
}

void *_sbrk(int bytes)
{
    (void)bytes;
    errno = ENOMEM;
    return (void *)-1;
}

void _exit(int code)
{
    mcuq_semihost_exit(code);
}

int _kill(int process, int signal)
{
    (void)process, (void)signal;
    return -1;
}

int _getpid(void)
{
    return 1;
}
#endif
