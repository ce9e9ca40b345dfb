/* mcuq_avg_pool2d_dsp_body.h: the mean of each window, four channels at a time.
 *
 * Parameters, which the includer defines before:
 *     element: a type, of the data: int8_t or int16_t
 *     params: a type, of the parameters
 *     sums_of_four(w, row, sums): the sums of four channels that neighbour each other
 */
#include "mcuq_avg_pool2d_window_body.h"

/* All channels of one output pixel. */
static void means(const window *w, const element *first, int32_t channels, element *out)
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

static void run_avg_pool2d(const params *p, const element *in, element *out)
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
