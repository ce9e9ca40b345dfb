/* mcuq_pool2d_dsp.h: pooling for cores with the DSP extension; see mcuq_pool2d.h for the
 * parameters and for who may overlap. No alignment is asked for.
 */
#ifndef MCUQ_POOL2D_DSP_H
#define MCUQ_POOL2D_DSP_H

#include "mcuq_pool2d.h"

/** As mcuq_max_pool2d_s8. */
void mcuq_max_pool2d_s8_dsp(const mcuq_max_pool2d_params *p, const int8_t *in, int8_t *out);

/** As mcuq_avg_pool2d_s8, of at most 256 taps. */
void mcuq_avg_pool2d_s8_dsp(const mcuq_avg_pool2d_params *p, const int8_t *in, int8_t *out);

#endif
