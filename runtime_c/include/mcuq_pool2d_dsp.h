/* mcuq_pool2d_dsp.h: pools for cores with the DSP extension; the formulas, and who may overlap, are
 * those of mcuq_pool2d.h. */
#ifndef MCUQ_POOL2D_DSP_H
#define MCUQ_POOL2D_DSP_H

#include "mcuq_pool2d.h"

/** As mcuq_avg_pool2d_s8, for windows of at most 255 taps. */
void mcuq_avg_pool2d_s8_dsp(const mcuq_avg_pool2d_params *p, const int8_t *in, int8_t *out);

#endif
