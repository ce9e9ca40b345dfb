/* mcuq_wide_pixels_body.h: products of two pixels with int16 weights, for cores with the DSP
 * extension.
 *
 * Parameters: none.
 */
#ifndef MCUQ_WIDE_PIXELS_BODY_H
#define MCUQ_WIDE_PIXELS_BODY_H

#include "mcuq_dsp.h"

enum { MCUQ_WIDE_GROUP = 4 };

/* All channels of two pixels; the assembly knows this layout. x: [words][2 pixels] words. out: of
 * the first pixel, its end; pitch: bytes to the second one. */
typedef struct {
    const uint32_t *weights;
    const int16_t *x;
    int8_t *out, *end;
    int32_t pitch, words;
} mcuq_wide_pixels;

/* Block: 2 pixels x 4 channels, 8 accumulators, 2 + 2 operands, 2 pointers: all 14 registers. 16
 * cycles (13 instructions) for 16 MAC; 53 more for the 8 outputs, 6 for each 64 inputs beyond the
 * first 66.
 * r0 x, r1 weights, r2-r9 sums (channel 0 pixel 0, pixel 1, channel 1 ...), r10-r12, lr operands.
 * Frame: 0 out, 4 end, 8 pitch, 12 x, 16 end of x, 20 where the loop is entered. */
#if MCUQ_DSP_ASM
#define MCUQ_WIDE_STEP                                                                             \
    " ldr r11, [r0, #4]\n ldr r10, [r0], #8\n ldr lr, [r1, #4]\n ldr r12, [r1], #8\n"              \
    " smlad r2, r10, r12, r2\n smlad r3, r11, r12, r3\n"                                           \
    " smlad r4, r10, lr, r4\n smlad r5, r11, lr, r5\n"                                             \
    " ldrd r12, lr, [r1], #8\n"                                                                    \
    " smlad r6, r10, r12, r6\n smlad r7, r11, r12, r7\n"                                           \
    " smlad r8, r10, lr, r8\n smlad r9, r11, lr, r9\n"
#define MCUQ_WIDE_STEP_4 MCUQ_WIDE_STEP MCUQ_WIDE_STEP MCUQ_WIDE_STEP MCUQ_WIDE_STEP
#define MCUQ_WIDE_STEP_16 MCUQ_WIDE_STEP_4 MCUQ_WIDE_STEP_4 MCUQ_WIDE_STEP_4 MCUQ_WIDE_STEP_4
MCUQ_NAKED static void mcuq_wide_run(MCUQ_NAKED_ARGUMENT const mcuq_wide_pixels *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #28\n"
                   " ldmia r0, {r1-r6}\n"
                   " mov r0, r2\n"
                   " add r7, r2, r6, lsl #3\n"
                   " strd r3, r4, [sp]\n"
                   " strd r5, r2, [sp, #8]\n"
                   /* the first word stands apart; enter the loop so that whole turns remain */
                   " sub r6, #1\n"
                   " and r6, #31\n"
                   " mov r4, #52\n"
                   " adr.w r3, 3f\n"
                   " orr r3, #1\n"
                   " mls r3, r6, r4, r3\n"
                   " strd r7, r3, [sp, #16]\n"
                   "1:\n"
                   " ldmia r1!, {r2, r4, r6, r8}\n"
                   " ldr r11, [r0, #4]\n"
                   " ldr r10, [r0], #8\n"
                   " ldr lr, [r1, #4]\n"
                   " ldr r12, [r1], #8\n"
                   " smlad r3, r11, r12, r2\n"
                   " smlad r2, r10, r12, r2\n"
                   " smlad r5, r11, lr, r4\n"
                   " smlad r4, r10, lr, r4\n"
                   " ldrd r12, lr, [r1], #8\n"
                   " smlad r7, r11, r12, r6\n"
                   " smlad r6, r10, r12, r6\n"
                   " smlad r9, r11, lr, r8\n"
                   " smlad r8, r10, lr, r8\n"
                   " ldr pc, [sp, #20]\n"
                   ".balign 4\n"
                   "2:\n" MCUQ_WIDE_STEP_16 MCUQ_WIDE_STEP_16
                   "3:\n" MCUQ_CODE_BYTES("2", "3", "32 * 52") " ldr r10, [sp, #16]\n"
                                                               " cmp r0, r10\n"
                                                               " bne.w 2b\n"
                                                               " ldr r12, [r1], #4\n"
                                                               " ldr r0, [sp, #12]\n"
                                                               " ldr r10, [sp]\n"
                                                               " ldr r11, [sp, #8]\n"
                                                               " ldr lr, [sp, #4]\n"
                                                               " asrs r2, r12\n"
                                                               " asrs r3, r12\n"
                                                               " lsr r12, r12, #8\n"
                                                               " asrs r4, r12\n"
                                                               " asrs r5, r12\n"
                                                               " lsr r12, r12, #8\n"
                                                               " asrs r6, r12\n"
                                                               " asrs r7, r12\n"
                                                               " lsr r12, r12, #8\n"
                                                               " asrs r8, r12\n"
                                                               " asrs r9, r12\n"
                                                               " ssat r2, #8, r2\n"
                                                               " ssat r3, #8, r3\n"
                                                               " ssat r4, #8, r4\n"
                                                               " ssat r5, #8, r5\n"
                                                               " ssat r6, #8, r6\n"
                                                               " ssat r7, #8, r7\n"
                                                               " ssat r8, #8, r8\n"
                                                               " ssat r9, #8, r9\n"
                                                               " add r11, r10\n"
                                                               " strb r4, [r10, #1]\n"
                                                               " strb r6, [r10, #2]\n"
                                                               " strb r8, [r10, #3]\n"
                                                               " strb r2, [r10], #4\n"
                                                               " strb r3, [r11]\n"
                                                               " strb r5, [r11, #1]\n"
                                                               " strb r7, [r11, #2]\n"
                                                               " strb r9, [r11, #3]\n"
                                                               " str r10, [sp]\n"
                                                               " cmp r10, lr\n"
                                                               " bne.w 1b\n"
                                                               " add sp, #28\n"
                                                               " pop {r4-r11, pc}\n");
}
#else
static inline int32_t mcuq_wide_half(uint32_t word, int32_t index)
{
    return (int16_t)((word >> (16 * index)) & 0xffffu);
}

static inline void mcuq_wide_run(const mcuq_wide_pixels *job)
{
    const uint32_t *weights = job->weights;
    for (int8_t *out = job->out; out != job->end; out += MCUQ_WIDE_GROUP) {
        const uint32_t *shifts = weights + MCUQ_WIDE_GROUP * (1 + job->words);
        for (int32_t i = 0; i < 2 * MCUQ_WIDE_GROUP; i++) {
            const int32_t channel = i >> 1;
            const int16_t *x = job->x + 2 * (i & 1);
            int32_t acc = (int32_t)weights[channel];
            for (int32_t word = 0; word < job->words; word++) {
                const uint32_t w = weights[MCUQ_WIDE_GROUP * (1 + word) + channel];
                acc += x[4 * word] * mcuq_wide_half(w, 0) + x[4 * word + 1] * mcuq_wide_half(w, 1);
            }
            out[channel + (i & 1) * job->pitch] =
                mcuq_requant(acc, (*shifts >> (8 * channel)) & 31u, -128, 127);
        }
        weights = shifts + 1;
    }
}
#endif

#endif
