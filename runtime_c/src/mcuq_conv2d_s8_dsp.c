/* Convolution as a matrix product: 3 pixels x 2 channels per block of registers.
 *
 * A block of pixels is gathered to scratch as int16 (once for all channels). For each pair of
 * channels the weights are widened to int16 (once for all pixels of the block), and the products
 * run over memory that only grows: one LDM of 3 input words, one of 2 weight words, 6 SMLAD.
 */
#include "mcuq_conv2d_dsp.h"
#include "mcuq_dsp.h"

/* All channels of a block of pixels; the assembly knows this layout.
 * weights: per pair of channels bias_0, bias_1, where they go (see below), then units of 8 bytes
 * (channel 0: 4, channel 1: 4), padded to an even count.
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
 * pair before to this one (11, signed), and from channel 0 to channel 1 (11, signed).
 * UNIT: int16 of four inputs of three pixels. */
enum { STATE_WORDS = 8, UNIT = 12, STEP_BIT = 10, DISTANCE_BIT = 21 };

/* Per pair of channels the weights are widened to `stream`: 0.75 instructions a byte; then
 * 3 pixels x 2 channels per turn: 6 accumulators, 3 + 2 operands, 2 pointers.
 * Cost: 16 instructions per 24 MAC (0.67), 22 per 6 outputs (28 if the shifts are not the same, or
 * beyond 4 to 11), 4 more for each 64 inputs beyond the first 68, and 50 per pair of channels.
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
#define OUTPUTS(shift) ".balign 4\n ldmia.w r1, {r8-r12, lr}\n" SATURATE(", asr #" shift) STORE
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
                   " ldr r3, [sp, #32]\n"
                   "1:\n"
                   " ldmia r1!, {r6, r7, r10, r11}\n"
                   " sxtb16 r4, r6\n"
                   " sxtb16 r5, r7\n"
                   " sxtb16 r6, r6, ror #8\n"
                   " sxtb16 r7, r7, ror #8\n"
                   " sxtb16 r8, r10\n"
                   " sxtb16 r9, r11\n"
                   " sxtb16 r10, r10, ror #8\n"
                   " sxtb16 r11, r11, ror #8\n"
                   " stmia r2!, {r4-r11}\n"
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
                   "2:\n" PRODUCTS_4 PRODUCTS_4 PRODUCTS_4 PRODUCTS_4 ".balign 4\n"
                   "3:\n"
                   " ldr pc, [sp, #4]\n"
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
                   "50:\n" OUTPUTS("4") OUTPUTS("5") OUTPUTS("6") OUTPUTS("7") OUTPUTS("8")
                       OUTPUTS("9") OUTPUTS("10") OUTPUTS("11")
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

/* `count` pixels (1 to 3) at x, two channels. */
static void run_pixels(const block_job *job, int8_t *out, const int16_t *x, int32_t count,
                       const int32_t *head)
{
    const int8_t *weights = (const int8_t *)(const void *)(head + 3);
    for (int32_t i = 0; i < 2 * count; i++) {
        const int32_t pixel = i >> 1;
        const int32_t channel = i & 1;
        int32_t acc = head[channel];
        for (int32_t k = 0; k < 4 * job->units; k++) {
            acc += x[input_at(k, pixel)] * weights[8 * (k / 4) + 4 * channel + k % 4];
        }
        out[pixel * job->pitch + channel * (head[2] >> DISTANCE_BIT)] =
            mcuq_requant(acc, (head[2] >> (5 * channel)) & 31, -128, 127);
    }
}

