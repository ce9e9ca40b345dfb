/* mcuq_elementwise_dsp.h: element by element operators for cores with the DSP extension; see
 * mcuq_elementwise.h for the parameters, and for who may overlap. No alignment is asked for.
 */
#ifndef MCUQ_ELEMENTWISE_DSP_H
#define MCUQ_ELEMENTWISE_DSP_H

#include "mcuq_elementwise.h"

/** MCUQ_ADD_EQUAL: sums in lanes of 16 bits are (a + b) * scale_a, then bias_a is added,
 * saturating. MCUQ_ADD_APART: (a + 128) * scale_a + bias_a and (b + 128) * scale_b + bias_b are
 * added, saturating; MCUQ_ADD_QUARTER: and doubled twice, saturating. The results are the upper
 * bytes. bias_a and bias_b are words, for both lanes. */
enum { MCUQ_ADD_EQUAL, MCUQ_ADD_APART, MCUQ_ADD_QUARTER };

typedef struct {
    int32_t count;
    int32_t mul_a, mul_b, bias;
    int32_t scale_a, scale_b;
    uint32_t bias_a, bias_b;
    uint8_t kind, shift;
    int8_t out_min, out_max;
} mcuq_add_dsp_params;

/** As mcuq_add_s8; what the lanes hold agrees with mul_a, mul_b, bias and shift (see lanes in
 *  mcuq/kernels/dsp/elementwise.py). */
void mcuq_add_s8_dsp(const mcuq_add_dsp_params *p, const int8_t *a, const int8_t *b, int8_t *out);

/** As mcuq_from_u8_s8. */
void mcuq_from_u8_s8_dsp(const mcuq_from_u8_params *p, const void *in, int8_t *out);

#endif
