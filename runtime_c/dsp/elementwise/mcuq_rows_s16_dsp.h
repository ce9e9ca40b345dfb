/* mcuq_rows_s16_dsp.h: two int16 results at a time, of operands that go on or stand still. */
#ifndef MCUQ_ROWS_S16_DSP_H
#define MCUQ_ROWS_S16_DSP_H

#include "mcuq_int16_dsp.h"

/** Two neighbours; next moves on by two where a step is 1. */
static inline uint32_t mcuq_dsp_two(const int16_t *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

/** acc >> shift, limited to int16. */
static inline uint32_t mcuq_dsp_result16(int32_t acc, int shift)
{
    acc >>= shift;
#if MCUQ_DSP_ASM
    __asm("ssat %0, #16, %0" : "+r"(acc));
    return (uint32_t)acc;
#else
    return (uint32_t)mcuq_clamp(acc, -32768, 32767);
#endif
}

/** out[i] = (a[i] * b[i] + bias) >> shift, limited to int16: 6 instructions a value. */
static inline void mcuq_dsp_mul_row(const int16_t *a, int32_t step_a, const int16_t *b,
                                    int32_t step_b, int16_t *out, int32_t count, int32_t bias,
                                    int shift)
{
    const int16_t twice_a[2] = {a[0], a[0]}, twice_b[2] = {b[0], b[0]};
    a = (step_a != 0) ? a : twice_a;
    b = (step_b != 0) ? b : twice_b;
    for (int32_t pairs = count / 2; pairs > 0; pairs--, a += 2 * step_a, b += 2 * step_b) {
        const uint32_t x = mcuq_dsp_two(a), y = mcuq_dsp_two(b);
        const int32_t low = (int16_t)(x & 0xffffu) * (int16_t)(y & 0xffffu) + bias;
        const int32_t high = ((int32_t)x >> 16) * ((int32_t)y >> 16) + bias;
        const uint32_t word =
            mcuq_dsp_low(mcuq_dsp_result16(low, shift), mcuq_dsp_result16(high, shift));
        memcpy(out, &word, sizeof word);
        out += 2;
    }
    if (count & 1) {
        *out = (int16_t)mcuq_dsp_result16(*a * *b + bias, shift);
    }
}

/** out[i] = (a[i] * low half of scales + b[i] * high half + bias) >> shift, limited to int16:
 *  8 instructions a value. */
static inline void mcuq_dsp_add_row(const int16_t *a, int32_t step_a, const int16_t *b,
                                    int32_t step_b, int16_t *out, int32_t count, uint32_t scales,
                                    int32_t bias, int shift)
{
    const int16_t twice_a[2] = {a[0], a[0]}, twice_b[2] = {b[0], b[0]};
    a = (step_a != 0) ? a : twice_a;
    b = (step_b != 0) ? b : twice_b;
    for (int32_t pairs = count / 2; pairs > 0; pairs--, a += 2 * step_a, b += 2 * step_b) {
        const uint32_t x = mcuq_dsp_two(a), y = mcuq_dsp_two(b);
        const int32_t low = mcuq_dsp_smlad_to(mcuq_dsp_low(x, y), scales, bias);
        const int32_t high = mcuq_dsp_smlad_to(mcuq_dsp_high(x, y), scales, bias);
        const uint32_t word =
            mcuq_dsp_low(mcuq_dsp_result16(low, shift), mcuq_dsp_result16(high, shift));
        memcpy(out, &word, sizeof word);
        out += 2;
    }
    if (count & 1) {
        const uint32_t both = (uint16_t)*a | (uint32_t)(uint16_t)*b << 16;
        *out = (int16_t)mcuq_dsp_result16(mcuq_dsp_smlad_to(both, scales, bias), shift);
    }
}

#endif
