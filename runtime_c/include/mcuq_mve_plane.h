/* mcuq_mve_plane.h: what the Helium depthwise kernels share; on other cores, plain C.
 *
 * A channel's vectors lie in scratch: [16] tap offsets, [vectors][16] weights, [4] bias words.
 */
#ifndef MCUQ_MVE_PLANE_H
#define MCUQ_MVE_PLANE_H

#include <stdint.h>

#include "mcuq_depthwise_conv2d_mve.h"
#include "mcuq_requant.h"

#if defined(__ARM_FEATURE_MVE)

/** Bytes of a channel's vectors. */
static inline int32_t mcuq_mve_vector_bytes(const mcuq_depthwise_conv2d_mve_params *p)
{
    return 32 + 16 * p->vectors;
}

/** Bytes of the sums of one line: an even number of blocks. */
static inline int32_t mcuq_mve_line_bytes(const mcuq_depthwise_conv2d_mve_params *p)
{
    return 32 * ((p->blocks + 1) / 2);
}

/** The vectors of `channels` channels from c on: weights by a gather from the taps, where lanes
 *  without one read the zero behind the last tap. */
static inline void mcuq_mve_spread(const mcuq_depthwise_conv2d_mve_params *p, int32_t c,
                                   int8_t *vectors, int32_t channels)
{
    const int32_t taps = p->kernel_h * p->kernel_w + 1;
    const int8_t *weights = p->weights + c * taps;
    const int32_t *bias = p->bias + c;
    __asm volatile(
        "1: vldrb.u8 q0, [%[lanes]]\n vstrb.8 q0, [%[to]], #16\n"
        "add r0, %[lanes], #16\n dls lr, %[count]\n"
        "2: vldrb.u8 q0, [r0], #16\n vldrb.u8 q1, [%[weights], q0]\n"
        "vstrb.8 q1, [%[to]], #16\n le lr, 2b\n"
        "ldr r0, [%[bias]], #4\n vdup.32 q0, r0\n vstrw.32 q0, [%[to]], #16\n"
        "add %[weights], %[taps]\n subs %[channels], #1\n bne 1b\n"
        : [to] "+r"(vectors), [weights] "+r"(weights), [bias] "+r"(bias), [channels] "+r"(channels)
        : [lanes] "h"(p->lanes), [count] "h"(p->vectors), [taps] "h"(taps)
        : "q0", "q1", "r0", "lr", "cc", "memory");
}

/** Around the lines of one channel: the planes of channels lie a byte apart, their sums one after
 *  the other. x and lines are kept on the stack. */
#define MCUQ_MVE_FIRST_CHANNEL "sub sp, #8\n str %[x], [sp]\n str %[lines], [sp, #4]\n 0:\n"
#define MCUQ_MVE_NEXT_CHANNEL                                                                      \
    "ldr %[x], [sp]\n add %[x], #1\n str %[x], [sp]\n ldr %[lines], [sp, #4]\n"                    \
    "add %[w], #32\n subs %[channels], #1\n bne 0b\n add sp, #8\n"

/** Lines of blocks with one gather for four outputs: 8 instructions a block, 2 an output.
 *  delta: from the end of a line to the next one. */
static inline void mcuq_mve_lines4(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *plane,
                                   const int8_t *vectors, int32_t *acc, int32_t lines,
                                   int32_t channels)
{
    const int32_t pairs = (p->blocks + 1) / 2;
    const int32_t delta = p->in_across - 2 * pairs * p->in_step;
    __asm volatile("vldrb.u8 q5, [%[w]], #16\n vadd.i8 q6, q5, %[step]\n" MCUQ_MVE_FIRST_CHANNEL
                   "vldrb.u8 q0, [%[w]], #16\n vldrb.u8 q1, [%[w]], #16\n"
                   "vldrb.u8 q2, [%[w]], #16\n vldrb.u8 q3, [%[w]], #16\n"
                   "1: dls lr, %[pairs]\n"
                   "2: ldm %[w], {r0, r2, r4, r6}\n vldrb.u8 q4, [%[x], q5]\n"
                   "vmladava.s8 r0, q4, q0\n vmladava.s8 r2, q4, q1\n"
                   "vmladava.s8 r4, q4, q2\n vmladava.s8 r6, q4, q3\n"
                   "stmia %[acc]!, {r0, r2, r4, r6}\n"
                   "ldm %[w], {r0, r2, r4, r6}\n vldrb.u8 q7, [%[x], q6]\n"
                   "vmladava.s8 r0, q7, q0\n vmladava.s8 r2, q7, q1\n"
                   "vmladava.s8 r4, q7, q2\n vmladava.s8 r6, q7, q3\n"
                   "stmia %[acc]!, {r0, r2, r4, r6}\n add %[x], %[x], %[step], lsl #1\n le lr, 2b\n"
                   "add %[x], %[delta]\n subs %[lines], #1\n bne 1b\n" MCUQ_MVE_NEXT_CHANNEL
                   : [x] "+h"(plane), [acc] "+h"(acc), [w] "+h"(vectors), [lines] "+r"(lines),
                     [channels] "+r"(channels)
                   : [step] "h"(p->in_step), [pairs] "h"(pairs), [delta] "r"(delta)
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "r0", "r2", "r4", "r6", "lr",
                     "cc", "memory");
}

