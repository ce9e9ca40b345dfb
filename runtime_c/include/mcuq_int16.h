/* mcuq_int16.h: operators on int16 data with int8 weights, and the ways between int8 and int16.
 *
 * The formulas are those of the int8 operators (mcuq_conv2d.h, mcuq_dense.h, mcuq_elementwise.h,
 * mcuq_pool2d.h); zero points of int16 data are 0. Pointers to data are void, as the arena holds
 * bytes: int16 data is aligned to 2 bytes. The compiler proved that no int32 sum overflows.
 */
#ifndef MCUQ_INT16_H
#define MCUQ_INT16_H

#include <stdint.h>
#include "mcuq_copy.h"
#include "mcuq_elementwise.h"
#include "mcuq_pool2d.h"
#include "mcuq_requant.h"

typedef struct {
    const int8_t *weights;
    const int32_t *bias; /* [out_c] */
    const int8_t *shift; /* [out_c], 0..31 */
    uint16_t in_h, in_w, in_c;
    uint16_t out_h, out_w, out_c;
    uint16_t pad_top, pad_left;
    uint16_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
    uint16_t groups; /* a divisor of in_c and out_c; in_c for depthwise */
    int16_t pad_value, out_min, out_max;
} mcuq_conv2d_s16_params;

typedef struct {
    const int8_t *weights; /* [out_len][in_len] */
    const int32_t *bias;   /* [out_len] */
    const int8_t *shift;   /* [out_len], 0..31 */
    int32_t in_len, out_len;
    int16_t out_min, out_max;
} mcuq_dense_s16_params;

typedef struct {
    int32_t count;
    int32_t mul_a, mul_b; /* +-2^k */
    int32_t bias;
    uint8_t shift;
    int16_t out_min, out_max;
} mcuq_add_s16_params;

typedef struct {
    mcuq_spread spread;
    int32_t mul_a, mul_b;
    int32_t bias;
    uint8_t shift;
    int16_t out_min, out_max;
} mcuq_add_s16_broadcast_params;

typedef struct {
    int32_t count;
    int32_t bias;           /* the rounding constant 2^(shift-1) */
    int16_t zero_a, zero_b; /* 0 */
    uint8_t shift;
    int16_t out_min, out_max;
} mcuq_mul_s16_params;

typedef struct {
    mcuq_spread spread;
    int32_t bias;
    int16_t zero_a, zero_b; /* 0 */
    uint8_t shift;
    int16_t out_min, out_max;
} mcuq_mul_s16_broadcast_params;

typedef struct {
    const int32_t *slopes; /* [channels] */
    int32_t rows, channels;
    int32_t one;    /* what a slope of 1 is */
    int32_t bias;   /* the rounding constant 2^(shift-1) */
    int16_t zero_x; /* 0 */
    uint8_t shift;
    int16_t out_min, out_max;
} mcuq_prelu_s16_params;

typedef struct {
    const int16_t *table; /* [513], the results for -32768, -32640, ... 32768 */
    int32_t count;
} mcuq_lut_s16_params;

typedef struct {
    mcuq_spread spread;
    uint8_t larger; /* 1: the larger one, 0: the smaller one */
    int16_t out_min, out_max;
} mcuq_extremum_s16_params;

typedef struct {
    uint16_t in_h, in_w, channels;
    uint16_t out_h, out_w;
    uint16_t pad_top, pad_left;
    uint16_t kernel_h, kernel_w, stride_h, stride_w;
    uint8_t include_pad; /* 1: divide by kernel_h * kernel_w, 0: by the taps inside the input */
    uint8_t left, right; /* the output's scale over the input's is 2^(left - right) */
    int16_t zero_x, zero_y;
    int16_t out_min, out_max;
} mcuq_avg_pool2d_s16_params;

typedef struct {
    int32_t count;
    int32_t mul;  /* 2^k */
    int32_t bias; /* zero points and the rounding constant 2^(shift-1) */
    uint8_t shift;
    int16_t out_min, out_max;
} mcuq_requant_params;

/** floor(acc / 2^shift), limited to [low, high]. */
static inline int16_t mcuq_requant_int16(int32_t acc, int shift, int32_t low, int32_t high)
{
    return (int16_t)mcuq_clamp(acc >> shift, low, high);
}

/** As mcuq_conv2d_s8; in and out must not overlap. */
void mcuq_conv2d_s16(const mcuq_conv2d_s16_params *p, const void *in, void *out);

/** As mcuq_depthwise_conv2d_s8; in and out must not overlap. */
void mcuq_depthwise_conv2d_s16(const mcuq_conv2d_s16_params *p, const void *in, void *out);

/** As mcuq_dense_s8; in and out must not overlap. */
void mcuq_dense_s16(const mcuq_dense_s16_params *p, const void *in, void *out);

/** As mcuq_add_s8; out may lie at a or b, or before it. */
void mcuq_add_s16(const mcuq_add_s16_params *p, const void *a, const void *b, void *out);

/** As mcuq_add_s8_broadcast; an operand smaller than out must not overlap it. */
void mcuq_add_s16_broadcast(const mcuq_add_s16_broadcast_params *p, const void *a, const void *b,
                            void *out);
void mcuq_mul_s16(const mcuq_mul_s16_params *p, const void *a, const void *b, void *out);
void mcuq_mul_s16_broadcast(const mcuq_mul_s16_broadcast_params *p, const void *a, const void *b,
                            void *out);
void mcuq_prelu_s16(const mcuq_prelu_s16_params *p, const void *in, void *out);

/** With u = in[i] + 32768, k = u >> 7, r = u & 127 and t the table:
 *  out[i] = t[k] + (((t[k + 1] - t[k]) * r + 64) >> 7); in, out: [count], in place too. */
void mcuq_lut_s16(const mcuq_lut_s16_params *p, const void *in, void *out);

void mcuq_extremum_s16(const mcuq_extremum_s16_params *p, const void *a, const void *b, void *out);

/** As mcuq_avg_pool2d_s8, overlaps too. */
void mcuq_avg_pool2d_s16(const mcuq_avg_pool2d_s16_params *p, const void *in, void *out);

/** As mcuq_max_pool2d_s8, overlaps too. */
void mcuq_max_pool2d_s16(const mcuq_max_pool2d_params *p, const void *in, void *out);

/** As mcuq_transpose_s8; in and out must not overlap. */
void mcuq_transpose_s16(const mcuq_transpose_params *p, const void *in, void *out);

/** As mcuq_copy_s8 and mcuq_copy_s8_take, on int16. */
void mcuq_copy_s16(const mcuq_copy_params *p, const void *in, void *out);
void mcuq_copy_s16_take(const mcuq_take_params *p, const void *in, void *out);

/** out[i] = clamp((in[i] * mul + bias) >> shift, out_min, out_max), int8 to int16; [count].
 *  out may start count bytes (or more) before in. */
void mcuq_requant_s8_s16(const mcuq_requant_params *p, const void *in, void *out);

/** The same, int16 to int8; out may lie at in, or before it. */
void mcuq_requant_s16_s8(const mcuq_requant_params *p, const void *in, void *out);

/** The same, int16 to int16; out may lie at in, or before it. */
void mcuq_requant_s16(const mcuq_requant_params *p, const void *in, void *out);

#endif
