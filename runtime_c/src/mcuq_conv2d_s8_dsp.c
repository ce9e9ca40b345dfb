/* Convolution as a matrix product: 2 pixels x 2 channels per block of registers.
 *
 * A block of pixels is gathered to scratch as int16 (once for all channels). For each pair of
 * channels the weights are widened to int16 (once for all pixels of the block), and the products
 * run over memory that only grows: one LDM of 4 input words, one of 4 weight words, 8 SMLAD.
 */
#include "mcuq_conv2d_dsp.h"
#include "mcuq_dsp.h"

/* All channels of a block of pixels; the assembly knows this layout.
 * weights: per pair of channels bias_0, bias_1, where they go (see pair_info), then units of
 * 8 bytes (channel 0: 4, channel 1: 4), padded to an even count.
 * stream: 2 + 4 * units + STATE_WORDS words (units made even). x: per pair of pixels `size` bytes
 * of int16 (pixel 0: 4, pixel 1: 4); x_end: behind the whole pairs. An odd last pixel (tail) is
 * its own partner there. */
typedef struct {
    const int32_t *weights;
    int32_t *stream;
    const int16_t *x;
    int8_t *out;
    int32_t channel_pairs, tail, turns, pitch;
    const int16_t *x_end;
    int32_t size, units;
} block_job;

/* Of a pair of channels, from bit 0 on: both shifts (5 bits each), from channel 0 of the pair
 * before to this one (11, signed), and from channel 0 to channel 1 (11, signed). */
enum { STATE_WORDS = 8, UNIT = 8, STEP_BIT = 10, DISTANCE_BIT = 21 };

/* Per pair of channels the weights are widened to `stream`: 0.75 instructions a byte; then
 * 2 pixels x 2 channels per turn: 4 accumulators, 4 + 4 operands, 2 pointers: all 14 registers.
 * Cost: 10 instructions per 16 MAC (0.625), 16 per 4 outputs (20 if the shifts are not the same,
 * or beyond 4 to 11), 4 more for each 64 inputs beyond the first 68, and 50 per pair of channels.
 * Frame: 0 where the loop is entered, 4 where it ends, then block_job from 8 on (units: the state),
 * 52 where the outputs are made if the loop has several turns, 56 the place for that: 4 or 52.
 * State behind the widened weights: out, pitch, distance, their sum, stream, x_end, shifts. */
#if MCUQ_DSP_ASM
#define PRODUCTS                                                                                   \
    " ldmia r0!, {r6-r9}\n ldmia r1!, {r10-r12, lr}\n"                                             \
    " smlad r2, r6, r10, r2\n smlad r3, r6, r12, r3\n"                                             \
    " smlad r4, r8, r10, r4\n smlad r5, r8, r12, r5\n"                                             \
    " smlad r2, r7, r11, r2\n smlad r3, r7, lr, r3\n"                                              \
    " smlad r4, r9, r11, r4\n smlad r5, r9, lr, r5\n"
#define PRODUCTS_4 PRODUCTS PRODUCTS PRODUCTS PRODUCTS
/* Stores 2 x 2 outputs and goes on, to the next pair of pixels or to 6. */
#define STORE                                                                                      \
    " strb r2, [r6]\n strb r3, [r6, r8]\n strb r4, [r6, r7]\n strb r5, [r6, r9]\n"                 \
    " add r6, r6, r7, lsl #1\n str r6, [r1]\n mov r1, r10\n cmp r0, r11\n bne.w 7b\n b.w 6f\n"
/* The outputs for one shift, in 64 bytes of code. */
#define OUTPUTS(shift)                                                                             \
    ".balign 64\n ldmia r1, {r6-r11}\n ssat r2, #8, r2, asr #" shift                               \
    "\n ssat r3, #8, r3, asr #" shift "\n ssat r4, #8, r4, asr #" shift                            \
    "\n ssat r5, #8, r5, asr #" shift "\n" STORE
