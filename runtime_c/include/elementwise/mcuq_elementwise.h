/* mcuq_elementwise.h: element by element operators on int8.
 *
 * Out may lie at the place of an operand of the same size, or anywhere before it: all of these
 * kernels walk forward and read element i before they write it. No alignment is asked for.
 * The compiler proved that no sum overflows; shift is 0..31.
 */
#ifndef MCUQ_ELEMENTWISE_H
#define MCUQ_ELEMENTWISE_H

#include <stdint.h>

#include "mcuq_target.h"

/** How the operands spread over rows * inner outputs: output (r, i) reads element
 *  r * row_step + i * inner_step of an operand. */
typedef struct {
    int32_t rows, inner;
    int32_t row_step_a, row_step_b;
    uint8_t inner_step_a, inner_step_b; /* 0 or 1 */
} mcuq_spread;

typedef struct {
    int32_t count;
    int32_t mul_a, mul_b; /* +-2^k: they bring both operands to one scale */
    int32_t bias;         /* zero points and the rounding constant 2^(shift-1) */
    uint8_t shift;
    int8_t out_min, out_max;
} mcuq_add_params;

typedef struct {
    mcuq_spread spread;
    int32_t mul_a, mul_b;
    int32_t bias;
    uint8_t shift;
    int8_t out_min, out_max;
} mcuq_add_broadcast_params;

typedef struct {
    int32_t count;
    int32_t bias; /* zero point of the output and the rounding constant 2^(shift-1) */
    int16_t zero_a, zero_b;
    uint8_t shift;
    int8_t out_min, out_max;
} mcuq_mul_params;

typedef struct {
    mcuq_spread spread;
    int32_t bias;
    int16_t zero_a, zero_b;
    uint8_t shift;
    int8_t out_min, out_max;
} mcuq_mul_broadcast_params;

typedef struct {
    const int8_t *table; /* [256], the results for -128..127 */
    int32_t count;
} mcuq_lut_params;

typedef struct {
    mcuq_spread spread;
    uint8_t larger; /* 1: the larger one, 0: the smaller one */
    int8_t out_min, out_max;
} mcuq_extremum_params;

typedef struct {
    const int32_t *slopes; /* [channels] */
    int32_t rows, channels;
    int32_t one;  /* what a slope of 1 is */
    int32_t bias; /* zero point of the output and the rounding constant 2^(shift-1) */
    int16_t zero_x;
    uint8_t shift;
    int8_t out_min, out_max;
} mcuq_prelu_params;

typedef struct {
    int32_t count;
} mcuq_from_u8_params;

/** out[i] = clamp((a[i] * mul_a + b[i] * mul_b + bias) >> shift, out_min, out_max);
 *  a, b, out: [count]. */
void mcuq_add_s8(const mcuq_add_params *p, const int8_t *a, const int8_t *b, int8_t *out);

/** As mcuq_add_s8, with a and b read as p->spread says; out: [rows][inner].
 *  An operand smaller than out must not overlap it. */
void mcuq_add_s8_broadcast(const mcuq_add_broadcast_params *p, const int8_t *a, const int8_t *b,
                           int8_t *out);

/** out[i] = clamp(((a[i] - zero_a) * (b[i] - zero_b) + bias) >> shift, out_min, out_max);
 *  a, b, out: [count]. */
void mcuq_mul_s8(const mcuq_mul_params *p, const int8_t *a, const int8_t *b, int8_t *out);

/** As mcuq_mul_s8, with a and b read as p->spread says; out: [rows][inner].
 *  An operand smaller than out must not overlap it. */
void mcuq_mul_s8_broadcast(const mcuq_mul_broadcast_params *p, const int8_t *a, const int8_t *b,
                           int8_t *out);

/** out[i] = table[in[i] + 128]; in, out: [count]. */
void mcuq_lut_s8(const mcuq_lut_params *p, const int8_t *in, int8_t *out);

/** out = clamp(larger ? max(a, b) : min(a, b), out_min, out_max) for each element, a and b read as
 *  p->spread says; out: [rows][inner]. An operand smaller than out must not overlap it. */
void mcuq_extremum_s8(const mcuq_extremum_params *p, const int8_t *a, const int8_t *b, int8_t *out);

/** out = clamp((x * (x < 0 ? slopes[c] : one) + bias) >> shift, out_min, out_max) for each
 *  x = in[r][c] - zero_x; in, out: [rows][channels]. */
void mcuq_prelu_s8(const mcuq_prelu_params *p, const int8_t *in, int8_t *out);

/** out[i] = in[i] - 128; in: uint8_t [count], out: int8_t [count]. */
void mcuq_from_u8_s8(const mcuq_from_u8_params *p, const void *in, int8_t *out);

#endif
