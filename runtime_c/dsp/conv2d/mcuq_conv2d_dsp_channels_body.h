/* mcuq_conv2d_dsp_channels_body.h: the products of a convolution, 3 pixels x 2 channels per block
 * of registers; a part of the kernels that this serves, from bytes or from codes.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_CODED_BITS: 4 or 2; left undefined: weights are bytes
 */
#ifndef MCUQ_CONV2D_DSP_CHANNELS_BODY_H
#define MCUQ_CONV2D_DSP_CHANNELS_BODY_H

#include "mcuq_conv2d_dsp.h"
#include "mcuq_dsp.h"
#include "mcuq_dsp_patches_body.h"

/* The weights are bytes, or codes of MCUQ_CODED_BITS, whose table of pairs (mcuq_coded_dsp_body.h)
 * lies right before the stream. Codes in the order of the stream, of two units: 16 codes. */
#if defined(MCUQ_CODED_BITS)
#include "mcuq_coded_dsp_body.h"
enum { TURN_BYTES = 2 * MCUQ_CODED_BITS };
#else
enum { TURN_BYTES = 16 };
#endif

/* All channels of a block of pixels; the assembly knows this layout.
 * weights: per pair of channels bias_0, bias_1, where they go (see below), then units of 8 bytes
 * (channel 0: 4, channel 1: 4), padded to an even count; or codes.
 * stream: 2 + 4 * units + STATE_WORDS words (units made even). x: per three pixels `size` bytes of
 * int16, per unit (even inputs of each, odd inputs of each); x_end: behind the whole threes. The
 * `tail` pixels that are left (0 to 2) follow, the last one as often as it takes. */
typedef struct {
    const int32_t *weights;
    int32_t *stream;
    const int16_t *x;
    int8_t *out;
    int32_t channel_pairs, tail, turns, pitch;
    const int16_t *x_end;
    int32_t size, units;
} block_job;

/* Where a pair of channels goes, from bit 0 on: both shifts (5 bits each), from channel 0 of the
 * pair before to this one (11, signed), and from channel 0 to channel 1 (11, signed). */
enum { STATE_WORDS = 8, STEP_BIT = 10, DISTANCE_BIT = 21 };

/* Per pair of channels the weights are widened to `stream`: 0.94 instructions a weight, 1.25 from
 * codes; then
 * 3 pixels x 2 channels per turn: 6 accumulators, 3 + 2 operands, 2 pointers.
 * Cost: 16 instructions per 24 MAC (0.67), 22 per 6 outputs (28 if the shifts are not the same, or
 * beyond 4 to 11), 4 more for each 64 inputs beyond the first 68, and 50 per pair of channels. What
 * goes round is 1.2 KB of code beyond 56 inputs: see mcuq_conv2d_s8_dsp_quad.c for less.
 * Frame: 0 where the loop is entered, 4 where it ends, then block_job from 8 on (units: the state),
 * 52 where the outputs are made if the loop has several turns, 56 the place for that: 4 or 52.
 * State behind the widened weights: out, from pixel 0 to 1, distance, stream, x_end, from pixel 1
 * to 2, shift_0, shift_1. */
#if MCUQ_DSP_ASM
#define PRODUCTS_OF_TWO                                                                            \
    " ldmia r0!, {r8-r10}\n ldmia r1!, {r11, r12}\n"                                               \
    " smlad r2, r8, r11, r2\n smlad r3, r8, r12, r3\n"                                             \
    " smlad r4, r9, r11, r4\n smlad r5, r9, r12, r5\n"                                             \
    " smlad r6, r10, r11, r6\n smlad r7, r10, r12, r7\n"
#define PRODUCTS PRODUCTS_OF_TWO PRODUCTS_OF_TWO
#define PRODUCTS_4 PRODUCTS PRODUCTS PRODUCTS PRODUCTS
/* Stores 3 x 2 outputs and goes on, to the next three pixels or to 6; 52 bytes of code. */
#define STORE                                                                                      \
    " strb.w r2, [r8]\n strb.w r3, [r8, r10]\n add.w r8, r8, r9\n cmp r0, r12\n"                   \
    " strb.w r4, [r8]\n strb.w r5, [r8, r10]\n add.w r8, r8, lr\n"                                 \
    " strb.w r6, [r8]\n strb.w r7, [r8, r10]\n add.w r8, r8, r9\n str.w r8, [r1]\n"                \
    " mov r1, r11\n bne.w 7b\n b.w 6f\n"