MCUQ_DSP_NAKED static void run_channels(MCUQ_DSP_ARGUMENT const block_job *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #60\n"
                   " add r1, sp, #8\n"
                   " ldmia r0!, {r4-r9}\n"
                   " stmia r1!, {r4-r9}\n"
                   " ldr r5, [sp, #12]\n"
                   " ldmia r0!, {r6-r10}\n"
                   /* the first unit stands apart; enter the loop so that whole turns remain */
                   " sub r2, r10, #1\n"
                   " and r3, r2, #15\n"
                   " mov r4, #40\n"
                   " mul r3, r4\n"
                   " adr.w r4, 3f\n"
                   " orr r4, #1\n"
                   " sub r3, r4, r3\n"
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
                   " ldmia r1!, {r4-r6}\n"
                   " stmia r2!, {r4, r5}\n"
                   " mov r0, r6\n"
                   " ldr r3, [sp, #32]\n"
                   "1:\n"
                   " ldmia r1!, {r5, r7, r9, r11}\n"
                   " sxtb16 r4, r5\n"
                   " sxtb16 r5, r5, ror #8\n"
                   " sxtb16 r6, r7\n"
                   " sxtb16 r7, r7, ror #8\n"
                   " sxtb16 r8, r9\n"
                   " sxtb16 r9, r9, ror #8\n"
                   " sxtb16 r10, r11\n"
                   " sxtb16 r11, r11, ror #8\n"
                   " stmia r2!, {r4-r11}\n"
                   " subs r3, #1\n"
                   " bne 1b\n"
                   " str r1, [sp, #8]\n"
                   /* the code for the shifts of this pair */
                   " and r12, r0, #31\n"
                   " ubfx lr, r0, #5, #5\n"
                   " adr.w r2, 5f\n"
                   " cmp r12, lr\n"
                   " bne 9f\n"
                   " sub r3, r12, #4\n"
                   " cmp r3, #8\n"
                   " bhs 9f\n"
                   " adr.w r2, 50f\n"
                   " add r2, r2, r3, lsl #6\n"
                   "9:\n"
                   " orr r2, #1\n"
                   " ldr r3, [sp, #56]\n"
                   " str r2, [r3]\n"
                   /* the state */
                   " sbfx r6, r0, #10, #11\n"
                   " asr r8, r0, #21\n"
                   " ldrd r0, r2, [sp, #16]\n"
                   " add r6, r2\n"
                   " str r6, [sp, #20]\n"
                   " ldrd r7, r11, [sp, #36]\n"
                   " add r9, r7, r8\n"
                   " ldr r10, [sp, #12]\n"
                   " ldr r1, [sp, #48]\n"
                   " stmia r1, {r6-r12, lr}\n"
                   " mov r1, r10\n"
                   " cmp r0, r11\n"
                   " beq.w 6f\n"
                   "7:\n"
                   " ldmia r1!, {r2, r3, r10-r12, lr}\n"
                   " ldmia r0!, {r6-r9}\n"
                   " smlad r4, r8, r10, r2\n"
                   " smlad r5, r8, r12, r3\n"
                   " smlad r2, r6, r10, r2\n"
                   " smlad r3, r6, r12, r3\n"
                   " smlad r4, r9, r11, r4\n"
                   " smlad r5, r9, lr, r5\n"
                   " smlad r2, r7, r11, r2\n"
                   " smlad r3, r7, lr, r3\n"
                   " ldr pc, [sp]\n"
                   ".balign 4\n"
                   "2:\n" PRODUCTS_4 PRODUCTS_4 PRODUCTS_4 PRODUCTS_4 ".balign 4\n"
                   "3:\n"
                   " ldr pc, [sp, #4]\n"
                   ".balign 4\n"
                   "4:\n"
                   " ldr r6, [sp, #48]\n"
                   " cmp r1, r6\n"
                   " bne.w 2b\n"
                   " ldr pc, [sp, #52]\n"
                   ".balign 4\n"
                   "5:\n"
                   " ldmia r1, {r6-r12, lr}\n"
                   " asrs r2, r2, r12\n"
                   " asrs r4, r4, r12\n"
                   " asrs r3, r3, lr\n"
                   " asrs r5, r5, lr\n"
                   " ssat r2, #8, r2\n"
                   " ssat r3, #8, r3\n"
                   " ssat r4, #8, r4\n"
                   " ssat r5, #8, r5\n" STORE ".balign 64\n50:\n" OUTPUTS("4") OUTPUTS("5")
                       OUTPUTS("6") OUTPUTS("7") OUTPUTS("8") OUTPUTS("9") OUTPUTS("10")
                           OUTPUTS("11")
                   /* whole pairs done: an odd pixel once more, with a pitch of 0 */
                   "6:\n"
                   " cmp r7, #0\n"
                   " beq 8f\n"
                   " ldr r2, [sp, #28]\n"
                   " cmp r2, #0\n"
                   " beq 8f\n"
                   " mov r7, #0\n"
                   " mov r9, r8\n"
                   " ldrd r2, r3, [sp, #44]\n"
                   " add r11, r0, r2\n"
                   " stmia r3, {r6-r11}\n"
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
static void run_pixels(const block_job *job, int8_t *out, const int16_t *x, int32_t pitch,
                       int32_t info)
{
    for (int32_t i = 0; i < 4; i++) {
        const int32_t pixel = i >> 1;
        const int32_t channel = i & 1;
        const int16_t *w = (const int16_t *)(const void *)(job->stream + 2) + 4 * channel;
        int32_t acc = job->stream[channel];
        for (int32_t k = 0; k < 4 * job->units; k++) {
            const int32_t at = UNIT * (k / 4) + k % 4;
            acc += x[at + 4 * pixel] * w[at];
        }
        out[pixel * pitch + channel * (info >> DISTANCE_BIT)] =
            mcuq_requant(acc, (info >> (5 * channel)) & 31, -128, 127);
    }
}

static void run_channels(const block_job *job)
{
    const int32_t *weights = job->weights;
    int8_t *first = job->out;
    for (int32_t c = 0; c < job->channel_pairs; c++) {
        int16_t *to = (int16_t *)(void *)(job->stream + 2);
        const int32_t info = weights[2];
        const int8_t *from = (const int8_t *)(const void *)(weights + 3);
        const int16_t *x = job->x;
        const int32_t step = (int32_t)((uint32_t)info << (DISTANCE_BIT - STEP_BIT)) >> DISTANCE_BIT;
        int8_t *out = first += step;
        memcpy(job->stream, weights, 8);
        for (int32_t i = 0; i < 4 * job->turns; i++) {
            mcuq_dsp_widen4(to + 4 * i, from + 4 * i);
        }
        for (; x != job->x_end; x += UNIT * job->units, out += 2 * job->pitch) {
            run_pixels(job, out, x, job->pitch, info);
        }
        if (job->tail) {
            run_pixels(job, out, x, 0, info);
        }
        weights += 3 + 4 * job->turns;
    }
}
#endif

/* How the patches of pairs of pixels lie; the assembly knows this layout. A patch is `runs` runs of
 * `words` fours and `left` bytes; `skip` bytes follow each run; `next`: from behind a patch to the
 * patch after next; `partner`: from a patch to its partner. fours, rests: bytes of int16 that the
 * fours, and the bytes left of all runs, of two patches take. */
typedef struct {
    int32_t words, runs, skip, left, next, partner, fours, rests;
} patch_shape;

/* `pairs` pairs of patches from `a` on as int16, side by side: a0 a2 a1 a3 b0 b2 b1 b3 a4 ...,
 * first the fours of all runs, then what is left. Returns the end. Per pair 1 instruction a byte,
 * 11 a run, 8 for each two bytes left and 12. a: any alignment.
 * r0 to, r1 a, r2 b, r3-r8 data, r9 count, r10 words, r11 runs, r12 skip, lr to for bytes left.
 * Frame: pairs, runs, left, next, fours, rests, and how lr goes on: 0 2 1 3 in bytes 4 -2 4 10. */
#if MCUQ_DSP_ASM
MCUQ_DSP_NAKED static int16_t *widen_pairs(MCUQ_DSP_ARGUMENT int16_t *to,
                                           MCUQ_DSP_ARGUMENT const int8_t *a,
                                           MCUQ_DSP_ARGUMENT int32_t pairs,
                                           MCUQ_DSP_ARGUMENT const patch_shape *shape)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #28\n"
                   " ldmia r3, {r3-r10}\n"
                   " strd r2, r4, [sp]\n"
                   " strd r6, r7, [sp, #8]\n"
                   " strd r9, r10, [sp, #16]\n"
                   " mov r10, r3\n"
                   " mov r12, r5\n"
                   " add r2, r1, r8\n"
                   "0:\n"
                   " ldr r3, [sp, #16]\n"
                   " ldr r11, [sp, #4]\n"
                   " add lr, r0, r3\n"
                   " movw r3, #0xfe04\n"
                   " movt r3, #0x0a04\n"
                   " str r3, [sp, #24]\n"
                   "1:\n"
                   " lsrs r9, r10, #1\n"
                   " bcc 2f\n"
                   " ldr r3, [r1], #4\n"
                   " ldr r5, [r2], #4\n"
                   " sxtb16 r4, r3, ror #8\n"
                   " sxtb16 r3, r3\n"
                   " sxtb16 r6, r5, ror #8\n"
                   " sxtb16 r5, r5\n"
                   " stmia r0!, {r3-r6}\n"
                   "2:\n"
                   " beq 4f\n"
                   "3:\n"
                   " ldr r7, [r1, #4]\n"
                   " ldr r8, [r2, #4]\n"
                   " ldr r3, [r1], #8\n"
                   " ldr r5, [r2], #8\n"
                   " sxtb16 r4, r3, ror #8\n"
                   " sxtb16 r3, r3\n"
                   " sxtb16 r6, r5, ror #8\n"
                   " sxtb16 r5, r5\n"
                   " stmia r0!, {r3-r6}\n"
                   " sxtb16 r3, r7\n"
                   " sxtb16 r4, r7, ror #8\n"
                   " sxtb16 r5, r8\n"
                   " sxtb16 r6, r8, ror #8\n"
                   " stmia r0!, {r3-r6}\n"
                   " subs r9, #1\n"
                   " bne 3b\n"
                   "4:\n"
                   " ldr r9, [sp, #8]\n"
                   " cmp r9, #0\n"
                   " beq 6f\n"
                   " ldr r8, [sp, #24]\n"
                   "5:\n"
                   " ldrsb r3, [r1], #1\n"
                   " ldrsb r4, [r2], #1\n"
                   " strh r3, [lr]\n"
                   " strh r4, [lr, #8]\n"
                   " sxtab lr, lr, r8\n"
                   " ror r8, r8, #8\n"
                   " subs r9, #1\n"
                   " bne 5b\n"
                   " str r8, [sp, #24]\n"
                   "6:\n"
                   " add r1, r12\n"
                   " add r2, r12\n"
                   " subs r11, #1\n"
                   " bne 1b\n"
                   " ldrd r3, r4, [sp, #12]\n"
                   " ldr r4, [sp, #20]\n"
                   " add r1, r3\n"
                   " add r2, r3\n"
                   " add r0, r4\n"
                   " ldr r3, [sp]\n"
                   " subs r3, #1\n"
                   " str r3, [sp]\n"
                   " bne 0b\n"
                   " add sp, #28\n"
                   " pop {r4-r11, pc}\n");
}
#else
static int16_t *widen_patch(int16_t *to, const int8_t *from, const patch_shape *shape)
{
    static const int8_t order[4] = {0, 2, 1, 3};
    int16_t *rest = to + shape->fours / 2;
    int32_t count = 0;
    for (int32_t run = 0; run < shape->runs; run++) {
        for (int32_t word = 0; word < shape->words; word++, from += 4, to += UNIT) {
            mcuq_dsp_widen4(to, from);
        }
        for (int32_t i = 0; i < shape->left; i++, count++) {
            rest[UNIT * (count / 4) + order[count & 3]] = *from++;
        }
        if (run + 1 < shape->runs) {
            from += shape->skip;
        }
    }
    return to + shape->rests / 2;
}

