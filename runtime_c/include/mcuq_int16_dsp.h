/* mcuq_int16_dsp.h: conv2d on int16 data for cores with the DSP extension; see mcuq_int16.h. */
#ifndef MCUQ_INT16_DSP_H
#define MCUQ_INT16_DSP_H

#include "mcuq_dsp.h"
#include "mcuq_int16.h"

typedef struct {
    /* per 2 channels: 2 biases, [words] of two inputs of both channels in turn, 2 shifts */
    const uint32_t *weights;
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c; /* out_c is a multiple of 2 */
    uint16_t pad_top, pad_left;
    uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int32_t words; /* half of kernel_h * kernel_w * in_c, rounded up to a multiple of 4 */
    int16_t pad_value, out_min, out_max;
} mcuq_conv2d_s16_dsp_params;

/** As mcuq_conv2d_s16, of one group; scratch: 16 * words bytes, aligned to 4. */
void mcuq_conv2d_s16_dsp(const mcuq_conv2d_s16_dsp_params *p, const void *in, void *out,
                         void *scratch);

#endif
