/* mcuq_conv2d_winograd_2x2.h: 3x3 convolution of stride 1 by Winograd's F(2x2, 3x3); see
 * mcuq_conv2d.h for the formula and the layout. */
#ifndef MCUQ_CONV2D_WINOGRAD_2X2_H
#define MCUQ_CONV2D_WINOGRAD_2X2_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const uint32_t *weights; /* per 4 channels: int16 [16 products][in_c / 2][4][2], inputs in
                                int16 order; then 4 times 4 * bias, and shift + 2 (the last one of
                                the four + 2^31) */
    int16_t in_h, in_w, in_c;
    int16_t out_h, out_w, out_c;
    int16_t pad_top, pad_left;
    int8_t pad_value, out_min, out_max;
} mcuq_conv2d_winograd_2x2_params;

/** A conv2d of one group: kernel 3x3, strides and dilations 1, in_c a multiple of 16, out_c one of
 *  4. Two rows of outputs are written when all their inputs have been read, so out may overlap what
 *  later rows do not read (gap in kernels/dsp_winograd_2x2.py). in, out: any alignment. scratch:
 *  in_c * (8 * (4 * ceil(out_w / 4) + 2) + 64 + in_w) + 512 bytes, and 8 * out_c if out_h is odd or
 *  out_w not a multiple of 4. */
void mcuq_conv2d_s8_dsp_winograd_2x2(const mcuq_conv2d_winograd_2x2_params *p, const int8_t *in,
                                     int8_t *out, void *scratch);

#endif