static int16_t *widen_pairs(int16_t *to, const int8_t *a, int32_t pairs, const patch_shape *shape)
{
    const int32_t size = shape->runs * (4 * shape->words + shape->left + shape->skip);
    for (int32_t i = 0; i < pairs; i++) {
        const int8_t *at = a + i * (size + shape->next);
        (void)widen_patch(to + UNIT / 2, at + shape->partner, shape);
        to = widen_patch(to, at, shape);
    }
    return to;
}
#endif

static inline void copy(int8_t *to, const int8_t *from, int32_t count)
{
    for (; count >= 4; count -= 4, to += 4, from += 4) {
        memcpy(to, from, 4);
    }
    if (count & 2) {
        memcpy(to, from, 2);
        to += 2;
        from += 2;
    }
    if (count & 1) {
        *to = *from;
    }
}

static inline void fill(int8_t *to, uint32_t pad_word, int32_t count)
{
    for (; count >= 4; count -= 4, to += 4) {
        memcpy(to, &pad_word, 4);
    }
    if (count & 2) {
        memcpy(to, &pad_word, 2);
        to += 2;
    }
    if (count & 1) {
        memcpy(to, &pad_word, 1);
    }
}

/* The input values of an output that lies partly outside, or whose taps are apart: run by run. */
static __attribute__((noinline)) void gather(const mcuq_conv2d_dsp_params *p, const int8_t *in,
                                             int32_t y, int32_t first_x, int8_t *patch)
{
    const uint32_t pad_word = 0x01010101u * (uint8_t)p->pad_value;
    const int32_t size = p->run;
    const int32_t taps = size / p->in_c;
    const int32_t runs_across = p->runs / p->kernel_h;
    const int32_t row_pitch = p->row_pitch;
    for (int32_t i = 0; i < runs_across; i++) {
        const int32_t x = first_x + i * p->dilation_w;
        const int32_t left = mcuq_clamp(-x, 0, taps) * p->in_c;
        const int32_t right = mcuq_clamp(x + taps - p->in_w, 0, taps) * p->in_c;
        const int32_t inside = size - left - right;
        int8_t *to = patch + i * size;
        const int8_t *from = in + (y * p->in_w + x) * p->in_c + left;
        int32_t row = y;
        for (int32_t ky = p->kernel_h; ky > 0; ky--) {
            const int32_t covered = row >= 0 && row < p->in_h;
            if (!covered || inside < size) {
                fill(to, pad_word, size);
            }
            if (covered && inside > 0) {
                copy(to + left, from, inside);
            }
            to += runs_across * size;
            from += row_pitch;
            row += p->dilation_h;
        }
    }
}

