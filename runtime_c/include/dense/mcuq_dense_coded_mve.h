/* mcuq_dense_coded_mve.h: fully connected layers with weights of few distinct values, with Helium
 * (MVE); see mcuq_dense.h for the formula. */
#ifndef MCUQ_DENSE_CODED_MVE_H
#define MCUQ_DENSE_CODED_MVE_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const uint8_t
        *codes; /* [block of 8 outputs][steps][8][16] weights; see mcuq_coded_mve_body.h */
    const int8_t *values;      /* 16, or 4 */
    const int32_t *bias;       /* up to a multiple of 8 outputs */
    const int8_t *minus_shift; /* -31..0, so many too */
    int32_t in_len, out_len;
    int8_t out_range[2]; /* the least and the greatest output */
} mcuq_dense_coded_mve_params;

/** Codes of 4 bits. scratch: the inputs, to a multiple of 16, and 4 bytes an output, to a multiple
 *  of 8. All inputs are read before the first output is written. */
void mcuq_dense_s8_coded4_mve(const mcuq_dense_coded_mve_params *p, const int8_t *in, int8_t *out,
                              void *scratch);

/** Codes of 2 bits. */
void mcuq_dense_s8_coded2_mve(const mcuq_dense_coded_mve_params *p, const int8_t *in, int8_t *out,
                              void *scratch);

#endif
