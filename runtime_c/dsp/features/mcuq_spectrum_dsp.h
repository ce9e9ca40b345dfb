/* mcuq_spectrum_dsp.h: products with halves of a word, which the DSP extension has.
 *
 * A twiddle is one word: -cos in the lower half, -sin in the upper one. */
#ifndef MCUQ_SPECTRUM_DSP_H
#define MCUQ_SPECTRUM_DSP_H

#include "mcuq_dsp.h"
#include "mcuq_features_fft.h"

/** (a * lower half of w) >> 16. */
static inline int32_t mcuq_halved_low(int32_t a, uint32_t w)
{
#if MCUQ_DSP_ASM
    int32_t y;
    __asm("smulwb %0, %1, %2" : "=r"(y) : "r"(a), "r"(w));
    return y;
#else
    return mcuq_halved(a, (int16_t)(w & 0xffffu));
#endif
}

/** (a * upper half of w) >> 16. */
static inline int32_t mcuq_halved_high(int32_t a, uint32_t w)
{
#if MCUQ_DSP_ASM
    int32_t y;
    __asm("smulwt %0, %1, %2" : "=r"(y) : "r"(a), "r"(w));
    return y;
#else
    return mcuq_halved(a, (int16_t)(w >> 16));
#endif
}

/** acc + ((a * upper half of w) >> 16). */
static inline int32_t mcuq_add_halved_high(int32_t acc, int32_t a, uint32_t w)
{
#if MCUQ_DSP_ASM
    int32_t y;
    __asm("smlawt %0, %1, %2, %3" : "=r"(y) : "r"(a), "r"(w), "r"(acc));
    return y;
#else
    return acc + mcuq_halved(a, (int16_t)(w >> 16));
#endif
}

/** The lowest bits of `index`, as many as half = 2^n has zeros, in reverse. */
static inline int32_t mcuq_reversed(int32_t index, int32_t log2_half)
{
#if MCUQ_DSP_ASM
    uint32_t y;
    __asm("rbit %0, %1" : "=r"(y) : "r"(index));
    return (int32_t)(y >> (32 - log2_half));
#else
    int32_t y = 0;
    for (int32_t bit = 0; bit < log2_half; bit++) {
        y = 2 * y + ((index >> bit) & 1);
    }
    return y;
#endif
}

#endif
