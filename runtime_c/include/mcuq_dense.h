/* mcuq_dense.h: fully connected layers, int8 with power-of-two scales.
 *
 * out[o] = clamp((bias[o] + sum weights[o][i] * in[i]) >> shift[o], out_min, out_max);
 * bias holds the rounding constant and all zero points.
 */
#ifndef MCUQ_DENSE_H
#define MCUQ_DENSE_H

#include <stdint.h>

typedef struct {
    const void *weights; /* packed for the variant; see the variant's prototype */
    const int32_t *bias; /* [out_len], or NULL where the variant packs it with the weights */
    const int8_t *shift; /* [out_len], 0..31, or NULL likewise */
    int32_t in_len, out_len;
    int8_t out_min, out_max;
} mcuq_dense_params;

#endif
