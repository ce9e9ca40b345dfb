/* mcuq_conv2d_winograd_dsp.h: convolution with fewer multiplications for cores with the DSP
 * extension; see mcuq_conv2d.h for the formula and the layout. */
#ifndef MCUQ_CONV2D_WINOGRAD_DSP_H
#define MCUQ_CONV2D_WINOGRAD_DSP_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int32_t *weights; /* per pair of channels: 2 * bias_0, 2 * bias_1, (shift_0 + 1) |
                               (shift_1 + 1) << 8 | distance of their outputs << 16,
                               int8 [kernel_h * in_c / 4][3 columns][2 channels][4] */
    int16_t in_h, in_w, in_c;
    int16_t out_h, out_w, out_c;
    int16_t pad_top, pad_left;
    int16_t block; /* output pixels of a block, a multiple of 4 */
    uint8_t kernel_h, stride_h;
    int8_t pad_value, out_min, out_max;
} mcuq_conv2d_winograd_params;

/** Kernel width 3, stride_w 1, no dilation, one group, in_c a multiple of 4, out_w even: by
 *  Winograd's F(2, 3) along the rows (S. Winograd, Arithmetic Complexity of Computations, 1980),
 *  exact in integers: everything is doubled, sums stay below 2^31 (kernels/dsp_winograd).
 *  Blocks of pixels are copied to scratch before their outputs are written (gap).
 *  in, out: any alignment. scratch: 40 + 4 * (16 * units + 4 * links) + 16 * units * block bytes
 *  and 16 * units for a patch, units = kernel_h * in_c / 4, links = units / 12 rounded up. */
void mcuq_conv2d_s8_dsp_winograd(const mcuq_conv2d_winograd_params *p, const int8_t *in,
                                 int8_t *out, void *scratch);

#endif
