/* Convolution with int16 weights: nothing is unpacked but the inputs, once for all channels.
 *
 * For every two pixels: their inputs as int16, word beside word; then, for four channels at a time,
 * the products run over memory that only grows.
 */
#include "mcuq_conv2d_wide.h"
#include "mcuq_dsp.h"

enum { GROUP = 4 };

/* How the inputs of a pixel lie: `runs` runs of `words` fours, `skip` bytes after each. The
 * assembly knows this layout. */
typedef struct {
    int32_t words, runs, skip;
} window_shape;

/* The inputs of pixels a and b as words a0 a2 | b0 b2 | a1 a3 | b1 b3 | a4 ... from `to` on.
 * 24 cycles for two fours of both, 10 a run. a, b: any alignment.
 * r0 to, r1 a, r2 b, r3 shape, then words, r4-r11 data, r12 words left, lr runs. Frame: skip. */
#if MCUQ_DSP_ASM
MCUQ_DSP_NAKED static void widen(MCUQ_DSP_ARGUMENT int16_t *to, MCUQ_DSP_ARGUMENT const int8_t *a,
                                 MCUQ_DSP_ARGUMENT const int8_t *b,
                                 MCUQ_DSP_ARGUMENT const window_shape *shape)
{
    __asm volatile("push {r3-r11, lr}\n"
                   " ldmia r3, {r3, r4, r5}\n"
                   " mov lr, r4\n"
                   " str r5, [sp]\n"
                   "1:\n"
                   " lsrs r12, r3, #1\n"
                   " bcc 2f\n"
                   " ldr r5, [r1], #4\n"
                   " ldr r7, [r2], #4\n"
                   " sxtb16 r4, r5\n"
                   " sxtb16 r6, r5, ror #8\n"
                   " sxtb16 r5, r7\n"
                   " sxtb16 r7, r7, ror #8\n"
                   " stmia r0!, {r4-r7}\n"
                   "2:\n"
                   " beq 4f\n"
                   "3:\n"
                   " ldr r9, [r1, #4]\n"
                   " ldr r11, [r2, #4]\n"
                   " ldr r5, [r1], #8\n"
                   " ldr r7, [r2], #8\n"
                   " sxtb16 r4, r5\n"
                   " sxtb16 r6, r5, ror #8\n"
                   " sxtb16 r5, r7\n"
                   " sxtb16 r7, r7, ror #8\n"
                   " sxtb16 r8, r9\n"
                   " sxtb16 r10, r9, ror #8\n"
                   " sxtb16 r9, r11\n"
                   " sxtb16 r11, r11, ror #8\n"
                   " stmia r0!, {r4-r11}\n"
                   " subs r12, #1\n"
                   " bne 3b\n"
                   "4:\n"
                   " ldr r4, [sp]\n"
                   " add r1, r4\n"
                   " add r2, r4\n"
                   " subs lr, #1\n"
                   " bne 1b\n"
                   " pop {r3-r11, pc}\n");
}
#else
static void widen_one(int16_t *to, const int8_t *from, const window_shape *shape)
{
    static const int8_t order[4] = {0, 2, 1, 3};
    for (int32_t run = 0; run < shape->runs; run++) {
        for (int32_t i = 0; i < 4 * shape->words; i++) {
            to[4 * (i >> 1) + (i & 1)] = from[(i & ~3) + order[i & 3]];
        }
        to += 8 * shape->words;
        from += 4 * shape->words + shape->skip;
    }
}

static void widen(int16_t *to, const int8_t *a, const int8_t *b, const window_shape *shape)
{
    widen_one(to, a, shape);
    widen_one(to + 2, b, shape);
}
#endif

/* All channels of two pixels; the assembly knows this layout. x: [words][2 pixels] words. out: of
 * the first pixel, its end; pitch: bytes to the second one. */
typedef struct {
    const uint32_t *weights;
    const int16_t *x;
    int8_t *out, *end;
    int32_t pitch, words;
} pixels_job;

