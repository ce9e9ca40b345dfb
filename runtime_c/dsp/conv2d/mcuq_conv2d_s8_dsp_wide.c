/* Convolution with int16 weights: nothing is unpacked but the inputs, once for all channels.
 *
 * For every two pixels: their inputs as int16, word beside word; then, for four channels at a time,
 * the products run over memory that only grows.
 */
#include "mcuq_conv2d_wide.h"
#include "mcuq_dsp.h"
#include "mcuq_wide_pixels_body.h"

/* How the inputs of a pixel lie: `runs` runs of `words` fours, `skip` bytes after each. The
 * assembly knows this layout. */
typedef struct {
    int32_t words, runs, skip;
} window_shape;

/* The inputs of pixels a and b as words a0 a2 | b0 b2 | a1 a3 | b1 b3 | a4 ... from `to` on.
 * 24 cycles for two fours of both, 10 a run. a, b: any alignment.
 * r0 to, r1 a, r2 b, r3 shape, then words, r4-r11 data, r12 words left, lr runs. Frame: skip. */
#if MCUQ_DSP_ASM
MCUQ_NAKED static void widen(MCUQ_NAKED_ARGUMENT int16_t *to, MCUQ_NAKED_ARGUMENT const int8_t *a,
                             MCUQ_NAKED_ARGUMENT const int8_t *b,
                             MCUQ_NAKED_ARGUMENT const window_shape *shape)
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

static inline void copy(int8_t *to, const int8_t *from, int32_t count)
{
    for (; count >= 4; count -= 4, to += 4, from += 4) {
        memcpy(to, from, 4);
    }
    for (; count > 0; count--) {
        *to++ = *from++;
    }
}

static inline void fill(int8_t *to, uint32_t pad_word, int32_t count)
{
    for (; count >= 4; count -= 4, to += 4) {
        memcpy(to, &pad_word, 4);
    }
    for (; count > 0; count--) {
        *to++ = (int8_t)(pad_word & 0xffu);
    }
}

/* The inputs of the window at row y and column x, one after the other. */
static __attribute__((noinline)) void gather(const mcuq_conv2d_wide_params *p, const int8_t *in,
                                             int32_t y, int32_t x, int8_t *to)
{
    const uint32_t pad_word = 0x01010101u * (uint8_t)p->pad_value;
    const int32_t runs = p->kernel_w / p->taps;
    for (int32_t i = 0; i < runs; i++, to += p->run, x += p->dilation_w) {
        const int32_t left = mcuq_clamp(-x, 0, p->taps) * p->in_c;
        const int32_t right = mcuq_clamp(x + p->taps - p->in_w, 0, p->taps) * p->in_c;
        const int32_t inside = p->run - left - right;
        const int8_t *from = in + (y * p->in_w + x) * p->in_c + left;
        int8_t *at = to;
        int32_t row = y;
        for (int32_t ky = p->kernel_h; ky > 0; ky--, at += runs * p->run) {
            const int32_t covered = row >= 0 && row < p->in_h;
            if (!covered || inside < p->run) {
                fill(at, pad_word, p->run);
            }
            if (covered) {
                copy(at + left, from, inside);
            }
            from += p->row_pitch;
            row += p->dilation_h;
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
    mcuq_wide_pixels job = {p->weights, x, out, out, p->out_c, 2 * p->units};
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
        mcuq_wide_run(&job);
    }
    mcuq_dsp_clamp(out, pixels * p->out_c, p->out_min, p->out_max);
}
