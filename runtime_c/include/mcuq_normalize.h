/* mcuq_normalize.h: normalization of rows by their mean and deviation, int8 or
 * int16. */
#ifndef MCUQ_NORMALIZE_H
#define MCUQ_NORMALIZE_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const int16_t *gamma;
    const int32_t *beta;   /* with rounding and the output's zero */
    int32_t size[4];       /* outer, count, groups, inner; count * inner <= 65535 */
    int32_t gamma_step[2]; /* from one outer, count to the next in gamma and beta */
    int32_t centered;      /* whether the mean is taken off */
    int32_t zero;          /* 0..255, that of the input and 128 */
    int32_t epsilon;
    int8_t epsilon_shift; /* epsilon << epsilon_shift <= 2^60 */
    int8_t frac;          /* that of the normalized values */
    int8_t shift;         /* 0..20 */
    int8_t out_min, out_max;
} mcuq_normalize_params;

typedef struct {
    const int16_t *gamma;
    const int32_t *beta;
    int32_t size[4];
    int32_t gamma_step[2];
    int32_t centered;
    int32_t zero; /* 32768 */
    int32_t epsilon;
    int8_t epsilon_shift;
    int8_t frac;
    int8_t shift;
    int16_t out_min, out_max;
} mcuq_normalize_s16_params; /* as above */

/** A row is what lies at one outer and group; with w = in + 128, S and Q the sums of its n values w
 *  and of their squares, M = (128 * S + n / 2) / n and D = n * Q - S^2 (not centered: those about
 *  zero), 1 / sqrt(max(1, D + epsilon)) = factor * 2^-k of 15 bits (see the C file):
 *  out = clamp((((128 * w - M) * factor + half) >> s) * gamma + beta) >> shift, out_min, out_max).
 *  in, out: [outer][count][groups][inner]; out may lie at in. */
void mcuq_normalize_s8(const mcuq_normalize_params *p, const int8_t *in, int8_t *out);

/** The same of int16, with w = in + 32768 and a product with factor of 64 bits. */
void mcuq_normalize_s16(const mcuq_normalize_s16_params *p, const void *in, void *out);

/** As mcuq_normalize_s8, of rows that lie side by side, as their scales do: groups is 1, and count
 * is, or gamma_step[1] is inner. With the DSP extension, and with Helium. */
void mcuq_normalize_s8_dsp(const mcuq_normalize_params *p, const int8_t *in, int8_t *out);
void mcuq_normalize_s8_mve(const mcuq_normalize_params *p, const int8_t *in, int8_t *out);

/** As mcuq_normalize_s16, of such rows. */
void mcuq_normalize_s16_dsp(const mcuq_normalize_s16_params *p, const void *in, void *out);
void mcuq_normalize_s16_mve(const mcuq_normalize_s16_params *p, const void *in, void *out);

#endif