/** Lines of blocks with two gathers for four outputs: 10 instructions a block, 2.5 an output. */
static inline void mcuq_mve_lines2(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *plane,
                                   const int8_t *vectors, int32_t *acc, int32_t lines,
                                   int32_t channels)
{
    const int32_t blocks = (p->blocks + 1) / 2 * 2;
    register int32_t sub_step __asm("r0") = p->sub_step;
    const int32_t delta = p->in_across - blocks * p->in_step;
    __asm volatile("vldrb.u8 q5, [%[w]], #16\n vadd.i8 q6, q5, r0\n" MCUQ_MVE_FIRST_CHANNEL
                   "vldrb.u8 q0, [%[w]], #16\n vldrb.u8 q1, [%[w]], #16\n"
                   "1: dls lr, %[blocks]\n"
                   "2: ldm %[w], {r0, r2, r4, r6}\n"
                   "vldrb.u8 q4, [%[x], q5]\n vmladava.s8 r0, q4, q0\n vmladava.s8 r2, q4, q1\n"
                   "vldrb.u8 q7, [%[x], q6]\n vmladava.s8 r4, q7, q0\n vmladava.s8 r6, q7, q1\n"
                   "stmia %[acc]!, {r0, r2, r4, r6}\n add %[x], %[step]\n le lr, 2b\n"
                   "add %[x], %[delta]\n subs %[lines], #1\n bne 1b\n" MCUQ_MVE_NEXT_CHANNEL
                   : [x] "+h"(plane), [acc] "+h"(acc), [w] "+h"(vectors), [lines] "+r"(lines),
                     [channels] "+r"(channels), "+r"(sub_step)
                   : [step] "h"(p->in_step), [blocks] "h"(blocks), [delta] "r"(delta)
                   : "q0", "q1", "q4", "q5", "q6", "q7", "r2", "r4", "r6", "lr", "cc", "memory");
}

/** One block of four outputs whose taps take several vectors: 11 instructions a vector. */
static inline void mcuq_mve_block1(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *plane,
                                   const int8_t *vectors, int32_t *acc)
{
    const int8_t *const bias = vectors + 16 + 16 * p->vectors;
    __asm volatile("vldrb.u8 q4, [%[w]], #16\n vadd.i8 q5, q4, %[sub]\n vadd.i8 q6, q5, %[sub]\n"
                   "vadd.i8 q7, q6, %[sub]\n ldm %[bias], {r0, r2, r4, r6}\n dls lr, %[vectors]\n"
                   "1: vldrb.u8 q0, [%[w]], #16\n"
                   "vldrb.u8 q1, [%[x], q4]\n vmladava.s8 r0, q1, q0\n"
                   "vldrb.u8 q2, [%[x], q5]\n vmladava.s8 r2, q2, q0\n"
                   "vldrb.u8 q1, [%[x], q6]\n vmladava.s8 r4, q1, q0\n"
                   "vldrb.u8 q2, [%[x], q7]\n vmladava.s8 r6, q2, q0\n"
                   "add %[x], %[step]\n le lr, 1b\n"
                   "stmia %[acc], {r0, r2, r4, r6}\n"
                   : [x] "+h"(plane), [w] "+h"(vectors)
                   : [acc] "r"(acc), [bias] "h"(bias), [step] "r"(p->vector_step),
                     [sub] "r"(p->sub_step), [vectors] "h"(p->vectors)
                   : "q0", "q1", "q2", "q4", "q5", "q6", "q7", "r0", "r2", "r4", "r6", "lr", "cc",
                     "memory");
}

/** acc = the sums of `lines` lines of blocks from `plane` on, for each of `channels` channels. */
static inline void mcuq_mve_lines(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *plane,
                                  const int8_t *vectors, int32_t *acc, int32_t lines,
                                  int32_t channels)
{
    if (p->spread == 4) {
        mcuq_mve_lines4(p, plane, vectors, acc, lines, channels);
        return;
    }
    if (p->spread == 2) {
        mcuq_mve_lines2(p, plane, vectors, acc, lines, channels);
        return;
    }
    for (int32_t c = 0; c < channels; c++) {
        for (int32_t line = 0; line < lines; line++) {
            const int8_t *const from = plane + c + line * p->in_across;
            for (int32_t i = 0; i < (p->blocks + 1) / 2 * 2; i++, acc += 4) {
                mcuq_mve_block1(p, from + i * p->in_step, vectors, acc);
            }
        }
        vectors += mcuq_mve_vector_bytes(p);
    }
}

#else

/** One output: the sum over the taps of output channel c, with its first tap at (row, column). */
static inline int32_t mcuq_mve_plain_taps(const mcuq_depthwise_conv2d_mve_params *p,
                                          const int8_t *in, int32_t row, int32_t column, int32_t c)
{
    const int32_t taps = p->kernel_h * p->kernel_w;
    const int32_t from = c / (p->out_c / p->in_c);
    int32_t acc = p->bias[c];
    for (int32_t i = 0; i < taps; i++) {
        const int32_t y = row + i / p->kernel_w * p->dilation_h;
        const int32_t x = column + i % p->kernel_w * p->dilation_w;
        const int inside = y >= 0 && y < p->in_h && x >= 0 && x < p->in_w;
        const int32_t value = inside ? in[(y * p->in_w + x) * p->in_c + from] : p->pad_value;
        acc += p->weights[c * (taps + 1) + i] * value;
    }
    return acc;
}

/** The whole depthwise convolution from weights as the MVE kernels take them. */
static inline void mcuq_mve_plain_depthwise(const mcuq_depthwise_conv2d_mve_params *p,
                                            const int8_t *in, int8_t *out)
{
    for (int32_t i = 0; i < p->out_h * p->out_w; i++) {
        const int32_t row = i / p->out_w * p->stride_h - p->pad_top;
        const int32_t column = i % p->out_w * p->stride_w - p->pad_left;
        for (int32_t c = 0; c < p->out_c; c++) {
            const int32_t acc = mcuq_mve_plain_taps(p, in, row, column, c);
            *out++ = mcuq_requant(acc, -p->minus_shift[c], p->out_range[0], p->out_range[1]);
        }
    }
}

#endif
#endif
