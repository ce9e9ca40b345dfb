/* mcuq_conv2d.h: 2-D convolution, dense and depthwise, int8 with power-of-two scales.
 *
 * acc = bias[o] + sum over taps and channels of weight * input, in int32;
 * out = clamp(acc >> shift[o], out_min, out_max).
 * bias holds the rounding constant 2^(shift-1), and all zero points (of input and output).
 * Taps that fall outside the input read pad_value. Layout [H][W][C]. No alignment is asked for.
 * The compiler proved that no sum overflows.
 */
#ifndef MCUQ_CONV2D_H
#define MCUQ_CONV2D_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights;
    const int32_t *bias; /* [out_c] */
    const int8_t *shift; /* [out_c], 0..31 */
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c;
    uint16_t pad_top, pad_left;
    uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    uint16_t groups; /* a divisor of in_c and out_c; in_c for depthwise */
    int8_t pad_value, out_min, out_max;
} mcuq_conv2d_params;

/** Any kernel, stride, dilation, padding and groups. weights [out_c][kernel_h][kernel_w]
 *  [in_c / groups]; out channel o reads the input channels of group o / (out_c / groups).
 *  in and out must not overlap. */
void mcuq_conv2d_s8(const mcuq_conv2d_params *p, const int8_t *in, int8_t *out);

/** Any kernel, stride, dilation and padding. weights [kernel_h][kernel_w][out_c]; out channel o
 *  reads input channel o / (out_c / in_c) alone. in and out must not overlap. */
void mcuq_depthwise_conv2d_s8(const mcuq_conv2d_params *p, const int8_t *in, int8_t *out);

#endif