static void run_channels(const block_job *job)
{
    const int32_t *head = job->weights;
    int8_t *first = job->out;
    for (int32_t c = 0; c < job->channel_pairs; c++, head += 3 + 4 * job->turns) {
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

/* How the patches of three pixels lie; the assembly knows this layout. A patch is `runs` runs of
 * `words` fours and `left` bytes; `skip` bytes follow each run; `next`: from behind the first
 * patch to the one after the third; second, third: from the first patch to the others. fours,
 * rests: bytes of int16 that the fours, and the bytes left of all runs, of three patches take. */
typedef struct {
    int32_t words, runs, skip, left, next, second, third, fours, rests;
} patch_shape;

/* `count` times three patches from `a` on as int16, side by side: per four inputs the even ones of
 * each, the odd ones of each; first the fours of all runs, then what is left. Returns the end.
 * Per three patches 1 instruction a byte, 11 a run, 10 for each three bytes left and 13.
 * a: any alignment.
 * r0 to, r1-r3 patches, r4-r9 data, r10 words, r11 runs, r12 skip, lr count, or to for bytes left.
 * Frame: count, runs, left, next, fours, rests, and how the bytes left go on, in halfwords from one
 * to the next: 6 -5 6 5 in bytes. */
#if MCUQ_DSP_ASM
MCUQ_DSP_NAKED static int16_t *widen_patches(MCUQ_DSP_ARGUMENT int16_t *to,
                                             MCUQ_DSP_ARGUMENT const int8_t *a,
                                             MCUQ_DSP_ARGUMENT int32_t count,
                                             MCUQ_DSP_ARGUMENT const patch_shape *shape)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #32\n"
                   " ldmia r3, {r4-r12}\n"
                   " strd r2, r5, [sp]\n"
                   " strd r7, r8, [sp, #8]\n"
                   " strd r11, r12, [sp, #16]\n"
                   " add r2, r1, r9\n"
                   " add r3, r1, r10\n"
                   " mov r10, r4\n"
                   " mov r12, r6\n"
                   "0:\n"
                   " ldr r4, [sp, #16]\n"
                   " ldr r11, [sp, #4]\n"
                   " add r4, r0\n"
                   " movw r5, #0xf60c\n"
                   " movt r5, #0x0a0c\n"
                   " strd r5, r4, [sp, #24]\n"
                   "1:\n"
                   " movs lr, r10\n"
                   " beq 4f\n"
                   "3:\n"
                   " ldr r4, [r1], #4\n"
                   " ldr r5, [r2], #4\n"
                   " ldr r6, [r3], #4\n"
                   " sxtb16 r7, r4, ror #8\n"
                   " sxtb16 r8, r5, ror #8\n"
                   " sxtb16 r9, r6, ror #8\n"
                   " sxtb16 r4, r4\n"
                   " sxtb16 r5, r5\n"
                   " sxtb16 r6, r6\n"
                   " stmia r0!, {r4-r9}\n"
                   " subs lr, #1\n"
                   " bne 3b\n"
                   "4:\n"
                   " ldr r9, [sp, #8]\n"
                   " cmp r9, #0\n"
                   " beq 6f\n"
                   " ldrd r8, lr, [sp, #24]\n"
                   "5:\n"
                   " ldrsb r4, [r1], #1\n"
                   " ldrsb r5, [r2], #1\n"
                   " ldrsb r6, [r3], #1\n"
                   " strh r4, [lr]\n"
                   " strh r5, [lr, #4]\n"
                   " strh r6, [lr, #8]\n"
                   " sxtab lr, lr, r8\n"
                   " ror r8, r8, #8\n"
                   " subs r9, #1\n"
                   " bne 5b\n"
                   " strd r8, lr, [sp, #24]\n"
                   "6:\n"
                   " add r1, r12\n"
                   " add r2, r12\n"
                   " add r3, r12\n"
                   " subs r11, #1\n"
                   " bne 1b\n"
                   " ldr r4, [sp, #12]\n"
                   " ldr r5, [sp, #20]\n"
                   " ldr r6, [sp]\n"
                   " add r1, r4\n"
                   " add r2, r4\n"
                   " add r3, r4\n"
                   " add r0, r5\n"
                   " subs r6, #1\n"
                   " str r6, [sp]\n"
                   " bne 0b\n"
                   " add sp, #32\n"
                   " pop {r4-r11, pc}\n");
}
#else
static int16_t *widen_patches(int16_t *to, const int8_t *a, int32_t count, const patch_shape *shape)
{
    const int32_t run = 4 * shape->words + shape->left;
    const int32_t pitch = run + shape->skip;
    const int32_t from[3] = {0, shape->second, shape->third};
    for (int32_t i = 0; i < count; i++, a += shape->runs * pitch + shape->next) {
        for (int32_t pixel = 0; pixel < 3; pixel++) {
            int32_t rest = 4 * shape->words * shape->runs;
            for (int32_t at = 0; at < shape->runs * run; at++) {
                const int32_t row = at / run;
                const int32_t column = at - row * run;
                const int32_t input =
                    (column < 4 * shape->words) ? 4 * shape->words * row + column : rest++;
                to[UNIT * (input / 4) + 6 * (input & 1) + 2 * pixel + (input >> 1 & 1)] =
                    a[from[pixel] + row * pitch + column];
            }
        }
        to += (shape->fours + shape->rests) / 2;
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

/* The patch of the next pixel where it lies whole in the input; NULL elsewhere. */
static const int8_t *whole_patch(const mcuq_conv2d_dsp_params *p, const int8_t *in,
                                 const cursor *at)
{
    const int32_t whole = whole_pixels(p, at, 1);
    return whole ? in + (at->y * p->in_w + at->x) * p->in_c : NULL;
}

/* The next `count` pixels (1 to 3), not all in one row or not whole, as three at x. */
static int16_t *widen_three(const mcuq_conv2d_dsp_params *p, const int8_t *in, cursor *at,
                            int32_t count, int16_t *x, int8_t *patches, const patch_shape *whole)
{
    const cursor begin = *at;
    const int8_t *from[3] = {NULL, NULL, NULL};
    patch_shape shape = *whole;
    int32_t direct = 1;
    for (int32_t i = 0; i < 3; i++) {
        from[i] = (i < count) ? whole_patch(p, in, at) : from[i - 1];
        direct = direct && from[i] != NULL;
        advance(p, at, i < count);
    }
    if (!direct) {
        *at = begin;
        shape.skip = 0;
        for (int32_t i = 0; i < 3; i++) {
            from[i] = patches + 4 * p->units * ((i < count) ? i : count - 1);
            if (i < count) {
                gather(p, in, at->y, at->x, patches + 4 * p->units * i);
                advance(p, at, 1);
            }
        }
    }
    shape.second = (int32_t)(from[1] - from[0]);
    shape.third = (int32_t)(from[2] - from[0]);
    return widen_patches(x, from[0], 1, &shape);
}

/* The next `count` pixels at x; patches: three of 4 * units bytes, for patches that have to be
 * gathered. */
static void widen_block(const mcuq_conv2d_dsp_params *p, const int8_t *in, cursor *at,
                        int32_t count, int16_t *x, int8_t *patches)
{
    const int32_t step = p->stride_w * p->in_c;
    const int32_t fours = 2 * UNIT * (p->run >> 2) * p->runs;
    const int32_t rests = 2 * UNIT * p->units - fours;
    const patch_shape whole = {p->run >> 2, p->runs,  p->whole_skip, p->run & 3, p->whole_next,
                               step,        2 * step, fours,         rests};
    while (count > 0) {
        const int32_t threes = whole_pixels(p, at, count) / 3;
        if (threes > 0) {
            x = widen_patches(x, in + (at->y * p->in_w + at->x) * p->in_c, threes, &whole);
            advance(p, at, 3 * threes);
            count -= 3 * threes;
        } else {
            x = widen_three(p, in, at, (count < 3) ? count : 3, x, patches, &whole);
            count -= 3;
        }
    }
}

/* The same where the patches are the input's pixels themselves, one after the other: every third
 * pixel is a run of one long patch, the pixels between are those of the other two. */
static void widen_pixels(const mcuq_conv2d_dsp_params *p, const int8_t *in, int32_t count,
                         int16_t *x)
{
    const int32_t size = p->in_c;
    const int32_t threes = count / 3;
    const int32_t left = count - 3 * threes;
    patch_shape shape = {p->units, threes, 2 * size, 0, 0, size, 2 * size, 0, 0};
    if (threes > 0) {
        shape.fours = 2 * UNIT * p->units * threes;
        x = widen_patches(x, in, 1, &shape);
    }
    if (left > 0) {
        shape.runs = 1;
        shape.second = (left > 1) ? size : 0;
        shape.third = shape.second;
        (void)widen_patches(x, in + 3 * threes * size, 1, &shape);
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
