/* mcuq_requant.h: the only rounding and saturation rules in C (the twin of mcuq/fixed.py).
 *
 * Rounding is half up, toward +infinity. The constant 2^(shift-1) is folded into biases offline,
 * so a kernel only shifts and clamps: +2.5 -> 3, -2.5 -> -2.
 */
#ifndef MCUQ_REQUANT_H
#define MCUQ_REQUANT_H

#include <stdint.h>

#include "mcuq_target.h"

/** value limited to [low, high]. */
static inline int32_t mcuq_clamp(int32_t value, int32_t low, int32_t high)
{
    value = (value < low) ? low : value;
    return (value > high) ? high : value;
}

/** floor(acc / 2^shift), limited to [low, high]. Right shifts of negative values are arithmetic:
 *  every compiler for the supported cores does so, and the test images check it. */
static inline int8_t mcuq_requant(int32_t acc, int shift, int32_t low, int32_t high)
{
    return (int8_t)mcuq_clamp(acc >> shift, low, high);
}

#endif
