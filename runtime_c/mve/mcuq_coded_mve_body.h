/* mcuq_coded_mve_body.h: weights of few distinct values for Helium (MVE), as codes of
 * MCUQ_CODED_BITS. A vector of 16 bytes holds the codes of 2 or 4 vectors of weights, those of
 * the first one in the lowest bits of every byte; a gather from the table of values, which stays
 * in flash, decodes it.
 *
 * Parameters, which the includer defines before:
 *     MCUQ_CODED_BITS: 4 or 2
 */
#ifndef MCUQ_CODED_MVE_BODY_H
#define MCUQ_CODED_MVE_BODY_H

#include "mcuq_mve.h"

enum { MCUQ_CODED_VECTORS = 8 / MCUQ_CODED_BITS };

#if defined(__ARM_FEATURE_MVE)

#if MCUQ_CODED_BITS == 4
/* 8 instructions for 32 weights. */
#define MCUQ_CODED_VECTOR                                                                          \
    "vldrb.u8 q0, [%[codes]], #16\n vand q1, q0, q3\n vldrb.u8 q2, [%[values], q1]\n"              \
    "vshr.u8 q0, q0, #4\n vldrb.u8 q1, [%[values], q0]\n"                                          \
    "vstrb.8 q2, [%[to]], #16\n vstrb.8 q1, [%[to]], #16\n"
#else
/* 15 instructions for 64 weights. */
#define MCUQ_CODED_VECTOR                                                                          \
    "vldrb.u8 q0, [%[codes]], #16\n vand q1, q0, q3\n vldrb.u8 q2, [%[values], q1]\n"              \
    "vshr.u8 q0, q0, #2\n vstrb.8 q2, [%[to]], #16\n vand q1, q0, q3\n"                            \
    "vldrb.u8 q2, [%[values], q1]\n vshr.u8 q0, q0, #2\n vstrb.8 q2, [%[to]], #16\n"               \
    "vand q1, q0, q3\n vldrb.u8 q2, [%[values], q1]\n vshr.u8 q0, q0, #2\n"                        \
    "vstrb.8 q2, [%[to]], #16\n vldrb.u8 q1, [%[values], q0]\n vstrb.8 q1, [%[to]], #16\n"
#endif

/** `count` vectors of codes (not 0) as int8; returns the codes behind. */
static inline const uint8_t *mcuq_coded_decode(int8_t *to, const uint8_t *codes, int32_t count,
                                               const int8_t *values)
{
    __asm volatile(
        "vmov.i8 q3, %[mask]\n dls lr, %[count]\n"
        "1:\n" MCUQ_CODED_VECTOR " le lr, 1b\n"
        : [to] "+&r"(to), [codes] "+&r"(codes)
        : [count] "r"(count), [values] "r"(values), [mask] "i"((1 << MCUQ_CODED_BITS) - 1)
        : "q0", "q1", "q2", "q3", "lr", "memory");
    return codes;
}

#else

static inline const uint8_t *mcuq_coded_decode(int8_t *to, const uint8_t *codes, int32_t count,
                                               const int8_t *values)
{
    const int32_t size = 16 * MCUQ_CODED_VECTORS;
    for (int32_t i = 0; i < size * count; i++) {
        const int32_t byte = codes[i / size * 16 + i % 16];
        to[i] = values[byte >> (i % size / 16 * MCUQ_CODED_BITS) & ((1 << MCUQ_CODED_BITS) - 1)];
    }
    return codes + 16 * count;
}

#endif

#endif