#define SATURATE(shift)                                                                            \
    " ssat r2, #8, r2" shift "\n ssat r3, #8, r3" shift "\n ssat r4, #8, r4" shift                 \
    "\n ssat r5, #8, r5" shift "\n ssat r6, #8, r6" shift "\n ssat r7, #8, r7" shift "\n"
/* The outputs for one shift, in 80 bytes of code. */
#define OUTPUTS(shift) ".balign 4\n51:\n ldmia.w r1, {r8-r12, lr}\n" SATURATE(", asr #" shift) STORE
/* Eight words of the stream in r4-r11, from the weights at r1; table at r12. */
#if !defined(MCUQ_CODED_BITS)
#define TABLE
#define WIDEN                                                                                      \
    " ldmia r1!, {r6, r7, r10, r11}\n sxtb16 r4, r6\n sxtb16 r5, r7\n sxtb16 r6, r6, ror #8\n"     \
    " sxtb16 r7, r7, ror #8\n sxtb16 r8, r10\n sxtb16 r9, r11\n sxtb16 r10, r10, ror #8\n"         \
    " sxtb16 r11, r11, ror #8\n"
#else
#define TABLE MCUQ_CODED_TABLE("r12", "r2", "8")
#define LOOKUP_8                                                                                   \
    MCUQ_CODED_LOOKUP("r4", "r12")                                                                 \
    MCUQ_CODED_LOOKUP("r5", "r12")                                                                 \
    MCUQ_CODED_LOOKUP("r6", "r12")                                                                 \
    MCUQ_CODED_LOOKUP("r7", "r12")                                                                 \
    MCUQ_CODED_LOOKUP("r8", "r12")                                                                 \
    MCUQ_CODED_LOOKUP("r9", "r12") MCUQ_CODED_LOOKUP("r10", "r12") MCUQ_CODED_LOOKUP("r11", "r12")
#if MCUQ_CODED_BITS == 4
#define WIDEN                                                                                      \
    " ldrb r4, [r1]\n ldrb r5, [r1, #1]\n ldrb r6, [r1, #2]\n ldrb r7, [r1, #3]\n"                 \
    " ldrb r8, [r1, #4]\n ldrb r9, [r1, #5]\n ldrb r10, [r1, #6]\n ldrb r11, [r1, #7]\n"           \
    " adds r1, #8\n" LOOKUP_8
#else
#define WIDEN                                                                                      \
    " ldr r11, [r1], #4\n and r4, r11, #15\n ubfx r5, r11, #4, #4\n ubfx r6, r11, #8, #4\n"        \
    " ubfx r7, r11, #12, #4\n ubfx r8, r11, #16, #4\n ubfx r9, r11, #20, #4\n"                     \
    " ubfx r10, r11, #24, #4\n lsr r11, r11, #28\n" LOOKUP_8