/* Block: 2 pixels x 4 channels, 8 accumulators, 2 + 2 operands, 2 pointers: all 14 registers. 16
 * cycles (13 instructions) for 16 MAC; 57 more for the 8 outputs, 6 for each 64 inputs beyond the
 * first 64.
 * r0 x, r1 weights, r2-r9 sums (channel 0 pixel 0, pixel 1, channel 1 ...), r10-r12, lr operands.
 * Frame: 0 out, 4 end, 8 pitch, 12 x, 16 end of x, 20 where the loop is entered. */
#if MCUQ_DSP_ASM
#define STEP                                                                                       \
    " ldr r11, [r0, #4]\n ldr r10, [r0], #8\n ldr lr, [r1, #4]\n ldr r12, [r1], #8\n"              \
    " smlad r2, r10, r12, r2\n smlad r3, r11, r12, r3\n"                                           \
    " smlad r4, r10, lr, r4\n smlad r5, r11, lr, r5\n"                                             \
    " ldrd r12, lr, [r1], #8\n"                                                                    \
    " smlad r6, r10, r12, r6\n smlad r7, r11, r12, r7\n"                                           \
    " smlad r8, r10, lr, r8\n smlad r9, r11, lr, r9\n"
#define STEP_4 STEP STEP STEP STEP
#define STEP_16 STEP_4 STEP_4 STEP_4 STEP_4
MCUQ_DSP_NAKED static void run_pixels(MCUQ_DSP_ARGUMENT const pixels_job *job)
{
    __asm volatile("push {r4-r11, lr}\n"
                   " sub sp, #28\n"
                   " ldmia r0, {r1-r6}\n"
                   " mov r0, r2\n"
                   " add r7, r2, r6, lsl #3\n"
                   " strd r3, r4, [sp]\n"
                   " strd r5, r2, [sp, #8]\n"
                   /* enter the loop so that whole turns of 32 words remain */
                   " sub r6, #1\n"
                   " and r6, #31\n"
                   " add r6, #1\n"
                   " mov r4, #52\n"
                   " adr.w r3, 3f\n"
                   " orr r3, #1\n"
                   " mls r3, r6, r4, r3\n"
                   " strd r7, r3, [sp, #16]\n"
                   "1:\n"
                   " ldmia r1!, {r2, r4, r6, r8}\n"
                   " mov r3, r2\n"
                   " mov r5, r4\n"
                   " mov r7, r6\n"
                   " mov r9, r8\n"
                   " ldr pc, [sp, #20]\n"
                   ".balign 4\n"
                   "2:\n" STEP_16 STEP_16 ".balign 4\n"
                   "3:\n"
                   " ldr r10, [sp, #16]\n"
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
static int32_t half(uint32_t word, int32_t index)
{
    return (int16_t)((word >> (16 * index)) & 0xffffu);
}

static void run_pixels(const pixels_job *job)
{
    const uint32_t *weights = job->weights;
    for (int8_t *out = job->out; out != job->end; out += GROUP) {
        const uint32_t *shifts = weights + GROUP * (1 + job->words);
        for (int32_t i = 0; i < 2 * GROUP; i++) {
            const int32_t channel = i >> 1;
            const int16_t *x = job->x + 2 * (i & 1);
            int32_t acc = (int32_t)weights[channel];
            for (int32_t word = 0; word < job->words; word++) {
                const uint32_t w = weights[GROUP * (1 + word) + channel];
                acc += x[4 * word] * half(w, 0) + x[4 * word + 1] * half(w, 1);
            }
            out[channel + (i & 1) * job->pitch] =
                mcuq_requant(acc, (*shifts >> (8 * channel)) & 31u, -128, 127);
        }
        weights = shifts + 1;
    }
}
#endif

static inline int8_t *copy(int8_t *to, const int8_t *from, int32_t count)
{
    for (; count >= 4; count -= 4, to += 4, from += 4) {
        memcpy(to, from, 4);
    }
    for (; count > 0; count--) {
        *to++ = *from++;
    }
    return to;
}

static inline int8_t *fill(int8_t *to, uint32_t pad_word, int32_t count)
{
    for (; count >= 4; count -= 4, to += 4) {
        memcpy(to, &pad_word, 4);
    }
    for (; count > 0; count--) {
        *to++ = (int8_t)(pad_word & 0xffu);
    }
    return to;
}

/* The inputs of the window at row y and column x, one after the other. */
static __attribute__((noinline)) void gather(const mcuq_conv2d_wide_params *p, const int8_t *in,
                                             int32_t y, int32_t x, int8_t *to)
{
    const uint32_t pad_word = 0x01010101u * (uint8_t)p->pad_value;
    const int32_t runs = p->kernel_w / p->taps;
    for (int32_t ky = 0; ky < p->kernel_h; ky++, y += p->dilation_h) {
        if (y < 0 || y >= p->in_h) {
            to = fill(to, pad_word, runs * p->run);
            continue;
        }
        for (int32_t i = 0; i < runs; i++) {
            const int32_t first = x + i * p->dilation_w;
            const int32_t left = mcuq_clamp(-first, 0, p->taps);
            const int32_t right = mcuq_clamp(first + p->taps - p->in_w, 0, p->taps);
            const int8_t *from = in + (y * p->in_w + first + left) * p->in_c;
            to = fill(to, pad_word, left * p->in_c);
            to = copy(to, from, p->run - (left + right) * p->in_c);
            to = fill(to, pad_word, right * p->in_c);
        }
    }
}

/* The next output pixel: its column, and the input row and column of its first tap. */
typedef struct {
    int32_t column, y, x;
} cursor;

static void advance(const mcuq_conv2d_wide_params *p, cursor *at)
{
    at->column++;
    at->x += p->stride_w;
    if (at->column == p->out_w) {
        at->column = 0;
        at->x = -p->pad_left;
        at->y += p->stride_h;
    }
}

static int whole(const mcuq_conv2d_wide_params *p, const cursor *at)
{
    return at->y >= 0 && at->y <= p->whole_y && at->x >= 0 && at->x <= p->whole_x;
}

/* The inputs of two pixels at x. patches: two of 4 * units bytes. */
static void widen_pixels(const mcuq_conv2d_wide_params *p, const int8_t *in, const cursor *a,
                         const cursor *b, int16_t *x, int8_t *patches)
{
    if (whole(p, a) && whole(p, b)) {
        const window_shape lying = {p->run >> 2, p->kernel_h, p->row_pitch - p->run};
        widen(x, in + (a->y * p->in_w + a->x) * p->in_c, in + (b->y * p->in_w + b->x) * p->in_c,
              &lying);
    } else {
        const window_shape gathered = {p->units, 1, 0};
        gather(p, in, a->y, a->x, patches);
        gather(p, in, b->y, b->x, patches + 4 * p->units);
        widen(x, patches, patches + 4 * p->units, &gathered);
    }
}

void mcuq_conv2d_s8_dsp_wide(const mcuq_conv2d_wide_params *p, const int8_t *in, int8_t *out,
                             void *scratch)
{
    int16_t *x = scratch;
    int8_t *patches = (int8_t *)(x + 8 * p->units);
    const int32_t pixels = p->out_h * p->out_w;
    cursor at = {0, -p->pad_top, -p->pad_left};
    pixels_job job = {p->weights, x, out, out, p->out_c, 2 * p->units};
    memset(patches, 0, 8 * (size_t)p->units);
    for (int32_t pixel = 0; pixel < pixels; pixel += 2) {
        const cursor first = at;
        if (pixel + 1 < pixels) {
            advance(p, &at);
        } else { /* its own partner */
            job.pitch = 0;
        }
        widen_pixels(p, in, &first, &at, x, patches);
        advance(p, &at);
        job.out = out + pixel * p->out_c;
        job.end = job.out + p->out_c;
        run_pixels(&job);
    }
    mcuq_dsp_clamp(out, pixels * p->out_c, p->out_min, p->out_max);
}
