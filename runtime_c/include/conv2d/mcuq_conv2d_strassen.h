/* mcuq_conv2d_strassen.h: 1x1 convolution by Strassen's method; see mcuq_conv2d.h for the formula.
 */
#ifndef MCUQ_CONV2D_STRASSEN_H
#define MCUQ_CONV2D_STRASSEN_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const uint32_t *weights; /* per 8 channels (see the kernel): 4 biases; B11, B21, shifts, T2, T3,
                                -T4, shifts; 4 differences of biases; T1, B22, shifts, shifts; each
                                matrix int16 [in_c / 4][4][2], inputs in int16 order */
    int32_t pixels;
    int16_t in_c, out_c;
    int8_t out_min, out_max;
} mcuq_conv2d_strassen_params;

/** A conv2d of one group: kernel 1x1, strides 1, no pads, in_c a multiple of 64, out_c one of 8.
 *  Four pixels are read before they are written, so out may overlap what later ones do not read
 *  (gap in kernels/dsp_strassen.py). in, out: any alignment. scratch: 14 * in_c bytes. */
void mcuq_conv2d_s8_dsp_strassen(const mcuq_conv2d_strassen_params *p, const int8_t *in,
                                 int8_t *out, void *scratch);

#endif
