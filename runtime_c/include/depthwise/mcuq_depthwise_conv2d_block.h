/* mcuq_depthwise_conv2d_block.h: depthwise convolution for cores without SIMD, int8 with
 * power-of-two scales.
 *
 * The formula, the layout and pad_value are those of mcuq_conv2d.h; output channel o reads input
 * channel o / multiplier. Output rows are computed in bands, channel by channel. The input rows of
 * a band are copied, with their pads, to scratch first, so that the output may overwrite the input.
 * weights [out_c][kernel_h][kernel_w].
 * scratch: lines * wide * in_c bytes (3x3), and kernel_h * kernel_w words before them (the other).
 */
#ifndef MCUQ_DEPTHWISE_CONV2D_BLOCK_H
#define MCUQ_DEPTHWISE_CONV2D_BLOCK_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights;
    const int32_t *bias; /* [out_c] */
    const int8_t *shift; /* [out_c], 0..31 */
    int16_t in_h, in_w, in_c;
    int16_t out_h, out_w;
    int16_t multiplier; /* output channels per input channel */
    int16_t band;       /* output rows of a band */
    int16_t lines;      /* input rows of a band: stride_h * (band - 1) + what one row reads */
    int16_t wide;       /* pixels of an input row that outputs read, pads included */
    int16_t pad_top, pad_left;
    uint8_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int8_t pad_value, out_min, out_max;
    uint8_t narrow; /* 1 unless the output's range is -128..127 */
} mcuq_depthwise_conv2d_block_params;

/** Any kernel, stride, dilation, padding and multiplier. Bands are written in order, each after the
 *  input rows that it reads were copied. */
void mcuq_depthwise_conv2d_s8_block(const mcuq_depthwise_conv2d_block_params *p, const int8_t *in,
                                    int8_t *out, void *scratch);

/** Kernels of 3x3, stride_w 1 or 2, dilation_w 1, multiplier 1. */
void mcuq_depthwise_conv2d_s8_block_3x3(const mcuq_depthwise_conv2d_block_params *p,
                                        const int8_t *in, int8_t *out, void *scratch);

/** As mcuq_depthwise_conv2d_s8_block_3x3, but channel by channel over the whole image: `out` may be
 *  `in` itself. band: half of the output rows, rounded up; output row y and y + band are computed
 *  together. lines: stride_h * (band - 1) + what one row reads. shift: + 32 where a kernel row's
 *  |weights| sum to more than 255; no two neighbours of the first two taps are both -128.
 *  scratch: lines * wide words. */
void mcuq_depthwise_conv2d_s8_block_3x3_pair(const mcuq_depthwise_conv2d_block_params *p,
                                             const int8_t *in, int8_t *out, void *scratch);

#endif
