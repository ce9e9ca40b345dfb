/* mcuq_conv2d.h: 2-D convolution, dense and depthwise, int8 with power-of-two scales.
 *
 * acc = bias[o] + sum over taps and channels of weight * input, in int32;
 * out = clamp(acc >> shift[o], out_min, out_max).
 * bias holds the rounding constant 2^(shift-1), and all zero points (of input and output).
 * Taps that fall outside the input read pad_value. Layout [H][W][C]. No aliasing unless the
 * planner proved it (a variant's gap in mcuq/kernels). The compiler proved that no sum overflows.
 */
#ifndef MCUQ_CONV2D_H
#define MCUQ_CONV2D_H

#include <stdint.h>

typedef struct {
    const void *weights;  /* packed for the variant; see the variant's prototype */
    const int32_t *bias;  /* [out_c], or NULL where the variant packs it with the weights */
    const int8_t *shift;  /* [out_c], 0..31, or NULL likewise */
    int16_t in_h, in_w, in_c;
    int16_t out_h, out_w, out_c;
    int16_t pad_top, pad_left;
    int16_t groups;       /* 1, or a divisor of in_c and out_c; in_c for depthwise */
    uint8_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int8_t pad_value, out_min, out_max;
} mcuq_conv2d_params;

#endif