#endif
#endif
MCUQ_NAKED static void run_channels(MCUQ_NAKED_ARGUMENT const block_job *job)
{
    __asm volatile(
        "push {r4-r11, lr}\n"
        " sub sp, #60\n"
        " add r1, sp, #8\n"
        " ldmia r0!, {r4-r9}\n"
        " stmia r1!, {r4-r9}\n"
        " ldr r5, [sp, #12]\n"
        " ldmia r0!, {r6-r10}\n"
        /* the first unit stands apart; enter the loop so that whole turns remain */
        " sub r2, r10, #1\n"
        " and r3, r2, #15\n"
        " adr.w r4, 3f\n"
        " orr r4, #1\n"
        " sub r3, r4, r3, lsl #6\n"
        " adr.w r11, 4f\n"
        " orr r11, #1\n"
        " strd r3, r11, [sp]\n"
        " add r3, sp, #52\n"
        " cmp r2, #16\n"
        " it lo\n"
        " addlo r3, sp, #4\n"
        " str r3, [sp, #56]\n"
        /* the state lies behind bias and weights */
        " add r10, r5, r10, lsl #4\n"
        " add r10, #8\n"
        " stmia r1!, {r6-r10}\n"
        "0:\n"
        " ldr r1, [sp, #8]\n"
        " ldr r2, [sp, #12]\n"
        " ldmia r1!, {r0, r4, r5}\n"
        " str r4, [r2, #4]\n"
        " str r0, [r2], #8\n"
        " mov r0, r5\n"
        " ldr r3, [sp, #32]\n" TABLE "1:\n" WIDEN " stmia r2!, {r4-r11}\n"
        " subs r3, #1\n"
        " bne 1b\n"
        " str r1, [sp, #8]\n"
        /* the code for the shifts of this pair */
        " and r4, r0, #31\n"
        " ubfx r5, r0, #5, #5\n"
        " ldr r1, [sp, #48]\n"
        " strd r4, r5, [r1, #24]\n"
        " adr.w r2, 5f\n"
        " cmp r4, r5\n"
        " bne 9f\n"
        " sub r3, r4, #4\n"
        " cmp r3, #8\n"
        " bhs 9f\n"
        " adr.w r2, 50f\n"
        " mov r4, #80\n"
        " mla r2, r3, r4, r2\n"
        "9:\n"
        " orr r2, #1\n"
        " ldr r3, [sp, #56]\n"
        " str r2, [r3]\n"
        /* the state */
        " sbfx r8, r0, #10, #11\n"
        " asr r10, r0, #21\n"
        " ldrd r0, r2, [sp, #16]\n"
        " add r8, r2\n"
        " str r8, [sp, #20]\n"
        " ldrd r9, r12, [sp, #36]\n"
        " mov lr, r9\n"
        " ldr r11, [sp, #12]\n"
        " stmia r1, {r8-r12, lr}\n"
        " mov r1, r11\n"
        " cmp r0, r12\n"
        " beq.w 6f\n"
        "7:\n"
        " ldmia r1!, {r2, r3, r11, r12}\n"
        " ldmia r0!, {r8-r10}\n"
        " smlad r4, r9, r11, r2\n"
        " smlad r5, r9, r12, r3\n"
        " smlad r6, r10, r11, r2\n"
        " smlad r7, r10, r12, r3\n"
        " smlad r2, r8, r11, r2\n"
        " smlad r3, r8, r12, r3\n" PRODUCTS_OF_TWO " ldr pc, [sp]\n"
        ".balign 4\n"
        "2:\n" PRODUCTS_4 PRODUCTS_4 PRODUCTS_4 PRODUCTS_4
        "3:\n" MCUQ_CODE_BYTES("2", "3", "16 * 64") " ldr pc, [sp, #4]\n"
                                                    ".balign 4\n"
                                                    "4:\n"
                                                    " ldr r8, [sp, #48]\n"
                                                    " cmp r1, r8\n"
                                                    " bne.w 2b\n"
                                                    " ldr pc, [sp, #52]\n"
                                                    ".balign 4\n"
                                                    "5:\n"
                                                    " ldrd r8, r9, [r1, #24]\n"
                                                    " asr r2, r2, r8\n"
                                                    " asr r3, r3, r9\n"
                                                    " asr r4, r4, r8\n"
                                                    " asr r5, r5, r9\n"
                                                    " asr r6, r6, r8\n"
                                                    " asr r7, r7, r9\n"
                                                    " ldmia r1, {r8-r12, lr}\n" SATURATE("") STORE
        ".balign 4\n"
        "50:\n" OUTPUTS("4") "52:\n" MCUQ_CODE_BYTES("51", "52", "80") OUTPUTS("5") OUTPUTS("6")
            OUTPUTS("7") OUTPUTS("8") OUTPUTS("9") OUTPUTS("10") OUTPUTS("11")
        /* whole threes done: what is left once, its last pixel as often as it takes */
        "6:\n"
        " ldr r2, [sp, #28]\n"
        " ldr r3, [sp, #40]\n"
        " cmp r2, #0\n"
        " beq 8f\n"
        " cmp r3, r12\n"
        " bne 8f\n"
        " cmp r2, #2\n"
        " it ne\n"
        " movne r9, #0\n"
        " mov lr, #0\n"
        " ldrd r2, r3, [sp, #44]\n"
        " add r12, r2\n"
        " stmia r3, {r8-r12, lr}\n"
        " b.w 7b\n"
        "8:\n"
        " ldr r2, [sp, #24]\n"
        " subs r2, #1\n"
        " str r2, [sp, #24]\n"
        " bne.w 0b\n"
        " add sp, #60\n"
        " pop {r4-r11, pc}\n");
}
#else
/* Input i of a pixel, from the begin of its three. */
static int32_t input_at(int32_t i, int32_t pixel)
{
    return UNIT * (i / 4) + 6 * (i & 1) + 2 * pixel + (i >> 1 & 1);
}

