/* mcuq_pool2d_mve.h: pools with Helium (MVE); formulas and overlaps are those of mcuq_pool2d.h. */
#ifndef MCUQ_POOL2D_MVE_H
#define MCUQ_POOL2D_MVE_H

#include "mcuq_pool2d.h"

/** As mcuq_max_pool2d_s8, 16 channels at a time. */
void mcuq_max_pool2d_s8_mve(const mcuq_max_pool2d_params *p, const int8_t *in, int8_t *out);

/** As mcuq_avg_pool2d_s8, up to 16 channels at a time, for windows of at most 255 taps. */
void mcuq_avg_pool2d_s8_mve(const mcuq_avg_pool2d_params *p, const int8_t *in, int8_t *out);

#endif
