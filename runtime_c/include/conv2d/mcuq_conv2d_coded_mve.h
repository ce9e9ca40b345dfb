/* mcuq_conv2d_coded_mve.h: convolution with weights of few distinct values, with Helium (MVE); see
 * mcuq_conv2d_mve.h. */
#ifndef MCUQ_CONV2D_CODED_MVE_H
#define MCUQ_CONV2D_CODED_MVE_H

#include "mcuq_conv2d_mve.h"

typedef struct {
    mcuq_conv2d_mve_params conv; /* weights: NULL */
    const uint8_t *codes; /* of the weights that mcuq_conv2d_mve.h describes, up to a multiple
                             of 4 channels; see mcuq_coded_mve_body.h */
    const int8_t *values; /* 16, or 4 */
    int16_t chunk;        /* channels that are decoded together, a multiple of 4 */
} mcuq_conv2d_coded_mve_params;

/** As mcuq_conv2d_s8_mve, from codes of 4 bits: `chunk` channels of all pixels, then the next ones,
 *  so that out may only overlap in if they are all. scratch: 16 * steps * chunk bytes, then what
 *  that kernel takes for `chunk` channels. */
void mcuq_conv2d_s8_coded4_mve(const mcuq_conv2d_coded_mve_params *p, const int8_t *in, int8_t *out,
                               void *scratch);

/** From codes of 2 bits. */
void mcuq_conv2d_s8_coded2_mve(const mcuq_conv2d_coded_mve_params *p, const int8_t *in, int8_t *out,
                               void *scratch);

#endif
