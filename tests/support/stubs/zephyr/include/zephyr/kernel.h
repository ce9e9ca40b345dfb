/* kernel.h: microseconds of an emulated board as Zephyr's cycles. */
#ifndef KERNEL_H
#define KERNEL_H

#include <stdint.h>
#include "bare.h"

static inline uint32_t k_cycle_get_32(void)
{
    return bare_micros();
}

static inline uint64_t k_cyc_to_us_floor64(uint64_t cycles)
{
    return cycles;
}

#endif
