/* mcuq_dense_spread.h: inputs of the dense kernels that keep two weights in a halfword. */
#ifndef MCUQ_DENSE_SPREAD_H
#define MCUQ_DENSE_SPREAD_H

#include "mcuq_dsp.h"

/* Inputs in eights at `to`: x1 x3 | y0 y2 | x5 x7 | y4 y6, where y(i) = 256 x(i) - x(i+1) + 127;
 * returns even_sum plus the sum of x0, x2, ... 16 instructions for 8 inputs. turns > 0. */
static inline int32_t mcuq_dense_spread(uint32_t *to, const int8_t *from, int32_t turns,
                                        int32_t even_sum)
{
#if MCUQ_DSP_ASM
    const uint32_t high = 0xff00ff00u;
    const uint32_t offset = 0x007f007fu;
    const uint32_t ones = 0x00010001u;
    __asm volatile("1:\n"
                   " ldr r5, [%[from], #4]\n"
                   " ldr r4, [%[from]], #8\n"
                   " sxtb16 r6, r5\n"
                   " sxtab16 r6, r6, r4\n"
                   " smlad %[sum], r6, %[ones], %[sum]\n"
                   " and r6, %[high], r5, lsl #8\n"
                   " sxtb16 r8, r5, ror #8\n"
                   " and r5, %[high], r4, lsl #8\n"
                   " sxtb16 r4, r4, ror #8\n"
                   " ssub16 r5, r5, r4\n"
                   " ssub16 r9, r6, r8\n"
                   " sadd16 r5, r5, %[offset]\n"
                   " sadd16 r9, r9, %[offset]\n"
                   " stmia %[to]!, {r4, r5, r8, r9}\n"
                   " subs %[turns], #1\n"
                   " bne 1b\n"
                   : [from] "+&r"(from), [to] "+&r"(to), [turns] "+&r"(turns), [sum] "+&r"(even_sum)
                   : [high] "r"(high), [offset] "r"(offset), [ones] "r"(ones)
                   : "r4", "r5", "r6", "r8", "r9", "cc", "memory");
#else
    for (int32_t i = 0; i < 2 * turns; i++, from += 4, to += 2) {
        to[0] = mcuq_dsp_low((uint32_t)from[1], (uint32_t)from[3]);
        to[1] = mcuq_dsp_low((uint32_t)(256 * from[0] - from[1] + 127),
                             (uint32_t)(256 * from[2] - from[3] + 127));
        even_sum += from[0] + from[2];
    }
#endif
    return even_sum;
}

#if MCUQ_DSP_ASM
/* Four products of an output, 256-fold, from a word of weights and the words x, y of inputs. */
#define MCUQ_DENSE_ROW(acc, x, y, w)                                                               \
    " smlad " acc ", " x ", " w ", " acc "\n uxtb16 " w ", " w "\n"                                \
    " smlad " acc ", " y ", " w ", " acc "\n"
#define MCUQ_DENSE_4_ROWS(x, y)                                                                    \
    " ldmia r1!, {r10-r12, lr}\n" MCUQ_DENSE_ROW("r2", x, y, "r10")                                \
        MCUQ_DENSE_ROW("r3", x, y, "r11") MCUQ_DENSE_ROW("r4", x, y, "r12")                        \
            MCUQ_DENSE_ROW("r5", x, y, "lr")
/* 8 inputs x 4 outputs: 27 instructions for 32 MAC.
 * Registers: r0 inputs, r1 weights, r2-r5 accumulators, r6-r12 and lr data. */
#define MCUQ_DENSE_TURN                                                                            \
    " ldmia r0!, {r6-r9}\n" MCUQ_DENSE_4_ROWS("r6", "r7") MCUQ_DENSE_4_ROWS("r8", "r9")
#define MCUQ_DENSE_4_TURNS MCUQ_DENSE_TURN MCUQ_DENSE_TURN MCUQ_DENSE_TURN MCUQ_DENSE_TURN
#endif

/** All `count` inputs, padded with zeros to a multiple of 8; returns the sum of x0, x2, ... */
static inline int32_t mcuq_dense_spread_all(uint32_t *to, const int8_t *in, int32_t count)
{
    const int32_t whole = count >> 3;
    const int32_t left = count & 7;
    int32_t even_sum = 0;
    if (whole > 0) {
        even_sum = mcuq_dense_spread(to, in, whole, 0);
    }
    if (left > 0) {
        int8_t last[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        memcpy(last, in + 8 * whole, (size_t)left);
        even_sum = mcuq_dense_spread(to + 4 * whole, last, 1, even_sum);
    }
    return even_sum;
}

#endif
