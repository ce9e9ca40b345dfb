/* mcuq_depthwise_planes_dsp.h: depthwise convolution (multiplier 1) for cores with the DSP
 * extension; see mcuq_conv2d.h for the formula, mcuq_depthwise_lines_dsp.h for lines and steps.
 */
#ifndef MCUQ_DEPTHWISE_PLANES_DSP_H
#define MCUQ_DEPTHWISE_PLANES_DSP_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights; /* [channels][3 lines][3 steps] */
    const int32_t *bias;   /* [channels] */
    const int8_t *shift;   /* [channels] */
    const int16_t *late;   /* as in mcuq_depthwise_lines_dsp.h */
    int32_t in_line_pitch, in_step_pitch, out_line_pitch, out_step_pitch;
    int16_t late_count;
    int16_t channels, in_lines, in_steps, out_lines, out_steps;
    int16_t pad_lines, pad_steps;
    int16_t chunk; /* lines of outputs that are made together */
    uint8_t stride_lines, stride_steps;
    int8_t pad_value, out_min, out_max;
} mcuq_depthwise_planes_params;

/** As mcuq_depthwise_conv2d_s8_dsp_3x3, for at least 4 channels and short lines: of at most 54
 *  outputs for stride_steps 1, 27 for 2. scratch, in bytes: 128 + 448 * lines + 4 * chunk *
 *  outputs, where lines is (chunk - 1) * stride_lines + 3, and outputs is out_steps, for
 *  stride_steps 1 rounded up to a multiple of 2. */
void mcuq_depthwise_conv2d_s8_dsp_3x3_planes(const mcuq_depthwise_planes_params *p,
                                             const int8_t *in, int8_t *out, void *scratch);

#endif
