/* mcuq_conv2d_columns_mve.h: 2-D convolution with Helium (MVE) whose pixels are read in place.
 *
 * The formula, the layout and pad_value are those of mcuq_conv2d.h, the dilation is 1. The rows
 * that an output row reads are kept as [column][kernel row][in_c]: the inputs of a pixel are then
 * consecutive, those of its neighbour lie stride_w * kernel_h * in_c bytes on, and one row below
 * all are in_c bytes on, where the next row takes the place of the first one of the column beside
 * it.
 *
 * A step is 16 consecutive inputs of a pixel. scratch (4-byte aligned), in bytes: sums, 16 for each
 * output channel to a multiple of 4; 64 * steps for pixels that are copied to form a block, or 16
 * if all of a row lie in blocks of four; the window, window_w * kernel_h * in_c + (out_h - 1) *
 * stride_h * in_c, and 16.
 */
#ifndef MCUQ_CONV2D_COLUMNS_MVE_H
#define MCUQ_CONV2D_COLUMNS_MVE_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights;     /* [pair of output channels][steps][2][16], the last step first; an
                                  output     takes (kernel_w, kernel_h, in_c) products, then zeros */
    const int32_t *bias;       /* [out_c], to a multiple of 4 */
    const int8_t *minus_shift; /* [out_c], to a multiple of 4, -31..0 */
    const uint8_t *offsets; /* [in_c, to a multiple of 16] where in the window 16 consecutive inputs
                               from each 16th channel on go; NULL if there is no window */
    int16_t in_h, in_w, in_c;
    int16_t out_h, out_w, out_c;
    int16_t pad_top, pad_left;
    int16_t window_w;   /* columns of the window; 0: no padding, the input itself is read */
    int16_t copy_w;     /* pixels of an input row that it holds */
    int16_t last_w;     /* pixels of the last row that may be read in place */
    int16_t steps;      /* 1..16 */
    int32_t last_bytes; /* of them, from the last multiple of 16 channels on; in the vectors before
                           the last one all 16 bytes count */
    uint8_t kernel_h, kernel_w, stride_h, stride_w;
    uint8_t together; /* pixels that 16 consecutive inputs fill */
    int8_t pad_value;
    int8_t out_range[2]; /* the least and the greatest output */
} mcuq_conv2d_columns_mve_params;

/** Up to 256 products an output. */
void mcuq_conv2d_s8_mve_columns(const mcuq_conv2d_columns_mve_params *p, const int8_t *in,
                                int8_t *out, void *scratch);

#endif
