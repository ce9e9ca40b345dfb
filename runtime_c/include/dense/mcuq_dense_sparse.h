/* mcuq_dense_sparse.h: fully connected layers whose zero weights are not stored, int8 with
 * power-of-two scales. The formula is that of mcuq_dense.h. The same kernels run convolutions of
 * 1x1 without padding: a fully connected layer at every output pixel.
 *
 * "Blocks" are four weights of one output for the inputs 4 g to 4 g + 3; only those that are not
 * all zero are stored. Where an index cannot reach the next block, one of zeros lies between.
 */
#ifndef MCUQ_DENSE_SPARSE_H
#define MCUQ_DENSE_SPARSE_H

#include <stdint.h>

#include "mcuq_target.h"

/** The output pixels, and how many bytes the inputs of one lie behind those of its neighbour. */
typedef struct {
    int32_t rows, columns, row_pitch, pixel_pitch;
} mcuq_sparse_pixels;

typedef struct {
    const uint32_t *weights; /* per output: bias and shift in one word, then the blocks; a block is
                                256 * w1 + w0 and 256 * w3 + w2 in the halves of a word; for the
                                dense kernel, then a word that is read and not used */
    const uint8_t *index;    /* per output: blocks modulo 8, blocks / 8, their distances in steps of
                                8; each four (at first what is left) last to first; then 8, and 3
                                bytes that are read and not used */
    mcuq_sparse_pixels pixels;
    int32_t in_len, out_len;
    int16_t turns; /* inputs in eights, rounded up */
    int8_t out_min, out_max;
} mcuq_sparse4_dsp_params;

/** Blocks, for cores with the DSP extension. Sums run 256-fold; kernels/sparse_dsp proves that they
 *  fit. The inputs of a pixel are read before its outputs are written. scratch: 16 * turns bytes.
 */
void mcuq_dense_s8_sparse4_dsp(const mcuq_sparse4_dsp_params *p, const int8_t *in, int8_t *out,
                               void *scratch);

/** The same for convolutions, four pixels at a time, whose inputs are read before their outputs are
 *  written. index: per output how many blocks (2 bytes, the lower one first), and their distances
 *  in order. scratch: 64 * turns bytes. */
void mcuq_conv2d_s8_sparse4_dsp(const mcuq_sparse4_dsp_params *p, const int8_t *in, int8_t *out,
                                void *scratch);

typedef struct {
    const uint8_t *weights; /* per chunk of outputs and g: how many blocks, then for each of them
                               4 times the distance from the output before (at first from the first
                               of the chunk), and 4 weights plus 128 */
    const int32_t *bias;    /* [out_len] */
    const int8_t *shift;    /* [out_len], 0..31 */
    mcuq_sparse_pixels pixels;
    int32_t in_len, out_len;
    int16_t chunk; /* outputs in a chunk */
    int8_t out_min, out_max;
} mcuq_sparse4_params;

/** Blocks, for any core: input by input, so that four inputs stay in registers for all outputs.
 *  With one chunk the inputs of a pixel are read before its outputs are written.
 *  scratch: 4 * chunk bytes. */
void mcuq_dense_s8_sparse4(const mcuq_sparse4_params *p, const int8_t *in, int8_t *out,
                           void *scratch);

typedef struct {
    const uint8_t *weights; /* per output: how many pairs of weights (2 bytes, the lower one first);
                               per pair the distances of both from the one before (the first one's
                               in the upper half of a byte) and the weights; the shift, 0..31 */
    const int32_t *bias;    /* [out_len], less 128 times the sum of the weights */
    mcuq_sparse_pixels pixels;
    int32_t in_len, out_len;
    int8_t out_min, out_max;
} mcuq_sparse_params;

/** Single weights, for any core. The inputs of a pixel are read before its outputs are written.
 *  scratch: in_len bytes, to a multiple of 4. */
void mcuq_dense_s8_sparse(const mcuq_sparse_params *p, const int8_t *in, int8_t *out,
                          void *scratch);

typedef struct {
    const uint8_t *weights; /* per output: how many weights, then the input and the weight of each
                             */
    const int32_t *bias;    /* [out_len], 256 * bias + shift */
    mcuq_sparse_pixels pixels;
    int32_t out_len;
    int8_t out_min, out_max;
} mcuq_sparse_narrow_params;

/** Single weights of at most 256 inputs, for any core: faster than mcuq_dense_s8_sparse, a third
 *  larger. */
void mcuq_dense_s8_sparse_narrow(const mcuq_sparse_narrow_params *p, const int8_t *in, int8_t *out);

typedef struct {
    const uint8_t
        *weights;        /* per output and eight inputs: the places of 4 weights, from bit 0 on in
                            2 bits each (two in inputs 0 to 3, two in 4 to 7), and the weights */
    const int32_t *bias; /* [out_len] */
    const int8_t *shift; /* [out_len], 0..31 */
    mcuq_sparse_pixels pixels;
    int32_t in_len, out_len;
    int8_t out_min, out_max;
} mcuq_sparse_2of4_params;

/** At most two weights of every four, for any core. */
void mcuq_dense_s8_sparse_2of4(const mcuq_sparse_2of4_params *p, const int8_t *in, int8_t *out);

typedef struct {
    const int8_t *weights;     /* per 64 outputs, 1024 inputs and output: fours of blocks */
    const uint8_t *index;      /* per block its g in the 1024 inputs */
    const uint8_t *counts;     /* per output in the same order: how many fours of blocks */
    const int32_t *bias;       /* [out_len] */
    const int8_t *minus_shift; /* [out_len, to a multiple of 4], -31..0 */
    mcuq_sparse_pixels pixels;
    int32_t in_len, out_len;
    int8_t out_range[2]; /* the least and the greatest output */
} mcuq_sparse4_mve_params;

/** Blocks, with Helium (MVE). The inputs of a pixel are read before its outputs are written.
 *  scratch: 4 bytes for each of up to 64 outputs, then in_len bytes, to a multiple of 16. */
void mcuq_dense_s8_sparse4_mve(const mcuq_sparse4_mve_params *p, const int8_t *in, int8_t *out,
                               void *scratch);

#endif
