/* mcuq_dense_block.h: fully connected layers in register blocks for cores without SIMD, int8 with
 * power-of-two scales.
 *
 * The formula is that of mcuq_dense.h. Each input is loaded once for a block of outputs. Weights
 * are stored plus 128, which lets Armv6-M load them with one instruction; 128 times the sum of the
 * inputs is taken off again. The packing, for a block of B outputs:
 * weights [out_len / B, rounded up][in_len][B], 128 where there is no output.
 */
#ifndef MCUQ_DENSE_BLOCK_H
#define MCUQ_DENSE_BLOCK_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const uint8_t *weights;
    const int32_t *bias; /* [out_len] */
    const int8_t *shift; /* [out_len], 0..31 */
    int32_t in_len, out_len;
    int8_t out_min, out_max;
} mcuq_dense_block_params;

/** Blocks of 4 outputs. */
void mcuq_dense_s8_block4(const mcuq_dense_block_params *p, const int8_t *in, int8_t *out);

/** Blocks of 8 outputs. */
void mcuq_dense_s8_block8(const mcuq_dense_block_params *p, const int8_t *in, int8_t *out);

#endif
