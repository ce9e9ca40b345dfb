/* mcuq_mve_plane.h: what the Helium depthwise kernels share, and its twin in C.
 *
 * A channel's vectors lie in scratch: [16] tap offsets, [vectors][16] weights, [4] bias words.
 */
#ifndef MCUQ_MVE_PLANE_H
#define MCUQ_MVE_PLANE_H

#include <stdint.h>
#include <string.h>

#include "mcuq_depthwise_conv2d_mve.h"
#include "mcuq_requant.h"

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

#if defined(__ARM_FEATURE_MVE)

/** The vectors of `channels` channels from c on: weights by a gather from the taps, where lanes
 *  without one read the zero behind the last tap. */
static inline void mcuq_mve_spread(const mcuq_depthwise_conv2d_mve_params *p, int32_t c,
                                   int8_t *vectors, int32_t channels)
{
    const int32_t taps = p->kernel_h * p->kernel_w + 1;
    const int8_t *weights = p->weights + c * taps;
    const int32_t *bias = p->bias + c;
    __asm volatile("1: vldrb.u8 q0, [%[lanes]]\n vstrb.8 q0, [%[to]], #16\n"
                   "add r0, %[lanes], #16\n dls lr, %[count]\n"
                   "2: vldrb.u8 q0, [r0], #16\n vldrb.u8 q1, [%[weights], q0]\n"
                   "vstrb.8 q1, [%[to]], #16\n le lr, 2b\n"
                   "ldr r0, [%[bias]], #4\n vdup.32 q0, r0\n vstrw.32 q0, [%[to]], #16\n"
                   "add %[weights], %[taps]\n subs %[channels], #1\n bne 1b\n"
                   : [to] "+&r"(vectors), [weights] "+&r"(weights), [bias] "+&r"(bias),
                     [channels] "+&r"(channels)
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
                   : [x] "+&h"(plane), [acc] "+&h"(acc), [w] "+&h"(vectors), [lines] "+&r"(lines),
                     [channels] "+&r"(channels)
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
    const int32_t delta = p->in_across - blocks * p->in_step;
    const int32_t in_step = p->in_step;
    register int32_t sub __asm("r0") = p->sub_step;
    __asm volatile("vldrb.u8 q5, [%[w]], #16\n vadd.i8 q6, q5, r0\n" MCUQ_MVE_FIRST_CHANNEL
                   "vldrb.u8 q0, [%[w]], #16\n vldrb.u8 q1, [%[w]], #16\n"
                   "1: dls lr, %[blocks]\n"
                   "2: ldm %[w], {r0, r2, r4, r6}\n"
                   "vldrb.u8 q4, [%[x], q5]\n vmladava.s8 r0, q4, q0\n vmladava.s8 r2, q4, q1\n"
                   "vldrb.u8 q7, [%[x], q6]\n vmladava.s8 r4, q7, q0\n vmladava.s8 r6, q7, q1\n"
                   "stmia %[acc]!, {r0, r2, r4, r6}\n add %[x], %[step]\n le lr, 2b\n"
                   "add %[x], %[delta]\n subs %[lines], #1\n bne 1b\n" MCUQ_MVE_NEXT_CHANNEL
                   : [x] "+&h"(plane), [acc] "+&h"(acc), [w] "+&h"(vectors), [lines] "+&r"(lines),
                     [channels] "+&r"(channels), "+&r"(sub)
                   : [step] "h"(in_step), [blocks] "h"(blocks), [delta] "r"(delta)
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
                   : [x] "+&h"(plane), [w] "+&h"(vectors)
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

static inline void mcuq_mve_spread(const mcuq_depthwise_conv2d_mve_params *p, int32_t c,
                                   int8_t *vectors, int32_t channels)
{
    for (const int32_t end = c + channels; c < end; c++) {
        const int8_t *const weights = p->weights + c * (p->kernel_h * p->kernel_w + 1);
        memcpy(vectors, p->lanes, 16);
        vectors += 16;
        for (int32_t lane = 16; lane < 16 + 16 * p->vectors; lane++) {
            *vectors++ = weights[p->lanes[lane]];
        }
        for (int32_t i = 0; i < 4; i++, vectors += 4) {
            memcpy(vectors, p->bias + c, 4);
        }
    }
}

/** The products of one gather and one weight vector. */
static inline int32_t mcuq_mve_gathered(const mcuq_depthwise_conv2d_mve_params *p,
                                        const int8_t *plane, const int8_t *weights)
{
    int32_t sum = 0;
    for (int32_t lane = 0; lane < 16; lane++) {
        sum += plane[p->lanes[lane]] * weights[lane];
    }
    return sum;
}

/** Output `index` of a block. */
static inline int32_t mcuq_mve_output(const mcuq_depthwise_conv2d_mve_params *p,
                                      const int8_t *plane, const int8_t *vectors, int32_t index)
{
    const int8_t *const weights = vectors + 16;
    int32_t acc;
    memcpy(&acc, weights + 16 * p->vectors, 4);
    if (p->spread > 1) {
        plane += index / p->spread * p->sub_step;
        return acc + mcuq_mve_gathered(p, plane, weights + index % p->spread * 16);
    }
    for (int32_t v = 0; v < p->vectors; v++) {
        const int8_t *const from = plane + index * p->sub_step + v * p->vector_step;
        acc += mcuq_mve_gathered(p, from, weights + 16 * v);
    }
    return acc;
}

static inline void mcuq_mve_lines(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *plane,
                                  const int8_t *vectors, int32_t *acc, int32_t lines,
                                  int32_t channels)
{
    const int32_t blocks = (p->blocks + 1) / 2 * 2;
    for (int32_t c = 0; c < channels; c++, vectors += mcuq_mve_vector_bytes(p)) {
        for (int32_t block = 0; block < lines * blocks; block++) {
            const int8_t *const from =
                plane + c + block / blocks * p->in_across + block % blocks * p->in_step;
            for (int32_t index = 0; index < 4; index++) {
                *acc++ = mcuq_mve_output(p, from, vectors, index);
            }
        }
    }
}

#endif
#endif
