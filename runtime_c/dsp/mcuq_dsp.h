/* mcuq_dsp.h: building blocks for cores with the DSP extension (Cortex-M4, M7, M33).
 *
 * Activations and weights are int8 in memory and int16 in the inner loops, where SMLAD does two
 * multiply-accumulates. Four neighbours b0 b1 b2 b3 become the words (b0, b2) and (b1, b3), which
 * is what SXTB16 and SXTB16 with ROR #8 give; "int16 order" below is b0 b2 b1 b3.
 * Every function has a portable body with the same result and the same memory layout.
 */
#ifndef MCUQ_DSP_H
#define MCUQ_DSP_H

#include <stdint.h>
#include <string.h>
#include "mcuq_requant.h"

/* Without optimization gcc keeps r7 for itself, and the blocks find too few registers. They load
 * and store words at any address. */
#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__OPTIMIZE__) && MCUQ_UNALIGNED
#define MCUQ_DSP_ASM 1
#else
#define MCUQ_DSP_ASM 0
#endif

/** Four int8 neighbours as int16, in int16 order. */
static inline void mcuq_dsp_widen4(int16_t *to, const int8_t *from)
{
    to[0] = from[0];
    to[1] = from[2];
    to[2] = from[1];
    to[3] = from[3];
}

/** Bytes 0 and 2 of x as int16 in one word. */
static inline uint32_t mcuq_dsp_even(uint32_t x)
{
#if MCUQ_DSP_ASM
    uint32_t y;
    __asm("sxtb16 %0, %1" : "=r"(y) : "r"(x));
    return y;
#else
    return (uint16_t)(int8_t)(x & 0xffu) | ((uint32_t)(uint16_t)(int8_t)((x >> 16) & 0xffu) << 16);
#endif
}

/** Bytes 1 and 3 of x as int16 in one word. */
static inline uint32_t mcuq_dsp_odd(uint32_t x)
{
#if MCUQ_DSP_ASM
    uint32_t y;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(y) : "r"(x));
    return y;
#else
    return mcuq_dsp_even(x >> 8);
#endif
}

/** (low half of a, low half of b) and (high half of a, high half of b). */
static inline uint32_t mcuq_dsp_low(uint32_t a, uint32_t b)
{
#if MCUQ_DSP_ASM
    uint32_t y;
    __asm("pkhbt %0, %1, %2, lsl #16" : "=r"(y) : "r"(a), "r"(b));
    return y;
#else
    return (a & 0xffffu) | (b << 16);
#endif
}

static inline uint32_t mcuq_dsp_high(uint32_t a, uint32_t b)
{
#if MCUQ_DSP_ASM
    uint32_t y;
    __asm("pkhtb %0, %1, %2, asr #16" : "=r"(y) : "r"(b), "r"(a));
    return y;
#else
    return (a >> 16) | (b & 0xffff0000u);
#endif
}

/** acc + low(a) * low(b) + high(a) * high(b). */
static inline int32_t mcuq_dsp_smlad(uint32_t a, uint32_t b, int32_t acc)
{
#if MCUQ_DSP_ASM
    __asm("smlad %0, %1, %2, %0" : "+r"(acc) : "r"(a), "r"(b));
    return acc;
#else
    return acc + (int16_t)(a & 0xffffu) * (int16_t)(b & 0xffffu) +
           (int16_t)(a >> 16) * (int16_t)(b >> 16);
#endif
}

/** The same of an acc that stays as it is. */
static inline int32_t mcuq_dsp_smlad_to(uint32_t a, uint32_t b, int32_t acc)
{
#if MCUQ_DSP_ASM
    int32_t sum;
    __asm("smlad %0, %1, %2, %3" : "=r"(sum) : "r"(a), "r"(b), "r"(acc));
    return sum;
#else
    return mcuq_dsp_smlad(a, b, acc);
#endif
}

/** Four bytes of any alignment, the first one lowest. */
static inline uint32_t mcuq_dsp_load4(const int8_t *from)
{
#if MCUQ_DSP_ASM
    uint32_t word;
    memcpy(&word, from, 4);
    return word;
#else
    return (uint8_t)from[0] | ((uint32_t)(uint8_t)from[1] << 8) |
           ((uint32_t)(uint8_t)from[2] << 16) | ((uint32_t)(uint8_t)from[3] << 24);
#endif
}

/** The value at `place` / 128 of a table of int16, on the line between two of its entries, which
 * are loaded at once: table[k] * (128 - r) + table[k + 1] * r, with place = 128 * k + r. */
static inline int32_t mcuq_dsp_between(const int16_t *table, int32_t place)
{
    const uint32_t shares = (uint32_t)(place & 127) * 65535u + 128u; /* 128 - r, and r above */
    uint32_t ends;
    memcpy(&ends, table + (place >> 7), sizeof ends);
    return mcuq_dsp_smlad_to(ends, shares, 64) >> 7;
}

/** values[i] limited to [low, high]. 1.75 instructions a value; nothing for [-128, 127]. */
static inline void mcuq_dsp_clamp(int8_t *values, int32_t count, int32_t low, int32_t high)
{
    if (low == -128 && high == 127) {
        return;
    }
#if MCUQ_DSP_ASM
    uint32_t lows = 0x01010101u * (uint8_t)low;
    uint32_t highs = 0x01010101u * (uint8_t)high;
    for (; count >= 4; count -= 4, values += 4) {
        uint32_t word, sink;
        __asm("ldr %[word], [%[at]]\n"
              " ssub8 %[sink], %[word], %[lows]\n"
              " sel %[word], %[word], %[lows]\n"
              " ssub8 %[sink], %[highs], %[word]\n"
              " sel %[word], %[word], %[highs]\n"
              " str %[word], [%[at]]\n"
              : [word] "=&r"(word), [sink] "=&r"(sink), "+m"(*(uint8_t(*)[4])(void *)values)
              : [at] "r"(values), [lows] "r"(lows), [highs] "r"(highs)
              : "cc");
    }
#endif
    for (; count > 0; count--, values++) {
        *values = (int8_t)mcuq_clamp(*values, low, high);
    }
}

#endif
