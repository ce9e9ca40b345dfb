/* mcuq_dense_coded.h: fully connected layers with weights of few distinct values: codes of 4 or 2
 * bits, the first of a byte lowest, and a table of the values. See mcuq_dense.h for the formula.
 */
#ifndef MCUQ_DENSE_CODED_H
#define MCUQ_DENSE_CODED_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const uint8_t *codes; /* [chunk of columns][out_len / 8, rounded up][columns][8], where a column
                             is the 2 or 4 inputs that one byte of codes meets */
    const int8_t *values; /* 16, or 4 */
    const int32_t *bias;  /* [out_len] */
    const int8_t *shift;  /* [out_len], 0..31 */
    int32_t in_len, out_len;
    int16_t chunk; /* columns whose tables are kept at a time */
    int8_t out_min, out_max;
} mcuq_dense_coded_sums_params;

/** Codes of 4 bits; no value is -128. All inputs are read before the first output is written. For
 *  every column the 256 sums of products are tabulated, so that an output adds one of them.
 *  scratch: 512 * chunk bytes, 32 for every 8 outputs. */
void mcuq_dense_s8_coded4_sums(const mcuq_dense_coded_sums_params *p, const int8_t *in, int8_t *out,
                               void *scratch);

/** Codes of 2 bits. scratch: 1024 * chunk bytes, 32 for every 8 outputs. */
void mcuq_dense_s8_coded2_sums(const mcuq_dense_coded_sums_params *p, const int8_t *in, int8_t *out,
                               void *scratch);

typedef struct {
    const uint32_t *weights; /* per 4 outputs: 4 biases, codes, 4 shifts as bytes. Codes of 4 bits
                                [in_len / 4][0, 2; 1, 3][4 outputs][2], of 2 bits
                                [in_len / 4][4 outputs][0, 2, 1, 3] */
    const int8_t *values;    /* 16, or 4 */
    int32_t in_len, out_len;
    int16_t turns; /* inputs in eights, rounded up */
    int8_t out_min, out_max;
} mcuq_dense_coded_dsp_params;

/** With the DSP extension: a byte of codes is looked up as int16, one SMLAD takes two products. All
 *  inputs are read before the first output is written. Codes of 4 bits. scratch: 1024 bytes of
 *  table, 16 * turns. */
void mcuq_dense_s8_coded4_dsp(const mcuq_dense_coded_dsp_params *p, const int8_t *in, int8_t *out,
                              void *scratch);

/** Codes of 2 bits. scratch: 2048 bytes of table, 16 * turns. */
void mcuq_dense_s8_coded2_dsp(const mcuq_dense_coded_dsp_params *p, const int8_t *in, int8_t *out,
                              void *scratch);

typedef struct {
    const uint32_t *weights; /* per 4 outputs: [turns][4] words of 8 codes, 4 biases, 4 shifts as
                                bytes. A word holds inputs 0, 1, 4, 5, 2, 3, 6, 7, the first one
                                lowest, 5 and 7 signed. Sums are 16-fold: shifts are 4 greater. */
    int32_t in_len, out_len;
    int16_t turns; /* inputs in eights, rounded up */
    int16_t step, least;
    int8_t out_min, out_max;
} mcuq_dense_coded_linear_params;

/** With the DSP extension, for codes of 4 bits on a linear scale: a weight is least + step * code.
 *  All inputs are read before the first output is written. scratch: 16 * turns bytes. */
void mcuq_dense_s8_coded4_dsp_linear(const mcuq_dense_coded_linear_params *p, const int8_t *in,
                                     int8_t *out, void *scratch);

typedef struct {
    const uint8_t *codes; /* [out_len / 4, rounded up][in_len, to even][2]: of outputs 0 and 1, 2
                             and 3 */
    const int8_t *values; /* 16 */
    const int32_t *bias;  /* [out_len] */
    const int8_t *shift;  /* [out_len], 0..31 */
    int32_t in_len, out_len;
    int8_t out_min, out_max;
} mcuq_dense_coded_pairs_params;

/** Codes of 4 bits; no value is -128. A byte is the weights of two outputs, which share a word and
 *  a multiplication as in mcuq_pair.h, groups of two inputs. scratch: 1024 bytes of table. */
void mcuq_dense_s8_coded4_pairs(const mcuq_dense_coded_pairs_params *p, const int8_t *in,
                                int8_t *out, void *scratch);

#endif
