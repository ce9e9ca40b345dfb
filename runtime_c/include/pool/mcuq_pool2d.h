/* mcuq_pool2d.h: the largest value or the mean of sliding windows, int8.
 *
 * Layout [H][W][C], every channel on its own. Every window holds at least one element of the input.
 * No alignment is asked for. The kernels walk forward, pixel by pixel and some channels at a time,
 * and write outputs when their whole window is read: out may start at in, or before it, if no
 * output pixel comes so early that a later window still reads its place (the compiler derives how
 * far before; see gap in mcuq/kernels/plain/pool2d.py).
 */
#ifndef MCUQ_POOL2D_H
#define MCUQ_POOL2D_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    uint16_t in_h, in_w, channels;
    uint16_t out_h, out_w;
    uint16_t pad_top, pad_left;
    uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
} mcuq_max_pool2d_params;

typedef struct {
    uint16_t in_h, in_w, channels;
    uint16_t out_h, out_w;
    uint16_t pad_top, pad_left;
    uint16_t kernel_h, kernel_w, stride_h, stride_w;
    uint8_t include_pad; /* 1: divide by kernel_h * kernel_w, 0: by the taps inside the input */
    uint8_t left, right; /* the output's scale over the input's is 2^(left - right) */
    int16_t zero_x, zero_y;
    int8_t out_min, out_max;
} mcuq_avg_pool2d_params;

/** The largest value of each window; taps outside the input never win. */
void mcuq_max_pool2d_s8(const mcuq_max_pool2d_params *p, const int8_t *in, int8_t *out);

/** The mean of each window, rounded half up: with num = the sum of in - zero_x over the taps inside
 *  and den = count * 2^right,
 *  out = clamp(zero_y + floor((2 * num * 2^left + den) / (2 * den)), out_min, out_max). */
void mcuq_avg_pool2d_s8(const mcuq_avg_pool2d_params *p, const int8_t *in, int8_t *out);

#endif
