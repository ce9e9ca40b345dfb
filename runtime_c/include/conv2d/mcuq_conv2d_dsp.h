/* mcuq_conv2d_dsp.h: 2-D convolution for cores with the DSP extension; see mcuq_conv2d.h for the
 * formula and the layout. */
#ifndef MCUQ_CONV2D_DSP_H
#define MCUQ_CONV2D_DSP_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int32_t *weights; /* per pair of channels, not always neighbours: bias_0, bias_1, where
                               they go (see the kernel), int8 [even units][2][4].
                               Order of the inputs: the fours of every run, then the rests */
    int16_t in_h, in_w, in_c;
    int16_t out_h, out_w, out_c;
    int16_t pad_top, pad_left;
    int16_t copy_h, copy_w, copy_top, copy_left; /* if copy_h > 0: the size of the input, and where
                                                    it lies in in_h x in_w, which is made of it */
    int16_t run;   /* input bytes that neighbour each other in memory: kernel_w * in_c, or in_c */
    int16_t runs;  /* kernel_h, or kernel_h * kernel_w */
    int16_t units; /* input values of one output, in fours, rounded up */
    int16_t block; /* output pixels of a block, in threes */
    int16_t whole_y, whole_x; /* last input row and column where a patch may begin; or -1 */
    int32_t row_pitch;        /* input bytes from one run to the next, */
    int32_t whole_skip;       /* from the end of a run to the next one */
    int32_t whole_next; /* from behind a patch, `whole_skip` included, to the patch after next */
    uint8_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    int8_t pixels_as_they_lie; /* 1: kernel 1x1, strides 1, no pads, in_c a multiple of 4 */
    int8_t pad_value, out_min, out_max;
} mcuq_conv2d_dsp_params;

/** Any conv2d of one group. Blocks of `block` pixels are copied to scratch as int16 before their
 *  outputs are written, so out may overlap what all later blocks do not read (gap in
 *  kernels/dsp_conv2d). in, out: any alignment. scratch, in bytes: 40 + 16 * units (made even) +
 *  8 * units * block; if not pixels_as_they_lie 12 * units more, and the padded input if it is
 *  made (a multiple of 4). */
void mcuq_conv2d_s8_dsp(const mcuq_conv2d_dsp_params *p, const int8_t *in, int8_t *out,
                        void *scratch);

/** The same by four pixels: `block` is a multiple of 4, and what `weights` holds is explained in
 *  the kernel. scratch, in bytes: 8 * units * block; 8 * units + 8 more for units above 30 and a
 *  block of 16 or more; 4 * in_c more if pixels_as_they_lie and the
 *  pixels are not in fours; if not pixels_as_they_lie 16 * units, 16 * (units - runs * (run / 4)) *
 *  (out_w / 4 + 1), and the padded input if it is made. */
void mcuq_conv2d_s8_dsp_quad(const mcuq_conv2d_dsp_params *p, const int8_t *in, int8_t *out,
                             void *scratch);

#endif
