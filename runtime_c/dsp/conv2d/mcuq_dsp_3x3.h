/* mcuq_dsp_3x3.h: taps and products of depthwise 3x3 kernels that read words of two neighbours.
 *
 * The taps of a line are two words, (w0, w1) and (w1, w2). For an output, or two with stride 1, a
 * word of each of the three lines is in registers, and then the next word of each.
 */
#ifndef MCUQ_DSP_3X3_H
#define MCUQ_DSP_3X3_H

#include "mcuq_dsp.h"

#if MCUQ_DSP_ASM
/* Registers: r1 out, r2-r7 taps, r8 bias, r9-r11 words, r12 and lr accumulators. `next` loads the
 * next words. */
/* Two outputs, stride 1: 16 instructions and `next` for 18 MAC. */
#define MCUQ_DSP_3X3_PAIR(shift, next)                                                             \
    " smlad r12, r9, r2, r8\n smlatb lr, r9, r2, r8\n"                                             \
    " smlad r12, r10, r4, r12\n smlatb lr, r10, r4, lr\n"                                          \
    " smlad r12, r11, r6, r12\n smlatb lr, r11, r6, lr\n" next                                     \
    " smlabt r12, r9, r3, r12\n smlad lr, r9, r3, lr\n"                                            \
    " smlabt r12, r10, r5, r12\n smlad lr, r10, r5, lr\n"                                          \
    " smlabt r12, r11, r7, r12\n smlad lr, r11, r7, lr\n"                                          \
    " ssat r12, #8, r12, asr #" shift "\n ssat lr, #8, lr, asr #" shift "\n"                       \
    " strb r12, [r1], #4\n strb lr, [r1], #4\n"
/* One output, stride 2: 8 instructions and `next` for 9 MAC. */
#define MCUQ_DSP_3X3_SINGLE(shift, next)                                                           \
    " smlad r12, r9, r2, r8\n smlad r12, r10, r4, r12\n smlad r12, r11, r6, r12\n" next            \
    " smlabt r12, r9, r3, r12\n smlabt r12, r10, r5, r12\n smlabt r12, r11, r7, r12\n"             \
    " ssat r12, #8, r12, asr #" shift "\n strb r12, [r1], #4\n"
/* The words of a line from its taps at r1, times 2^r12; uses lr. */
#define MCUQ_DSP_3X3_TAPS(low, high)                                                               \
    " ldrsb " low ", [r1], #1\n ldrsb lr, [r1], #1\n ldrsb " high ", [r1], #1\n"                   \
    " lsl " low ", r12\n lsl lr, r12\n lsl " high ", r12\n"                                        \
    " pkhbt " low ", " low ", lr, lsl #16\n pkhbt " high ", lr, " high ", lsl #16\n"
#else
/* Lane `half` of a word: 0 is the low one. */
static inline int32_t mcuq_dsp_3x3_half(uint32_t word, int32_t half)
{
    return (int16_t)((half ? word >> 16 : word) & 0xffffu);
}

/* The words of a line from its taps, times `scale`. */
static inline void mcuq_dsp_3x3_taps(uint32_t *to, const int8_t *w, int32_t scale)
{
    to[0] = mcuq_dsp_low((uint32_t)(w[0] * scale), (uint32_t)(w[1] * scale));
    to[1] = mcuq_dsp_low((uint32_t)(w[1] * scale), (uint32_t)(w[2] * scale));
}
#endif

#endif