/* The next output pixel: its column, and the input row and column of its first tap. */
typedef struct {
    int32_t column, y, x;
} cursor;

static void advance(const mcuq_conv2d_dsp_params *p, cursor *at, int32_t pixels)
{
    at->column += pixels;
    at->x += pixels * p->stride_w;
    if (at->column == p->out_w) {
        at->column = 0;
        at->x = -p->pad_left;
        at->y += p->stride_h;
    }
}

/* How many pixels from `at` on, at most `count`, have patches that lie whole in one input row. */
static int32_t whole_pixels(const mcuq_conv2d_dsp_params *p, const cursor *at, int32_t count)
{
    const int32_t room = p->whole_x - at->x;
    if (at->y < 0 || at->y > p->whole_y || at->x < 0 || room < 0) {
        return 0;
    }
    count = (count < p->out_w - at->column) ? count : p->out_w - at->column;
    return (count * p->stride_w <= room) ? count : room / p->stride_w + 1;
}

/* The next `count` pixels at x; an odd last one is its own partner. patches: two of 4 * units
 * bytes, for patches that have to be gathered. */
static void widen_block(const mcuq_conv2d_dsp_params *p, const int8_t *in, cursor *at,
                        int32_t count, int16_t *x, int8_t *patches)
{
    patch_shape whole = {
        p->run >> 2, p->runs, p->whole_skip, p->run & 3, p->whole_next, p->stride_w * p->in_c,
        0,           0};
    patch_shape gathered = {p->run >> 2, p->runs, 0, p->run & 3, 0, 4 * p->units, 0, 0};
    whole.fours = gathered.fours = 2 * UNIT * (p->run >> 2) * p->runs;
    whole.rests = gathered.rests = 2 * UNIT * p->units - whole.fours;
    while (count > 0) {
        const int32_t pairs = whole_pixels(p, at, count) >> 1;
        if (pairs > 0) {
            x = widen_pairs(x, in + (at->y * p->in_w + at->x) * p->in_c, pairs, &whole);
            advance(p, at, 2 * pairs);
            count -= 2 * pairs;
        } else {
            gather(p, in, at->y, at->x, patches);
            advance(p, at, 1);
            if (count > 1) {
                gather(p, in, at->y, at->x, patches + 4 * p->units);
                advance(p, at, 1);
            } else {
                gathered.partner = 0;
            }
            x = widen_pairs(x, patches, 1, &gathered);
            count -= 2;
        }
    }
}

