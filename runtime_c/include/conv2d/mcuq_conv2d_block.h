/* mcuq_conv2d_block.h: 2-D convolution in register blocks for cores without SIMD, int8 with
 * power-of-two scales.
 *
 * The formula, the layout and pad_value are those of mcuq_conv2d.h; groups is 1. Four output pixels
 * are computed together, two in each half of a word, as mcuq_pair.h explains; the packing is:
 * weights [out_c][taps], zeros behind the last real tap, in groups of four whose magnitudes sum to
 * 255 at most; what the groups could not hold is in extra, so many (skip, weight) pairs of bytes
 * per channel: skip taps on from the tap of the pair before. scratch (4-byte aligned): 2 * taps
 * words, then 5 * kernel_w * in_c bytes, or, if padded, the part of the input with its pads that
 * the windows reach.
 */
#ifndef MCUQ_CONV2D_BLOCK_H
#define MCUQ_CONV2D_BLOCK_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights;
    const int32_t *channels; /* [out_c][2]: bias; shift + 256 * number of pairs in extra */
    const uint8_t *extra;    /* NULL if no channel has any */
    int32_t taps;            /* kernel_h * kernel_w * in_c, to a multiple of 4 */
    int16_t in_h, in_w, in_c;
    int16_t out_h, out_w, out_c;
    int16_t pad_top, pad_left;
    uint8_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int8_t pad_value, out_min, out_max;
    uint8_t narrow; /* 1 unless the output's range is -128..127 */
    uint8_t padded; /* 1: the input is copied with its pads first; dilation_w is 1 */
} mcuq_conv2d_block_params;

/** Any kernel, stride, dilation and padding. The pixels are walked forward in groups of four, whose
 *  inputs are all read before their outputs are written. */
void mcuq_conv2d_s8_block(const mcuq_conv2d_block_params *p, const int8_t *in, int8_t *out,
                          void *scratch);

#endif
