/* bare.h: what the stand-ins for SDKs are made of, on an emulated board. */
#ifndef BARE_H
#define BARE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Microseconds since the first call, of the emulator's clock: at most 0.6 s. */
uint32_t bare_micros(void);

/** Prints through semihosting. */
void bare_print(const char *text);

#ifdef __cplusplus
}
#endif

#endif
