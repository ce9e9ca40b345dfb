/* mcuq_dense_mve.h: fully connected layers with Helium (MVE).
 *
 * The formula is that of mcuq_dense.h. weights [block of 8 outputs][steps][8][16], where a step is
 * 16 inputs; zeros where a step or the last block is not full. If out_len leaves a rest of 1 to 4
 * outputs, the last block has 4. bias and minus_shift go on to the end of the last block.
 */
#ifndef MCUQ_DENSE_MVE_H
#define MCUQ_DENSE_MVE_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int8_t *minus_shift; /* -31..0 */
    int32_t in_len, out_len;
    int8_t out_range[2]; /* the least and the greatest output */
} mcuq_dense_mve_params;

/** scratch: 4 bytes for each of up to 64 outputs; then the inputs, to a multiple of 16, if they
 *  are not one. */
void mcuq_dense_s8_mve(const mcuq_dense_mve_params *p, const int8_t *in, int8_t *out,
                       void *scratch);

#endif
