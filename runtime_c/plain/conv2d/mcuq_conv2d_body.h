/* mcuq_conv2d_body.h: convolution on any core, of int8 or int16 data.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_KERNEL: the function's name
 *     params, data: types, as its prototype has them
 *     element: a type, which data holds: int8_t or int16_t
 */
#ifndef MCUQ_CONV2D_BODY_H
#define MCUQ_CONV2D_BODY_H

#include "mcuq_dot_body.h"
#include "mcuq_requant.h"

/** acc + pad times the sum of the weights of one tap outside the input. */
static int32_t dot_pad(int32_t acc, const int8_t *weights, int32_t pad, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        acc += weights[i] * pad;
    }
    return acc;
}

/** acc + the products of all taps; top, left: the input pixel of the first tap, maybe outside. */
static int32_t sum_taps(const params *p, const element *in, const int8_t *weights, int32_t acc,
                        int32_t top, int32_t left, int32_t depth)
{
    const int32_t height = p->in_h, width = p->in_w, channels = p->in_c;
    const int32_t step_h = p->dilation_h, step_w = p->dilation_w;

    for (int32_t ky = 0, y = top; ky < p->kernel_h; ky++, y += step_h) {
        const int32_t row = y * width;
        const int row_inside = (y >= 0) & (y < height);
        for (int32_t kx = 0, x = left; kx < p->kernel_w; kx++, x += step_w) {
            if (row_inside && x >= 0 && x < width) {
                acc = mcuq_dot(acc, weights, in + (row + x) * channels, depth);
            } else {
                acc = dot_pad(acc, weights, p->pad_value, depth);
            }
            weights += depth;
        }
    }
    return acc;
}

void MCUQ_KERNEL(const params *p, const data *in, data *out)
{
    element *to = out;
    const int32_t depth = p->in_c / p->groups, group_out = p->out_c / p->groups;
    const int32_t filter = p->kernel_h * p->kernel_w * depth;
    const int32_t low = p->out_min, high = p->out_max;

    for (int32_t oy = 0, top = -p->pad_top; oy < p->out_h; oy++, top += p->stride_h) {
        for (int32_t ox = 0, left = -p->pad_left; ox < p->out_w; ox++, left += p->stride_w) {
            const int8_t *weights = p->weights;
            const element *group_in = in;
            for (int32_t o = 0, rest = group_out; o < p->out_c; o++, rest--) {
                if (rest == 0) {
                    group_in += depth;
                    rest = group_out;
                }
                const int32_t acc = sum_taps(p, group_in, weights, p->bias[o], top, left, depth);
                *to++ = (element)mcuq_clamp(acc >> p->shift[o], low, high);
                weights += filter;
            }
        }
    }
}

#endif
