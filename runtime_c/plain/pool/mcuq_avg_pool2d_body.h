/* mcuq_avg_pool2d_body.h: the means of windows on any core, of int8 or int16 data.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_KERNEL: the function's name
 *     params, data: types, as its prototype has them
 *     element: a type, which data holds: int8_t or int16_t
 */
#ifndef MCUQ_AVG_POOL2D_BODY_H
#define MCUQ_AVG_POOL2D_BODY_H

#include "mcuq_avg_pool2d_window_body.h"

static int32_t larger(int32_t a, int32_t b)
{
    return (a > b) ? a : b;
}

static int32_t smaller(int32_t a, int32_t b)
{
    return (a < b) ? a : b;
}

/** The means of four channels that neighbour each other. */
static void means_of_four(const window *w, const element *row, element *out)
{
    int32_t sum_0 = 0, sum_1 = 0, sum_2 = 0, sum_3 = 0;
    for (int32_t y = w->rows; y > 0; y--, row += w->next_row) {
        const element *at = row;
        for (int32_t x = w->columns; x > 0; x--, at += w->next_column) {
            sum_0 += at[0];
            sum_1 += at[1];
            sum_2 += at[2];
            sum_3 += at[3];
        }
    }
    out[0] = mean(w, sum_0);
    out[1] = mean(w, sum_1);
    out[2] = mean(w, sum_2);
    out[3] = mean(w, sum_3);
}

void MCUQ_KERNEL(const params *p, const data *in, data *out)
{
    element *to = out;
    const int32_t channels = p->channels, twice = (int32_t)2 << p->left;
    window w = {.next_row = p->in_w * channels,
                .next_column = channels,
                .twice = twice,
                .zero = p->zero_y,
                .low = p->out_min,
                .high = p->out_max};

    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        const int32_t y = larger(top, 0);
        w.rows = smaller(top + p->kernel_h, p->in_h) - y;
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const int32_t x = larger(left, 0);
            const element *first = (const element *)in + (y * p->in_w + x) * channels;
            int32_t rest = channels;
            w.columns = smaller(left + p->kernel_w, p->in_w) - x;
            const int32_t inside = w.rows * w.columns;
            const int32_t den = (p->include_pad ? p->kernel_h * p->kernel_w : inside) << p->right;
            w.bias = den - inside * p->zero_x * twice;
            w.twice_den = 2 * den;
            for (; rest >= 4; rest -= 4, first += 4, to += 4) {
                means_of_four(&w, first, to);
            }
            for (; rest > 0; rest--) {
                *to++ = mean(&w, sum_of_one(&w, first++));
            }
        }
    }
}

#endif
