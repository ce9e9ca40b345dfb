/* mcuq_startup.h: what the startup files offer to a test image besides calling main. */
#ifndef MCUQ_STARTUP_H
#define MCUQ_STARTUP_H

#include <stdint.h>

/* The exit code of an image that took a fault or an unexpected interrupt. */
enum { MCUQ_EXIT_FAULT = 125 };

/** Bytes of stack used so far at the deepest point since reset (the stack was painted then). */
uint32_t mcuq_stack_used(void);

/** Reports a fault at this address and ends with MCUQ_EXIT_FAULT. */
void mcuq_fault(uint32_t address) __attribute__((noreturn));

/** Where the reset code of every architecture goes on: memory, stack paint, main, exit. */
void mcuq_start(void) __attribute__((noreturn));

int main(void);

#endif
