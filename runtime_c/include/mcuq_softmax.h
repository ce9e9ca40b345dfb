/* mcuq_softmax.h: softmax, its logarithm and argmax over the last axis, int8; softmax of int16.
 *
 * No alignment is asked for.
 */
#ifndef MCUQ_SOFTMAX_H
#define MCUQ_SOFTMAX_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    const uint16_t *table; /* [256], 32767 * exp(-d * 2^-frac) for d = 0..255 */
    int32_t rows, length;  /* length <= 65535 */
} mcuq_softmax_params;

typedef struct {
    const uint16_t *table;
    int32_t rows, length;
    const int8_t *mask; /* [mask_rows][length], 1 where a value counts, at least one of a row */
    int32_t mask_rows;  /* the mask begins again behind so many rows */
} mcuq_softmax_masked_params;

typedef struct {
    const int16_t *table; /* [513], 32767 * exp(-k / 32); the last two are 0 */
    int32_t rows, length; /* length <= 65535 */
    const int8_t *mask;   /* as above, or 0: every value counts */
    int32_t mask_rows;
    uint32_t mul; /* <= 32768, without a shift 65535: of distances, whose frac is 12 then */
    int8_t shift; /* 0..31 */
    int8_t frac;  /* 0..15, of the shares */
} mcuq_softmax_s16_params;

typedef struct {
    const uint16_t *table; /* [256], 32767 * exp(-d * 2^-frac) for d = 0..255 */
    const int32_t *logs;   /* [65], the logarithms of 1 + i / 64 in units of 2^-unit */
    int32_t rows, length;  /* length <= 65535 */
    int32_t mul;           /* what a step of the input is in the same units */
    int32_t log_2;         /* and the logarithms of 2 */
    int32_t log_one;       /* and of 32767 */
    int32_t bias;          /* zero point of the output and the rounding constant 2^(shift-1) */
    uint8_t shift;
} mcuq_log_softmax_params;

typedef struct {
    int32_t rows, length;
} mcuq_argmax_params;

/** e[i] = table[max(in) - in[i]], S = sum of e;
 *  out[i] = min(127, (256 * e[i] + S / 2) / S - 128), which is frac 8 and zero -128.
 *  in, out: [rows][length]; out may lie at in, or anywhere before it. */
void mcuq_softmax_s8(const mcuq_softmax_params *p, const int8_t *in, int8_t *out);

/** The same with the DSP extension, and with Helium. */
void mcuq_softmax_s8_dsp(const mcuq_softmax_params *p, const int8_t *in, int8_t *out);
void mcuq_softmax_s8_mve(const mcuq_softmax_params *p, const int8_t *in, int8_t *out);

/** The same over the values that count; the others become -128, a share of 0. */
void mcuq_softmax_s8_masked(const mcuq_softmax_masked_params *p, const int8_t *in, int8_t *out);

/** The same of int16: with z = ((max(in) - in[i]) * mul + half) >> shift, half of 2^shift, e[i]
 * lies on the line between table[z >> 7] and the next, 0 from z = 65536 on; out[i] = min(32767,
 * (2^frac * e[i] + S / 2) / S). out may lie at in. */
void mcuq_softmax_s16(const mcuq_softmax_s16_params *p, const void *in, void *out);

/** The same without a mask, the first one with a shift that is not 0: with the DSP extension, and
 *  with Helium. */
void mcuq_softmax_s16_dsp(const mcuq_softmax_s16_params *p, const void *in, void *out);
void mcuq_softmax_s16_mve(const mcuq_softmax_s16_params *p, const void *in, void *out);

/** d[i] = max(in) - in[i], S = sum of table[d[i]], l = log(S / 32767), of the highest bit of S and
 *  of logs, linear between two;
 *  out[i] = clamp((bias - d[i] * mul - l) >> shift, -128, 127).
 *  in, out: [rows][length]; out may lie at in, or anywhere before it. */
void mcuq_log_softmax_s8(const mcuq_log_softmax_params *p, const int8_t *in, int8_t *out);

/** The index of the first largest value of each row; in: [rows][length], out: int32_t [rows],
 *  not aliased. */
void mcuq_argmax_s8(const mcuq_argmax_params *p, const int8_t *in, void *out);

/** The same, of the last largest value. */
void mcuq_argmax_s8_last(const mcuq_argmax_params *p, const int8_t *in, void *out);

#endif
