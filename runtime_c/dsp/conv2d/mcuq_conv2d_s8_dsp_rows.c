/* Convolution with int16 weights for few input channels: the rows under the kernel are kept as
 * int16 with their padding, so that the inputs of a pixel are gathered by copying words.
 *
 * The last kernel_h rows of the input lie in a ring; then, for every two pixels, all channels as in
 * mcuq_conv2d_s8_dsp_wide.c.
 */
#include "mcuq_conv2d_wide.h"
#include "mcuq_dsp.h"
#include "mcuq_wide_pixels_body.h"

/* How the inputs of a pixel lie: `runs` runs of `words` words, `skip` bytes after each. The
 * assembly knows this layout. */
typedef struct {
    int32_t words, runs, skip;
} window_shape;

/* The inputs of pixels a and b, word beside word, from `to` on; returns the end. 14 cycles for two
 * words of both, 15 a run. a, b: any alignment.
 * r0 to, r1 a, r2 b, r3 words, r4-r7 data, r12 words left, lr runs. Frame: skip. */
#if MCUQ_DSP_ASM
MCUQ_NAKED static int16_t *interleave(MCUQ_NAKED_ARGUMENT int16_t *to,
                                      MCUQ_NAKED_ARGUMENT const int16_t *a,
                                      MCUQ_NAKED_ARGUMENT const int16_t *b,
                                      MCUQ_NAKED_ARGUMENT const window_shape *shape)
{
    __asm volatile("push {r3-r7, lr}\n"
                   " ldmia r3, {r3, r4, r5}\n"
                   " mov lr, r4\n"
                   " str r5, [sp]\n"
                   "1:\n"
                   " lsrs r12, r3, #1\n"
                   " bcc 2f\n"
                   " ldr r4, [r1], #4\n"
                   " ldr r5, [r2], #4\n"
                   " stmia r0!, {r4, r5}\n"
                   "2:\n"
                   " beq 4f\n"
                   "3:\n"
                   " ldr r6, [r1, #4]\n"
                   " ldr r4, [r1], #8\n"
                   " ldr r7, [r2, #4]\n"
                   " ldr r5, [r2], #8\n"
                   " stmia r0!, {r4-r7}\n"
                   " subs r12, #1\n"
                   " bne 3b\n"
                   "4:\n"
                   " ldr r4, [sp]\n"
                   " add r1, r4\n"
                   " add r2, r4\n"
                   " subs lr, #1\n"
                   " bne 1b\n"
                   " pop {r3-r7, pc}\n");
}
#else
static int16_t *interleave(int16_t *to, const int16_t *a, const int16_t *b,
                           const window_shape *shape)
{
    for (int32_t run = 0; run < shape->runs; run++) {
        for (int32_t word = 0; word < shape->words; word++, to += 4, a += 2, b += 2) {
            to[0] = a[0];
            to[1] = a[1];
            to[2] = b[0];
            to[3] = b[1];
        }
        a += shape->skip / 2;
        b += shape->skip / 2;
    }
    return to;
}
#endif

/* `count` bytes as int16, one after the other. */
static void widen_row(int16_t *to, const int8_t *from, int32_t count)
{
#if MCUQ_DSP_ASM
    for (; count >= 4; count -= 4, from += 4, to += 4) {
        const uint32_t four = mcuq_dsp_load4(from);
        const uint32_t even = mcuq_dsp_even(four);
        const uint32_t odd = mcuq_dsp_odd(four);
        const uint32_t words[2] = {mcuq_dsp_low(even, odd), mcuq_dsp_high(even, odd)};
        memcpy(to, words, sizeof words);
    }
#endif
    for (; count > 0; count--) {
        *to++ = *from++;
    }
}

static void fill_row(int16_t *to, int32_t value, int32_t count)
{
    for (; count > 0; count--) {
        *to++ = (int16_t)value;
    }
}

void mcuq_conv2d_s8_dsp_rows(const mcuq_conv2d_rows_params *p, const int8_t *in, int8_t *out,
                             void *scratch)
{
    int16_t *const ring = scratch;
    int16_t *const x = ring + p->kernel_h * p->pitch;
    const int32_t step = p->stride_w * p->in_c;
    const int32_t left = p->pad_left * p->in_c;
    const int32_t line = p->in_w * p->in_c;
    const int32_t inside = (line < p->pitch - left) ? line : p->pitch - left;
    const int32_t skip = 2 * (p->pitch - 2 * p->row_words);
    window_shape first = {p->row_words, 0, skip};
    window_shape rest = {p->row_words, 0, skip};
    mcuq_wide_pixels job = {p->weights, x, out, out, p->out_c, p->kernel_h * p->row_words};
    int32_t next = 0; /* row of the padded input */
    fill_row(ring, p->pad_value, p->kernel_h * p->pitch);
    for (int32_t y = 0; y < p->out_h; y++) {
        const int32_t top = y * p->stride_h;
        for (next = (next < top) ? top : next; next < top + p->kernel_h; next++) {
            int16_t *const to = ring + next % p->kernel_h * p->pitch + left;
            const int32_t row = next - p->pad_top;
            if (row >= 0 && row < p->in_h) {
                widen_row(to, in + row * line, inside);
            } else {
                fill_row(to, p->pad_value, inside);
            }
        }
        rest.runs = top % p->kernel_h;
        first.runs = p->kernel_h - rest.runs;
        for (int32_t column = 0; column < p->out_w; column += 2) {
            const int32_t both = column + 1 < p->out_w; /* an odd last one is its own partner */
            const int16_t *const a = ring + column * step;
            const int16_t *const b = both ? a + step : a;
            const int32_t offset = rest.runs * p->pitch;
            int16_t *const to = interleave(x, a + offset, b + offset, &first);
            if (rest.runs > 0) {
                (void)interleave(to, a, b, &rest);
            }
            job.pitch = both ? p->out_c : 0;
            job.out = out;
            job.end = out + p->out_c;
            mcuq_wide_run(&job);
            out += (1 + both) * p->out_c;
        }
    }
    out -= p->out_h * p->out_w * p->out_c;
    mcuq_dsp_clamp(out, p->out_h * p->out_w * p->out_c, p->out_min, p->out_max);
}
