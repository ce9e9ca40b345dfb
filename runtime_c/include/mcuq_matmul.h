/* mcuq_matmul.h: products of two computed matrices, int8 or int16 with power-of-two scales.
 *
 * out[i][m][n] = clamp((sum over k of (a[i][m][k] - zero_a) * (b[i][n][k] - zero_b) + bias)
 *                      >> shift, out_min, out_max)
 * for a batch i of two loops. The compiler proved that no sum overflows.
 */
#ifndef MCUQ_MATMUL_H
#define MCUQ_MATMUL_H

#include <stdint.h>

#include "mcuq_target.h"

typedef struct {
    int32_t size[5];          /* batch, batch, m, n, k */
    int32_t start_a, start_b; /* where a[0][0][0] and b[0][0][0] lie */
    int32_t step_a[4];        /* from one batch, batch, m, k to the next */
    int32_t step_b[4];        /* batch, batch, n, k */
    int32_t step_out[4];      /* batch, batch, m, n */
    int32_t zero_a, zero_b;   /* -128..127 */
    int32_t bias;             /* rounding and the output's zero */
    int8_t shift;             /* 0..22 */
    int8_t out_min, out_max;
} mcuq_matmul_params;

typedef struct {
    int32_t size[5];
    int32_t start_a, start_b;
    int32_t step_a[4], step_b[4], step_out[4];
    int32_t bias;
    int8_t shift; /* 0..22 */
    int16_t out_min, out_max;
} mcuq_matmul_s16_params; /* as above; steps in elements, no zeros */

/** a, b and out must not overlap, except a and b. No alignment is asked for. */
void mcuq_matmul_s8(const mcuq_matmul_params *p, const int8_t *a, const int8_t *b, int8_t *out);

/** The same of int16, with sums of 64 bits. */
void mcuq_matmul_s16(const mcuq_matmul_s16_params *p, const void *a, const void *b, void *out);

/** As mcuq_matmul_s16, of four columns or more, with k next to each other in a (step_a[3] is 1) and
 *  sums whose size over 2^shift is below 2^31; scratch holds 16 bytes for each two k, or part of
 * two, and is aligned to 4. */
void mcuq_matmul_s16_dsp(const mcuq_matmul_s16_params *p, const void *a, const void *b, void *out,
                         void *scratch);

/** The same with Helium, where also step_out[3] is 1 and 0 <= step_b[3] < 4096; scratch holds 64
 *  bytes for each eight k, or part of eight. */
void mcuq_matmul_s16_mve(const mcuq_matmul_s16_params *p, const void *a, const void *b, void *out,
                         void *scratch);

/** As mcuq_matmul_s8, with k next to each other in a (step_a[3] is 1) and room for four columns of
 * b: scratch holds 8 * size[4] bytes, 4-byte aligned. */
void mcuq_matmul_s8_dsp(const mcuq_matmul_params *p, const int8_t *a, const int8_t *b, int8_t *out,
                        void *scratch);

/** The same with Helium, where also step_out[3] is 1. scratch, in bytes, with steps
 *  16 products long: 16 for each n (to an even count), 16 for each of up to 64 n (to a multiple of
 *  4), 64 * steps, 32 * steps for each two n, and a byte for each n (to a multiple of 4). */
void mcuq_matmul_s8_mve(const mcuq_matmul_params *p, const int8_t *a, const int8_t *b, int8_t *out,
                        void *scratch);

#endif
