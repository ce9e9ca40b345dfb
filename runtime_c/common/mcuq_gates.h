/* mcuq_gates.h: the curves of recurrent layers, and their arithmetic between gates. */
#ifndef MCUQ_GATES_H
#define MCUQ_GATES_H

#include <stdint.h>

#include "mcuq_requant.h"

/** 2^(shift - 1), or 0 for a shift of 0. */
static inline int32_t mcuq_half(int32_t shift)
{
    return (1 << shift) >> 1;
}

static inline int16_t mcuq_sat16(int32_t value)
{
    return (int16_t)mcuq_clamp(value, -32768, 32767);
}

/** The curve at z (frac 12, 16 bits), with frac 15: a line between two of its 513 points. */
static inline int32_t mcuq_curve(const int16_t *points, int32_t z)
{
    const int16_t *const at = points + 256 + (z >> 7);
    return at[0] + (((at[1] - at[0]) * (z & 127) + 64) >> 7);
}

#endif
