/* mcuq_elementwise_dsp.h: element by element operators for cores with the DSP extension; the
 * formulas, and who may overlap, are those of mcuq_elementwise.h. */
#ifndef MCUQ_ELEMENTWISE_DSP_H
#define MCUQ_ELEMENTWISE_DSP_H

#include "mcuq_elementwise.h"

/** As mcuq_add_s8, for mul_a and mul_b of 16 bits and results of 16 bits before they are limited:
 *  both hold if shift is not much smaller than k of 2^k (kernels/dsp_add). */
void mcuq_add_s8_dsp(const mcuq_add_params *p, const int8_t *a, const int8_t *b, int8_t *out);

#endif
