#include "mcuq_pool2d_dsp.h"

#include "mcuq_dsp.h"

typedef int8_t element;
#include "mcuq_avg_pool2d_window_body.h"

/* The sums of four channels that neighbour each other, two taps at a time in 16-bit lanes:
 * 9 instructions for 8 elements. Registers: 3 data, 2 sums, 1 pointer, 1 pitch. */
static void sums_of_four(const window *w, const int8_t *row, int32_t *sums)
{
#if MCUQ_DSP_ASM
    uint32_t even = 0, odd = 0;
    for (int32_t y = w->rows; y > 0; y--, row += w->next_row) {
        const int8_t *at = row;
        int32_t pairs;
        __asm volatile(" asrs %[pairs], %[columns], #1\n bcc 1f\n"
                       " ldr r4, [%[at]]\n add %[at], %[next]\n"
                       " sxtab16 %[even], %[even], r4\n sxtab16 %[odd], %[odd], r4, ror #8\n"
                       "1:\n beq 3f\n"
                       "2:\n ldr r4, [%[at]]\n ldr r5, [%[at], %[next]]\n"
                       " add %[at], %[at], %[next], lsl #1\n"
                       " sxtab16 %[even], %[even], r4\n sxtab16 %[odd], %[odd], r4, ror #8\n"
                       " sxtab16 %[even], %[even], r5\n sxtab16 %[odd], %[odd], r5, ror #8\n"
                       " subs %[pairs], #1\n bne 2b\n"
                       "3:\n"
                       : [at] "+&r"(at), [pairs] "=&r"(pairs), [even] "+&r"(even), [odd] "+&r"(odd)
                       : [columns] "r"(w->columns), [next] "r"(w->next_column)
                       : "r4", "r5", "cc", "memory");
    }
    sums[0] = (int16_t)(even & 0xffffu);
    sums[1] = (int16_t)(odd & 0xffffu);
    sums[2] = (int16_t)(even >> 16);
    sums[3] = (int16_t)(odd >> 16);
#else
    for (int32_t i = 0; i < 4; i++) {
        sums[i] = sum_of_one(w, row + i);
    }
#endif
}

/* All channels of one output pixel. */
static void means(const window *w, const int8_t *first, int32_t channels, int8_t *out)
{
    for (; channels >= 4; channels -= 4, first += 4) {
        int32_t sums[4];
        sums_of_four(w, first, sums);
        for (int32_t i = 0; i < 4; i++) {
            *out++ = mean(w, sums[i]);
        }
    }
    for (; channels > 0; channels--) {
        *out++ = mean(w, sum_of_one(w, first++));
    }
}

void mcuq_avg_pool2d_s8_dsp(const mcuq_avg_pool2d_params *p, const int8_t *in, int8_t *out)
{
    const int32_t channels = p->channels;
    const int32_t twice = (int32_t)2 << p->left;
    window w = {.next_row = p->in_w * channels,
                .next_column = channels,
                .twice = twice,
                .zero = p->zero_y,
                .low = p->out_min,
                .high = p->out_max};

    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        const int32_t y = mcuq_clamp(top, 0, p->in_h);
        const int32_t rows = mcuq_clamp(top + p->kernel_h, 0, p->in_h) - y;
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const int32_t x = mcuq_clamp(left, 0, p->in_w);
            w.rows = rows;
            w.columns = mcuq_clamp(left + p->kernel_w, 0, p->in_w) - x;
            const int32_t inside = rows * w.columns;
            const int32_t den = (p->include_pad ? p->kernel_h * p->kernel_w : inside) << p->right;
            w.bias = den - inside * p->zero_x * twice;
            w.twice_den = 2 * den;
            if (w.columns == p->in_w) { /* the rows lie one after the other */
                w.rows = 1;
                w.columns = inside;
            }
            means(&w, in + (y * p->in_w + x) * channels, channels, out);
            out += channels;
        }
    }
}