/* The same where the patches are the input's pixels themselves, one after the other: every other
 * pixel is a run of one long patch, the pixels between are those of its partner. */
static void widen_pixels(const mcuq_conv2d_dsp_params *p, const int8_t *in, int32_t count,
                         int16_t *x)
{
    patch_shape shape = {p->units, count >> 1, p->in_c, 0, 0, p->in_c, 0, 0};
    if (count > 1) {
        x = widen_pairs(x, in, 1, &shape);
    }
    if (count & 1) {
        shape.runs = 1;
        shape.partner = 0;
        (void)widen_pairs(x, in + (count - 1) * p->in_c, 1, &shape);
    }
}

/* The input with its padding, as one image of in_h x in_w. */
static const int8_t *pad_image(const mcuq_conv2d_dsp_params *p, const int8_t *in, int8_t *image)
{
    const uint32_t pad_word = 0x01010101u * (uint8_t)p->pad_value;
    const int32_t pitch = p->in_w * p->in_c;
    const int32_t row = p->copy_w * p->in_c;
    int8_t *to = image + (p->copy_top * p->in_w + p->copy_left) * p->in_c;
    fill(image, pad_word, p->in_h * pitch);
    for (int32_t y = 0; y < p->copy_h; y++, to += pitch, in += row) {
        copy(to, in, row);
    }
    return image;
}

void mcuq_conv2d_s8_dsp(const mcuq_conv2d_dsp_params *p, const int8_t *in, int8_t *out,
                        void *scratch)
{
    const int32_t turns = (p->units + 1) >> 1;
    const int32_t size = UNIT * p->units;
    int32_t *stream = scratch;
    int16_t *x = (int16_t *)(void *)(stream + 2 + 8 * turns + STATE_WORDS);
    int8_t *patches = (int8_t *)(void *)(x + 4 * p->units * p->block);
    cursor at = {0, -p->pad_top, -p->pad_left};
    block_job job = {p->weights, stream, x,        NULL,    (p->out_c + 1) >> 1, 0, turns,
                     p->out_c,   x,      2 * size, p->units};
    int32_t pixels = p->out_h * p->out_w;
    if (p->copy_h > 0) {
        in = pad_image(p, in, patches + 8 * p->units);
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
        job.tail = count & 1;
        job.x_end = x + (count >> 1) * size;
        run_channels(&job);
        mcuq_dsp_clamp(out, count * p->out_c, p->out_min, p->out_max);
        out += count * p->out_c;
        pixels -= count;
    }
}
