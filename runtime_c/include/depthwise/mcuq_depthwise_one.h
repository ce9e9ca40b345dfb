/* mcuq_depthwise_one.h: depthwise convolution (multiplier 1) at one place, without padding, of taps
 * that are equally far apart; see mcuq_conv2d.h for the formula.
 */
#ifndef MCUQ_DEPTHWISE_ONE_H
#define MCUQ_DEPTHWISE_ONE_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int8_t *weights; /* [channels / 4][taps][4], the last group filled up */
    const int32_t *bias;   /* [channels, filled up to fours] */
    const int8_t *shift;   /* as bias, 0..31 */
    int32_t channels, taps;
    int32_t tap_pitch; /* bytes in the input */
    int8_t out_min, out_max;
} mcuq_depthwise_one_params;

/** in, out: any alignment. out may lie at in, or anywhere before it: four channels are read, then
 *  written. */
void mcuq_depthwise_conv2d_s8_dsp_one(const mcuq_depthwise_one_params *p, const int8_t *in,
                                      int8_t *out);
void mcuq_depthwise_conv2d_s8_mve_one(const mcuq_depthwise_one_params *p, const int8_t *in,
                                      int8_t *out);

#endif
