/* mcuq_conv2d_mve.h: 2-D convolution with Helium (MVE), int8 with power-of-two scales.
 *
 * The formula, the layout and pad_value are those of mcuq_conv2d.h; the packing is:
 * weights [pair of output channels][steps][2][16], zeros where a step or a pair is not full;
 * minus_shift: the negated shifts, to a multiple of 4 entries.
 * scratch: 16-byte vectors in words, as the variant states (4-byte aligned).
 */
#ifndef MCUQ_CONV2D_MVE_H
#define MCUQ_CONV2D_MVE_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights;
    const int32_t *bias;       /* [out_c] */
    const int8_t *minus_shift; /* [out_c], -31..0 */
    const uint16_t *taps;      /* [16 * steps] offsets in the window of one pixel's inputs; NULL
                                  where in_c is a multiple of 16 */
    int16_t in_h, in_w, in_c;
    int16_t out_h, out_w, out_c;
    int16_t pad_top, pad_left;
    int16_t steps;       /* of 16 products an output takes */
    int16_t window_rows; /* padded input rows that are kept: what one output row reads, or all; 0:
                            the input itself is read */
    int16_t window_w;    /* pixels of such a row */
    uint8_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int8_t pad_value;
    int8_t out_range[2]; /* the least and the greatest output */
} mcuq_conv2d_mve_params;

/** Any kernel, stride, dilation and padding. scratch: sums, inputs of four pixels, window. 1x1
 * kernels without padding need no window. */
void mcuq_conv2d_s8_mve(const mcuq_conv2d_mve_params *p, const int8_t *in, int8_t *out,
                        void *scratch);

/** Kernels 3 wide, stride_w 1 or 2, dilation 1, in_c a multiple of 16: each column of the window is
 *  loaded once for its taps. weights [pair of output channels][kernel_h][in_c / 16][3][2][16].
 *  scratch: sums, a word for each (row, 16 channels), window of kernel_h rows. */
void mcuq_conv2d_s8_mve_3wide(const mcuq_conv2d_mve_params *p, const int8_t *in, int8_t *out,
                              void *scratch);

#endif
