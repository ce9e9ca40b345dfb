/* mcuq_spectrum.h: products, roots and logarithms of a spectrum; the twin of
 * mcuq/ops/parts/spectrum.py.
 *
 * Powers have 64 bits and lie as two words, the lower one first: scratch is aligned to 4 bytes. */
#ifndef MCUQ_SPECTRUM_H
#define MCUQ_SPECTRUM_H

#include <stdint.h>

#include "mcuq_features.h"
#include "mcuq_requant.h"

/* Armv6-M multiplies 32 by 32 bits to 32. */
#if defined(__ARM_ARCH_ISA_THUMB) && __ARM_ARCH_ISA_THUMB == 1
#define MCUQ_SHORT_PRODUCTS 1
#else
#define MCUQ_SHORT_PRODUCTS 0
#endif

/** (a * w) >> 16, rounded down. */
static inline int32_t mcuq_halved(int32_t a, int32_t w)
{
#if MCUQ_SHORT_PRODUCTS
    return (a >> 16) * w + (((int32_t)((uint32_t)a & 0xffffu) * w) >> 16);
#else
    return (int32_t)(((int64_t)a * (w * 65536)) >> 32);
#endif
}

/** a * b for a weight b of 16 bits. */
static inline uint64_t mcuq_weighted(uint32_t a, uint32_t b)
{
#if MCUQ_SHORT_PRODUCTS
    const uint32_t high = (a >> 16) * b;
    return ((uint64_t)(high >> 16) << 32) + (uint64_t)(high << 16) + (a & 0xffffu) * b;
#else
    return (uint64_t)a * b;
#endif
}

static inline uint64_t mcuq_square(int32_t a)
{
#if MCUQ_SHORT_PRODUCTS
    const uint32_t size = (a < 0) ? 0u - (uint32_t)a : (uint32_t)a;
    const uint32_t high = size >> 16, low = size & 0xffffu;
    return ((uint64_t)(high * high) << 32) + ((uint64_t)(high * low) << 17) + low * low;
#else
    return (uint64_t)((int64_t)a * a);
#endif
}

static inline void mcuq_put_power(int32_t *at, uint64_t power)
{
    at[0] = (int32_t)(uint32_t)power;
    at[1] = (int32_t)(uint32_t)(power >> 32);
}

/** The leading zeros of v > 0. */
static inline int32_t mcuq_zeros32(uint32_t v)
{
#if MCUQ_SHORT_PRODUCTS || !(defined(__GNUC__) || defined(__clang__)) || defined(__riscv)
    int32_t count = 0;
    for (int32_t step = 16; step > 0; step >>= 1) {
        if (v >> (32 - step) == 0) {
            v <<= step;
            count += step;
        }
    }
    return count;
#else
    return __builtin_clz(v);
#endif
}

static inline int32_t mcuq_zeros64(uint32_t low, uint32_t high)
{
    return high ? mcuq_zeros32(high) : 32 + mcuq_zeros32(low);
}

/** The upper word of (high, low) << left, left < 64. */
static inline uint32_t mcuq_top(uint32_t low, uint32_t high, int32_t left)
{
    if (left >= 32) {
        return low << (left - 32);
    }
    return left ? (high << left) | (low >> (32 - left)) : high;
}

/** The power at `at` becomes 2^15 times its root. */
static inline void mcuq_put_root(int32_t *at, const uint16_t *table)
{
    const uint32_t low = (uint32_t)at[0], high = (uint32_t)at[1];
    if (low | high) {
        const int32_t even = mcuq_zeros64(low, high) & ~1;
        const uint32_t m = mcuq_top(low, high, even);
        const uint32_t i = (m >> 24) - 64, rest = (m >> 9) & 32767;
        const uint32_t step = (uint32_t)(table[i + 1] - table[i]);
        const uint32_t root = ((uint32_t)table[i] << 15) + step * rest;
        mcuq_put_power(at, ((uint64_t)root << 16) >> (even >> 1));
    }
}

/** log2 of v > 0 with 10 bits behind the point, less 32. */
static inline int32_t mcuq_log2(uint64_t v, const uint16_t *table)
{
    const uint32_t low = (uint32_t)v, high = (uint32_t)(v >> 32);
    const int32_t zeros = mcuq_zeros64(low, high);
    const uint32_t m = mcuq_top(low, high, zeros);
    const uint32_t i = (m >> 23) & 255, rest = (m >> 7) & 65535;
    const uint32_t step = (uint32_t)(table[i + 1] - table[i]);
    const uint32_t mantissa = table[i] + ((step * rest + 32768) >> 16);
    return (((63 - zeros) * 32768 + (int32_t)mantissa + 16) >> 5) - 32768;
}

#endif
