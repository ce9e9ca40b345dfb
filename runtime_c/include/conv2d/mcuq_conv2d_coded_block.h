/* mcuq_conv2d_coded_block.h: register-blocked convolution with weights of few distinct values, for
 * cores without SIMD; see mcuq_conv2d_block.h. */
#ifndef MCUQ_CONV2D_CODED_BLOCK_H
#define MCUQ_CONV2D_CODED_BLOCK_H

#include "mcuq_conv2d_block.h"

typedef struct {
    mcuq_conv2d_block_params conv; /* weights: NULL */
    const uint8_t *codes;          /* [out_c][taps] codes, the first of a byte lowest */
    const int8_t *values;          /* 16, or 4 */
    int16_t fours;                 /* blocks of four pixels that share a decoding */
} mcuq_conv2d_coded_block_params;

/** As mcuq_conv2d_s8_block, from codes of 4 bits: 4 * fours pixels are read before their outputs
 * are written; a channel is decoded once for all of them. scratch: 512 bytes, taps bytes, 8 * taps
 * for each of `fours`, and 5 * kernel_w * in_c (made a multiple of 4). */
void mcuq_conv2d_s8_coded4_block(const mcuq_conv2d_coded_block_params *p, const int8_t *in,
                                 int8_t *out, void *scratch);

/** From codes of 2 bits. scratch: 32 bytes in place of the 512. */
void mcuq_conv2d_s8_coded2_block(const mcuq_conv2d_coded_block_params *p, const int8_t *in,
                                 int8_t *out, void *scratch);

#endif
