/* mcuq_depthwise_valid_dsp.h: depthwise convolution (multiplier 1) without padding, for cores with
 * the DSP extension; see mcuq_conv2d.h for the formula. For few outputs: nothing is prepared.
 */
#ifndef MCUQ_DEPTHWISE_VALID_DSP_H
#define MCUQ_DEPTHWISE_VALID_DSP_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights; /* [lines][taps][channels] */
    const int32_t *bias;   /* [channels] */
    const int8_t *shift;   /* [channels], 0..31 */
    int32_t channels, out_h, out_w;
    int32_t row_pitch, pixel_pitch; /* bytes from the window of an output to the next ones */
    int32_t lines, taps;            /* of the kernel: its rows and columns, or as many others */
    int32_t line_pitch, tap_pitch;  /* bytes in the input */
    int8_t out_min, out_max;
} mcuq_depthwise_valid_params;

/** in, out: any alignment. out may lie at in, or anywhere before it: four channels of a window are
 *  read, then written, and windows move forward at least as fast as outputs. */
void mcuq_depthwise_conv2d_s8_dsp_valid(const mcuq_depthwise_valid_params *p, const int8_t *in,
                                        int8_t *out);

#endif
