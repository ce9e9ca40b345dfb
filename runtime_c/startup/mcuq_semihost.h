/* mcuq_semihost.h: files, console and exit through the debugger or the emulator (Arm semihosting
 * 2.0, which RISC-V shares). For test images only: a model's own code never needs it.
 *
 * Without a debugger every call returns at once: the fault handler of the startup file steps over
 * the trapping instruction and clears mcuq_semihost_present. An image that nobody watches runs on.
 */
#ifndef MCUQ_SEMIHOST_H
#define MCUQ_SEMIHOST_H

#include <stdint.h>

enum { MCUQ_SEMIHOST_READ = 1, MCUQ_SEMIHOST_WRITE = 5 }; /* fopen's "rb" and "wb" */

/** 1 while somebody answers, else 0. The startup code probes before main. */
extern volatile uint32_t mcuq_semihost_present;

/** The raw call: operation number and parameter block; the answer, or -1 if nobody listens. */
int32_t mcuq_semihost_call(int32_t operation, const void *block);

/** Finds out whether somebody answers; the startup code calls it once. */
void mcuq_semihost_probe(void);

/** A handle (> 0) for the file, or -1. */
int32_t mcuq_semihost_open(const char *path, int32_t mode);

/** Bytes read: fewer than asked for at the end of the file, 0 on failure. */
uint32_t mcuq_semihost_read(int32_t handle, void *data, uint32_t bytes);

/** Bytes written: fewer than asked for on failure. */
uint32_t mcuq_semihost_write(int32_t handle, const void *data, uint32_t bytes);

/** 0, or -1 on failure. */
int32_t mcuq_semihost_close(int32_t handle);

/** Prints a string on the debugger's console. */
void mcuq_semihost_write0(const char *text);

/** Copies the command line, zero-terminated, into a buffer; its length, or -1. */
int32_t mcuq_semihost_command_line(char *buffer, uint32_t bytes);

/** Ends the emulation with this exit code; on a board that nobody watches, stays here forever. */
void mcuq_semihost_exit(int32_t code) __attribute__((noreturn));

#endif
