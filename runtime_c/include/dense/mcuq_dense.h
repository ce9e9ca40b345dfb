/* mcuq_dense.h: fully connected layers, int8 with power-of-two scales.
 *
 * out[o] = clamp((bias[o] + sum weights[o][i] * in[i]) >> shift[o], out_min, out_max);
 * bias holds the rounding constant and all zero points. The compiler proved that no sum overflows.
 */
#ifndef MCUQ_DENSE_H
#define MCUQ_DENSE_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights; /* [out_len][in_len] */
    const int32_t *bias;   /* [out_len] */
    const int8_t *shift;   /* [out_len], 0..31 */
    int32_t in_len, out_len;
    int8_t out_min, out_max;
} mcuq_dense_params;

/** in [in_len], out [out_len], which must not overlap. No alignment is asked for. */
void mcuq_dense_s8(const mcuq_dense_params *p, const int8_t *in, int8_t *out);

#endif
