#include "mcuq_pool2d.h"

#include "mcuq_requant.h"

static int32_t larger(int32_t a, int32_t b)
{
    return (a > b) ? a : b;
}

static int32_t smaller(int32_t a, int32_t b)
{
    return (a < b) ? a : b;
}

/** floor(a / b) for b > 0. */
static int32_t floor_divide(int32_t a, int32_t b)
{
    const int32_t quotient = a / b;
    return quotient - (a - quotient * b < 0);
}

void mcuq_avg_pool2d_s8(const mcuq_avg_pool2d_params *p, const int8_t *in, int8_t *out)
{
    const int32_t channels = p->channels, next_row = p->in_w * channels;
    const int32_t twice = (int32_t)2 << p->left;

    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        const int32_t y_begin = larger(top, 0), y_end = smaller(top + p->kernel_h, p->in_h);
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const int32_t x_begin = larger(left, 0), x_end = smaller(left + p->kernel_w, p->in_w);
            const int32_t inside = (y_end - y_begin) * (x_end - x_begin);
            const int32_t count = p->include_pad ? p->kernel_h * p->kernel_w : inside;
            const int32_t den = count << p->right;
            const int32_t first = (y_begin * p->in_w + x_begin) * channels;
            for (int32_t c = 0; c < channels; c++) {
                int32_t num = -inside * p->zero_x;
                int32_t row = first + c;
                for (int32_t y = y_begin; y < y_end; y++, row += next_row) {
                    int32_t at = row;
                    for (int32_t x = x_begin; x < x_end; x++, at += channels) {
                        num += in[at];
                    }
                }
                const int32_t mean = floor_divide(num * twice + den, 2 * den);
                *out++ = (int8_t)mcuq_clamp(p->zero_y + mean, p->out_min, p->out_max);
            }
        }
    }
}
