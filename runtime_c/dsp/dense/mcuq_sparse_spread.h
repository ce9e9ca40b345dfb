/* mcuq_sparse_spread.h: inputs of the kernels that multiply blocks of four weights, two of them in
 * a halfword. */
#ifndef MCUQ_SPARSE_SPREAD_H
#define MCUQ_SPARSE_SPREAD_H

#include "mcuq_dsp.h"

/* Inputs in eights: each four becomes x1 x3 | y0 y2, where y(i) = 256 x(i) - x(i+1) + 127, and lies
 * `step` words behind the one before. 14 instructions for 8 inputs. turns > 0; step a constant. */
static inline __attribute__((always_inline)) void
mcuq_sparse_spread(uint32_t *to, const int8_t *from, int32_t turns, const int step)
{
#if MCUQ_DSP_ASM
    const uint32_t high = 0xff00ff00u;
    const uint32_t offset = 0x007f007fu;
    __asm volatile("1:\n"
                   " ldr r5, [%[from], #4]\n"
                   " ldr r4, [%[from]], #8\n"
                   " and r6, %[high], r5, lsl #8\n"
                   " sxtb16 r8, r5, ror #8\n"
                   " and r5, %[high], r4, lsl #8\n"
                   " sxtb16 r4, r4, ror #8\n"
                   " ssub16 r5, r5, r4\n"
                   " ssub16 r9, r6, r8\n"
                   " sadd16 r5, r5, %[offset]\n"
                   " sadd16 r9, r9, %[offset]\n"
                   " strd r4, r5, [%[to]], #%c[bytes]\n"
                   " strd r8, r9, [%[to]], #%c[bytes]\n"
                   " subs %[turns], #1\n"
                   " bne 1b\n"
                   : [from] "+&r"(from), [to] "+&r"(to), [turns] "+&r"(turns)
                   : [high] "r"(high), [offset] "r"(offset), [bytes] "i"(4 * step)
                   : "r4", "r5", "r6", "r8", "r9", "cc", "memory");
#else
    for (int32_t i = 0; i < 2 * turns; i++, from += 4, to += step) {
        to[0] = mcuq_dsp_low((uint32_t)from[1], (uint32_t)from[3]);
        to[1] = mcuq_dsp_low((uint32_t)(256 * from[0] - from[1] + 127),
                             (uint32_t)(256 * from[2] - from[3] + 127));
    }
#endif
}

/** All `count` inputs, padded with zeros to a multiple of 8. */
static inline __attribute__((always_inline)) void
mcuq_sparse_spread_all(uint32_t *to, const int8_t *in, int32_t count, const int step)
{
    const int32_t whole = count >> 3;
    const int32_t left = count & 7;
    if (whole > 0) {
        mcuq_sparse_spread(to, in, whole, step);
    }
    if (left > 0) {
        int8_t last[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        memcpy(last, in + 8 * whole, (size_t)left);
        mcuq_sparse_spread(to + 2 * step * whole, last, 1, step);
    }
}

#endif
