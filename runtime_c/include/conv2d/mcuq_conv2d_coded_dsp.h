/* mcuq_conv2d_coded_dsp.h: convolution with weights of few distinct values for cores with the DSP
 * extension; see mcuq_conv2d.h for the formula and the layout. */
#ifndef MCUQ_CONV2D_CODED_DSP_H
#define MCUQ_CONV2D_CODED_DSP_H

#include "mcuq_conv2d_dsp.h"
#include "mcuq_conv2d_winograd_dsp.h"

typedef struct {
    mcuq_conv2d_dsp_params conv; /* weights: per pair of channels the first three words, then codes,
                                    per unit [0, 2 of channel 0; of 1; 1, 3 of channel 0; of 1] */
    const int8_t *values;        /* 16, or 4 */
} mcuq_conv2d_coded_dsp_params;

typedef struct {
    mcuq_conv2d_winograd_params conv; /* weights: per pair of channels the first three words, then
                                         codes [unit][2 channels][3 columns][0, 2, 1, 3] to a
                                         whole word */
    const int8_t *values;             /* 16, or 4 */
} mcuq_conv2d_coded_winograd_params;

/** As mcuq_conv2d_s8_dsp, overlap included, from codes of 4 bits. scratch: 1024 bytes more. */
void mcuq_conv2d_s8_coded4_dsp(const mcuq_conv2d_coded_dsp_params *p, const int8_t *in, int8_t *out,
                               void *scratch);

/** From codes of 2 bits. scratch: 64 bytes more. */
void mcuq_conv2d_s8_coded2_dsp(const mcuq_conv2d_coded_dsp_params *p, const int8_t *in, int8_t *out,
                               void *scratch);

/** As mcuq_conv2d_s8_dsp_winograd, overlap included, from codes of 4 bits. scratch: 1024 bytes
 *  more. */
void mcuq_conv2d_s8_coded4_dsp_winograd(const mcuq_conv2d_coded_winograd_params *p,
                                        const int8_t *in, int8_t *out, void *scratch);

/** From codes of 2 bits. scratch: 64 bytes more. */
void mcuq_conv2d_s8_coded2_dsp_winograd(const mcuq_conv2d_coded_winograd_params *p,
                                        const int8_t *in, int8_t *out, void *scratch);

#endif
