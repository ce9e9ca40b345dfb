/* mcuq_depthwise_conv2d_mve.h: depthwise 2-D convolution with Helium (MVE).
 *
 * The formula, the layout and pad_value are those of mcuq_conv2d.h; out channel o reads input
 * channel o / (out_c / in_c). One channel (or four, side by side) is copied into a padded plane,
 * where a gather by 8-bit offsets brings all taps of up to four outputs into one vector.
 *
 * Outputs are made in blocks of four; blocks follow one another along a line, and lines lie side by
 * side. How the four outputs of a block are made:
 * spread 4: one gather, four weight vectors; spread 2: two gathers, sub_step apart, with the same
 * two weight vectors; spread 1: four gathers, sub_step apart, for each of `vectors` vectors.
 */
#ifndef MCUQ_DEPTHWISE_CONV2D_MVE_H
#define MCUQ_DEPTHWISE_CONV2D_MVE_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights;     /* [out_c][kernel_h * kernel_w + 1], the last one zero */
    const int32_t *bias;       /* [out_c] */
    const int8_t *minus_shift; /* [out_c], -31..0 */
    const uint8_t *lanes;      /* [16] offsets of the taps in the plane, then per weight vector
                                  [16] the tap of each lane */
    const void *out_lanes;     /* offsets in out: uint16_t [8], of two blocks interleaved; for the
                                  quad kernel uint32_t [4], of one block */
    int32_t out_step;          /* bytes in out from these outputs to the next ones of the line */
    int32_t out_across;        /* and from line to line */
    int16_t in_h, in_w, in_c;
    int16_t out_h, out_w, out_c;
    int16_t pad_top, pad_left;
    int16_t plane_w, plane_bytes; /* pixels of a row, bytes of the plane */
    int16_t copy_h, copy_w;       /* what is read of the input; one long row where rows join */
    int16_t spread, vectors, vector_step, sub_step;
    int16_t blocks, lines;      /* blocks of a line that hold outputs; lines */
    int16_t lines_at_once;      /* whose sums are kept */
    int16_t in_step, in_across; /* bytes in the plane from block to block, from line to line */
    uint16_t store_masks[4];    /* P0 of the outputs that exist: inside a line; at its end; inside
                                   the last line; at its end */
    uint8_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int8_t pad_value;
    int8_t out_range[2]; /* the least and the greatest output */
} mcuq_depthwise_conv2d_mve_params;

/** Any channels. scratch: weight vectors, sums, plane. If in_c = out_c, out may be in: a channel is
 *  written when all of it was copied. */
void mcuq_depthwise_conv2d_s8_mve(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *in,
                                  int8_t *out, void *scratch);

/** in_c = out_c, a multiple of 4; in and out are word-aligned. scratch: weight vectors and sums of
 *  four channels, and their plane, [row][pixel][4]. Out may be in. */
void mcuq_depthwise_conv2d_s8_mve_quad(const mcuq_depthwise_conv2d_mve_params *p, const int8_t *in,
                                       int8_t *out, void *scratch);

#endif
