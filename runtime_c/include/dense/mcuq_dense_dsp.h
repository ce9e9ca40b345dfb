/* mcuq_dense_dsp.h: fully connected layers for cores with the DSP extension; see mcuq_dense.h for
 * the formula. */
#ifndef MCUQ_DENSE_DSP_H
#define MCUQ_DENSE_DSP_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const uint32_t *weights; /* per 4 outputs: 4 biases, [turns][2][4] words, 4 shifts and 4
                                centers as bytes (see the kernel) */
    int32_t in_len, out_len;
    int16_t turns; /* inputs in eights, rounded up */
    int8_t out_min, out_max;
} mcuq_dense_dsp_params;

/** out[o] = clamp((bias[o] + sum weights[o][i] * in[i]) >> shift[o], out_min, out_max).
 *  A word of weights w0..w3 (of one output) holds 256 * w1 + w0 + 128 and 256 * w3 + w2 + 128;
 *  the sums run 256-fold, and kernels/dsp_dense proves that they fit. The last outputs are padded
 * with zeros. The input is read before out is written: they may overlap. in, out: any alignment.
 *  scratch: 16 * turns bytes. */
void mcuq_dense_s8_dsp(const mcuq_dense_dsp_params *p, const int8_t *in, int8_t *out,
                       void *scratch);

/** The same with 8 outputs in a group: 8 biases, [turns][2][8] words, 8 shifts, 8 signed centers.
 */
void mcuq_dense_s8_dsp_8(const mcuq_dense_dsp_params *p, const int8_t *in, int8_t *out,
                         void *scratch);

typedef struct {
    const uint32_t *weights; /* per 4 outputs, for each part of the inputs: 4 biases and
                                [turns][2][4] words (see mcuq_dense_s8_dsp) */
    const int32_t *bias;     /* [out_len] */
    const int8_t *shift;     /* [out_len], 0..31 */
    int32_t in_len, out_len;
    int16_t turns; /* inputs in eights, rounded up */
    int16_t part;  /* turns of all parts but the last, which may have fewer; 63 at most */
    int8_t out_min, out_max;
} mcuq_dense_dsp_parts_params;

/** The same for any weights: the inputs are taken in parts so short that 256-fold sums of each fit.
 *  scratch: 16 * turns bytes, and 4 for each part. */
void mcuq_dense_s8_dsp_parts(const mcuq_dense_dsp_parts_params *p, const int8_t *in, int8_t *out,
                             void *scratch);

#endif
