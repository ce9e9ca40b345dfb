/* mcuq_depthwise_lines_dsp.h: depthwise convolution (multiplier 1) for cores with the DSP
 * extension; see mcuq_conv2d.h for the formula.
 *
 * The kernels walk along lines: along rows or, where columns are longer, along columns. "step" is
 * the direction of the walk, "line" the other one; pitches are in bytes. They take four channels
 * at a time; of these, all that a line of outputs reads is in scratch before it is written. So out
 * may be exactly at in where the shapes allow it (see in_place in
 * mcuq/kernels/dsp/depthwise_conv2d.py). in, out: any alignment.
 */
#ifndef MCUQ_DEPTHWISE_LINES_DSP_H
#define MCUQ_DEPTHWISE_LINES_DSP_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights; /* [channels][kernel_lines][kernel_steps], 3 more bytes to be read */
    const int32_t *bias;   /* [channels] */
    const int8_t *shift;   /* [channels] */
    const int16_t *late;   /* [late_count][3]: channel, more shift, base; channels ascend */
    int32_t late_count;
    int32_t in_line_pitch, in_step_pitch, out_line_pitch, out_step_pitch;
    int32_t channels, in_lines, in_steps, out_lines, out_steps;
    int32_t pad_lines, pad_steps; /* before the first line and step */
    int32_t stride_lines, stride_steps;
    int32_t kernel_lines, kernel_steps;
    int8_t pad_value, out_min, out_max;
} mcuq_depthwise_lines_params;

/** Kernel 3x3, stride_steps 1 or 2, shifts up to 16; the outputs v of the channels in late become
 *  clamp(base + (v >> more)). Weights and sums times 2^(8 - shift), for shifts above 8 times
 *  2^(16 - shift), must not overflow. scratch: 384 + 48 * words + 4 * outputs bytes; for
 *  stride_steps 1 outputs is out_steps rounded up to a multiple of 2 and words is outputs / 2 + 1,
 *  else they are out_steps and out_steps + 1; and 4 * in_steps more for fewer than 4 channels. */
void mcuq_depthwise_conv2d_s8_dsp_3x3(const mcuq_depthwise_lines_params *p, const int8_t *in,
                                      int8_t *out, void *scratch);

/** Any kernel, strides, pads and shifts; nothing is late. With quads = (kernel_steps + 5) / 4,
 * blocks = (out_steps + 3) / 4 and words = 2 * blocks - 1 + 2 * quads for stride_steps 1, else
 * (out_steps - 1) * stride_steps / 2 + 1 + 2 * quads, scratch: 64 * quads * (2 * kernel_lines - 1)
 * + 16 * kernel_lines * words + 16
 *  * blocks bytes; and 4 * in_steps bytes more for fewer than four channels. */
void mcuq_depthwise_conv2d_s8_dsp(const mcuq_depthwise_lines_params *p, const int8_t *in,
                                  int8_t *out, void *scratch);

#endif
