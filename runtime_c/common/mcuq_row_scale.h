/* mcuq_row_scale.h: how the values of a row are normalized, from their sums. */
#ifndef MCUQ_ROW_SCALE_H
#define MCUQ_ROW_SCALE_H

#include <stdint.h>

#include "mcuq_normalize.h"
#include "mcuq_requant.h"

/* t = ((128 * w - mean) * factor + half) >> shift, with w = in + 128. */
typedef struct {
    int32_t mean, factor, half, shift;
} mcuq_row_scale;

static inline int32_t mcuq_bits_of(uint64_t value)
{
#if defined(__ARM_FEATURE_CLZ)
    return (value > 0) ? 64 - __builtin_clzll(value) : 1;
#else
    int32_t bits = 0;
    for (int32_t step = 32; step > 0; step >>= 1) {
        if (value >> step) {
            value >>= step;
            bits += step;
        }
    }
    return bits + 1;
#endif
}

/* The square root, rounded down, of a number of 31 or 32 bits. */
static inline uint32_t mcuq_root_of(uint32_t value)
{
#if defined(__ARM_FEATURE_IDIV)
    /* Newton's steps come from above; the line through both ends is 6 % off at most. */
    uint32_t root = 21846u + value / 98304u;
    root = (root + value / root) / 2u;
    root = (root + value / root) / 2u;
    root = (root + value / root) / 2u;
    root = (root > 65535u) ? 65535u : root;
    return (root * root > value) ? root - 1u : root;
#else
    uint32_t root = 0;
    for (uint32_t bit = 1u << 15; bit > 0; bit >>= 1) {
        const uint32_t next = root + bit;
        root = (next * next <= value) ? next : root;
    }
    return root;
#endif
}

/* factor and shift, at most `most`, of n values with this spread. e is half the exponent that
 * leaves the spread 31 or 32 bits. */
static inline void mcuq_row_invert(mcuq_row_scale *row, uint64_t spread, uint32_t n, int32_t frac,
                                   int32_t most)
{
    const int32_t even = (mcuq_bits_of(spread) + 33) / 2 - 32;
    const uint32_t mantissa =
        (uint32_t)((even >= 0) ? spread >> (2 * even) : spread << (-2 * even));
    const uint32_t product = n * ((1u << 31) / mcuq_root_of(mantissa));
    const int32_t length = mcuq_bits_of(product);

    row->factor = (int32_t)(product >> (length - 15));
    row->shift = mcuq_clamp(53 + even - length - frac, 0, most);
}

/* From S = sum w and Q = sum w^2 of the n values of a row. */
static inline mcuq_row_scale mcuq_row_scale_of(const mcuq_normalize_params *p, uint32_t sum,
                                               uint32_t squares)
{
    const uint32_t n = (uint32_t)(p->size[1] * p->size[3]), zero = (uint32_t)p->zero;
    mcuq_row_scale row;
    uint64_t spread;

    if (p->centered) {
        row.mean = (int32_t)((128u * sum + n / 2u) / n);
        spread = (uint64_t)n * squares - (uint64_t)sum * sum;
    } else {
        row.mean = (int32_t)(128u * zero);
        spread = (uint64_t)n * (uint32_t)(squares - 2u * zero * sum + n * zero * zero);
    }
    spread += (uint64_t)p->epsilon << p->epsilon_shift;
    spread = (spread > 0) ? spread : 1u;

    mcuq_row_invert(&row, spread, n, p->frac, 31);
    row.half = (row.shift > 0) ? (int32_t)(1u << (row.shift - 1)) : 0;
    return row;
}

/* Of a row of s16 in, which are w - 32768. */
typedef struct {
    int32_t sum;
    uint64_t squares;
} mcuq_row_sums;

/* As mcuq_row_scale_of; half is left to mcuq_row_wide. n * (sum of w^2) - (sum of w)^2 is the same
 * of all values that lie n apart, and about the zero 32768 in is what lies beside it. */
static inline mcuq_row_scale mcuq_row_scale_of_s16(const mcuq_normalize_s16_params *p,
                                                   mcuq_row_sums sums)
{
    const uint32_t n = (uint32_t)(p->size[1] * p->size[3]);
    mcuq_row_scale row = {128 * p->zero, 0, 0, 0};
    uint64_t spread = n * sums.squares;

    if (p->centered) {
        const uint32_t sum = (uint32_t)sums.sum + 32768u * n;
        row.mean = (int32_t)(128u * (sum / n) + (128u * (sum % n) + n / 2u) / n);
        spread -= (uint64_t)((int64_t)sums.sum * sums.sum);
    }
    spread += (uint64_t)p->epsilon << p->epsilon_shift;
    mcuq_row_invert(&row, (spread > 0) ? spread : 1u, n, p->frac, 62);
    return row;
}

/* t of a value of s16, by a product of 64 bits. */
static inline int32_t mcuq_row_wide(const mcuq_row_scale *row, int32_t in)
{
    const int64_t half = (row->shift > 0) ? (int64_t)1 << (row->shift - 1) : 0;
    const int64_t far = (int64_t)(128 * (in + 32768) - row->mean) * row->factor;
    return (int32_t)((far + half) >> row->shift);
}

/* The same as the upper word of ((in * slope + offset) * factor + 2^31), where the shift allows. */
typedef struct {
    int32_t slope, offset, factor;
} mcuq_row_high;

static inline int32_t mcuq_row_is_high(const mcuq_row_scale *row)
{
    return row->shift >= 8 && row->shift <= 32;
}

/* Up to 8 of the 32 - shift bits go to the value, which has 23 of its own, up to 16 to the factor
 * of 15. */
static inline mcuq_row_high mcuq_row_high_of(const mcuq_row_scale *row)
{
    const int32_t more = 32 - row->shift, left = (more < 8) ? more : 8;
    return (mcuq_row_high){128 << left, (128 * 32768 - row->mean) * (1 << left),
                           row->factor << (more - left)};
}

/* A row whose values lie side by side: t = (in * slope + offset) >> shift, modulo 2^32. */
static inline uint32_t mcuq_row_slope(const mcuq_row_scale *row)
{
    return 128u * (uint32_t)row->factor;
}

static inline uint32_t mcuq_row_offset(const mcuq_row_scale *row)
{
    return (uint32_t)row->half + (uint32_t)(128 * 128 - row->mean) * (uint32_t)row->factor;
}

#endif