/* Weight i of a channel of the pair whose head this is. */
static int32_t weight(const block_job *job, const int32_t *head, int32_t channel, int32_t i)
{
#if defined(MCUQ_CODED_BITS)
    const int32_t pair = 4 * (i / 4) + 2 * (i & 1) + channel;
    return mcuq_coded_of_pair(head + 3, pair, i >> 1 & 1, job->stream);
#else
    (void)job;
    return ((const int8_t *)(const void *)(head + 3))[8 * (i / 4) + 4 * channel + i % 4];
#endif
}

/* `count` pixels (1 to 3) at x, two channels. */
static void run_pixels(const block_job *job, int8_t *out, const int16_t *x, int32_t count,
                       const int32_t *head)
{
    for (int32_t i = 0; i < 2 * count; i++) {
        const int32_t pixel = i >> 1;
        const int32_t channel = i & 1;
        int32_t acc = head[channel];
        for (int32_t k = 0; k < 4 * job->units; k++) {
            acc += x[input_at(k, pixel)] * weight(job, head, channel, k);
        }
        out[pixel * job->pitch + channel * (head[2] >> DISTANCE_BIT)] =
            mcuq_requant(acc, (head[2] >> (5 * channel)) & 31, -128, 127);
    }
}

static void run_channels(const block_job *job)
{
    const int32_t *head = job->weights;
    int8_t *first = job->out;
    for (int32_t c = 0; c < job->channel_pairs; c++, head += 3 + TURN_BYTES / 4 * job->turns) {
        const int16_t *x = job->x;
        const uint32_t step = (uint32_t)head[2] << (DISTANCE_BIT - STEP_BIT);
        first += (int32_t)step >> DISTANCE_BIT;
        int8_t *out = first;
        for (; x != job->x_end; x += UNIT * job->units, out += 3 * job->pitch) {
            run_pixels(job, out, x, 3, head);
        }
        run_pixels(job, out, x, job->tail, head);
    }
}
#endif

/* Block after block of pixels; stream and all behind it: scratch of mcuq_conv2d_s8_dsp. */
static inline void run_blocks(const mcuq_conv2d_dsp_params *p, const int8_t *in, int8_t *out,
                              int32_t *stream)
{
    const int32_t turns = (p->units + 1) >> 1;
    const int32_t size = UNIT * p->units;
    int16_t *x = (int16_t *)(void *)(stream + 2 + 8 * turns + STATE_WORDS);
    int8_t *patches = (int8_t *)(void *)(x + 4 * p->units * p->block);
    cursor at = {0, -p->pad_top, -p->pad_left};
    block_job job = {p->weights, stream, x,        NULL,    (p->out_c + 1) >> 1, 0, turns,
                     p->out_c,   x,      2 * size, p->units};
    int32_t pixels = p->out_h * p->out_w;
    if (p->copy_h > 0) {
        in = pad_image(p, in, patches + 12 * p->units);
    }
    while (pixels > 0) {
        const int32_t count = (pixels < p->block) ? pixels : p->block;
        if (p->pixels_as_they_lie) {
            widen_pixels(p, in, count, x);
            in += count * p->in_c;
        } else {
            widen_block(p, in, &at, count, x, patches);
        }
        job.out = out;
        job.tail = count % 3;
        job.x_end = x + count / 3 * size;
        run_channels(&job);
        mcuq_dsp_clamp(out, count * p->out_c, p->out_min, p->out_max);
        out += count * p->out_c;
        pixels -= count;
    }
}

#endif
