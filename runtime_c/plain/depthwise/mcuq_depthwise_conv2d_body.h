/* mcuq_depthwise_conv2d_body.h: depthwise convolution on any core, of int8 or int16 data.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_KERNEL: the function's name
 *     params, data: types, as its prototype has them
 *     element: a type, which data holds: int8_t or int16_t
 */
#ifndef MCUQ_DEPTHWISE_CONV2D_BODY_H
#define MCUQ_DEPTHWISE_CONV2D_BODY_H

#include "mcuq_requant.h"

/** acc + the products of all taps of one channel; in, weights: that channel's first element;
 *  top, left: the input pixel of the first tap, maybe outside. */
static int32_t sum_taps(const params *p, const element *in, const int8_t *weights, int32_t acc,
                        int32_t top, int32_t left)
{
    const int32_t height = p->in_h, width = p->in_w, channels = p->in_c;
    const int32_t step_h = p->dilation_h, step_w = p->dilation_w;
    const int32_t next_tap = p->out_c, pad = p->pad_value;

    for (int32_t ky = 0, y = top; ky < p->kernel_h; ky++, y += step_h) {
        const int32_t row = y * width;
        const int row_inside = (y >= 0) & (y < height);
        for (int32_t kx = 0, x = left; kx < p->kernel_w; kx++, x += step_w) {
            const int inside = row_inside && x >= 0 && x < width;
            acc += *weights * (inside ? in[(row + x) * channels] : pad);
            weights += next_tap;
        }
    }
    return acc;
}

void MCUQ_KERNEL(const params *p, const data *in, data *out)
{
    element *to = out;
    const int32_t multiplier = p->out_c / p->in_c;
    const int32_t low = p->out_min, high = p->out_max;

    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const element *channel = in;
            for (int32_t o = 0, rest = multiplier; o < p->out_c; o++, rest--) {
                if (rest == 0) {
                    channel++;
                    rest = multiplier;
                }
                const int32_t acc = sum_taps(p, channel, p->weights + o, p->bias[o], top, left);
                *to++ = (element)mcuq_clamp(acc >> p->shift[o], low, high);
            }
        }
    }
}

#endif
