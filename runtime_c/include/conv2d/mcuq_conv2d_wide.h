/* mcuq_conv2d_wide.h: 2-D convolution with int16 weights; see mcuq_conv2d.h for the formula and the
 * layout. */
#ifndef MCUQ_CONV2D_WIDE_H
#define MCUQ_CONV2D_WIDE_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const uint32_t *weights; /* per 4 channels: 4 biases; int16 [2 * units][4][2], the inputs of an
                                output one after the other, padded to units of 4, in int16 order;
                                4 shifts in a word */
    int16_t in_h, in_w, in_c;
    int16_t out_h, out_w, out_c;
    int16_t pad_top, pad_left;
    int16_t run;              /* input bytes that neighbour each other: taps * in_c */
    int16_t taps;             /* kernel_w, or 1 if they are apart */
    int16_t units;            /* input values of one output, in fours, rounded up */
    int16_t whole_y, whole_x; /* last input row and column where a window can be read as it lies */
    int32_t row_pitch;        /* input bytes from one row of a window to the next */
    uint8_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int8_t pad_value, out_min, out_max;
} mcuq_conv2d_wide_params;

/** A conv2d of one group, out_c a multiple of 4. Two pixels are read before they are written, so
 *  out may overlap what later ones do not read (gap in kernels/dsp_wide.py). in, out: any
 *  alignment. scratch: 24 * units bytes. */
void mcuq_conv2d_s8_dsp_wide(const mcuq_conv2d_wide_params *p, const int8_t *in, int8_t *out,
                             void *scratch);

typedef struct {
    const uint32_t *weights; /* per 4 channels: 4 biases; int16 [kernel_h][row_words][4][2], rows
                                padded to an even count; 4 shifts in a word */
    int16_t in_h, in_w, in_c;
    int16_t out_h, out_w, out_c;
    int16_t pad_top, pad_left;
    int16_t row_words; /* kernel_w * in_c in pairs, rounded up */
    int16_t pitch;     /* int16 of a padded row, even: all that a row of windows reads */
    uint8_t kernel_h, kernel_w, stride_h, stride_w;
    int8_t pad_value, out_min, out_max;
} mcuq_conv2d_rows_params;

/** The same for dilations 1. A row of outputs is written when its input rows have been read, so out
 *  may overlap what later ones do not read. in, out: any alignment. scratch: 2 * kernel_h * pitch +
 *  8 * kernel_h * row_words bytes. */
void mcuq_conv2d_s8_dsp_rows(const mcuq_conv2d_rows_params *p, const int8_t *in, int8_t *out,
                             void *scratch);

#endif
