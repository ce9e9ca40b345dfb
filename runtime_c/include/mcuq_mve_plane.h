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

/** The vectors of channel c: weights by a gather from its taps, where lanes without a tap read the
 *  zero behind the last one. */
static inline void mcuq_mve_spread(const mcuq_depthwise_conv2d_mve_params *p, int32_t c,
                                   int8_t *vectors)
{
    const uint8_t *lanes = p->lanes;
    const int8_t *const weights = p->weights + c * (p->kernel_h * p->kernel_w + 1);
    __asm volatile("vldrb.u8 q0, [%[lanes]], #16\n vstrb.8 q0, [%[to]], #16\n dls lr, %[count]\n"
                   "1: vldrb.u8 q0, [%[lanes]], #16\n vldrb.u8 q1, [%[weights], q0]\n"
                   "vstrb.8 q1, [%[to]], #16\n le lr, 1b\n"
                   "vdup.32 q0, %[bias]\n vstrw.32 q0, [%[to]]\n"
                   : [lanes] "+r"(lanes), [to] "+r"(vectors)
                   : [weights] "r"(weights), [count] "r"(p->vectors), [bias] "r"(p->bias[c])
                   : "q0", "q1", "lr", "memory");
}

/** Lines of blocks with one gather for four outputs: 8 instructions a block, 2 an output.
 *  delta: from the end of a line to the next one. */
static inline void mcuq_mve_lines4(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *plane,
                                   const int8_t *vectors, int32_t *acc, int32_t lines)
{
    const int32_t pairs = (p->blocks + 1) / 2;
    const int32_t delta = p->in_across - 2 * pairs * p->in_step;
    __asm volatile("vldrb.u8 q5, [%[w]]\n vldrb.u8 q0, [%[w], #16]\n vldrb.u8 q1, [%[w], #32]\n"
                   "vldrb.u8 q2, [%[w], #48]\n vldrb.u8 q3, [%[w], #64]\n add %[w], #80\n"
                   "vadd.i8 q6, q5, %[step]\n"
                   "1: dls lr, %[pairs]\n"
                   "2: ldm %[w], {r0, r2, r4, r6}\n vldrb.u8 q4, [%[x], q5]\n"
                   "vmladava.s8 r0, q4, q0\n vmladava.s8 r2, q4, q1\n"
                   "vmladava.s8 r4, q4, q2\n vmladava.s8 r6, q4, q3\n"
                   "stmia %[acc]!, {r0, r2, r4, r6}\n"
                   "ldm %[w], {r0, r2, r4, r6}\n vldrb.u8 q7, [%[x], q6]\n"
                   "vmladava.s8 r0, q7, q0\n vmladava.s8 r2, q7, q1\n"
                   "vmladava.s8 r4, q7, q2\n vmladava.s8 r6, q7, q3\n"
                   "stmia %[acc]!, {r0, r2, r4, r6}\n add %[x], %[x], %[step], lsl #1\n le lr, 2b\n"
                   "add %[x], %[delta]\n subs %[lines], #1\n bne 1b\n"
                   : [x] "+h"(plane), [acc] "+h"(acc), [w] "+h"(vectors), [lines] "+r"(lines)
                   : [step] "r"(p->in_step), [pairs] "h"(pairs), [delta] "r"(delta)
                   : "q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7", "r0", "r2", "r4", "r6", "lr",
                     "cc", "memory");
}

/** Lines of blocks with two gathers for four outputs: 10 instructions a block, 2.5 an output. */
static inline void mcuq_mve_lines2(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *plane,
                                   const int8_t *vectors, int32_t *acc, int32_t lines)
{
    const int32_t blocks = (p->blocks + 1) / 2 * 2;
    const int32_t delta = p->in_across - blocks * p->in_step;
    __asm volatile(
        "vldrb.u8 q5, [%[w]]\n vldrb.u8 q0, [%[w], #16]\n vldrb.u8 q1, [%[w], #32]\n"
        "add %[w], #48\n vadd.i8 q6, q5, %[sub]\n"
        "1: dls lr, %[blocks]\n"
        "2: ldm %[w], {r0, r2, r4, r6}\n"
        "vldrb.u8 q4, [%[x], q5]\n vmladava.s8 r0, q4, q0\n vmladava.s8 r2, q4, q1\n"
        "vldrb.u8 q7, [%[x], q6]\n vmladava.s8 r4, q7, q0\n vmladava.s8 r6, q7, q1\n"
        "stmia %[acc]!, {r0, r2, r4, r6}\n add %[x], %[step]\n le lr, 2b\n"
        "add %[x], %[delta]\n subs %[lines], #1\n bne 1b\n"
        : [x] "+h"(plane), [acc] "+h"(acc), [w] "+h"(vectors), [lines] "+r"(lines)
        : [step] "r"(p->in_step), [blocks] "h"(blocks), [delta] "r"(delta), [sub] "h"(p->sub_step)
        : "q0", "q1", "q4", "q5", "q6", "q7", "r0", "r2", "r4", "r6", "lr", "cc", "memory");
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

/** acc = the sums of `lines` lines of blocks from `plane` on. */
static inline void mcuq_mve_lines(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *plane,
                                  const int8_t *vectors, int32_t *acc, int32_t lines)
{
    if (p->spread == 4) {
        mcuq_mve_lines4(p, plane, vectors, acc, lines);
        return;
    }
    if (p->spread == 2) {
        mcuq_mve_lines2(p, plane, vectors, acc, lines);
        return;
    }
    for (; lines > 0; lines--) {
        for (int32_t i = 0; i < (p->blocks + 1) / 2 * 2; i++) {
            mcuq_mve_block1(p, plane + i * p->in_step, vectors, acc);
            acc += 4;
        }
        plane += p->in_across;
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
