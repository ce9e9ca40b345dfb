/* mcuq_depthwise_conv2d_dsp.h: depthwise convolution (multiplier 1) for cores with the DSP
 * extension; see mcuq_conv2d.h for the formula.
 *
 * The kernels walk along lines: along rows or, where columns are longer, along columns. "step" is
 * the direction of the walk, "line" the other one; pitches are in bytes.
 */
#ifndef MCUQ_DEPTHWISE_CONV2D_DSP_H
#define MCUQ_DEPTHWISE_CONV2D_DSP_H

#include <stdint.h>

typedef struct {
    const int8_t *weights; /* [channels][kernel_lines][kernel_steps] */
    const int32_t *bias;   /* [channels] */
    const int8_t *shift;   /* [channels] */
    int32_t in_line_pitch, in_step_pitch, out_line_pitch, out_step_pitch;
    int16_t in_lines, in_steps, out_lines, out_steps, channels;
    int16_t pad_lines, pad_steps; /* before the first line and step */
    uint8_t kernel_lines, kernel_steps, stride_lines, stride_steps;
    int8_t pad_value, out_min, out_max;
} mcuq_depthwise_conv2d_dsp_params;

/** Kernel 3x3, stride_steps 1 or 2, shifts up to 16 with 16 bits of room below 2^31 (see
 *  kernels/dsp_depthwise). Four channels at a time, so out may be in itself if the shapes allow it
 *  (gap). in, out: any alignment. scratch: 192 + 48 * words bytes, words = (out_steps + 1) / 2 + 1
 *  for stride 1 and out_steps + 1 for stride 2; and 4 * in_steps for fewer than four channels. */
void mcuq_depthwise_conv2d_s8_dsp_3x3(const mcuq_depthwise_conv2d_dsp_params *p, const int8_t *in,
                                      int8_t *out, void *scratch);

#endif
