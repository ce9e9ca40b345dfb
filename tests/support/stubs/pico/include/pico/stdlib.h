/* stdlib.h: the few names of pico_stdlib that the example uses. */
#ifndef PICO_STDLIB_H
#define PICO_STDLIB_H

#include <stdint.h>
#include "bare.h"

static inline void stdio_init_all(void)
{
}

static inline void sleep_ms(uint32_t ms)
{
    (void)ms;
}

static inline uint32_t time_us_32(void)
{
    return bare_micros();
}

#endif
