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

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__)
#define MCUQ_DSP_ASM 1
/* A function written in assembly as a whole: it finds its arguments in r0-r3. */
#define MCUQ_DSP_NAKED __attribute__((naked, noinline))
#define MCUQ_DSP_ARGUMENT __attribute__((unused))
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

/** to[i] = from[i] in int16 order, for `units` units of 8 bytes, rounded up to an even count.
 *  0.75 instructions a byte. Registers: 8 data, 3 pointers. from, to: 4-byte aligned. */
static inline void mcuq_dsp_widen(int16_t *to, const int8_t *from, int32_t units)
{
    const int8_t *end = from + 8 * (units + (units & 1));
#if MCUQ_DSP_ASM
    __asm volatile("1:\n"
                   " ldmia %[from]!, {r5, r8, r10, r12}\n"
                   " sxtb16 r4, r5\n"
                   " sxtb16 r5, r5, ror #8\n"
                   " sxtb16 r6, r8\n"
                   " sxtb16 r8, r8, ror #8\n"
                   " sxtb16 r9, r10\n"
                   " sxtb16 r10, r10, ror #8\n"
                   " sxtb16 r11, r12\n"
                   " sxtb16 r12, r12, ror #8\n"
                   " stmia %[to]!, {r4, r5, r6, r8-r12}\n"
                   " cmp %[from], %[end]\n"
                   " bne 1b\n"
                   : [from] "+&r"(from), [to] "+&r"(to)
                   : [end] "r"(end)
                   : "r4", "r5", "r6", "r8", "r9", "r10", "r11", "r12", "cc", "memory");
#else
    for (; from != end; from += 4, to += 4) {
        mcuq_dsp_widen4(to, from);
    }
#endif
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
